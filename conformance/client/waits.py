"""How long a target that asks to wait is waited for: 429, and 503 with `Retry-After`.

The wait is the target's own (`Retry-After` in seconds or as an HTTP date), or grows from a second
where it names none. One wait holds for all requests of a client, so that it is kept by all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from trueup.conformance.client.clock import Clock
from trueup.conformance.rows import parse_time

__all__ = ["AskedWait", "Waits", "http_date"]

ONE_WAIT_S: Final = 300.0
"""Longest time without any other response that is waited for."""
ALL_WAITS_S: Final = 900.0
"""Seconds that are waited in all, over one run."""
FIRST_PAUSE_S: Final = 1.0
PAUSE_MOST_S: Final = 30.0
"""Waits where the target names none: each twice the one before, up to this."""
LEAST_WAIT_S: Final = 0.2
PROBE_EVERY_S: Final = 10.0
"""How often a request is sent after all time for waiting is spent."""


def http_date(text: str) -> datetime | None:
    """Return the time of an HTTP date, in UTC; None if it is no such date."""
    try:
        found = parsedate_to_datetime(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class AskedWait:
    """That a response asks to come back later, and after how many seconds if it names a time."""

    seconds: float | None

    @classmethod
    def of(cls, status: int | None, headers: Mapping[str, str], at: str) -> AskedWait | None:
        """Return the wait that a response asks for, or None if it asks for none.

        A date counts from the response's own `Date`, which the same clock wrote; without it from
        `at`, our time of the request.
        """
        told = headers.get("retry-after")
        if status != 429 and (status != 503 or told is None):
            return None
        told = (told or "").strip()
        try:
            seconds = float(told)
        except ValueError:
            until = http_date(told)
            now = http_date(headers.get("date", "")) or parse_time(at)
            if until is None or now is None:
                return cls(None)
            seconds = (until - now).total_seconds()
        return cls(max(seconds, LEAST_WAIT_S) if math.isfinite(seconds) else None)


class Waits:
    """Decides how long to wait, and when a run has waited enough."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pause = FIRST_PAUSE_S
        self._until = clock.monotonic()
        self._episode_s = 0.0  # waited since the last response of another kind
        self._all_s = 0.0
        self._sent_last = clock.monotonic()
        self.exhausted = False

    def asked_to_wait(self, asked: AskedWait, *, sent_at: float) -> float | None:
        """Return the seconds until the next request may be sent; None to give up.

        `sent_at`: when the request was sent, so that responses to requests that were in flight
        together count as one.
        """
        now = self._clock.monotonic()
        told = asked.seconds
        if told is None and sent_at < self._until:
            return max(self._until - now, LEAST_WAIT_S)
        wait = self._pause if told is None else told
        longer = max(0.0, now + wait - max(self._until, now))
        if (
            self.exhausted
            or self._episode_s + longer > ONE_WAIT_S
            or self._all_s + longer > ALL_WAITS_S
        ):
            self.exhausted, self._sent_last = True, now
            return None
        if told is None:
            self._pause = min(self._pause * 2, PAUSE_MOST_S)
        self._episode_s += longer
        self._all_s += longer
        self._until = max(self._until, now + wait)
        return max(self._until - now, LEAST_WAIT_S)

    def served(self) -> None:
        """The target has responded otherwise: the next wait begins anew."""
        self._pause, self._episode_s, self.exhausted = FIRST_PAUSE_S, 0.0, False

    def refuses_to_send(self) -> bool:
        """Return whether the time for waiting is spent and the last request was just now."""
        if not self.exhausted:
            return False
        now = self._clock.monotonic()
        if now - self._sent_last < PROBE_EVERY_S:
            return True
        self._sent_last = now
        return False
