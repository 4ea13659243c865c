"""Windows and points of the graph and the breakdown. Pure.

A window is half open, [start, end). Logs are used where they still exist, summaries for whole days
before that. The boundary is a midnight: the first from which on every log still exists. So every
moment is counted from exactly one of the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from trueup.reference.errors import ApiProblem
from trueup.reference.times import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    ceil_day,
    day_of,
    floor_day,
    format_instant,
    month_start,
    next_month,
)

__all__ = [
    "INTERVALS",
    "POINT_LIMIT",
    "PRESETS",
    "ChartPoint",
    "Filters",
    "WindowParts",
    "bucket_start",
    "keep_points",
    "points",
    "preset_window",
    "window_parts",
]

INTERVALS: Final[dict[str, int]] = {
    "minute": MINUTE_US,
    "hour": HOUR_US,
    "day": DAY_US,
    "month": 0,
}
"""Interval → width in microseconds; a month has none of its own."""

POINT_LIMIT: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The filters of a graph; None: no filter."""

    hostname: str | None = None
    network: str | None = None
    proxy_user_id: str | None = None
    service_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowParts:
    """Which part of a window is counted from what. Empty parts have start = end."""

    days: tuple[int, int]
    """Whole days from summaries, [first, end)."""
    logs: tuple[int, int]
    """Instants from logs, [start, end)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartPoint:
    """One bucket: its first moment and the traffic in it."""

    at_us: int
    requests: int = 0
    bytes: int = 0
    successful: int = 0
    error: int = 0
    concurrency: int | None = None
    """Highest log_concurrency seen; None where no log tells."""


def window_parts(start_us: int, end_us: int, visible_from_us: int, interval: str) -> WindowParts:
    """Return a window split into summaries and logs.

    Raises ApiProblem (422) where no data of it is kept.
    """
    nothing = (0, 0)
    if start_us >= visible_from_us or end_us <= start_us:
        return WindowParts(days=nothing, logs=(start_us, end_us))
    if INTERVALS[interval] in (MINUTE_US, HOUR_US):
        raise ApiProblem(
            422,
            f"Points per {interval} exist while the logs do, 7 days: start at "
            f"{format_instant(visible_from_us)} or later, or ask for interval day or month.",
        )
    seam_us = ceil_day(visible_from_us)
    cut = start_us if start_us % DAY_US else end_us if end_us < seam_us else seam_us
    if cut % DAY_US:
        raise ApiProblem(
            422,
            f"Days older than the logs (7 days) cannot be cut at {format_instant(cut)}: "
            f"move that end of the period to a midnight, such as {format_instant(floor_day(cut))}.",
        )
    middle_us = min(end_us, seam_us)
    return WindowParts(days=(day_of(start_us), day_of(middle_us)), logs=(middle_us, end_us))


def bucket_start(at_us: int, interval: str) -> int:
    width = INTERVALS[interval]
    return at_us - at_us % width if width else month_start(at_us)


def _next_bucket(at_us: int, interval: str) -> int:
    width = INTERVALS[interval]
    return at_us + width if width else next_month(at_us)


def points(
    start_us: int, end_us: int, interval: str, found: Iterable[ChartPoint]
) -> list[ChartPoint]:
    """Return every bucket of the window, in order; those without requests are zeros.

    Points found within the same bucket are added. Raises ApiProblem (422) above POINT_LIMIT.
    """
    width = INTERVALS[interval] or 28 * DAY_US
    if end_us - start_us > POINT_LIMIT * width:
        raise ApiProblem(
            422,
            f"The period holds more than {POINT_LIMIT} points per {interval}: "
            f"shorten it or choose a longer interval.",
        )
    buckets: dict[int, ChartPoint] = {}
    at_us = bucket_start(start_us, interval)
    while at_us < end_us and start_us < end_us:
        buckets[at_us] = ChartPoint(at_us=at_us)
        at_us = _next_bucket(at_us, interval)
    for point in found:
        key = bucket_start(point.at_us, interval)
        buckets[key] = _add(buckets.get(key, ChartPoint(at_us=key)), point)
    return [buckets[key] for key in sorted(buckets)]


def _add(left: ChartPoint, right: ChartPoint) -> ChartPoint:
    seen = [value for value in (left.concurrency, right.concurrency) if value is not None]
    return ChartPoint(
        at_us=left.at_us,
        requests=left.requests + right.requests,
        bytes=left.bytes + right.bytes,
        successful=left.successful + right.successful,
        error=left.error + right.error,
        concurrency=max(seen, default=None),
    )


def keep_points(found: list[ChartPoint], _now_us: int) -> list[ChartPoint]:
    return found


def _last_days(count: int, today_us: int) -> tuple[int, int]:
    return today_us - (count - 1) * DAY_US, today_us + DAY_US


def _preset_windows(now_us: int) -> Mapping[str, tuple[int, int]]:
    today_us, month_us = floor_day(now_us), month_start(now_us)
    week_us = today_us - (day_of(now_us) + 3) % 7 * DAY_US
    tomorrow_us = today_us + DAY_US
    return {
        "today": (today_us, tomorrow_us),
        "yesterday": (today_us - DAY_US, today_us),
        "last_24_hours": (now_us - DAY_US, now_us),
        "last_7_days": _last_days(7, today_us),
        "last_30_days": _last_days(30, today_us),
        "last_90_days": _last_days(90, today_us),
        "last_365_days": _last_days(365, today_us),
        "this_week": (week_us, tomorrow_us),
        "last_week": (week_us - 7 * DAY_US, week_us),
        "this_month": (month_us, tomorrow_us),
        "last_month": (month_start(month_us - 1), month_us),
        "this_year": (_year_start(now_us), tomorrow_us),
    }


def _year_start(now_us: int) -> int:
    at_us = month_start(now_us)
    while format_instant(at_us)[5:7] != "01":
        at_us = month_start(at_us - 1)
    return at_us


PRESETS: Final = tuple(_preset_windows(0))
"""Named windows; weeks begin on Monday; those that reach today end at the next midnight."""


def preset_window(name: str, now_us: int) -> tuple[int, int]:
    """Return the window of a preset. Raises ApiProblem (400) for an unknown name."""
    windows = _preset_windows(now_us)
    if name not in windows:
        raise ApiProblem(400, f"preset must be one of {', '.join(PRESETS)}, not {name!r}.")
    return windows[name]
