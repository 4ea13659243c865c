"""The search for the highest rate that keeps the limits: a pure decision after each measurement.

Double until a rate misses, bisect (by ratio) between kept and missed, then measure both ends of
the interval again before believing in them: a rate counts as kept or missed by the majority of
its measurements, and each end needs two that agree. Nothing is measured here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["RESOLUTION", "Knee", "Seen", "Step", "knee", "next_rate"]

RESOLUTION: Final = 0.1
"""Relative width of the interval at which the search ends."""
MOST_STEPS: Final = 24
_AGREE: Final = 2
_PATIENCE: Final = 4
"""Disturbed measurements in a row after which the search gives up."""


class Seen(StrEnum):
    """What one measurement at a rate said."""

    KEPT = "kept"
    MISSED = "missed"
    LIMITED = "generator limited"
    """The generator did not reach the rate itself: nothing is known of the target there."""
    DISTURBED = "disturbed"
    """Missed while the machine was noisy: measured again, a few times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One measurement."""

    rate: float
    seen: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Knee:
    """Where the limits stop being kept."""

    low: float | None
    """Highest rate known to be kept; None: not even the lowest one tried."""
    high: float | None
    """Lowest rate above it known to be missed; None: the generator gave out first."""
    verified: bool
    """Both ends were measured at least twice and agreed."""
    why: str


def _verdicts(steps: Sequence[Step]) -> dict[float, tuple[int, int]]:
    """Rate → (times kept, times missed)."""
    votes: dict[float, list[int]] = defaultdict(lambda: [0, 0])
    for step in steps:
        if step.seen in (Seen.KEPT, Seen.MISSED):
            votes[step.rate][step.seen is Seen.MISSED] += 1
    return {rate: (kept, missed) for rate, (kept, missed) in votes.items()}


def _ends(steps: Sequence[Step]) -> tuple[float | None, float | None]:
    """Lowest missed rate, and the highest kept one below it."""
    votes = _verdicts(steps)
    missed = [rate for rate, (kept, lost) in votes.items() if lost > kept]
    high = min(missed, default=None)
    kept_rates = [
        rate
        for rate, (kept, lost) in votes.items()
        if kept > lost and (high is None or rate < high)
    ]
    return max(kept_rates, default=None), high


def _disturbed(steps: Sequence[Step]) -> int:
    """How many of the last measurements in a row were disturbed."""
    quiet = (n for n, step in enumerate(reversed(steps)) if step.seen is not Seen.DISTURBED)
    return next(quiet, len(steps))


def _ceiling(steps: Sequence[Step]) -> float | None:
    return min((step.rate for step in steps if step.seen is Seen.LIMITED), default=None)


def next_rate(
    steps: Sequence[Step], *, start: float, least: float = 1.0, resolution: float = RESOLUTION
) -> float | None:
    """The rate to measure next, requests per second; None when the search is over."""
    if not steps:
        return start
    if len(steps) >= MOST_STEPS:
        return None
    if _disturbed(steps):
        return steps[-1].rate if _disturbed(steps) < _PATIENCE else None
    votes = _verdicts(steps)
    for rate, (kept, missed) in votes.items():
        if kept == missed:
            return rate
    low, high = _ends(steps)
    ceiling = _ceiling(steps)
    if high is None:
        assert low is not None or ceiling is not None
        if ceiling is not None:
            return _between(low, ceiling, least, resolution)
        assert low is not None
        return low * 2
    if low is None:
        return high / 2 if high / 2 >= least else None
    if high / low > 1 + resolution:
        return math.sqrt(low * high)
    for end in (low, high):
        if abs(votes[end][0] - votes[end][1]) < _AGREE:
            return end
    return None


def _between(low: float | None, ceiling: float, least: float, resolution: float) -> float | None:
    """Below a rate that the generator could not reach: as near to it as is worth knowing."""
    if low is None:
        return ceiling / 2 if ceiling / 2 >= least else None
    return math.sqrt(low * ceiling) if ceiling / low > 1 + resolution else None


def knee(steps: Sequence[Step]) -> Knee:
    """What the measurements so far say."""
    votes = _verdicts(steps)
    low, high = _ends(steps)
    if _disturbed(steps) >= _PATIENCE:
        why = "the machine was disturbed again and again; repeat the search when it is quiet"
        return Knee(low=low, high=high, verified=False, why=why)
    if low is None:
        return Knee(low=None, high=high, verified=False, why="no rate that was tried kept them")
    if high is None:
        return Knee(
            low=low, high=None, verified=False, why="the generator was the limit, not the target"
        )
    sure = all(abs(votes[end][0] - votes[end][1]) >= _AGREE for end in (low, high))
    why = "both ends measured again" if sure else "ended before both ends were measured again"
    return Knee(low=low, high=high, verified=sure, why=why)
