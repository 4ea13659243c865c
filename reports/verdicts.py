"""What a run amounts to: counts with their denominators, the order of checks, and the end.

Nothing here judges a target; it weighs what checks and load runs have said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from trueup.reports.journal.records import LoadResult
from trueup.reports.results import CheckResult, ExitStatus, LoadThreshold, Verdict
from trueup.reports.verdict_styles import IMPACTS, VERDICTS

__all__ = [
    "ThresholdOutcome",
    "VerdictCounts",
    "count_verdicts",
    "load_status",
    "nothing_sent",
    "overall",
    "severity_order",
    "threshold_outcome",
    "why_undetermined",
]


class ThresholdOutcome(StrEnum):
    """What a threshold says of the target."""

    MET = "met"
    MISSED = "missed"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictCounts:
    """Counts that never stand without their denominators.

    `total` is every declared check; `testable` leaves out what is not claimed or cannot be
    exercised; `tested` is what came to a verdict of its own (pass, warn, fail).
    """

    passed: int
    tested: int
    testable: int
    total: int
    by_verdict: tuple[tuple[Verdict, int], ...]
    """Every verdict, weightiest first, zeros included."""
    missing: int
    """Declared checks that reported nothing."""

    def __str__(self) -> str:
        return (
            f"{self.passed} passed / {self.tested} tested / "
            f"{self.testable} testable / {self.total} total"
        )


def count_verdicts(results: Iterable[CheckResult], *, missing: int = 0) -> VerdictCounts:
    """Count results; `missing` is the number of declared checks that reported nothing."""
    seen = Counter(result.verdict for result in results)
    total = seen.total() + missing
    testable = total - seen[Verdict.NOT_APPLICABLE] - seen[Verdict.NOT_TESTABLE]
    return VerdictCounts(
        passed=seen[Verdict.PASS],
        tested=seen[Verdict.PASS] + seen[Verdict.WARN] + seen[Verdict.FAIL],
        testable=testable,
        total=total,
        by_verdict=tuple((verdict, seen[verdict]) for verdict in VERDICTS),
        missing=missing,
    )


def severity_order(result: CheckResult) -> tuple[int, int, str, str]:
    """Sort key: worst verdict first, then whom it hurts most, then law and name.

    Impact orders what needs a person; what holds stands by law, so that its checks are together.
    """
    style = VERDICTS[result.verdict]
    impact = IMPACTS[result.impact][0] if style.tone in ("bad", "doubt") else 0
    return (style.weight, impact, result.law, result.check)


def overall(
    results: Sequence[CheckResult],
    load: Sequence[LoadResult] = (),
    *,
    missing: Sequence[str] = (),
    interrupted: bool = False,
) -> ExitStatus:
    """Return how a run ended: the only place that decides it. The first rule that holds counts.

    A failure outranks all; a feature that is claimed but cannot be exercised does not conform
    either. A declared check that reported nothing, or no result of anything at all, is our own
    error, unless the run was interrupted. Where no check passed (all were not applicable, say)
    nothing is known. Load: see `load_status`. `docs/reports.md` has the rules as a table.
    """
    verdicts = {result.verdict for result in results}
    loads = {load_status(one) for one in load}
    unreported = bool(missing) or not (verdicts or loads)
    nothing_known = not load and not verdicts & {Verdict.PASS, Verdict.WARN}
    open_question = bool(verdicts & {Verdict.INCONCLUSIVE, Verdict.BLOCKED})
    rules: tuple[tuple[bool, ExitStatus], ...] = (
        (Verdict.FAIL in verdicts, ExitStatus.VIOLATES),
        (Verdict.NOT_TESTABLE in verdicts, ExitStatus.VIOLATES),
        (ExitStatus.VIOLATES in loads, ExitStatus.VIOLATES),
        (unreported and not interrupted, ExitStatus.OUR_ERROR),
        (interrupted or nothing_known or open_question, ExitStatus.COULD_NOT_TELL),
        (ExitStatus.COULD_NOT_TELL in loads, ExitStatus.COULD_NOT_TELL),
    )
    return next((status for holds, status in rules if holds), ExitStatus.CONFORMS)


def nothing_sent(load: LoadResult) -> bool:
    """Whether not one request came to anything: there is nothing to judge by."""
    return not (load.requests or load.reads or load.events_sent)


def why_undetermined(threshold: LoadThreshold, load: LoadResult) -> str:
    """Why a threshold that is not kept says nothing of the target; empty where it was missed.

    A disturbed machine makes times and rates worse and nothing else: it excuses those alone.
    """
    reasons = (
        (nothing_sent(load), "nothing was sent"),
        (threshold.value is None, "not measured"),
        (load.generator_limited, "the generator was the limit"),
        (threshold.timed and load.machine_noisy, "the machine was disturbed"),
    )
    return next((why for holds, why in reasons if holds), "")


def threshold_outcome(threshold: LoadThreshold, load: LoadResult) -> ThresholdOutcome:
    """What a threshold of a load run says of the target."""
    if threshold.ok:
        return ThresholdOutcome.MET
    return (
        ThresholdOutcome.UNDETERMINED
        if why_undetermined(threshold, load)
        else ThresholdOutcome.MISSED
    )


def load_status(load: LoadResult) -> ExitStatus:
    """What a load run amounts to; the first rule that holds decides.

    Wrong data outranks everything. Where nothing was sent, or the generator was the limit, the
    figures say nothing about the target. A threshold may say nothing by itself, and events that
    were not reconciled are not known to be right.
    """
    wrong = load.correct_events is not None and load.correct_events < load.events_accepted
    said = {threshold_outcome(threshold, load) for threshold in load.thresholds}
    rules: tuple[tuple[bool, ExitStatus], ...] = (
        (wrong, ExitStatus.VIOLATES),
        (nothing_sent(load) or load.generator_limited, ExitStatus.COULD_NOT_TELL),
        (ThresholdOutcome.MISSED in said, ExitStatus.VIOLATES),
        (ThresholdOutcome.UNDETERMINED in said or bool(load.stopped_by), ExitStatus.COULD_NOT_TELL),
        (load.correct_events is None, ExitStatus.COULD_NOT_TELL),
    )
    return next((status for holds, status in rules if holds), ExitStatus.CONFORMS)
