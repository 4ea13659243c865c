"""When a delivery is tried again, and when it is given up. Pure: neither waits nor draws."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RetryPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Pauses between attempts that double up to a maximum, until a total time is used up.

    The defaults outlast a target that is killed and restarted within twenty seconds.
    """

    attempts: int = 40
    initial_pause_s: float = 0.05
    factor: float = 2.0
    max_pause_s: float = 1.0
    total_s: float = 30.0
    """From the first attempt; no attempt begins later than this."""

    def pause_s(self, attempt: int, *, retry_after_s: float | None = None) -> float:
        """Return the seconds to wait after failed attempt number `attempt` (from 1).

        A target's Retry-After is used if it is longer, up to ten times `max_pause_s`.
        """
        pause = min(self.initial_pause_s * self.factor ** min(attempt - 1, 30), self.max_pause_s)
        if retry_after_s is not None:
            pause = max(pause, min(retry_after_s, 10 * self.max_pause_s))
        return pause

    def is_exhausted(self, attempt: int, elapsed_s: float, pause_s: float) -> bool:
        """Return whether attempt number `attempt` was the last one."""
        return attempt >= self.attempts or elapsed_s + pause_s > self.total_s
