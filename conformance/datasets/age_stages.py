"""The stages of age: before and after logs are removed, before and after hostnames are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.datasets.array_requests import (
    AGES,
    ASKED_AGAIN,
    ArrayPart,
    of_age,
)
from trueup.conformance.datasets.calendar import (
    ChosenDay,
    calendar_stages,
    chosen_days,
    read_days_again,
)
from trueup.conformance.datasets.event_batches import repeat
from trueup.conformance.datasets.event_times import DISTANCE
from trueup.conformance.datasets.later_changes import later_changes
from trueup.conformance.datasets.materials import Materials
from trueup.conformance.datasets.operations import ClassName, Maintain, Operation, Restart, Stage
from trueup.conformance.datasets.payment_plan import many_payments
from trueup.conformance.datasets.special_events import later_events
from trueup.conformance.datasets.stage_figures import (
    AccountFigures,
    account_figures,
    read_again,
    read_fully,
)
from trueup.conformance.datasets.stage_reads import (
    account_reads,
    long_reads,
    retrieves,
    row_retrieves,
    user_reads,
)

__all__ = ["PAST_90_DAYS", "age_stages", "calendar_part"]

LONG_PAST_A_WEEK: Final = timedelta(days=9, hours=6)
"""Clearly older than 7 days: whole calendar days and a sweep of most of a day are past."""
WITHIN_A_WEEK: Final = timedelta(days=6, hours=22)
BEFORE_90_DAYS: Final = timedelta(days=88, hours=12)
"""Half a day short of 89, so that a midnight that passes meanwhile leaves rows to look at."""
PAST_90_DAYS: Final = timedelta(days=93, hours=12)
A_YEAR: Final = timedelta(days=400)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Age:
    """One stage of age."""

    name: str
    what: str
    after: timedelta
    maintenance: int = 1
    reached: tuple[str, ...] = ()
    """Classes of operations."""
    minor: bool = False
    """Whether a quick run does without it."""


_AGES: Final = (
    _Age(
        name="week",
        what="reading two hours before the logs are 7 days old",
        after=WITHIN_A_WEEK,
        reached=("maintenance",),
    ),
    _Age(
        name="past-7",
        what="reading when the logs are clearly older than 7 days",
        after=LONG_PAST_A_WEEK,
        reached=("clock-7-days",),
    ),
    _Age(
        name="near-90",
        what="reading before any summary is 90 days old",
        after=BEFORE_90_DAYS,
        minor=True,
    ),
    _Age(
        name="past-90",
        what="reading when the summaries are clearly older than 90 days",
        after=PAST_90_DAYS,
        reached=("clock-90-days",),
    ),
    _Age(
        name="repeat-maintenance",
        what="running the maintenance twice more",
        after=PAST_90_DAYS + timedelta(hours=1),
        maintenance=2,
        reached=("maintenance-twice",),
        minor=True,
    ),
)


def age_stages(made: Materials) -> tuple[Stage, ...]:
    """Return the stages from a week to beyond 90 days, in order."""
    return tuple(
        _stage(made, n, age)
        for n, age in enumerate(_AGES)
        if made.settings.thorough or not age.minor
    )


def _stage(made: Materials, turn: int, age: _Age) -> Stage:
    context = made.context
    at = context.now + age.after
    whole = age.name in ("past-7", "past-90")
    requests = read_fully(made, at, turn=turn) if whole else read_again(made, at, turn=turn)
    account = account_figures(made, at) if whole else AccountFigures()
    asked = of_age(made, at, age.name) if age.name in AGES else ArrayPart()
    changed = later_changes(made, age.name, turn)
    if age.name in ("week", "past-7"):
        by_id, _ = retrieves(context, made.events, each=max(1, made.settings.retrieves // 2))
        requests += by_id
    if age.name == ("week" if made.settings.thorough else "past-7"):
        requests += long_reads(context, made.long_user)
    if whole and made.settings.thorough:
        requests += user_reads(
            context, made.array_users, turn=turn, share=made.settings.graph_share
        )
    return Stage(
        name=age.name,
        what=age.what,
        at=at,
        operations=(*_operations(made, age, at), *changed.operations),
        requests=tuple(
            dict.fromkeys((*requests, *asked.requests, *account.requests, *changed.requests))
        ),
        follow_ups=(
            *asked.follow_ups,
            *(row_retrieves(context) if age.name == "past-90" else ()),
        ),
        snapshots=account.snapshots,
        classes=_classes(made, age) | asked.classes,
    )


def _operations(made: Materials, age: _Age, at: datetime) -> list[Operation]:
    """Maintenance first, and then new traffic and what is delivered again."""
    context = made.context
    operations: list[Operation] = []
    if "maintenance" in context.hooks:
        operations += [Maintain()] * age.maintenance
    if age.name == "past-7":
        for events in made.later("after-log-gone").values():
            operations += repeat(events)
    if age.name == "repeat-maintenance" and context.level >= 4 and "restart" in context.hooks:
        operations.append(Restart())
    if age.name != "repeat-maintenance":
        count = ASKED_AGAIN if age.name == "past-7" else 1
        operations += [
            later_events(context, t, age.name, at - DISTANCE, count=count) for t in made.tenants
        ]
    return operations


def _classes(made: Materials, age: _Age) -> frozenset[ClassName]:
    classes: frozenset[ClassName] = frozenset(
        ("operation", "between", name)
        for name in age.reached
        if "maintenance" in made.context.hooks or not name.startswith("maintenance")
    )
    if age.name == "past-7" and any(made.later("after-log-gone").values()):
        classes |= {("event", "delivery", "after-log-gone")}
    return classes


def calendar_part(made: Materials) -> tuple[Stage, ...]:
    """Return the stages of the chosen days, and those that read all of them again later."""
    context = made.context
    begun = context.now + PAST_90_DAYS + timedelta(hours=2)
    days = chosen_days(begun, made.settings.days)
    if not days:
        return ()
    return (*calendar_stages(context, days, thorough=made.settings.thorough), *_later(made, days))


def _later(made: Materials, days: tuple[ChosenDay, ...]) -> tuple[Stage, ...]:
    context = made.context
    last = days[-1].midnight
    every = (("9-days-on", 9), ("93-days-on", 94), ("a-year-on", A_YEAR.days))
    thorough = made.settings.thorough
    ages = every if thorough else every[-1:]
    return tuple(
        Stage(
            name=name,
            what=f"reading all chosen days again, {name.replace('-', ' ')}",
            at=last + timedelta(days=after),
            operations=(
                *((Maintain(),) if "maintenance" in context.hooks else ()),
                *(many_payments(context) if thorough and name == "a-year-on" else ()),
            ),
            requests=(
                *read_days_again(
                    context,
                    days,
                    last + timedelta(days=after),
                    turn=turn,
                    share=made.settings.graph_share,
                ),
                *(account_reads(context) if name == "a-year-on" else ()),
            ),
            classes=frozenset({("operation", "between", "clock-year")})
            if name == "a-year-on"
            else frozenset(),
        )
        for turn, (name, after) in enumerate(ages)
    )
