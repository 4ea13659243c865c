"""The stages of the first day: inject, pay, restart, an hour later, midnight."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.datasets.array_requests import of_age
from trueup.conformance.datasets.event_batches import repeat
from trueup.conformance.datasets.event_times import DISTANCE, day_start
from trueup.conformance.datasets.event_values import LATER_USER, EventBuilder, user_name
from trueup.conformance.datasets.list_requests import key_requests
from trueup.conformance.datasets.materials import Materials, classes_of
from trueup.conformance.datasets.near_misses import near_classes, near_events, near_requests
from trueup.conformance.datasets.operations import (
    ClassName,
    Deliver,
    FollowUp,
    Operation,
    Read,
    Restart,
    Stage,
)
from trueup.conformance.datasets.special_events import (
    CROWD,
    crowd,
    late_events,
    later_events,
    mixed_batch,
    special_operations,
)
from trueup.conformance.datasets.stage_figures import (
    account_figures,
    read_again,
    read_fully,
)
from trueup.conformance.datasets.stage_reads import (
    account_reads,
    deep_reads,
    foreign_requests,
    long_reads,
    read_users,
    retrieves,
    user_reads,
)
from trueup.conformance.datasets.user_changes import (
    create_users,
    delete_users,
    edit_again,
    edit_users,
    foreign_changes,
    re_create_users,
)
from trueup.conformance.model import CheckContext
from trueup.conformance.requests import ApiRequest, logs, search, summaries

__all__ = ["evening", "hour_later_stage", "inject_stage", "midnight_stages", "money_stage"]
__all__ += ["restart_stage"]

HOUR_LATER: Final = timedelta(hours=1, minutes=5)
BEFORE_MIDNIGHT: Final = timedelta(seconds=10)
AFTER_MIDNIGHT: Final = timedelta(minutes=10)
SPARE: Final = timedelta(minutes=30)
"""Time between two moves of the clock within a day: what a slow target may take in between."""
_WITH_USAGE: Final = ("before-usage", "between-usage")
"""Moments of payments that belong to the stage in which the events are delivered."""
KEYS_AGAIN: Final = 10
"""Requests with other keys than the customer's that are made again after the restart."""
ACKNOWLEDGED: Final = 3
"""Deliveries that are acknowledged just before the restart."""


def _operations(*names: str) -> frozenset[ClassName]:
    return frozenset(("operation", "between", name) for name in names)


def inject_stage(made: Materials) -> Stage:
    """Return the stage that creates users, delivers events of every class and reads everything."""
    context = made.context
    moments = made.payments.moments
    halves: tuple[list[Operation], list[Operation]] = ([], [])
    for own in made.sets.values():
        middle = len(own.operations) // 2
        halves[0].extend(own.operations[:middle])
        halves[1].extend(own.operations[middle:])
    operations = (
        *moments.get("before-usage", ()),
        *(each for t in made.tenants for each in create_users(context, t, made.user_classes)),
        *halves[0],
        *moments.get("between-usage", ()),
        *(each for t in made.tenants for each in edit_users(context, t, made.user_classes)),
        *halves[1],
        *(
            each
            for tenant in made.tenants
            for each in special_operations(context, tenant, long_rows=made.settings.long_rows)
        ),
        *(each for tenant in made.tenants for each in near_events(context, tenant)),
        mixed_batch(context, context.now - DISTANCE),
        *(crowd(context, tenant) for tenant in made.tenants if made.settings.thorough),
    )
    near = near_requests(context)
    asked = of_age(made, context.now, "fresh")
    account = account_figures(made, context.now)
    by_id, follow_ups = retrieves(context, made.events, each=made.settings.retrieves)
    foreign, foreign_follow_ups = foreign_requests(context, made.events)
    paid = [row for row in made.payment_rows if row["moment"] in _WITH_USAGE]
    return Stage(
        name="inject",
        what="injecting events and reading them back",
        operations=operations,
        requests=(
            *read_fully(made, context.now),
            *read_users(context, made.users, context.now, made.settings.one_by_one),
            *long_reads(context, made.long_user),
            *(deep_reads(context, made.long_user) if made.settings.thorough else ()),
            *near,
            *account.requests,
            *by_id,
            *foreign,
            *(_lists_of_all(context) if made.settings.thorough else ()),
            *asked.requests,
        ),
        follow_ups=(
            *follow_ups,
            *asked.follow_ups,
            *(foreign_follow_ups if made.settings.thorough else ()),
        ),
        snapshots=account.snapshots,
        classes=asked.classes
        | near_classes(near)
        | frozenset(
            each
            for each in classes_of("event", made.event_rows)
            if each[:2] != ("event", "delivery") or each[2] not in made.later_names
        )
        | classes_of("payment", paid)
        | _operations("nothing", *_user_operations(made, "create", "edit", "limit")),
    )


def _lists_of_all(context: CheckContext) -> tuple[ApiRequest, ...]:
    """Lists of more than a page of users, and lists that name no user: of an hour, and of a day."""
    crowded = f"{context.prefix}-{CROWD}-%"
    at = context.now - timedelta(days=2)
    hour = {
        "min_log_request_datetime": f"{at:%Y-%m-%d %H:00:00}",
        "max_log_request_datetime": f"{at:%Y-%m-%d %H:59:59}",
    }
    return tuple(
        each
        for tenant in context.customers
        for each in (
            search("log_summary", tenant, like_proxy_user_id=crowded),
            search("log", tenant, **hour),
            search("log_summary", tenant, log_summary_period=context.period(f"{at:%Y-%m-%d}")),
        )
    )


def _user_operations(made: Materials, *names: str) -> list[str]:
    return [f"user-{name}" for name in names if "proxy-user-edit" in made.context.claims]


def money_stage(made: Materials) -> Stage:
    """Return the stage of payments after usage, and of the end and second life of proxy users."""
    context = made.context
    moments = made.payments.moments
    account = account_figures(made, context.now, twice=True)
    operations: list[Operation] = []
    for n, moment in enumerate(("overspent", "after-refund", "two-at-once")):
        operations += moments.get(moment, ())
        if moments.get(moment) and made.settings.thorough and moment == "overspent":
            operations.append(Read(requests=account_reads(context, again=10 + n)))
    foreign, own_users = foreign_changes(context) if made.settings.thorough else ((), ())
    operations += foreign
    for tenant in made.tenants:
        operations += delete_users(context, tenant, made.user_classes)
        operations += re_create_users(context, tenant, made.user_classes)
        operations += _after_deletion(made, tenant)
    paid = [row for row in made.payment_rows if row["moment"] not in _WITH_USAGE]
    return Stage(
        name="money",
        what="paying, giving back, deleting proxy users and creating them again",
        operations=tuple(operations),
        requests=(
            *read_again(made, context.now, turn=0),
            *user_reads(context, made.array_users, turn=0, share=made.settings.graph_share),
            *own_users,
            *account.requests,
        ),
        snapshots=account.snapshots,
        classes=classes_of("payment", paid)
        | _operations(*_user_operations(made, "delete", "re-create")),
    )


def _after_deletion(made: Materials, tenant: str) -> list[Deliver]:
    """Events of deleted and of re-created users, that arrive after their deletion."""
    builder = EventBuilder(made.context, "after-deletion", tenant)
    return [
        Deliver(
            dataset="after-deletion",
            events=tuple(
                builder.event(
                    user=user_name(made.context, name),
                    at=made.context.now - DISTANCE,
                    log_network=network,
                )
                for network in ("residential", "isp")
            ),
        )
        for name in ("deleted", "re-created")
        if name in made.user_classes
    ]


def restart_stage(made: Materials) -> Stage:
    """Return the stage that delivers events just before a restart, and again after it."""
    context = made.context
    at = context.now - DISTANCE
    figures = account_reads(context) if made.settings.thorough else ()
    operations: list[Operation] = []
    acknowledged: list[Deliver] = []
    for tenant in made.tenants:
        whole = later_events(context, tenant, "restart", at, count=ACKNOWLEDGED)
        parts = [
            Deliver(dataset=whole.dataset, events=whole.events[n::ACKNOWLEDGED])
            for n in range(ACKNOWLEDGED)
        ]
        operations += parts
        if "deduplication" in context.claims:
            acknowledged.append(whole)
    operations.append(Restart())
    operations.append(Read(requests=_later_user(context)))  # before anything is delivered again
    operations += acknowledged
    for events in made.later("after-restart").values():
        operations += repeat(events)
    operations += made.payments.restarted
    operations += [later_events(context, t, "after-restart", at) for t in made.tenants]
    requests, follow_ups = _after_restart(made)
    if made.settings.thorough:
        operations += [
            each for t in made.tenants for each in edit_again(context, t, made.user_classes)
        ]
    return Stage(
        name="restart",
        what="restarting the target, and delivering again",
        operations=tuple(operations),
        requests=(*read_again(made, context.now, turn=1), *figures, *requests),
        follow_ups=follow_ups,
        classes=_operations("restart")
        | _reached(
            ("event", "delivery", "after-restart"), any(made.later("after-restart").values())
        )
        | _reached(("payment", "key", "after-restart"), bool(made.payments.restarted)),
    )


def _later_user(context: CheckContext, *, again: int = 1) -> tuple[ApiRequest, ...]:
    """Rows of the user whose events are delivered at later stages; `again`: which reading it is."""
    user = context.user(LATER_USER)
    return tuple(
        replace(view(user, tenant), again=again)
        for tenant in context.customers
        for view in (logs, summaries)
    )


def _after_restart(made: Materials) -> tuple[tuple[ApiRequest, ...], tuple[FollowUp, ...]]:
    """Requests for proxy users; unless quick, by id, for another customer's, with wrong keys."""
    context, settings = made.context, made.settings
    users = user_reads(context, made.array_users, turn=1, share=settings.graph_share)
    if not settings.thorough:
        return users, ()
    by_id, own = retrieves(context, made.events, each=1)
    foreign, others = foreign_requests(context, made.events)
    keys = key_requests(context, made.rich, seed=made.seed + 1, most=KEYS_AGAIN)
    return (*by_id, *foreign, *users, *(request for request, _ in keys)), (*own, *others)


def _reached(name: ClassName, there: bool) -> frozenset[ClassName]:
    return frozenset({name} if there else ())


def hour_later_stage(made: Materials) -> Stage:
    """Return the stage in which events are delivered again, an hour later by the target's clock."""
    context = made.context
    at = context.now + HOUR_LATER
    operations: list[Operation] = []
    for events in made.later("hour-later").values():
        operations += repeat(events)
    operations += [later_events(context, t, "hour-later", at - DISTANCE) for t in made.tenants]
    operations.append(Read(requests=_later_user(context)))  # before only past days change
    for tenant in made.tenants:
        operations += late_events(context, tenant, "hour-later", at - DISTANCE)
    return Stage(
        name="hour-later",
        what="an hour later, delivering again",
        at=at,
        operations=tuple(operations),
        requests=(*read_again(made, at, turn=2), *_later_user(context, again=0)),
        classes=_operations("clock-hour")
        | _reached(("event", "delivery", "hour-later"), any(made.later("hour-later").values())),
    )


def evening(now: datetime) -> datetime:
    """Return the time ten seconds before the first midnight that leaves time for earlier stages."""
    earliest = now + HOUR_LATER + SPARE
    eve = day_start(earliest) + timedelta(days=1) - BEFORE_MIDNIGHT
    return eve if eve > earliest else eve + timedelta(days=1)


def midnight_stages(made: Materials) -> tuple[Stage, Stage]:
    """Return the stages before and after midnight: the last events of a day, and the next day."""
    context = made.context
    eve = evening(context.now)
    later = dict.fromkeys(made.tenants, (context.user(LATER_USER),))
    after = eve + BEFORE_MIDNIGHT + AFTER_MIDNIGHT
    return (
        Stage(
            name="before-midnight",
            what="delivering ten seconds before midnight",
            at=eve,
            operations=tuple(
                later_events(context, tenant, "before-midnight", eve) for tenant in made.tenants
            ),
            requests=read_users(context, later, eve, None),
        ),
        Stage(
            name="after-midnight",
            what="delivering ten minutes after midnight",
            at=after,
            operations=(
                *(
                    later_events(context, tenant, "after-midnight", after - DISTANCE)
                    for tenant in made.tenants
                ),
                *_again_the_next_day(made, eve),
            ),
            requests=read_again(made, after, turn=1),
            classes=_operations("clock-midnight"),
        ),
    )


def _again_the_next_day(made: Materials, eve: datetime) -> list[Operation]:
    """Events of the evening and payments of the day before, under the ids that they had."""
    context = made.context
    again: list[Operation] = []
    if "deduplication" in context.claims:
        for tenant in made.tenants:
            again += repeat(later_events(context, tenant, "before-midnight", eve).events)
    if "idempotent-money" in context.claims:
        again += made.payments.restarted[:2]
    return again
