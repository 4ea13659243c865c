"""From findings to verdicts: the rules are the same for every check.

A check passes only with its least evidence. A check of what is not claimed is not applicable; one
of what is claimed and cannot be exercised is not testable. An unusable response makes the checks
that needed it inconclusive. A failure that only follows from another one is blocked by it, so that
one cause is one failure in the report. Pure: equal records give equal verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trueup.conformance.checks.check import Check
from trueup.conformance.contract.capsule_dates import (
    PhaseDates,
    PlantedTime,
    phase_dates,
    why_not_now,
)
from trueup.conformance.contract.causes import AttributedDeviation
from trueup.conformance.contract.evaluation import Evaluation
from trueup.conformance.contract.history import SentEvent
from trueup.conformance.rows import parse_time
from trueup.reports.journal.records import CapsulePlanted
from trueup.reports.results import CheckResult, Counterexample, Difference, Outcome, Verdict

__all__ = ["capsule_dates", "judge_evaluation"]

MOST_DIFFERENCES: Final = 1_000
"""Differences that a result holds; more are counted in its reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Finding:
    verdict: Verdict
    reason: str
    evidence: int = 0
    blocked_by: str = ""
    attributed: tuple[AttributedDeviation, ...] = ()
    exchanges: tuple[int, ...] = ()


def judge_evaluation(evaluation: Evaluation, checks: Sequence[Check]) -> list[CheckResult]:
    """Return one result for each check, in their order."""
    by_check: dict[str, list[AttributedDeviation]] = {}
    for attributed in evaluation.attributed:
        by_check.setdefault(attributed.check, []).append(attributed)
    planted = _is_capsule(evaluation)
    dates = capsule_dates(evaluation) if planted else ()
    return [
        _result(
            evaluation,
            check,
            _find(evaluation, check, by_check.get(check.name, []), dates),
            planted=planted,
        )
        for check in checks
    ]


def _is_capsule(evaluation: Evaluation) -> bool:
    return any(isinstance(record, CapsulePlanted) for record in evaluation.records)


def capsule_dates(evaluation: Evaluation) -> tuple[PhaseDates, ...]:
    """Return when the parts of a capsule can be judged that consists of what a run has sent."""
    history, end = evaluation.model.history, len(evaluation.records)
    return phase_dates(
        evaluation.model.reading,
        (
            PlantedTime(at=record.event.at, created=history.clock.at(record.deliveries[0].at))
            for record in history.records.values()
            if record.outcome(end) is Outcome.ACCEPTED and not record.impossible
        ),
    )


def _find(
    evaluation: Evaluation,
    check: Check,
    attributed: Sequence[AttributedDeviation],
    dates: Sequence[PhaseDates],
) -> _Finding:
    plan = evaluation.plan
    if check.claim and check.claim not in plan.claims:
        return _Finding(
            verdict=Verdict.NOT_APPLICABLE, reason=f"the target does not claim `{check.claim}`"
        )
    missing = _missing_hook(evaluation, check)
    if missing is not None:
        return missing
    if check.second_customer and len(plan.customers) < 2:
        return _Finding(
            verdict=Verdict.INCONCLUSIVE,
            reason="the target file has no second customer, or its number is unknown",
        )
    evidence = evaluation.evidence.get(check.name, 0)
    wrong = [each for each in attributed if not each.lag]
    if check.weak and 2 * len(wrong) > evidence:
        return _Finding(
            verdict=Verdict.NOT_APPLICABLE,
            reason=f"the target reads it otherwise: {wrong[0].deviation.where}: expected "
            f"{wrong[0].deviation.expected}, saw {wrong[0].deviation.seen}",
            evidence=evidence,
        )
    if wrong:
        return _wrong(check, wrong, evidence)
    if attributed:
        return _Finding(
            verdict=Verdict.INCONCLUSIVE,
            reason="could not be judged: what is missing may still have been on its way",
            evidence=evidence,
            exchanges=attributed[0].deviation.exchanges,
        )
    unusable = evaluation.unusable.get(check.name)
    if unusable is not None:
        why, number = unusable
        return _Finding(
            verdict=Verdict.INCONCLUSIVE,
            reason=f"could not be judged: {why}",
            evidence=evidence,
            exchanges=(number,) if number else (),
        )
    untimely = why_not_now(dates, check.name, _now(evaluation)) if dates else ""
    if untimely and evidence < max(check.needed, 1):
        return _Finding(verdict=Verdict.NOT_APPLICABLE, reason=untimely, evidence=evidence)
    if not evidence and not check.needed:
        return _Finding(
            verdict=Verdict.NOT_APPLICABLE,
            reason="nothing was shown or reached that could have refuted it",
        )
    if evidence < _needed(evaluation, check):
        return _too_little(evaluation, check, evidence)
    return _Finding(
        verdict=Verdict.PASS, reason=f"{evidence:,} comparisons agree with it", evidence=evidence
    )


def _now(evaluation: Evaluation) -> datetime:
    """The target's time when the run began."""
    now = parse_time(evaluation.plan.now)
    assert now is not None, "a plan contains a time"
    return now


def _missing_hook(evaluation: Evaluation, check: Check) -> _Finding | None:
    plan = evaluation.plan
    if not check.needs_hook:
        return None
    if check.needs_hook == "locked":
        if any(hook.check == "safety" for hook in evaluation.hooks):
            return None
        return _Finding(
            verdict=Verdict.NOT_APPLICABLE,
            reason="no hook over HTTP that is locked by a key of its own",
        )
    if check.needs_hook in plan.hooks:
        refused = [h for h in evaluation.hooks if h.hook == check.needs_hook and not h.check]
        if refused and not any(hook.ok for hook in refused):
            return _Finding(
                verdict=Verdict.NOT_TESTABLE,
                reason=f"the {check.needs_hook} hook never worked: {refused[0].error}",
            )
        return None
    if check.claim:
        return _Finding(
            verdict=Verdict.NOT_TESTABLE,
            reason=f"claimed (`{check.claim}`), but the target file has no [{check.needs_hook}]",
        )
    return _Finding(
        verdict=Verdict.NOT_APPLICABLE, reason=f"the target file has no [{check.needs_hook}]"
    )


def _wrong(check: Check, wrong: Sequence[AttributedDeviation], evidence: int) -> _Finding:
    roots = [each for each in wrong if not each.cause]
    shown = roots or list(wrong)
    first = shown[0].deviation
    more = len(shown) - 1
    also = f", and {more} more" if more else ""
    verdict, blocked_by = Verdict.FAIL, ""
    if not roots:
        verdict, blocked_by = Verdict.BLOCKED, shown[0].cause
    elif check.weak:
        verdict = Verdict.WARN
    return _Finding(
        verdict=verdict,
        reason=f"{first.where}: expected {first.expected}, saw {first.seen}{also}",
        evidence=max(evidence, len(wrong)),
        blocked_by=blocked_by,
        attributed=tuple(shown),
        exchanges=first.exchanges,
    )


def _needed(evaluation: Evaluation, check: Check) -> int:
    """Return the least evidence; an audit takes what an account already holds."""
    return 1 if evaluation.plan.level < 2 and check.level != 1 else check.needed


def _too_little(evaluation: Evaluation, check: Check, evidence: int) -> _Finding:
    needed = _needed(evaluation, check)
    reason = (
        f"{evidence} of at least {needed} comparisons that could have refuted it were made; "
        "those agree with it"
    )
    history = evaluation.model.history
    if history.refusals and not history.accepted:
        reasons = list(history.refusals)
        more = f", and {len(reasons) - 2} other reasons" if len(reasons) > 2 else ""
        reason = (
            f"every event was refused: {'; '.join(reasons[:2])}{more}; "
            "is the target's clock elsewhere?"
        )
    return _Finding(verdict=Verdict.INCONCLUSIVE, reason=reason, evidence=evidence)


def _result(evaluation: Evaluation, check: Check, found: _Finding, *, planted: bool) -> CheckResult:
    first = found.attributed[0].deviation if found.attributed else None
    moved = any(hook.hook == "clock" and hook.ok for hook in evaluation.hooks)
    grade = "E" if check.audit else ("A" if moved and check.level >= 3 else "B")
    grade = "D" if planted else grade
    differences = tuple(
        Difference(where=d.where, expected=d.expected, seen=d.seen)
        for d in (each.deviation for each in found.attributed[:MOST_DIFFERENCES])
    )
    return CheckResult(
        check=check.name,
        law=check.law,
        title=check.title,
        verdict=found.verdict,
        reason=found.reason,
        clauses=check.clauses,
        level=check.level,
        impact=check.impact,
        grade=grade if check.timed else "",
        evidence=found.evidence,
        evidence_needed=check.needed,
        expected=first.expected if first else "",
        seen=first.seen if first else "",
        counterexample=Counterexample(
            differences=differences,
            events=tuple(dict(e.raw) for e in _events(found.attributed)),
            exchanges=tuple(dict.fromkeys(_numbers(found))),
        )
        if differences or found.exchanges
        else None,
        blocked_by=found.blocked_by,
    )


def _events(attributed: Iterable[AttributedDeviation]) -> list[SentEvent]:
    events: dict[str, SentEvent] = {}
    for each in list(attributed)[:8]:
        for event in each.deviation.events:
            events.setdefault(event.log_id, event)
    return list(events.values())[:40]


def _numbers(found: _Finding) -> list[int]:
    numbers = [n for each in found.attributed[:8] for n in each.deviation.exchanges]
    return (numbers or list(found.exchanges))[:40]
