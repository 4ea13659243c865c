"""The target's clock, as far as a journal shows it.

A journal has our time on every record, and the target's time where the run learned it: in the plan,
in each successful clock move, and at the planting of a capsule that is harvested. Between two such
points both clocks run equally fast.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.rows import parse_time
from trueup.reports.journal.records import (
    CapsulePlanted,
    Delivered,
    Exchange,
    Hook,
    JudgePlan,
    Phase,
    Record,
)

__all__ = ["CLOCK_SLACK", "TargetClock", "time_of"]

CLOCK_SLACK: Final = timedelta(seconds=15)
"""How far our idea of the target's time may be off: a move takes as long as its request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetClock:
    """Maps our time to the target's: from each of `ours` on, it shows `theirs`."""

    ours: tuple[datetime, ...]
    theirs: tuple[datetime, ...]

    @classmethod
    def from_records(cls, records: Iterable[Record], part: str) -> TargetClock:
        """Return the clock that the plan of `part` and the clock moves of a journal describe."""
        points: list[tuple[datetime, datetime]] = []
        last: datetime | None = None
        planned: datetime | None = None
        opened: datetime | None = None
        for record in records:
            at = time_of(record)
            last = at or last
            if isinstance(record, CapsulePlanted):
                ours, theirs = parse_time(record.at), parse_time(record.now)
                if ours is not None and theirs is not None:
                    points.append((ours, theirs))
                opened = parse_time(record.opened_at)
            if isinstance(record, JudgePlan) and record.part == part:
                planned = parse_time(record.now)
            if last is None:
                continue
            if planned is not None:
                begun = opened or last
                points.append((begun, planned - (last - begun)))
                planned = None
            if isinstance(record, Hook) and record.hook == "clock" and record.ok:
                moved = parse_time(record.request.get("now"))
                if moved is not None:
                    points.append((last, moved))
        points.sort(key=lambda point: point[0])
        return cls(
            ours=tuple(ours for ours, _ in points), theirs=tuple(theirs for _, theirs in points)
        )

    def at(self, ours: datetime) -> datetime:
        """Return the target's time at one of ours; ours if nothing is known."""
        if not self.ours:
            return ours
        place = max(0, bisect_right(self.ours, ours) - 1)
        return self.theirs[place] + (ours - self.ours[place])


def time_of(record: Record) -> datetime | None:
    """Return our time of a record; None for the kinds that carry none."""
    if isinstance(record, Exchange | Delivered | Hook | Phase):
        return parse_time(record.at)
    return None
