"""The requests of a reconciliation: a pure function of what was sent.

How many there are depends on the size of the traffic and on the target's budget. If not everything
fits into the budget, a sample is requested, and the evaluation says so.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.model import NETWORKS, POOLS
from trueup.conformance.observed.observations import Observations
from trueup.conformance.ports import Slice
from trueup.conformance.reconciliation.expected import Bounds, Expected, bounds_by_key
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import as_int, as_row, format_time, parse_time, rows_of
from trueup.reports.journal.records import Exchange
from trueup.reports.results import CellKey, HourKey

__all__ = [
    "PROXIED",
    "LogCount",
    "SummarySearch",
    "all_logs_are_listed",
    "baseline_requests",
    "baseline_stage_of",
    "counted",
    "day_slice",
    "graph_requests",
    "log_count_request",
    "log_counts",
    "log_searches",
    "retrieve_requests",
    "slice_request",
    "snapshot_requests",
    "stage_of",
    "summary_searches",
    "tenants",
]

PROXIED: Final = "proxied"
"""The part of traffic that went through proxies."""
PER_PAGE: Final = 100
SPARE_PAGES: Final = 400
"""Pages that a search may have beyond its own rows: others' rows, and targets with small pages."""
ALL_CELLS_MOST: Final = 150_000
"""Cells of a tenant up to which all are read; above, those of a sample of proxy users."""
DAY_CELLS_MOST: Final = 5_000
"""Cells of a day that one search reads; above, one search a network: late pages are slow."""
SAMPLE_USERS: Final = 40
ADJACENT_PAGES: Final = 20
"""Pages of an adjacent day that are read."""
ALL_LOGS_MOST: Final = 5_000
"""Events of a tenant whose logs are all listed; above, they are counted and a sample is listed."""
COUNTLESS_LOGS_MOST: Final = 60_000
"""The same if the target does not count, because nothing else shows what is missing."""
SAMPLE_LOGS: Final = 200
SAMPLE_SLICES: Final = 8
SLICE_LOGS: Final = 250
"""Logs of a time slice; slices with more than four times as many are left out."""
COUNTS_MOST: Final = 100
"""Spans of time and networks of a tenant whose logs are counted, and as many proxy users."""

SUMMARY_SHARE: Final = 1 / 2
LOG_SHARE: Final = 1 / 8
COUNT_SHARE: Final = 1 / 8
RETRIEVE_SHARE: Final = 1 / 12
"""Shares of the budget; the rest is for snapshots, waiting and repetitions."""


def stage_of(part: str) -> str:
    """Return the stage of a reconciliation: `traffic fleet`, `traffic load`."""
    return f"traffic {part}"


def baseline_stage_of(part: str) -> str:
    """Return the stage in which accounts are read before a part's traffic is sent."""
    return f"{stage_of(part)} before"


def tenants(observations: Observations) -> dict[str, int]:
    """Return tenant letter → customer number."""
    assert observations.plan is not None
    return observations.plan.customers


def _affordable(observations: Observations, share: float) -> float:
    """Return how many requests one kind of request may use."""
    assert observations.plan is not None
    return observations.plan.requests * share if observations.plan.requests else math.inf


def _own(expected: Expected, customer: int) -> list[CellKey]:
    return [key for key in expected.keys if key.customer_id == customer]


def _at(day: str) -> datetime:
    at = parse_time(day)
    assert at is not None, "cells carry days"
    return at


def _pages(rows: int) -> int:
    return -(-rows // PER_PAGE)


# --- summaries


@dataclass(frozen=True, kw_only=True, slots=True)
class SummarySearch:
    """A search of summaries, for a day, a network of a day, or all days of a user."""

    request: ApiRequest
    customer: int
    day: str = ""
    network: str = ""
    user: str = ""
    beside: bool = False
    """Whether it is an adjacent day, on which only events with a wrong date would be."""


def summary_searches(observations: Observations, expected: Expected) -> list[SummarySearch]:
    """Return searches of all summaries of each day, or of a sample of users for too many."""
    found: list[SummarySearch] = []
    room = _affordable(observations, SUMMARY_SHARE)
    for letter, customer in tenants(observations).items():
        keys = _own(expected, customer)
        pages = _pages(len(keys))
        if len(keys) <= ALL_CELLS_MOST and pages <= room:
            room -= pages
            found += _searches_by_day(observations, letter, customer, keys)
        else:
            users = sorted({key.proxy_user_id for key in keys})
            step = max(1, len(users) // SAMPLE_USERS)
            found += [
                SummarySearch(
                    request=requests.summaries(user, letter), customer=customer, user=user
                )
                for user in users[::step][:SAMPLE_USERS]
            ]
    return found


def _searches_by_day(
    observations: Observations, letter: str, customer: int, keys: Sequence[CellKey]
) -> list[SummarySearch]:
    sizes: dict[str, int] = defaultdict(int)
    for key in keys:
        sizes[key.day] += 1
    found = []
    for day in sorted(sizes):
        for network in NETWORKS if sizes[day] > DAY_CELLS_MOST else ("",):
            request = _day_request(
                observations, letter, day, network, SPARE_PAGES + 3 * _pages(sizes[day])
            )
            found.append(
                SummarySearch(request=request, customer=customer, day=day, network=network)
            )
    for day in _adjacent_days(observations, sorted(sizes)):
        request = _day_request(observations, letter, day, "", ADJACENT_PAGES)
        found.append(SummarySearch(request=request, customer=customer, day=day, beside=True))
    return found


def _day_request(
    observations: Observations, letter: str, day: str, network: str, pages: int
) -> ApiRequest:
    period = observations.context.period(day)
    query = {"log_summary_network": network} if network else {}
    query |= {"min_log_summary_period": period, "max_log_summary_period": period}
    return replace(requests.search("log_summary", letter, **query), pages=pages)


def _adjacent_days(observations: Observations, days: Sequence[str]) -> list[str]:
    """Return days on which an event with a wrong date would be: before, after, and today."""
    if not days:
        return []
    assert observations.plan is not None
    one = timedelta(days=1)
    near = {f"{_at(days[0]) - one:%Y-%m-%d}", f"{_at(days[-1]) + one:%Y-%m-%d}"}
    return sorted({*near, observations.plan.now[:10]} - set(days))


# --- logs


def _span(days: Sequence[str]) -> tuple[datetime, datetime]:
    return _at(days[0]), _at(days[-1]) + timedelta(seconds=86_399)


def _days(expected: Expected, customer: int) -> list[str]:
    return sorted(
        {network_day.day for network_day in expected.days if network_day.customer_id == customer}
    )


def day_slice(key: CellKey) -> Slice:
    """Return the slice of a cell."""
    return Slice(
        key.customer_id,
        f"{key.day} 00:00:00",
        f"{key.day} 23:59:59",
        key.network,
        key.proxy_user_id,
        key.hostname,
    )


def _whole_slice(expected: Expected, customer: int) -> Slice | None:
    days = _days(expected, customer)
    if not days:
        return None
    first, last = _span(days)
    return Slice(customer, format_time(first), format_time(last))


def slice_request(letter: str, slice_: Slice, *, pages: int = 0, again: int = 0) -> ApiRequest:
    """Return a search of the logs of a slice; with no pages, of one row, for its `total_count`."""
    filters = (
        ("proxy_user_id", slice_.proxy_user_id),
        ("log_network", slice_.network),
        ("log_hostname", slice_.hostname),
    )
    query = (
        ("min_log_request_datetime", slice_.first),
        ("max_log_request_datetime", slice_.last),
        *((name, value) for name, value in filters if value),
    )
    if pages:
        return ApiRequest(path="log/search", query=query, tenant=letter, paged=True, pages=pages)
    return ApiRequest(
        path="log/search", query=(*query, ("per_page", "1")), tenant=letter, again=again
    )


def log_count_request(
    observations: Observations, expected: Expected, letter: str, again: int = 0
) -> ApiRequest | None:
    """Return a search of one log of the traffic's days, for its `total_count`."""
    span = _whole_slice(expected, tenants(observations)[letter])
    return None if span is None else slice_request(letter, span, again=again)


def counted(exchange: Exchange | None) -> int | None:
    """Return the number of matches that a search reports, or None if it reports none."""
    if exchange is None or exchange.status != 200:
        return None
    total = as_int(as_row(exchange.body), "total_count")
    listed = rows_of(exchange.body) is not None
    return total if listed and total is not None and total >= 0 else None


def _counts(observations: Observations, expected: Expected, stage: str, letter: str) -> bool:
    """Return whether the target counts the tenant's logs, which the snapshot reads first.

    The counts of a target that declares that it does not always count are not used.
    """
    request = log_count_request(observations, expected, letter, 2)
    if observations.reading("total-count") == "unknown":
        return False
    return request is not None and counted(observations.response(stage, request)) is not None


def _events(expected: Expected, customer: int) -> int:
    certain, possible = expected.total(customer)
    return certain.requests + possible.requests


def all_logs_are_listed(
    observations: Observations, expected: Expected, stage: str, letter: str
) -> bool:
    """Return whether all logs of a tenant are listed, rather than counted."""
    events = _events(expected, tenants(observations)[letter])
    counts = _counts(observations, expected, stage, letter)
    most = ALL_LOGS_MOST if counts else COUNTLESS_LOGS_MOST
    share = LOG_SHARE / max(1, len(tenants(observations)))
    # Without a count no other request needs its share.
    room = _affordable(observations, share if counts else 2 * share)
    return events <= most and _pages(events) <= room


def log_searches(
    observations: Observations, expected: Expected, stage: str
) -> list[tuple[Slice, ApiRequest]]:
    """Return searches of all logs of tenants with few logs, and of slices of the logs of others."""
    found: list[tuple[Slice, ApiRequest]] = []
    for letter, customer in tenants(observations).items():
        span = _whole_slice(expected, customer)
        if span is None:
            continue
        if all_logs_are_listed(observations, expected, stage, letter):
            pages = SPARE_PAGES + 3 * _pages(_events(expected, customer))
            found.append((span, slice_request(letter, span, pages=pages)))
        else:
            found += [
                (each, slice_request(letter, each, pages=SPARE_PAGES))
                for each in _sample_slices(observations, expected, customer)
            ]
    return found


def _sample_slices(observations: Observations, expected: Expected, customer: int) -> list[Slice]:
    """Return short time slices around events that the seed chooses."""
    about = []
    for log_id in expected.sent.log_ids(SAMPLE_LOGS):
        event = expected.sent.event(log_id)
        if event is not None and event.get("customer_id") == customer:
            at = parse_time(event.get("log_request_datetime"))
            assert at is not None, "events carry times"
            about.append(int(at.timestamp()))
    if not about:
        return []
    seconds = max(about) - min(about) + 1
    length = max(1, seconds * SLICE_LOGS // _events(expected, customer))
    starts = list(dict.fromkeys(second // length * length for second in about))
    starts = starts[:: max(1, len(starts) // SAMPLE_SLICES)][:SAMPLE_SLICES]
    slices = [_slice(customer, start, length) for start in starts]
    room = _affordable(observations, LOG_SHARE / max(1, len(tenants(observations))))
    kept = []
    for each, ids in zip(slices, expected.sent.ids_in(slices), strict=True):
        if len(ids) <= 4 * SLICE_LOGS and _pages(len(ids)) <= room:
            room -= _pages(len(ids))
            kept.append(each)
    return kept


def _slice(customer: int, second: int, length: int) -> Slice:
    first = parse_time(second)
    assert first is not None, "a time of this age"
    return Slice(customer, format_time(first), format_time(first + timedelta(seconds=length - 1)))


@dataclass(frozen=True, kw_only=True, slots=True)
class LogCount:
    """A part of a tenant's logs that is counted, and what was sent into it."""

    slice: Slice
    request: ApiRequest
    span: Bounds


def log_counts(observations: Observations, expected: Expected, stage: str) -> list[LogCount]:
    """Return counts by time and network and by proxy user, for tenants that are not listed whole.

    A lost log and a duplicate cancel out only if time, network and user agree.
    """
    found: list[LogCount] = []
    for letter, customer in tenants(observations).items():
        span = _whole_slice(expected, customer)
        counts = _counts(observations, expected, stage, letter)
        if span is None or not counts or all_logs_are_listed(observations, expected, stage, letter):
            continue
        room = _affordable(observations, COUNT_SHARE / max(1, len(tenants(observations))))
        most = int(min(COUNTS_MOST, room // 2))
        hours = {key: each for key, each in expected.by_hour.items() if key[0] == customer}
        parts = _by_time(hours, most)
        users = {
            user: each for (number, user), each in expected.by_user.items() if number == customer
        }
        names = sorted(users)[:: max(1, -(-len(users) // max(1, most)))]
        parts += [(span._replace(proxy_user_id=name), users[name]) for name in names if most]
        found += [
            LogCount(slice=part, request=slice_request(letter, part), span=each)
            for part, each in parts
        ]
    return found


def _by_time(hours: dict[HourKey, Bounds], most: int) -> list[tuple[Slice, Bounds]]:
    """Return hours by network, or longer times if those would be too many."""
    if not hours or not most:
        return []
    numbers = {key: int(_at(f"{key.hour}:00:00").timestamp()) // 3600 for key in hours}
    networks = len({key.network for key in hours})
    length = 1
    while len({number // length for number in numbers.values()}) * networks > max(most, networks):
        length += 1
    sums = bounds_by_key(
        ((key.customer_id, numbers[key] // length, key.network), span)
        for key, span in hours.items()
    )
    return [
        (_slice(customer, number * length * 3600, length * 3600)._replace(network=network), span)
        for (customer, number, network), span in sorted(sums.items())
    ]


def retrieve_requests(observations: Observations, expected: Expected) -> list[ApiRequest]:
    """Return retrieves of a sample of accepted events."""
    letters = {number: letter for letter, number in tenants(observations).items()}
    found = []
    for log_id in expected.sent.log_ids(
        int(min(SAMPLE_LOGS, _affordable(observations, RETRIEVE_SHARE)))
    ):
        event = expected.sent.event(log_id)
        customer = None if event is None else event.get("customer_id")
        letter = letters.get(customer) if isinstance(customer, int) else None
        if letter is not None:
            found.append(requests.log(log_id, letter))
    return found


# --- snapshots


def snapshot_requests(
    observations: Observations, expected: Expected, again: int
) -> list[ApiRequest]:
    """Return ledgers, graphs and log counts, to be read before (1) and after (2) the summaries."""
    found = [request for request, _ in graph_requests(observations, expected, again)]
    for letter in tenants(observations):
        count = log_count_request(observations, expected, letter, again)
        found += [] if count is None else [count]
        found += [
            requests.ledger(pool, again, letter)
            for pool in POOLS
            if pool in observations.context.claims
        ]
        found += [
            requests.account(pool, again, letter)
            for pool in POOLS
            if _has_baseline(observations, pool, letter)
        ]
    return found


def baseline_requests(claims: Collection[str], letters: Iterable[str]) -> list[ApiRequest]:
    """Return accounts and ledgers, to be read before traffic is sent."""
    return [
        request
        for letter in letters
        for pool in POOLS
        if pool in claims
        for request in (requests.ledger(pool, 0, letter), requests.account(pool, 0, letter))
    ]


def _has_baseline(observations: Observations, pool: str, letter: str) -> bool:
    """Return whether an account was read before the traffic was sent."""
    assert observations.plan is not None
    stage = baseline_stage_of(observations.plan.part)
    return observations.row(stage, requests.account(pool, 0, letter)) is not None


def graph_requests(
    observations: Observations, expected: Expected, again: int = 0
) -> list[tuple[ApiRequest, str]]:
    """Return the daily graph of every tenant and network, with the network."""
    found = []
    for letter, customer in tenants(observations).items():
        network_days = [
            network_day for network_day in expected.days if network_day.customer_id == customer
        ]
        for network in NETWORKS:
            if not any(network_day.network == network for network_day in network_days):
                continue
            first, last = _span(sorted({network_day.day for network_day in network_days}))
            found.append(
                (
                    requests.graph(
                        first,
                        last + timedelta(seconds=1),
                        "day",
                        tenant=letter,
                        again=again,
                        filters={"network": network},
                    ),
                    network,
                )
            )
    return found
