"""The target's time during a run: where its clock stands, and moving it forward."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.client.clock import Clock
from trueup.conformance.client.control import TargetControl
from trueup.conformance.errors import TargetClockMoved
from trueup.conformance.rows import format_time
from trueup.conformance.target.placeholders import clock_values

__all__ = ["TargetTime"]

LEAST_MOVE: Final = timedelta(minutes=1)
"""Smallest difference between the reported time and the expected one that counts as a move."""


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
        values = clock_values(to, int((to - present).total_seconds()))
        hook = await self._control.call("clock", values, stage=stage)
        if hook.ok:
            self.is_at(to)
        return hook.ok

    async def check_unmoved(self, stage: str) -> None:
        """Ask the target for its time, where it can be asked.

        Raises:
            TargetClockMoved: it is not the time that this run knows, as another client moved it.
        """
        told = await self._control.read_clock(stage=stage)
        present = self.present()
        if told is not None and abs(told - present) >= LEAST_MOVE:
            raise TargetClockMoved(
                f"the target's clock is at {format_time(told)}, and this run has it at "
                f"{format_time(present)}: it was moved by another client, so failures say nothing\n"
                "  expected: from level 3 on, one run at a time on a target, and a [clock.read] "
                "that tells the clock which [clock] moves"
            )
