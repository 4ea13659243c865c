"""What is read at a stage: every dataset of every customer, in full, in every view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.datasets.event_times import day_start
from trueup.conformance.datasets.event_values import LATER_USER, user_name
from trueup.conformance.datasets.operations import FollowUp
from trueup.conformance.model import POOLS, CheckContext, Event
from trueup.conformance.requests import ApiRequest

__all__ = [
    "account_reads",
    "deep_reads",
    "foreign_requests",
    "long_reads",
    "network_summaries",
    "read_all",
    "read_users",
    "retrieves",
    "row_retrieves",
    "snapshots",
    "user_reads",
]

_LATE_WITHIN: Final = timedelta(days=2)
"""For how long after its begin a run delivers late events of the days before it."""
_DEEP: Final = 1_000
"""Rows beyond which a page of a list is read."""
_DEEP_SUMMARIES: Final = "6"
"""Number of the page with the 501st summary."""
_MINUTES: Final = timedelta(minutes=120)
"""A window in each of whose minutes the user with many rows has logs."""
LATE_DAYS: Final = 8
"""Days before the run's own that reads cover; events are never older than 7 days."""


def read_users(
    context: CheckContext, users: Mapping[str, Sequence[str]], now: datetime, most: int | None
) -> tuple[ApiRequest, ...]:
    """Return requests for each proxy user's logs, summaries and day graph. `users`: by customer."""
    return tuple(
        request
        for tenant, names in users.items()
        for user in names[:most]
        for request in (
            requests.logs(user, tenant),
            requests.summaries(user, tenant),
            _day_graph(context, tenant, user, now),
        )
    )


def read_all(
    context: CheckContext,
    users: Mapping[str, Sequence[str]],
    now: datetime,
    *,
    turn: int = 0,
    share: int = 1,
) -> tuple[ApiRequest, ...]:
    """Return requests for logs and summaries of all users of the run, and some of their day graphs.

    `share`: every so many users' graphs are read; `turn`: a number that is another one at each
    stage, so that others are read then.
    """
    own = f"{context.prefix}-u-%"
    made: list[ApiRequest] = []
    for tenant, names in users.items():
        made += [
            requests.search(view, tenant, like_proxy_user_id=own) for view in ("log", "log_summary")
        ]
        chosen = list(dict.fromkeys((*names[turn % share :: share], *_later(context, names))))
        made += [_day_graph(context, tenant, user, now) for user in chosen]
        if now - context.now < _LATE_WITHIN and tenant == "a":
            made += [_closed_graph(context, tenant, user) for user in _later(context, names)]
        if "breakdown" in context.claims:
            made += [_breakdown(context, tenant, user, now) for user in chosen[:1]]
    return tuple(made)


def _later(context: CheckContext, names: Sequence[str]) -> list[str]:
    """The user of later deliveries: its graph is read each time, as its past days still change."""
    return [name for name in names if name == context.user(LATER_USER)]


def _closed_graph(context: CheckContext, tenant: str, user: str) -> ApiRequest:
    """A user's graph of the days before the run: one window, and late events change it."""
    first, today = _days(context, context.now)[0], day_start(context.now)
    return requests.graph(first, today, "day", tenant=tenant, filters={"proxy_user_id": user})


def _breakdown(context: CheckContext, tenant: str, user: str, now: datetime) -> ApiRequest:
    """A user's totals by hostname and network over the days of its graph, none left out."""
    parts = dict.fromkeys(("return_hostnames", "return_networks", "return_proxy_users"), "true")
    return requests.breakdown(
        *_days(context, now), tenant=tenant, query={"proxy_user_id": user, **parts}
    )


def long_reads(context: CheckContext, user: str) -> tuple[ApiRequest, ...]:
    """Return requests for everything of the user with many rows, and for a page in each order."""
    made = [
        view(user, tenant)
        for tenant in context.customers
        for view in (requests.logs, requests.summaries)
    ]
    for order in ("log_total_bytes_desc", "log_request_datetime_asc"):
        query = (("proxy_user_id", user), ("sort_by", order), ("page", "2"), ("per_page", "20"))
        made += [
            ApiRequest(path="log/search", query=query, tenant=tenant)
            for tenant in context.customers
        ]
    return tuple(made)


def deep_reads(context: CheckContext, user: str) -> tuple[ApiRequest, ...]:
    """Return requests beyond usual limits, for the rows of all users of the run and of `user`.

    A page beyond the thousandth log and one beyond the 500th summary; a graph by minute with more
    than a hundred points.
    """
    own = f"{context.prefix}-%"
    page = {
        "like_proxy_user_id": own,
        "sort_by": "log_request_datetime_asc",
        "page": str(_DEEP // 100 + 1),
        "per_page": "100",
    }
    last = context.now.replace(second=0, microsecond=0)
    return tuple(
        request
        for tenant in context.customers
        for request in (
            ApiRequest(path="log/search", query=tuple(page.items()), tenant=tenant),
            ApiRequest(
                path="log_summary/search",
                query=(("like_proxy_user_id", own), ("page", _DEEP_SUMMARIES), ("per_page", "100")),
                tenant=tenant,
            ),
            *(
                [
                    requests.graph(
                        last - _MINUTES,
                        last,
                        "minute",
                        tenant=tenant,
                        filters={"proxy_user_id": user},
                    )
                ]
                if "minute-graph" in context.claims
                else []
            ),
        )
    )


def _day_graph(context: CheckContext, tenant: str, user: str, now: datetime) -> ApiRequest:
    """A user's graph by day, from the oldest event to the end of today."""
    return requests.graph(
        *_days(context, now), "day", tenant=tenant, filters={"proxy_user_id": user}
    )


def _days(context: CheckContext, now: datetime) -> tuple[datetime, datetime]:
    """Midnights from the oldest event to the end of today."""
    return day_start(context.now) - timedelta(days=LATE_DAYS), day_start(now) + timedelta(days=1)


def account_reads(context: CheckContext, *, again: int = 0) -> tuple[ApiRequest, ...]:
    """Return the requests for account figures and ledgers of every customer, once.

    `again` tells repetitions within one stage apart.
    """
    made: list[ApiRequest] = []
    for tenant in context.customers:
        made += [
            request
            for pool in _pools(context)
            for request in (
                requests.account(pool, again, tenant),
                requests.ledger(pool, again, tenant),
            )
        ]
        if "customer" in context.claims:
            made.append(requests.customer(again, tenant))
    return tuple(made)


def snapshots(context: CheckContext, now: datetime) -> tuple[tuple[ApiRequest, ...], ...]:
    """Return, by customer, requests for accounts and ledgers before and after the summaries."""
    return tuple(_snapshot(context, tenant, now) for tenant in context.customers if _pools(context))


def network_summaries(context: CheckContext, now: datetime) -> tuple[ApiRequest, ...]:
    """Return requests for the summaries of each metered network of every customer."""
    return tuple(
        request for tenant in context.customers for request in _summaries(context, tenant, now)
    )


def _summaries(context: CheckContext, tenant: str, now: datetime) -> list[ApiRequest]:
    ends = (context.now - timedelta(days=LATE_DAYS), now + timedelta(days=1))
    first, last = (context.period(f"{end:%Y-%m-%d}") for end in ends)
    return [
        requests.search(
            "log_summary",
            tenant,
            log_summary_network=pool,
            min_log_summary_period=first,
            max_log_summary_period=last,
        )
        for pool in _pools(context)
    ]


def _snapshot(context: CheckContext, tenant: str, now: datetime) -> tuple[ApiRequest, ...]:
    pools = _pools(context)
    before, after = (
        [
            *(requests.account(pool, again, tenant) for pool in pools),
            *([requests.customer(again, tenant)] if "customer" in context.claims else []),
            *(requests.ledger(pool, again, tenant) for pool in pools),
        ]
        for again in (1, 2)
    )
    return (*before, *_summaries(context, tenant, now), *reversed(after))


def _pools(context: CheckContext) -> list[str]:
    return [pool for pool in POOLS if pool in context.claims]


def user_reads(
    context: CheckContext, users: Mapping[str, Sequence[str]], *, turn: int, share: int
) -> tuple[ApiRequest, ...]:
    """Return the requests for every proxy user of the run; none without the claim.

    `share` and `turn`: as in `read_all`, for the users that are retrieved by name as well. The
    user of later deliveries is retrieved each time, as it uses more at each stage.
    """
    if "proxy-user" not in context.claims:
        return ()
    made = [
        requests.search("proxy_user", tenant, like_proxy_user_id=f"{context.prefix}-%")
        for tenant in users
    ]
    made += [
        requests.proxy_user(user, tenant)
        for tenant, names in users.items()
        for user in (*names[turn % share :: share], context.user(LATER_USER))
    ]
    return tuple(made)


def retrieves(
    context: CheckContext, events: Mapping[str, Sequence[Event]], *, each: int
) -> tuple[tuple[ApiRequest, ...], tuple[FollowUp, ...]]:
    """Return retrieves of `each` logs of every customer, and of rows whose ids searches return."""
    logs = tuple(
        requests.log(str(event["log_id"]), tenant)
        for tenant, own in events.items()
        for event in _some(own, each)
    )
    return logs, tuple(
        follow for tenant in events for follow in _row_retrieves(context, tenant, tenant)
    )


def _some(events: Sequence[Event], count: int) -> list[Event]:
    """The event with the longest hostname, and others at even distances."""
    longest = sorted(events, key=lambda event: len(str(event["log_hostname"])))[-1:]
    rest = count - len(longest)
    return [*longest, *events[:: max(1, len(events) // max(1, rest))][:rest]]


def row_retrieves(context: CheckContext) -> tuple[FollowUp, ...]:
    """Return retrieves of the first summary and ledger entry of each list."""
    return tuple(
        replace(follow, places=(0,))
        for tenant in context.customers
        for follow in _row_retrieves(context, tenant, tenant)
    )


def _row_retrieves(context: CheckContext, tenant: str, asker: str) -> list[FollowUp]:
    """Retrieves, with the keys of `asker`, of summaries and ledger entries of `tenant`."""
    user = user_name(context, "implicit")
    summaries = FollowUp(
        source=requests.summaries(user, tenant),
        field="log_summary_id",
        request=requests.summary("{}", asker),
    )
    entries = [
        FollowUp(
            source=requests.ledger(pool, tenant=tenant),
            field=f"{pool}_ledger_id",
            request=ApiRequest(path=f"{pool}_ledger/retrieve/{{}}", tenant=asker),
        )
        for pool in _pools(context)
    ]
    return [summaries, *entries]


def foreign_requests(
    context: CheckContext, events: Mapping[str, Sequence[Event]]
) -> tuple[tuple[ApiRequest, ...], tuple[FollowUp, ...]]:
    """Return requests of each customer for another one's ids, users and hostnames."""
    tenants = list(context.customers)
    if len(tenants) < 2:
        return (), ()
    made: list[ApiRequest] = []
    follow: list[FollowUp] = []
    for asker, owner in ((tenants[0], tenants[1]), (tenants[1], tenants[0])):
        alone = f"{user_name(context, 'one-customer')}-{owner}"
        made += [requests.log(str(event["log_id"]), asker) for event in events[owner][:2]]
        made += [requests.logs(alone, asker), requests.summaries(alone, asker)]
        if "proxy-user" in context.claims:
            made.append(requests.proxy_user(alone, asker))
            made.append(requests.search("proxy_user", asker, proxy_user_id=alone))
        made.append(_day_graph(context, asker, alone, context.now))
        follow += _row_retrieves(context, owner, asker)
    return tuple(made), tuple(follow)
