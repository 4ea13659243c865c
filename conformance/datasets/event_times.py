"""Times of the classes of time: when events happened, relative to the present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

__all__ = ["DISTANCE", "day_start", "hour_start", "moments", "oldest"]

DISTANCE: Final = timedelta(seconds=5)
"""How far events stay away from the target's present, against skewed clocks."""
SHORT_OF_BOUND: Final = timedelta(minutes=30)
"""How far the oldest events stay below the age at which they would be refused."""
NO_LATE_EVENTS: Final = timedelta(hours=1)
"""Oldest age where a target takes in no event that is a day old."""
_MS: Final = timedelta(milliseconds=1)
_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)

_FROM_MIDNIGHT: Final = {
    "midnight": timedelta(0),
    "midnight+1ms": _MS,
    "midnight+1s": _SECOND,
    "midnight-1ms": -_MS,
    "midnight-1s": -_SECOND,
}
_FROM_HOUR: Final = {"hour": timedelta(0), "hour-1ms": -_MS, "hour+1s": _SECOND}
_FRACTIONS: Final = {"half-second": 500_000, "999999-us": 999_999}


def day_start(at: datetime) -> datetime:
    """Return the midnight at or before a moment."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def hour_start(at: datetime) -> datetime:
    """Return the start of the hour of a moment."""
    return at.replace(minute=0, second=0, microsecond=0)


def oldest(now: datetime, late_days: float) -> datetime:
    """Return the earliest time for injected events if `late_days` is the declared limit."""
    return now - (timedelta(days=late_days) if late_days else NO_LATE_EVENTS) + SHORT_OF_BOUND


def moments(now: datetime, late_days: float) -> Mapping[str, Sequence[datetime]]:
    """Return class of time → its times between the oldest and the present, newest first.

    Classes that have no moment there are left out.
    """
    first, last = oldest(now, late_days), now - DISTANCE
    midnights = [day_start(now) - n * _DAY for n in range(-1, 9)]
    hour = hour_start(now)
    hours = [hour - n * _HOUR for n in range(24 * 8)]
    found = {
        "present": [last.replace(microsecond=0) - n * _SECOND for n in range(3)],
        **{name: [each + by for each in midnights] for name, by in _FROM_MIDNIGHT.items()},
        **{name: [each + by for each in hours] for name, by in _FROM_HOUR.items()},
        "minute": [last.replace(second=0, microsecond=0) - n * 7 * _MINUTE for n in range(9)],
        **{
            name: [(last - n * _HOUR).replace(microsecond=us) for n in range(1, 9)]
            for name, us in _FRACTIONS.items()
        },
        **{f"day-{n}": _within(midnights[0] - (n + 1) * _DAY) for n in range(1, 7)},
        "late-bound": [first],
    }
    inside = {
        name: [each for each in moments_ if first <= each <= last]
        for name, moments_ in found.items()
    }
    return {name: moments_ for name, moments_ in inside.items() if moments_}


def _within(day: datetime) -> list[datetime]:
    """Moments spread over a day, none at a boundary."""
    return [day + timedelta(hours=12, minutes=34, seconds=56 + n) for n in (0, 1, 2)] + [
        day + timedelta(hours=hour, minutes=17) for hour in (1, 22, 6)
    ]
