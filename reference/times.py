"""Times and days as numbers, and as the API writes them. Pure: the clock is never read.

A time is microseconds since the epoch, UTC; a day is days since the epoch. The API writes
`YYYY-MM-DD HH:MM:SS`: a fraction is kept in the store and not shown.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

__all__ = [
    "DAY_US",
    "HOUR_US",
    "MINUTE_US",
    "SECOND_US",
    "ceil_day",
    "day_of",
    "floor_day",
    "format_date",
    "format_instant",
    "from_datetime",
    "month_start",
    "next_month",
    "parse_instant",
]

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose: everything is UTC
_ONE_US: Final = timedelta(microseconds=1)
_INSTANT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|\+00:00)?)?", re.ASCII
)


@lru_cache(maxsize=16384)
def from_datetime(value: datetime) -> int:
    """Return the microseconds since the epoch of a naive UTC datetime."""
    return (value - _EPOCH) // _ONE_US


def to_datetime(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)


def format_instant(at_us: int) -> str:
    """Return the time as the API writes it: to the second, a fraction cut off."""
    return to_datetime(at_us).isoformat(sep=" ", timespec="seconds")


def format_date(day: int) -> str:
    return to_datetime(day * DAY_US).date().isoformat()


def parse_instant(text: str) -> tuple[int, int]:
    """Read a date or a date-time; return the time and its unit, both in microseconds.

    The unit is the precision of the text: a day for a date, a minute without seconds, a second
    without a fraction, else one microsecond. `T` and a UTC mark are accepted. Raises ValueError
    where the text is no UTC date-time from year 1 to 9999.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    date, minutes, seconds, fraction, _ = match.groups()
    moment = datetime.fromisoformat(f"{date} {minutes or '00:00'}:{seconds or '00'}")
    at_us = from_datetime(moment.replace(tzinfo=None)) + int((fraction or "0").ljust(6, "0"))
    if minutes is None:
        return at_us, DAY_US
    if seconds is None:
        return at_us, MINUTE_US
    return at_us, SECOND_US if fraction is None else 1


def day_of(at_us: int) -> int:
    return at_us // DAY_US


def floor_day(at_us: int) -> int:
    """Return the midnight at or before the time."""
    return at_us - at_us % DAY_US


def ceil_day(at_us: int) -> int:
    """Return the midnight at or after the time."""
    return -(-at_us // DAY_US) * DAY_US


def month_start(at_us: int) -> int:
    moment = to_datetime(at_us)
    return from_datetime(moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def next_month(at_us: int) -> int:
    """Return the first moment of the month after that of the time."""
    moment = to_datetime(month_start(at_us)).replace(tzinfo=UTC)
    later = (moment + timedelta(days=32)).replace(day=1)
    return from_datetime(later.replace(tzinfo=None))
