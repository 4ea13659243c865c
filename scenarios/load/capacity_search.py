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

__all__ = ["RESOLUTION", "Knee", "Step", "StepResult", "knee", "next_rate"]

RESOLUTION: Final = 0.1
"""Relative width of the interval at which the search ends."""
MOST_STEPS: Final = 24
_AGREE: Final = 2
_PATIENCE: Final = 4
"""Disturbed measurements in a row after which the search gives up."""


class StepResult(StrEnum):
    """What one measurement at a rate said."""

    MET = "met"
    MISSED = "missed"
    LIMITED = "generator limited"
    """The generator did not reach the rate itself: nothing is known of the target there, and
    measuring it again would tell no more."""
    DISTURBED = "disturbed"
    """Missed while the machine was noisy: measured again, a few times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One measurement."""

    rate: float
    seen: StepResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Knee:
    """Where the limits stop being kept."""

    low: float | None
    """Highest rate known to be kept; None: not even the lowest one tried."""
    high: float | None
    """Lowest rate above it known to be missed; None: the generator gave out first. It may also
    have given out between the two."""
    verified: bool
    """Both ends were measured at least twice and agreed."""
    why: str


def _verdicts(steps: Sequence[Step]) -> dict[float, tuple[int, int]]:
    """Rate → (times kept, times missed)."""
    votes: dict[float, list[int]] = defaultdict(lambda: [0, 0])
    for step in steps:
        if step.seen in (StepResult.MET, StepResult.MISSED):
            votes[step.rate][step.seen is StepResult.MISSED] += 1
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
    quiet = (n for n, step in enumerate(reversed(steps)) if step.seen is not StepResult.DISTURBED)
    return next(quiet, len(steps))


def _limited(steps: Sequence[Step]) -> set[float]:
    """Rates that the generator once failed to reach."""
    return {step.rate for step in steps if step.seen is StepResult.LIMITED}


def _ceiling(steps: Sequence[Step]) -> float | None:
    """The lowest rate above the low end, and below the high one, that was out of our reach."""
    low, high = _ends(steps)
    between = (
        rate
        for rate in _limited(steps)
        if (low is None or rate > low) and (high is None or rate < high)
    )
    return min(between, default=None)


def next_rate(
    steps: Sequence[Step], *, start: float, least: float = 1.0, resolution: float = RESOLUTION
) -> float | None:
    """Return the rate to measure next, requests per second; None when the search is over."""
    if not steps:
        return start
    if len(steps) >= MOST_STEPS:
        return None
    if _disturbed(steps):
        return steps[-1].rate if _disturbed(steps) < _PATIENCE else None
    votes, limited = _verdicts(steps), _limited(steps)
    for rate, (kept, missed) in votes.items():
        if kept == missed and rate not in limited:
            return rate
    low, high = _ends(steps)
    ceiling = _ceiling(steps)
    top = high if ceiling is None else ceiling
    if top is None:
        assert low is not None
        return low * 2
    if low is None:
        return top / 2 if top / 2 >= least else None
    if top / low > 1 + resolution:
        return math.sqrt(low * top)
    if ceiling is not None or high is None:
        return None
    for end in (low, high):
        if end not in limited and abs(votes[end][0] - votes[end][1]) < _AGREE:
            return end
    return None


def knee(steps: Sequence[Step]) -> Knee:
    """Return the knee that the measurements so far show."""
    votes = _verdicts(steps)
    low, high = _ends(steps)
    if _disturbed(steps) >= _PATIENCE:
        why = "the machine was disturbed again and again; repeat the search when it is quiet"
        return Knee(low=low, high=high, verified=False, why=why)
    if low is None and high is not None:
        return Knee(low=None, high=high, verified=False, why="no rate that was tried kept them")
    if low is None or high is None:
        return Knee(
            low=low, high=None, verified=False, why="the generator was the limit, not the target"
        )
    if _ceiling(steps) is not None:
        why = "between the two the generator was the limit, not the target"
        return Knee(low=low, high=high, verified=False, why=why)
    sure = all(abs(votes[end][0] - votes[end][1]) >= _AGREE for end in (low, high))
    why = "both ends measured again" if sure else "ended before both ends were measured again"
    return Knee(low=low, high=high, verified=sure, why=why)
