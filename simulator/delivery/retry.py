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
    """From the first attempt, without the waits that the target asked for; no attempt begins later
    than this."""

    @property
    def asked_total_s(self) -> float:
        """Longest total of waits that the target asks for (429, 503 with Retry-After)."""
        return 10 * self.total_s

    def pause_s(self, attempt: int, *, retry_after_s: float | None = None) -> float:
        """Return the seconds to wait after failed attempt number `attempt` (from 1).

        A target's Retry-After is used if it is longer, up to ten times `max_pause_s`.
        """
        pause = min(self.initial_pause_s * self.factor ** min(attempt - 1, 30), self.max_pause_s)
        if retry_after_s is not None:
            pause = max(pause, min(retry_after_s, 10 * self.max_pause_s))
        return pause

    def asked_pause_s(self, attempt: int, *, retry_after_s: float | None) -> float:
        """Return the seconds to wait after a response that asks to come back later.

        As the target states; otherwise pauses double up to ten times `max_pause_s`.
        """
        if retry_after_s:
            return retry_after_s
        return min(self.initial_pause_s * self.factor ** min(attempt, 30), 10 * self.max_pause_s)

    def is_exhausted(self, attempt: int, elapsed_s: float, pause_s: float) -> bool:
        """Return whether attempt number `attempt` was the last one."""
        return attempt >= self.attempts or elapsed_s + pause_s > self.total_s
