"""The target's time during a run: where its clock stands, and moving it forward."""

from __future__ import annotations

from datetime import datetime, timedelta

from trueup.conformance.client.clock import Clock
from trueup.conformance.client.control import TargetControl
from trueup.conformance.rows import format_time
from trueup.reports.results import Json

__all__ = ["TargetTime"]


class TargetTime:
    """Knows the target's time from the last move of its clock; it runs as fast as ours."""

    def __init__(self, control: TargetControl, clock: Clock) -> None:
        self._control = control
        self._clock = clock
        self._now = clock.now()
        self._since = clock.monotonic()

    def present(self) -> datetime:
        """Return the target's time: where its clock was moved last, and what has passed since."""
        return self._now + timedelta(seconds=self._clock.monotonic() - self._since)

    def is_at(self, now: datetime) -> None:
        """Set the target's present time, as a response or a move of its clock gave it."""
        self._now, self._since = now, self._clock.monotonic()

    async def move(self, to: datetime, stage: str) -> bool:
        """Move the target's clock. Returns whether it is there now; it never goes back."""
        present = self.present()
        if to <= present:
            return True
        values: dict[str, Json] = {
            "now": format_time(to),
            "advance_s": int((to - present).total_seconds()),
        }
        hook = await self._control.call("clock", values, stage=stage)
        if hook.ok:
            self.is_at(to)
        return hook.ok
