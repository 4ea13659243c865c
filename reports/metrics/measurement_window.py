"""The seconds of a load run that count, and the rates over them. Pure.

One rule for headline, thresholds and comparison: the whole seconds after the warm-up, up to the
planned end or to the moment at which a run was cut short. Responses that arrive later, while
retries and open requests are awaited, count for no rate. A second without any response has no row
in the record and counts as 0; otherwise a target that stalls would look as fast as one that
responds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from trueup.reports.errors import JournalError
from trueup.reports.journal.records import LoadResult, LoadTimeline

__all__ = ["Window", "every_second", "per_second", "series", "window"]

_MOST_S: Final = 7 * 86_400
"""No plan is longer, seconds. Longer runs would be filled up with rows without a bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Whole seconds `first … end - 1` of a run; empty where `end` is not above `first`."""

    first: int
    end: int

    @property
    def seconds(self) -> int:
        return max(self.end - self.first, 0)

    def holds(self, t: float) -> bool:
        """Return whether the second that begins at `t` (seconds from the start) counts."""
        return self.first <= t and t + 1 <= self.end


def window(load: LoadResult) -> Window:
    """Return the seconds that count.

    Raises JournalError where the record's length is impossible.
    """
    plan = load.plan
    lengths = (plan.duration_s, plan.warmup_s, load.timeline.ended_s or 0.0)
    if not all(math.isfinite(length) and length <= _MOST_S for length in lengths):
        raise JournalError(f"a load record claims a run of {plan.duration_s:g} s")
    end = min(plan.duration_s, _cut_s(load.timeline, plan.duration_s))
    return Window(first=max(math.ceil(plan.warmup_s), 0), end=max(math.floor(end), 0))


def _cut_s(timeline: LoadTimeline, duration_s: float) -> float:
    """Seconds until a run was cut short, else its planned duration.

    A record that does not tell lasted until its last second, which may be incomplete and is not
    counted.
    """
    if timeline.ended_s is not None:
        return timeline.ended_s
    if timeline.stopped_by:
        sent = (row for row in timeline.seconds if row.get("requests", 1.0) or row.get("errors"))
        return max((row.get("t", 0.0) for row in sent), default=0.0)
    return duration_s


def every_second(load: LoadResult) -> tuple[dict[str, float], ...]:
    """Return the rows in order, with a row of zeros for each missing second up to the end.

    A second without a response has no latency. Returns () where nothing was measured at all.
    """
    measured = load.timeline.seconds
    if not measured:
        return ()
    there = {row.get("t", 0.0) for row in measured}
    reads = any("reads" in row for row in measured)
    nothing = {"reads": 0.0, "read_errors": 0.0} if reads else {}
    silent = (
        {"t": float(t), "requests": 0.0, "events": 0.0, "errors": 0.0, **nothing}
        for t in range(window(load).end)
        if t not in there
    )
    rows = (*(_as_measured(row) for row in measured), *silent)
    return tuple(sorted(rows, key=lambda row: row.get("t", 0.0)))


def _as_measured(row: dict[str, float]) -> dict[str, float]:
    if row.get("requests", 1.0) > 0:
        return row
    return {name: value for name, value in row.items() if not name.endswith("_ms")}


def series(load: LoadResult, name: str) -> list[float]:
    """Return a figure second by second over the window, without seconds that lack it."""
    counted = window(load)
    rows = (row for row in every_second(load) if counted.holds(row.get("t", 0.0)))
    return [row[name] for row in rows if name in row and math.isfinite(row[name])]


def per_second(load: LoadResult, name: str) -> float | None:
    """Return the sum of a count over the window, divided by the window's length.

    None where no whole second counts, or where nothing was measured at all.
    """
    seconds = window(load).seconds
    return sum(series(load, name)) / seconds if seconds and load.timeline.seconds else None
