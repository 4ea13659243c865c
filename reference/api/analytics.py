"""The graph and the breakdown: sums over a time window, from logs and summaries together."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from trueup.reference.api.context import Answer, Call, parameters
from trueup.reference.errors import ApiProblem
from trueup.reference.graph import (
    INTERVALS,
    ChartPoint,
    Filters,
    WindowParts,
    points,
    preset_window,
)
from trueup.reference.networks import NETWORKS
from trueup.reference.query import parse_flag
from trueup.reference.store import reading
from trueup.reference.times import DAY_US, format_instant, parse_instant

__all__ = ["breakdown", "graph"]

_EARLIEST: Final = "1000-01-01"
_EARLIEST_US: Final = parse_instant(_EARLIEST)[0]
_LATEST: Final = "9000-01-01"
_LATEST_US: Final = parse_instant(_LATEST)[0]
_WINDOW: Final = ("preset", "period_start", "period_end")
_FILTERS: Final = ("hostname", "network", "proxy_user_id")
_GRAPH: Final = (*_WINDOW, "interval", *_FILTERS, "service_id", "show_log_concurrency")
_PARTS: Final = {
    "return_proxy_users": ("proxy_users", "proxy_user_id"),
    "return_hostnames": ("hostnames", "hostname"),
    "return_networks": ("networks", "network"),
}
_BREAKDOWN: Final = (*_WINDOW, *_FILTERS, *_PARTS, "sort_by", "limit")
_MEASURES: Final = ("requests", "bytes", "successful", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class _GraphWindow:
    """A window, split where summaries end and logs begin, and its filters."""

    start_us: int
    end_us: int
    window_parts: WindowParts
    filters: Filters
    old_filters: Filters


def _instant(name: str, text: str) -> int:
    try:
        at_us = parse_instant(text)[0]
        if _EARLIEST_US <= at_us < _LATEST_US:
            return at_us
        raise ApiProblem(400, f"{name} must lie from {_EARLIEST} to before {_LATEST}.")
    except ValueError:
        raise ApiProblem(
            400, f"{name} must be YYYY-MM-DD HH:MM:SS (UTC) or YYYY-MM-DD, not {text[:60]!r}."
        ) from None


def _window(given: dict[str, str], now_us: int, default: str) -> tuple[int, int]:
    """The requested window [start, end). Raises ApiProblem (400, 422)."""
    bounds = {name: _instant(name, given[name]) for name in _WINDOW[1:] if name in given}
    if "preset" in given and bounds:
        raise ApiProblem(422, "Give either preset or period_start and period_end, not both.")
    if not bounds:
        return preset_window(given.get("preset", default), now_us)
    tomorrow_us = preset_window("today", now_us)[1]
    start_us = bounds.get("period_start")
    end_us = bounds.get("period_end", max(tomorrow_us, start_us or 0))
    start_us = end_us - 30 * DAY_US if start_us is None else start_us
    if end_us < start_us:
        raise ApiProblem(422, "period_end must not lie before period_start.")
    return start_us, end_us


def _asked(call: Call, given: dict[str, str], interval: str, default: str) -> _GraphWindow:
    behaviour, now_us = call.behaviour, call.context.clock.now_us()
    start_us, end_us = _window(given, now_us, default)
    if given.get("network", "isp") not in NETWORKS:
        raise ApiProblem(400, f"network must be one of {', '.join(NETWORKS)}.")
    filters = Filters(
        hostname=given.get("hostname"),
        network=given.get("network"),
        proxy_user_id=given.get("proxy_user_id"),
        service_id=given.get("service_id"),
    )
    visible_from_us = behaviour.visible_from(now_us, "graph", call.customer_id)
    window_parts = behaviour.window_parts(start_us, end_us, visible_from_us, interval)
    first, end = window_parts.days
    if filters.service_id is not None and first < end:
        raise ApiProblem(
            422,
            "A service_id is known to the logs only, which live 7 days: start the period later "
            "or leave out service_id.",
        )
    if filters.hostname is not None and first < min(end, behaviour.consolidate_before(now_us)):
        raise ApiProblem(
            422,
            "Hostnames are removed after 90 days: start the period later or leave out hostname.",
        )
    return _GraphWindow(
        start_us=start_us,
        end_us=end_us,
        window_parts=window_parts,
        filters=behaviour.new_filters(filters),
        old_filters=behaviour.old_filters(filters),
    )


def _shown(point: ChartPoint) -> dict[str, Any]:
    return {name: getattr(point, name) for name in _MEASURES}


async def graph(call: Call) -> Answer:
    """Return the points of a window. Raises ApiProblem (400; 422 where no data of it is kept)."""
    given = parameters(call.request, _GRAPH, ignore=call.behaviour.ignore_unknown)
    interval = given.get("interval", "day")
    if interval not in INTERVALS:
        raise ApiProblem(400, f"interval must be one of {', '.join(INTERVALS)}, not {interval!r}.")
    concurrency = "show_log_concurrency" in given and parse_flag(
        "show_log_concurrency", given["show_log_concurrency"]
    )
    fine = interval in ("minute", "hour")
    asked = _asked(call, given, interval, "last_24_hours" if fine else "last_30_days")
    points(asked.start_us, asked.end_us, interval, ())
    customers = call.customers("analytics.graph")

    def job(connection: sqlite3.Connection) -> list[ChartPoint]:
        return reading.sums(
            connection,
            customers=customers,
            window_parts=asked.window_parts,
            width_us=INTERVALS[interval] or DAY_US,
            filters=asked.filters,
            old_filters=asked.old_filters,
        )

    found = await call.read(job, view="analytics.graph")
    kept = call.behaviour.points(
        points(asked.start_us, asked.end_us, interval, found), call.context.clock.now_us()
    )
    shown = [
        {"datetime": format_instant(point.at_us), **_shown(point)}
        | ({"concurrency": point.concurrency} if concurrency else {})
        for point in kept
    ]
    data = {
        "interval": interval,
        "period_start": format_instant(asked.start_us),
        "period_end": format_instant(asked.end_us),
        "points": shown,
    }
    return 200, {
        "data": call.behaviour.shape_graph(data),
        "message": "Analytics graph successfully generated.",
    }


def _ranking(text: str) -> tuple[str, bool]:
    """(measure, largest first) of a breakdown's `sort_by`. Raises ApiProblem (400)."""
    descending = not text.endswith("_asc")
    measure = text.removesuffix("_asc").removesuffix("_desc")
    if measure not in _MEASURES:
        raise ApiProblem(400, f"sort_by must be one of {', '.join(_MEASURES)}, or such with _asc.")
    return measure, descending


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise ApiProblem(400, f"limit must be an integer of 1 or more, not {text[:60]!r}.")
    return int(text)


async def breakdown(call: Call) -> Answer:
    """Return the sums of a window by proxy user, hostname and network; default: this month.

    `limit` shortens the lists; `totals` always covers everything. Raises ApiProblem (400, 422).
    """
    given = parameters(call.request, _BREAKDOWN, ignore=call.behaviour.ignore_unknown)
    measure, descending = _ranking(given.get("sort_by", "bytes_desc"))
    limit = _limit(given.get("limit"))
    flags = {name: parse_flag(name, given[name]) for name in _PARTS if name in given}
    wanted = [part for name, part in _PARTS.items() if flags.get(name, not any(flags.values()))]
    asked = _asked(call, given, "day", "this_month")
    customers = call.customers("analytics.breakdown")

    def job(connection: sqlite3.Connection) -> dict[str, Any]:
        # Rows are made and sorted here, in a reading thread: there may be a million of them.
        sums = reading.breakdown(
            connection,
            customers=customers,
            window_parts=asked.window_parts,
            by=sorted({by for _, by in wanted} | {"network"}),
            filters=asked.filters,
            old_filters=asked.old_filters,
        )
        networks = sums["network"].values()
        shown: dict[str, Any] = {
            "totals": {name: sum(getattr(part, name) for part in networks) for name in _MEASURES}
        }
        for title, by in wanted:
            rows = [{by: name, **_shown(point)} for name, point in sums[by].items()]
            rows.sort(key=lambda row: str(row[by]))
            rows.sort(key=lambda row: row[measure], reverse=descending)
            shown[title] = rows[:limit]
        return shown

    data = {
        "period_start": format_instant(asked.start_us),
        "period_end": format_instant(asked.end_us),
        **await call.read(job, view="analytics.breakdown"),
    }
    return 200, {
        "data": call.behaviour.shape_breakdown(data),
        "message": "Analytics breakdown successfully generated.",
    }
