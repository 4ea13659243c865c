"""Count verdicts, order checks, and decide how a run ends.

Targets are not evaluated here: the input is what checks and load runs have found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from trueup.reports.journal.records import KneeInterval, LoadResult
from trueup.reports.results import CheckResult, ExitStatus, LoadThreshold, Verdict
from trueup.reports.verdict_styles import IMPACTS, VERDICTS

__all__ = [
    "ThresholdOutcome",
    "VerdictCounts",
    "count_verdicts",
    "limit_found",
    "load_status",
    "nothing_sent",
    "overall",
    "severity_order",
    "threshold_outcome",
    "why_undetermined",
]


class ThresholdOutcome(StrEnum):
    """Whether a load run met a threshold."""

    MET = "met"
    MISSED = "missed"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictCounts:
    """Counts of verdicts, always shown with their denominators.

    `total` is every declared check; `testable` leaves out what is not claimed or cannot be
    exercised; `tested` is what has a verdict of its own (pass, warn, fail).
    """

    passed: int
    tested: int
    testable: int
    total: int
    by_verdict: tuple[tuple[Verdict, int], ...]
    """Every verdict with its count, most severe first, zeros included."""
    missing: int
    """Declared checks without a result."""

    def __str__(self) -> str:
        return (
            f"{self.passed} passed / {self.tested} tested / "
            f"{self.testable} testable / {self.total} total"
        )


def count_verdicts(results: Iterable[CheckResult], *, missing: int = 0) -> VerdictCounts:
    """Return the counts of results; `missing` is the number of declared checks without one."""
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
    """Return the sort key of a result: verdict, impact, law, name.

    Impact orders only results that need attention, so that the passing checks of a law stay
    together.
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
    """Return how a run ended; the first rule that holds decides.

    A failure outranks everything; a claimed feature that cannot be exercised counts as one. A
    declared check without a result is an error of trueup, unless the run was interrupted; so is
    a run without any result. Where nothing passed, nothing is known. For load runs see
    `load_status`.
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
    """Return whether a load run sent nothing that got a response, so that it shows nothing."""
    return not (load.requests.completed or load.requests.reads or load.events.sent)


def why_undetermined(threshold: LoadThreshold, load: LoadResult) -> str:
    """Return why a missed threshold says nothing of the target; empty where it does.

    A disturbed machine makes times and rates worse and nothing else: it excuses only those.
    """
    reasons = (
        (nothing_sent(load), "nothing was sent"),
        (not load.events.accepted, "no event was accepted"),
        (load.timeline.no_access, "the target refused the credentials"),
        (threshold.value is None, "not measured"),
        (load.generator.limited, "the generator was the limit"),
        (threshold.timed and load.machine.noisy, "the machine was disturbed"),
    )
    return next((why for holds, why in reasons if holds), "")


def limit_found(knee: KneeInterval) -> bool:
    """Return whether a search found both ends of the interval in which the limit is."""
    return knee.low_rps is not None and knee.high_rps is not None


def threshold_outcome(threshold: LoadThreshold, load: LoadResult) -> ThresholdOutcome:
    """Return whether a load run met a threshold, missed it, or shows neither."""
    if threshold.ok:
        return ThresholdOutcome.MET
    return (
        ThresholdOutcome.UNDETERMINED
        if why_undetermined(threshold, load)
        else ThresholdOutcome.MISSED
    )


def load_status(load: LoadResult) -> ExitStatus:
    """Return how a load run ended; the first rule that holds decides.

    Wrong data outranks everything. Where nothing was sent or accepted, or the generator was the
    limit, the figures say nothing about the target. Events that were not reconciled are not known
    to be right. A search that found no limit does not say what it was asked.
    """
    events, timeline = load.events, load.timeline
    wrong = events.correct is not None and events.correct < events.accepted
    said = {threshold_outcome(threshold, load) for threshold in load.thresholds}
    rules: tuple[tuple[bool, ExitStatus], ...] = (
        (wrong, ExitStatus.VIOLATES),
        (nothing_sent(load) or load.generator.limited, ExitStatus.COULD_NOT_TELL),
        (not events.accepted or timeline.no_access, ExitStatus.COULD_NOT_TELL),
        (ThresholdOutcome.MISSED in said, ExitStatus.VIOLATES),
        (ThresholdOutcome.UNDETERMINED in said, ExitStatus.COULD_NOT_TELL),
        (bool(timeline.stopped_by), ExitStatus.COULD_NOT_TELL),
        (events.correct is None, ExitStatus.COULD_NOT_TELL),
        (load.knee is not None and not limit_found(load.knee), ExitStatus.COULD_NOT_TELL),
    )
    return next((status for holds, status in rules if holds), ExitStatus.CONFORMS)
