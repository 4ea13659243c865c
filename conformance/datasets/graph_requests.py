"""Graphs and breakdowns at one age: interval, window, filter, customer in a covering array."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final

from trueup.conformance import requests
from trueup.conformance.datasets.covering import Constraint, Row, cover
from trueup.conformance.datasets.dimensions import dimension
from trueup.conformance.datasets.event_times import day_start, hour_start
from trueup.conformance.datasets.event_values import host_name, user_name
from trueup.conformance.model import CheckContext
from trueup.conformance.requests import ApiRequest

__all__ = ["breakdown_requests", "graph_requests", "window_of"]

_FINE: Final = ("inside-bucket", "whole-buckets", "across-midnight", "to-now", "empty")
"""Windows short enough for minutes and hours, and young enough for logs."""
_MINUTES_MOST: Final = timedelta(hours=2)
_EDGE_DAYS: Final = {"7-day-edge": 7, "90-day-edge": 90}
PARTS: Final = ("return_proxy_users", "return_hostnames", "return_networks")


def _fits(row: Row) -> bool:
    return row["interval"] not in ("minute", "hour") or row["window"] in _FINE


def graph_requests(
    context: CheckContext, now: datetime, age: str, *, seed: int, most: int | None
) -> tuple[tuple[ApiRequest, Row], ...]:
    """Return requests for graphs at one age of the data, with the classes of each.

    `now`: the target's time; `age`: `fresh`, `past-7` or `past-90`.
    """
    factors = {
        name: dimension("request", name).reachable(context.level, context.claims, context.hooks)
        for name in ("interval", "window", "graph-filter", "customer")
    }
    factors["customer"] = tuple(n for n in factors["customer"] if n in context.customers)
    if age == "fresh":
        factors["window"] = tuple(n for n in factors["window"] if n not in _EDGE_DAYS)
    elif "old-graph" not in context.claims:
        factors["window"] = tuple(n for n in factors["window"] if n in _FINE)
    rules = (Constraint(fields=("interval", "window"), allows=_fits),)
    rows = cover(factors, seed=seed, constraints=rules)
    rows = tuple(sorted(rows, key=lambda row: row["window"] not in _EDGE_DAYS))
    made = []
    for row in rows[:most]:
        request = requests.graph(
            *window_of(row["window"], row["interval"], context.now, now),
            row["interval"],
            tenant=row["customer"],
            filters=_filters(context, row["graph-filter"]),
        )
        made.append((request, row))
    return tuple(made)


def window_of(
    window: str, interval: str, begun: datetime, now: datetime
) -> tuple[datetime, datetime]:
    """Return the window of a class. `begun`: time of the run's events; `now`: the target's time."""
    today, first = day_start(now), day_start(begun)
    hour = hour_start(now)
    step = timedelta(minutes=10) if interval == "minute" else timedelta(hours=1)
    match window:
        case "inside-bucket" if interval == "minute":
            return hour - timedelta(hours=1, seconds=-20), hour - timedelta(hours=1, seconds=-50)
        case "inside-bucket" if interval == "hour":
            return hour - timedelta(minutes=50), hour - timedelta(minutes=10)
        case "inside-bucket":
            return today - timedelta(hours=18), today - timedelta(hours=2)
        case "whole-buckets" if interval in ("minute", "hour"):
            return hour - 6 * step, hour
        case "across-midnight" if interval == "minute":
            return today - _MINUTES_MOST / 2, today + _MINUTES_MOST / 2
        case "across-midnight" if interval == "hour":
            return today - timedelta(hours=6), today + timedelta(hours=6)
        case "across-midnight":
            return today - timedelta(hours=36), today + timedelta(days=1)
        case "to-now":
            start = hour - timedelta(hours=1) if interval in ("minute", "hour") else today
            return start, now.replace(second=0, microsecond=0)
        case "days":
            return first - timedelta(days=8), first + timedelta(days=1)
        case "month":
            return _month(first, -1), _month(today, 1)
        case "year":
            return first - timedelta(days=370), today + timedelta(days=1)
        case "empty":
            span = timedelta(hours=2) if interval in ("minute", "hour") else timedelta(days=3)
            return now + timedelta(days=2), now + timedelta(days=2) + span
        case _ if window in _EDGE_DAYS:
            edge = today - timedelta(days=_EDGE_DAYS[window])
            return edge - timedelta(days=4), edge + timedelta(days=4)
        case _:
            return first - timedelta(days=3), today + timedelta(days=1)


def _month(at: datetime, months: int) -> datetime:
    """Return the first moment of the month that is `months` after that of `at`."""
    place = at.year * 12 + at.month - 1 + months
    return at.replace(year=place // 12, month=place % 12 + 1, day=1)


def _filters(context: CheckContext, what: str) -> dict[str, str]:
    """The filters of a class of `graph-filter`."""
    filters: dict[str, str] = {}
    if "user" in what:
        filters["proxy_user_id"] = user_name(context, "implicit")
    if "hostname" in what:
        filters["hostname"] = host_name(context, "plain")
    if "network" in what:
        filters["network"] = "residential"
    return filters


def breakdown_requests(
    context: CheckContext, now: datetime, age: str, *, seed: int, most: int | None
) -> tuple[tuple[ApiRequest, Row], ...]:
    """Return requests for breakdowns at one age, with their classes; none without the claim."""
    if "breakdown" not in context.claims:
        return ()
    random = Random(f"{seed} breakdown {age}")  # noqa: S311
    windows = ["days", "month", "whole-buckets", *(() if age == "fresh" else ("7-day-edge",))]
    factors: dict[str, Sequence[str]] = {
        "window": windows,
        "graph-filter": ("user", "user+network", "user+hostname"),
        "parts": (*PARTS, "all"),
        "sort_by": ("", "bytes", "requests_asc", "bytes_desc"),
        "limit": ("", "1", "3"),
        "customer": tuple(context.customers),
    }
    made = []
    for row in cover(factors, seed=random.randrange(2**31))[:most]:
        query = _filters(context, row["graph-filter"])
        query |= {part: "true" for part in PARTS if row["parts"] in (part, "all")}
        query |= {name: row[name] for name in ("sort_by", "limit") if row[name]}
        start, end = window_of(row["window"], "day", context.now, now)
        made.append((requests.breakdown(start, end, tenant=row["customer"], query=query), row))
    return tuple(made)
