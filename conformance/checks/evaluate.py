"""From findings to verdicts: the rules that hold for every check alike.

A check passes only where it had its least evidence. What is not claimed is not applicable; what
is claimed and cannot be exercised is not testable. A check whose every event was refused has
nothing to rest on and is inconclusive. A failure whose ground has failed is blocked by
that ground, so that one root cause is one red line. Pure: the same facts give the same verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding
from trueup.conformance.observed.observations import Observations
from trueup.reports.results import CheckResult, Counterexample, Verdict

__all__ = ["judge_all"]


def judge_all(observations: Observations, checks: Sequence[Check]) -> list[CheckResult]:
    """One result for each check, in their order."""
    results = [_result(observations, check, _find(observations, check)) for check in checks]
    return _fold(results, checks)


def _find(observations: Observations, check: Check) -> Finding:
    context = observations.context
    if check.claim and check.claim not in context.claims:
        return Finding(
            verdict=Verdict.NOT_APPLICABLE, reason=f"the target does not claim `{check.claim}`"
        )
    if check.needs_hook and check.needs_hook not in context.hooks:
        if check.claim:
            return Finding(
                verdict=Verdict.NOT_TESTABLE,
                reason=f"claimed (`{check.claim}`), but the target file has no "
                f"[{check.needs_hook}]",
            )
        return Finding(
            verdict=Verdict.NOT_APPLICABLE, reason=f"the target file has no [{check.needs_hook}]"
        )
    refusal = "" if check.refusable else observations.refusal(*check.datasets)
    if refusal:
        return Finding(verdict=Verdict.INCONCLUSIVE, reason=refusal)
    found = check.judge(observations)
    if found.verdict is Verdict.PASS and found.evidence < check.needed:
        return _too_little(found, check)
    return found


def _too_little(found: Finding, check: Check) -> Finding:
    return Finding(
        verdict=Verdict.INCONCLUSIVE,
        reason=(
            f"{found.evidence} of at least {check.needed} observations that could have refuted "
            "the law were made; those agree with it"
        ),
        evidence=found.evidence,
    )


def _result(observations: Observations, check: Check, found: Finding) -> CheckResult:
    first = found.differences[0] if found.differences else None
    moved = any(hook.hook == "clock" and hook.ok for hook in observations.hooks)
    grade = "E" if check.audit else ("A" if moved and check.level >= 3 else "B")
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
            differences=found.differences, events=found.events, exchanges=found.exchanges
        )
        if found.differences or found.exchanges
        else None,
    )


def _fold(results: list[CheckResult], checks: Sequence[Check]) -> list[CheckResult]:
    """Put failures, and what could not be told, below the failed check that they rest on."""
    failed = {result.law: result.check for result in reversed(results) if _failed(result)}
    folded = []
    for result, check in zip(results, checks, strict=True):
        root = next((failed[law] for law in check.rests_on if law in failed), "")
        open_to_doubt = result.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)
        if root and open_to_doubt and root != check.name:
            result = msgspec.structs.replace(result, verdict=Verdict.BLOCKED, blocked_by=root)
        folded.append(result)
    return folded


def _failed(result: CheckResult) -> bool:
    return result.verdict is Verdict.FAIL
