"""Faults in graph, breakdown and freshness: F, and J."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from trueup.reference.behaviour import Row
from trueup.reference.events import LOG_DAYS
from trueup.reference.graph import ChartPoint, Filters, WindowParts, window_parts
from trueup.reference.mutants.mutant import Mutant, fresh, swap
from trueup.reference.retention import SUMMARY_DAYS
from trueup.reference.times import DAY_US, ceil_day, day_of, floor_day

__all__ = ["FAULTS"]


def _gap(start_us: int, end_us: int, visible_from_us: int, interval: str) -> WindowParts:
    """The last day counted from summaries is left out."""
    right = window_parts(start_us, end_us, visible_from_us, interval)
    first, end = right.days
    at_seam = end == day_of(ceil_day(visible_from_us))
    return replace(right, days=(first, end - 1)) if first < end and at_seam else right


def _end_inclusive(start_us: int, end_us: int, visible_from_us: int, interval: str) -> WindowParts:
    right = window_parts(start_us, end_us, visible_from_us, interval)
    first, end = right.days
    if first < end and end == day_of(end_us):
        return replace(right, days=(first, end + 1))
    return replace(right, logs=(right.logs[0], end_us + 1))


def _no_old_days(start_us: int, end_us: int, visible_from_us: int, interval: str) -> WindowParts:
    right = window_parts(start_us, end_us, visible_from_us, interval)
    oldest = day_of(ceil_day(visible_from_us - (SUMMARY_DAYS - LOG_DAYS) * DAY_US))
    first, end = right.days
    return replace(right, days=(max(first, oldest), end))


def _no_today(points: list[ChartPoint], now_us: int) -> list[ChartPoint]:
    today_us = floor_day(now_us)
    return [ChartPoint(at_us=point.at_us) if point.at_us >= today_us else point for point in points]


def _swapped(points: list[ChartPoint], _now_us: int) -> list[ChartPoint]:
    return [replace(point, successful=point.error, error=point.successful) for point in points]


def _any_user(filters: Filters) -> Filters:
    return replace(filters, proxy_user_id=None)


def _top(data: Row) -> Row:
    return {name: value[:3] if isinstance(value, list) else value for name, value in data.items()}


def _named_hostnames(data: Row) -> Row:
    if "hostnames" not in data:
        return data
    return {**data, "hostnames": [row for row in data["hostnames"] if row["hostname"] is not None]}


def _stale_lists(view: str) -> float:
    return 300.0 if view in ("log.search", "log_summary.search") else 0.0


def _back_and_forth() -> dict[str, Any]:
    turns = {"n": 0}

    def lag_s(view: str) -> float:
        if view != "log_summary.search":
            return 0.0
        turns["n"] += 1
        return 300.0 if turns["n"] % 2 else 0.0

    return {"lag_s": lag_s}


FAULTS: Final[tuple[Mutant, ...]] = (
    swap(
        "F1",
        "The graph leaves out the last day that it counts from summaries.",
        window_parts=_gap,
    ),
    swap(
        "F2",
        "The graph ignores the network where it reads summaries.",
        old_filters=lambda filters: replace(filters, network=None),
    ),
    swap("F3", "Today is missing in the graph.", points=_no_today),
    swap("F4", "The end of a graph's period belongs to it.", window_parts=_end_inclusive),
    swap("F5", "The breakdown shows the top three as if they were all.", shape_breakdown=_top),
    swap("F6", "Days that were consolidated vanish from the graph.", window_parts=_no_old_days),
    swap("J1", "Lists of logs and summaries are up to five minutes old.", lag_s=_stale_lists),
    swap(
        "J3",
        "Accepted events wait in memory before they are written, and a restart loses them.",
        hold_commit_s=1.0,
    ),
    swap("N20", "The graph swaps successes and errors.", points=_swapped),
    swap(
        "N21",
        "The graph ignores the proxy user.",
        new_filters=_any_user,
        old_filters=_any_user,
    ),
    swap(
        "N22",
        "The breakdown by hostname leaves out traffic whose hostname was removed.",
        shape_breakdown=_named_hostnames,
    ),
    fresh(
        "N23",
        "Two servers respond in turn for the summaries, and one is minutes behind.",
        _back_and_forth,
    ),
)
