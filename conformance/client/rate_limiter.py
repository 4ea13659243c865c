"""Rate limit of the requests to a target: a token bucket, and a limit on their number."""

from __future__ import annotations

from typing import Final

from trueup.conformance.client.clock import Clock
from trueup.conformance.errors import BudgetExhausted

__all__ = ["Pacer"]

RATE_AFTER_HOLD: Final = 10.0
"""Requests per second after the target has asked to wait, where the target file sets no rate."""


class Pacer:
    """Lets requests through at a steady rate and counts them.

    `requests_per_s` None lets them through as they come. The first one waits as long as any other,
    so that clients which follow each other in one run keep the rate together. Raises
    BudgetExhausted once `requests` were made.
    """

    def __init__(self, clock: Clock, *, requests_per_s: float | None, requests: int) -> None:
        self._clock = clock
        self._rate = requests_per_s
        self._limit = requests
        self._free_at = clock.monotonic() + (1 / requests_per_s if requests_per_s else 0)
        self._held_until = self._free_at
        self.made = 0

    @property
    def left(self) -> int:
        """Number of requests that may still be made."""
        return self._limit - self.made

    async def turn(self) -> None:
        """Wait for the next request's turn. Raises BudgetExhausted if all were made."""
        if self.made >= self._limit:
            raise BudgetExhausted(
                f"all {self._limit} requests that the target file allows were made; "
                "raise `budget.requests`, or run fewer checks with --only"
            )
        self.made += 1
        while True:
            at = self._reserve()
            wait = at - self._clock.monotonic()
            if wait > 0:
                await self._clock.sleep(wait)
            if at >= self._held_until:
                return

    def hold(self, seconds: float) -> None:
        """Let nothing through for so many seconds, not even what already waits for its turn."""
        self._held_until = max(self._held_until, self._clock.monotonic() + seconds)
        self._free_at = max(self._free_at, self._held_until)
        if self._rate is None:
            self._rate = RATE_AFTER_HOLD

    def _reserve(self) -> float:
        """Return the next free moment and take it."""
        at = max(self._free_at, self._clock.monotonic())
        self._free_at = at + (1 / self._rate if self._rate else 0)
        return at
