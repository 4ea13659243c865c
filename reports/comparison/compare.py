"""Compare two runs of the same plan: changed verdicts, and differences of load figures.

A load figure is compared by an interval, not by a percentage: seconds of a run resemble their
neighbours, so blocks of them are resampled (circular block bootstrap, Politis and Romano 1992) with
a fixed seed; the same two journals always give the same result. Runs of different plans are
refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from trueup.reports.errors import NotComparable
from trueup.reports.formatting import figure, one_line
from trueup.reports.journal.records import LoadResult
from trueup.reports.metrics.measurement_window import series
from trueup.reports.model import RunReport
from trueup.reports.results import ExitStatus, Json, Verdict
from trueup.reports.verdict_styles import STATUSES, VERDICTS

__all__ = [
    "SMALLEST_CHANGE",
    "LoadChange",
    "PlanDifference",
    "RunComparison",
    "Trend",
    "VerdictChange",
    "bootstrap_difference",
    "compare",
    "comparison_document",
    "comparison_text",
    "plan_differences",
    "why_not_comparable",
]

SMALLEST_CHANGE: Final = 0.05
"""A smaller relative difference is not reported as one, however certain it is."""
_LEAST_SECONDS: Final = 5
_RESAMPLES: Final = 4000
_SEED: Final = 20250401


class Trend(StrEnum):
    """Direction in which a figure changed, from the first run to the second."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "no difference seen"
    UNKNOWN = "too few or disturbed seconds to say"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictChange:
    """A check with another verdict than before; None stands for no result."""

    check: str
    before: Verdict | None
    after: Verdict | None

    @property
    def trend(self) -> Trend:
        """By severity of the verdict.

        A check that is gone is worse; a new one counts if it fails.
        """
        if self.after is None:
            return Trend.WORSE
        if self.before is None:
            return Trend.WORSE if VERDICTS[self.after].tone == "bad" else Trend.SAME
        better = VERDICTS[self.after].weight > VERDICTS[self.before].weight
        return Trend.BETTER if better else Trend.WORSE


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadChange:
    """One figure of one load scenario in both runs: means over seconds, and the difference."""

    scenario: str
    figure: str
    unit: str
    before: float
    after: float
    low: float
    high: float
    """Interval (95 %) of after − before, in `unit`."""
    trend: Trend


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDifference:
    """A setting of a load plan with its values in two runs, as text."""

    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """What changed from the first run to the second."""

    before: RunReport
    after: RunReport
    changes: tuple[VerdictChange, ...]
    load: tuple[LoadChange, ...]

    @property
    def status(self) -> ExitStatus:
        """VIOLATES where anything became worse, else CONFORMS."""
        trends = {c.trend for c in self.changes} | {c.trend for c in self.load}
        return ExitStatus.VIOLATES if Trend.WORSE in trends else ExitStatus.CONFORMS


_SAME_AS: Final = {"shape": "shape.kind", "planned rate": "shape.rate"}
"""What is named for every record → the setting that says the same."""
_FIGURES: Final[tuple[tuple[str, str, str, bool], ...]] = (
    ("events", "events per second", "events/s", True),
    ("p50_ms", "p50 latency", "ms", False),
    ("p99_ms", "p99 latency", "ms", False),
)
"""Key of a second, name, unit, and whether a higher value is better."""


def compare(before: RunReport, after: RunReport) -> RunComparison:
    """Return what changed from one run to another.

    Load figures for which `why_not_comparable` gives a reason in either run have the trend
    UNKNOWN. Raises NotComparable, naming every respect in which the two runs differ.
    """
    asked = ("scenario", "target", "level", "seed")
    differ = [
        f"{name} ({getattr(before.header, name)} and {getattr(after.header, name)})"
        for name in asked
        if getattr(before.header, name) != getattr(after.header, name)
    ]
    pairs = _load_pairs(before, after)
    differ += [
        f"{difference.key} of load {old.plan.scenario} ({difference.before} and {difference.after})"
        for old, new in pairs
        for difference in plan_differences(old, new)
    ]
    if differ:
        raise NotComparable(
            f"{before.header.run} and {after.header.run} cannot be compared: they differ in "
            f"{', '.join(differ)}. Run the second again with the settings of the first."
        )
    return RunComparison(
        before=before,
        after=after,
        changes=tuple(_changes(before, after)),
        load=tuple(
            _load_change(old, new, *figure)
            for old, new in pairs
            for figure in _FIGURES
            if any(figure[0] in second for second in (*old.timeline.seconds, *new.timeline.seconds))
        ),
    )


def plan_differences(old: LoadResult, new: LoadResult) -> tuple[PlanDifference, ...]:
    """Return every setting in which two load runs differ, key by key.

    Of records without settings only the digest of all of them is known.
    """
    rows: list[tuple[str, object, object]] = [
        ("shape", old.plan.shape, new.plan.shape),
        ("engine", old.generator.engine, new.generator.engine),
        ("planned rate", old.plan.rate_rps, new.plan.rate_rps),
    ]
    if old.plan.digest != new.plan.digest:
        named = [row for row in _settings(old, new) if row[1] != row[2]]
        rows += named or [("digest of the plan", old.plan.digest, new.plan.digest)]
    named_keys = {key for key, _, _ in rows[3:]}
    return tuple(
        PlanDifference(key=key, before=_setting(a), after=_setting(b))
        for key, a, b in rows
        if a != b and _SAME_AS.get(key) not in named_keys
    )


def _settings(old: LoadResult, new: LoadResult) -> list[tuple[str, object, object]]:
    first, second = old.plan.settings, new.plan.settings
    if not first or not second:
        return []
    keys = [*first, *(key for key in second if key not in first)]
    return [(key, first.get(key), second.get(key)) for key in keys]


def _setting(value: object) -> str:
    return "not set" if value is None else one_line(str(value), 80)


def why_not_comparable(load: LoadResult) -> str:
    """Return why the figures of a load run say nothing of its target; "" where they do."""
    reasons = (
        (load.generator.limited, "the generator was the limit"),
        (load.machine.noisy, "the machine was disturbed"),
        (bool(load.timeline.stopped_by), f"the run ended early ({load.timeline.stopped_by})"),
        (
            len(series(load, "events")) < _LEAST_SECONDS,
            f"fewer than {_LEAST_SECONDS} seconds count after the warm-up: load for longer",
        ),
    )
    return next((why for holds, why in reasons if holds), "")


def _load_pairs(before: RunReport, after: RunReport) -> list[tuple[LoadResult, LoadResult]]:
    """The load runs of the scenarios that are in both."""
    new = {made.result.plan.scenario: made.result for made in after.figures}
    old = [made.result for made in before.figures]
    return [(load, new[load.plan.scenario]) for load in old if load.plan.scenario in new]


def _changes(before: RunReport, after: RunReport) -> Iterator[VerdictChange]:
    old = {result.check: result.verdict for result in before.results}
    new = {result.check: result.verdict for result in after.results}
    for check in sorted(old.keys() | new.keys()):
        if old.get(check) != new.get(check):
            yield VerdictChange(check=check, before=old.get(check), after=new.get(check))


def _load_change(
    old: LoadResult, new: LoadResult, key: str, name: str, unit: str, more_is_better: bool
) -> LoadChange:
    first, second = series(old, key), series(new, key)
    before, after = (float(np.mean(x)) if x else 0.0 for x in (first, second))
    low, high = bootstrap_difference(first, second)
    trend = Trend.SAME
    if (
        why_not_comparable(old)
        or why_not_comparable(new)
        or min(len(first), len(second)) < _LEAST_SECONDS
    ):
        trend = Trend.UNKNOWN
    elif (low > 0 or high < 0) and abs(after - before) > SMALLEST_CHANGE * abs(before):
        trend = Trend.BETTER if (after > before) == more_is_better else Trend.WORSE
    return LoadChange(
        scenario=old.plan.scenario,
        figure=name,
        unit=unit,
        before=before,
        after=after,
        low=low,
        high=high,
        trend=trend,
    )


def bootstrap_difference(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of mean(second) − mean(first), by circular block bootstrap.

    Blocks are as long as the cube root of the series. Returns (0, 0) where either series is
    empty.
    """
    if not first or not second:
        return (0.0, 0.0)
    random = np.random.default_rng(_SEED)
    difference = _resampled_means(second, random) - _resampled_means(first, random)
    low, high = np.quantile(difference, (0.025, 0.975))
    return float(low), float(high)


def _resampled_means(values: Sequence[float], random: np.random.Generator) -> np.ndarray:
    series = np.asarray(values, dtype=np.float64)
    size = len(series)
    block = max(1, round(size ** (1 / 3)))
    starts = random.integers(0, size, (_RESAMPLES, -(-size // block)))
    places = (starts[:, :, None] + np.arange(block)).reshape(_RESAMPLES, -1)[:, :size] % size
    means: np.ndarray = series[places].mean(axis=1)
    return means


def comparison_text(comparison: RunComparison) -> str:
    """Return the comparison as text for a terminal of 80 columns, with a final line feed."""
    before, after = comparison.before, comparison.after
    lines = [
        f"before  {before.header.run}",
        f"        {STATUSES[before.status].headline}: {before.counts}",
        f"after   {after.header.run}",
        f"        {STATUSES[after.status].headline}: {after.counts}",
        "",
    ]
    lines += [f"{c.check}: {_word(c.before)} → {_word(c.after)}" for c in comparison.changes]
    if not comparison.changes:
        lines.append("Every check has the same verdict as before.")
    lines += ["", *(_load_line(change) for change in comparison.load)] if comparison.load else []
    return "\n".join(lines) + "\n"


def comparison_document(comparison: RunComparison) -> dict[str, Json]:
    """Return the comparison as plain JSON values; `worse` decides the exit status."""
    return {
        "before": comparison.before.header.run,
        "after": comparison.after.header.run,
        "worse": comparison.status is not ExitStatus.CONFORMS,
        "changes": [
            {
                "check": change.check,
                "before": str(change.before) if change.before else None,
                "after": str(change.after) if change.after else None,
                "trend": str(change.trend),
            }
            for change in comparison.changes
        ],
        "load": [
            {
                "scenario": change.scenario,
                "figure": change.figure,
                "unit": change.unit,
                "before": change.before,
                "after": change.after,
                "difference_low": change.low,
                "difference_high": change.high,
                "trend": str(change.trend),
            }
            for change in comparison.load
        ],
    }


def _word(verdict: Verdict | None) -> str:
    return "no result" if verdict is None else VERDICTS[verdict].word


def _load_line(change: LoadChange) -> str:
    share = f" ({change.after / change.before - 1:+.1%})" if change.before else ""
    return (
        f"{change.scenario}, {change.figure}: {change.trend}\n"
        f"        {_figure(change.before)} → {_figure(change.after)} {change.unit}{share}; "
        f"difference {_signed(change.low)} … {_signed(change.high)}"
    )


def _figure(value: float) -> str:
    """Three digits or all of the integer part, with a typographic minus."""
    return figure(value).replace("-", "−")


def _signed(value: float) -> str:
    return f"+{_figure(value)}" if value > 0 else _figure(value)
