"""Two load runs compared: intervals from their seconds, never a bare percentage. Pure.

The ratio of means (of medians for percentiles) is bootstrapped over blocks of neighbouring
seconds (moving-block bootstrap, Künsch 1989, Annals of Statistics 17(3), 1217-1241), because
neighbouring seconds resemble each other. A difference is called one only where the whole
interval lies on one side of 1, and never between runs that were not alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from reports.records import LoadResult
from scenarios.errors import UsageProblem

__all__ = ["Compared", "compare_loads"]

_ROUNDS: Final = 2_000
_SHARE: Final = 0.95
_LEAST_SECONDS: Final = 5
_SEED: Final = 20_240_501

Floats = npt.NDArray[np.float64]
_FIGURES: Final[tuple[tuple[str, str, Callable[..., Floats]], ...]] = (
    ("events_per_s", "events", np.mean),
    ("requests_per_s", "requests", np.mean),
    ("response_p50_ms", "p50_ms", np.median),
    ("response_p99_ms", "p99_ms", np.median),
)
"""Name, column of the seconds, and what is taken of a run's seconds."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of two runs."""

    name: str
    before: float
    now: float
    ratio: float
    """now / before."""
    low: float
    high: float
    """95 % interval of the ratio."""
    says: str
    """`higher`, `lower` or `no difference shown`."""


def _seconds(result: LoadResult, column: str) -> Floats:
    rows = [
        second[column]
        for second in result.seconds
        if result.warmup_s <= second["t"] and second["t"] + 1 <= result.duration_s
    ]
    if len(rows) < _LEAST_SECONDS:
        raise UsageProblem(
            f"the run of {result.scenario} has {len(rows)} seconds after its warm-up; comparing "
            f"needs {_LEAST_SECONDS}. Load for longer."
        )
    return np.array(rows)


def _resampled(values: Floats, dice: np.random.Generator, take: Callable[..., Floats]) -> Floats:
    """The figure over bootstrap samples made of blocks; shape: one axis of rounds."""
    count = len(values)
    length = max(round(count ** (1 / 3)), 1)
    blocks = -(-count // length)
    starts = dice.integers(0, count - length + 1, size=(_ROUNDS, blocks, 1))
    at = (starts + np.arange(length)).reshape(_ROUNDS, -1)[:, :count]
    return take(values[at], axis=1)


def compare_loads(before: LoadResult, now: LoadResult) -> tuple[Compared, ...]:
    """Each figure of two runs of the same plan, with the interval of its ratio.

    Raises UsageProblem where the runs cannot be compared: other plans, too few seconds, or a
    generator that was the limit in either.
    """
    if before.comparable != now.comparable:
        raise UsageProblem(
            f"the two runs did not do the same: {before.scenario} ({before.comparable or 'old'}) "
            f"and {now.scenario} ({now.comparable}). Compare runs of one scenario, rate and length."
        )
    for name, run in (("earlier", before), ("later", now)):
        if run.generator_limited or run.machine_noisy:
            what = (
                "its generator was the limit" if run.generator_limited else "the machine was noisy"
            )
            raise UsageProblem(f"the {name} run tells nothing of the target: {what}. Repeat it.")
    dice = np.random.Generator(np.random.Philox(_SEED))
    rows = []
    for name, column, take in _FIGURES:
        one, other = _seconds(before, column), _seconds(now, column)
        was, is_now = float(take(one)), float(take(other))
        samples = _resampled(other, dice, take) / np.maximum(_resampled(one, dice, take), 1e-12)
        low, high = np.quantile(samples, [(1 - _SHARE) / 2, (1 + _SHARE) / 2])
        says = "higher" if low > 1 else "lower" if high < 1 else "no difference shown"
        rows.append(
            Compared(
                name=name,
                before=was,
                now=is_now,
                ratio=is_now / max(was, 1e-12),
                low=float(low),
                high=float(high),
                says=says,
            )
        )
    return tuple(rows)
