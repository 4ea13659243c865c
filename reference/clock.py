"""The only module that reads the time, and the clock that can be moved.

The clock runs on UTC and can be moved forward, never back. Times are integers: microseconds since
1970-01-01 00:00:00 UTC, so that no float and no time zone enters a decision.
"""

from __future__ import annotations

import time
from typing import Final

__all__ = ["ServerClock", "monotonic_s"]

_US_IN_NS: Final = 1000


class ServerClock:
    """The machine's time plus an offset in microseconds that only grows."""

    def __init__(self, offset_us: int = 0) -> None:
        self._offset_us = offset_us

    @property
    def offset_us(self) -> int:
        return self._offset_us

    def now_us(self) -> int:
        return time.time_ns() // _US_IN_NS + self._offset_us

    def advance(self, by_us: int) -> int:
        """Move forward by `by_us` (0 or more) and return the new offset."""
        if by_us < 0:
            raise ValueError(f"the clock moves forward only, not by {by_us} µs")
        self._offset_us += by_us
        return self._offset_us


def monotonic_s() -> float:
    """Return seconds that never jump, for rates and pauses; control hooks do not move them."""
    return time.monotonic()
