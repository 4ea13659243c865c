"""Times as logs write them, as microseconds since 1970-01-01 in UTC.

The time zone of the machine has no influence: a time without a zone is read in the zone that the
caller names, UTC by default.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final

from trueup.simulator.access_logs.record import BadLine, shorten

__all__ = ["TimeReader", "epoch_us"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_US: Final = int((datetime(2200, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000
_UNITS: Final = ((10**11, 10**6), (10**14, 10**3), (10**17, 1))
"""(numbers below which, microseconds of one): seconds, milliseconds, microseconds; above,
nanoseconds. Each covers the years 1973 to 5138."""
_COMMON: Final = re.compile(
    r"(\d{1,2})/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?: ([+-]\d{4}))?$"
)
_LOOSE: Final = re.compile(
    r"(\d{4})[-/](\d\d)[-/](\d\d)[ T](\d\d:\d\d:\d\d)(?:[.,](\d+))? ?([+-]\d\d:?\d\d|UTC|GMT|Z)?$"
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
        start=1,
    )
}
_BACK: Final = timedelta(minutes=30)
"""A local time that occurs twice is taken for the second one if the first is this long before the
record before it."""


class TimeReader:
    """Reads times; remembers the last one, to tell the two 02:30 of a night in autumn apart."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self._zone = zone
        self._last = _EPOCH

    def read(self, value: object) -> int:
        """Return microseconds since 1970 of a number or a text. Raises BadLine.

        Numbers are seconds, milliseconds, microseconds or nanoseconds by their magnitude.
        """
        if isinstance(value, int | float) and not isinstance(value, bool):
            return epoch_us(value)
        if not isinstance(value, str):
            raise BadLine(f"no time: {shorten(value)}")
        text = value.strip(" []")
        if text[:1].isdigit() and text.replace(".", "", 1).isdigit():
            return _decimal_us(text)
        found = _COMMON.match(text)
        at = _common(text) if found else _iso(text)
        if at is None:
            raise BadLine(f"cannot be read as a time: {shorten(value)}")
        return self.of(at)

    def read_form(self, text: str, form: str) -> int:
        """Return microseconds since 1970 of a text in a form of `strptime`. Raises BadLine."""
        at = _formed(text, form)
        if at is None:
            raise BadLine(f"cannot be read as a time of the form {form}: {shorten(text)}")
        return self.of(at)

    def of(self, at: datetime) -> int:
        """Return microseconds since 1970; a time without a zone is one of the reader's zone.

        Raises BadLine for a time before 1970 or after 2199.
        """
        if at.tzinfo is None:
            local = at.replace(tzinfo=self._zone)
            first, second = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
            # Times of one zone compare by their faces, so both are compared in UTC.
            at = self._last = second if first < self._last - _BACK else first
        return _whole((at - _EPOCH) // timedelta(microseconds=1), at)


def epoch_us(value: float) -> int:
    """Return microseconds since 1970 of a number in s, ms, µs or ns. Raises BadLine."""
    if not 0 <= value < 2**63:
        raise BadLine(f"cannot be read as a time: {shorten(value)}")
    unit = next((unit for below, unit in _UNITS if value < below), 0)
    return _whole(round(value * unit) if unit else int(value) // 1000, value)


def _decimal_us(text: str) -> int:
    """Return microseconds of a decimal number, without the rounding of floats."""
    whole, _, part = text.partition(".")
    if not part or len(whole) > 11:
        return epoch_us(int(whole))
    return epoch_us(int(whole)) + int(part[:6].ljust(6, "0"))


def _whole(us: int, shown: object) -> int:
    if not 0 <= us < _LATEST_US:
        raise BadLine(f"a time before 1970 or after 2199: {shorten(shown)}")
    return us


@lru_cache(maxsize=4096)
def _common(text: str) -> datetime | None:
    """Return the time of `17/May/2015:10:05:03 +0000`, with or without fraction and zone."""
    found = _COMMON.match(text)
    assert found is not None, "the caller matched it"
    day, month, year, hour, minute, second, fraction, zone = found.groups()
    if month not in _MONTHS:
        return None
    try:
        at_zone = None
        if zone:
            sign = -1 if zone[0] == "-" else 1
            at_zone = timezone(sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5])))
        return datetime(
            int(year), _MONTHS[month], int(day), int(hour), int(minute), min(int(second), 59),
            int((fraction or "0")[:6].ljust(6, "0")), at_zone,
        )  # fmt: skip
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _formed(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007  # the caller knows the zone
    except ValueError:
        return None


def _iso(text: str) -> datetime | None:
    """Return the time of ISO 8601, also with slashes, a comma, or a blank before its zone."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        found = _LOOSE.match(text)
    if found is None:
        return None
    year, month, day, time, fraction, zone = found.groups()
    zone = "+00:00" if zone in ("UTC", "GMT") else zone or ""
    try:
        return datetime.fromisoformat(f"{year}-{month}-{day}T{time}.{fraction or 0}{zone}")
    except ValueError:
        return None
