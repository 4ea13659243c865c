"""Evaluation of sequences of steps: each is held against the contract as a whole run is.

A sequence is a part of the journal with a plan, a baseline and names of its own, so that what other
sequences and other runs did is to it what others do. Pure: the same records give the same verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from trueup.conformance.checks.evaluate import judge_evaluation
from trueup.conformance.checks.registry import CHECKS
from trueup.conformance.contract.evaluation import Evaluation, evaluate
from trueup.conformance.contract.history import records_by_part
from trueup.reports.journal.records import Hook, Phase, Record
from trueup.reports.results import CheckResult, Counterexample, Difference, Impact, Json, Verdict

__all__ = [
    "BEGUN",
    "CHECK",
    "SequenceFinding",
    "judge_sequence",
    "judge_sequences",
    "part_of_sequence",
    "result_of",
    "stage_of_sequence",
]

CHECK: Final = "stateful-sequences"
LAW: Final = "STATEFUL"
TITLE: Final = "Whatever is done in whatever order, every view shows what was accepted."
BEGUN: Final = "stateful"
"""Hook record that begins a sequence and holds its steps; also begins the names of the parts."""
MOST_DIFFERENCES: Final = 1_000
"""Differences that a result holds."""
MOST_EVENTS: Final = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceFinding:
    """What one sequence showed."""

    steps: Json
    failed: tuple[CheckResult, ...]
    """Results of the checks that it failed."""
    evidence: int
    """Comparisons that could have refuted a check."""
    accepted: int
    """Events that were accepted."""
    refusal: str
    """Why events were refused, for a person; empty where none was."""


def part_of_sequence(number: int) -> str:
    """Return the name of the part of a sequence's plan and records."""
    return f"{BEGUN}-{number}"


def stage_of_sequence(number: int, place: int) -> str:
    """Return the name of one stage of a sequence: what is done up to the next reading."""
    return f"traffic {part_of_sequence(number)} {place}"


def judge_sequence(evaluation: Evaluation, steps: Json) -> SequenceFinding:
    """Return what a sequence showed, by all checks that the run's level reaches."""
    checks = [check for check in CHECKS if check.level <= evaluation.plan.level]
    results = judge_evaluation(evaluation, checks)
    history = evaluation.model.history
    return SequenceFinding(
        steps=steps,
        failed=tuple(result for result in results if result.verdict is Verdict.FAIL),
        evidence=sum(result.evidence for result in results),
        accepted=history.accepted,
        refusal=next(iter(history.refusals), ""),
    )


def judge_sequences(records: Iterable[Record]) -> CheckResult:
    """Return the verdict on all sequences of a journal, computed from its records.

    A sequence that did not come to its end, because the budget did, is left out.
    """
    records = tuple(records)
    ended = {r.name for r in records if isinstance(r, Phase) and r.state == "end"}
    return result_of(
        [
            judge_sequence(evaluate(own, part), _steps_of(own))
            for part, own in records_by_part(records).items()
            if part.startswith(f"{BEGUN}-") and part in ended
        ]
    )


def _steps_of(records: Iterable[Record]) -> Json:
    begun = (r for r in records if isinstance(r, Hook) and r.hook == BEGUN)
    return next((hook.request.get("steps") for hook in begun), None)


def result_of(found: Sequence[SequenceFinding], stopped: str = "") -> CheckResult:
    """Return the verdict on sequences in the order in which they were run.

    `stopped`: why there are no more of them. Where any failed, the last that failed is the
    counter-example: shrinking ends with it.
    """
    failed = [each for each in found if each.failed]
    last = failed[-1] if failed else None
    accepted = sum(each.accepted for each in found)
    verdict = Verdict.PASS if accepted else Verdict.INCONCLUSIVE
    refusal = next((each.refusal for each in found if each.refusal), "no reason given")
    reason = (
        f"{len(found)} sequences agree with the contract"
        if accepted
        else f"no event was accepted in {len(found)} sequences: {refusal}"
    )
    reason += f"; then: {stopped}" if stopped else ""
    if last is not None:
        verdict, reason = Verdict.FAIL, _failure(last, found)
    differences = _differences(last.failed) if last is not None else ()
    return CheckResult(
        check=CHECK,
        law=LAW,
        title=TITLE,
        verdict=verdict,
        reason=reason,
        level=2,
        impact=last.failed[0].impact if last is not None else Impact.UNDER_CHARGE,
        evidence=sum(each.evidence for each in found),
        expected=differences[0].expected if differences else "",
        seen=differences[0].seen if differences else "",
        counterexample=_counterexample(last.failed, differences) if last is not None else None,
    )


def _failure(last: SequenceFinding, found: Sequence[SequenceFinding]) -> str:
    same = [each for each in found if each.steps == last.steps]
    again = sum(1 for each in same if each.failed)
    laws = ", ".join(dict.fromkeys(result.law for result in last.failed))
    steps: Sequence[Json] = last.steps if isinstance(last.steps, list) else []
    text = msgspec.json.encode(last.steps).decode()
    return (
        f"a sequence of {len(steps)} steps fails {laws} ({again} of the {len(same)} times that it "
        f"was run): {text}"
    )


def _differences(failed: Iterable[CheckResult]) -> tuple[Difference, ...]:
    return tuple(
        Difference(where=f"{result.law} · {each.where}", expected=each.expected, seen=each.seen)
        for result in failed
        if result.counterexample is not None
        for each in result.counterexample.differences
    )[:MOST_DIFFERENCES]


def _counterexample(
    failed: Iterable[CheckResult], differences: tuple[Difference, ...]
) -> Counterexample:
    events: dict[str, Mapping[str, Json]] = {}
    exchanges: dict[int, None] = {}
    for result in failed:
        if result.counterexample is not None:
            for event in result.counterexample.events:
                events.setdefault(str(event.get("log_id")), event)
            exchanges |= dict.fromkeys(result.counterexample.exchanges)
    return Counterexample(
        differences=differences,
        events=tuple(dict(event) for event in events.values())[:MOST_EVENTS],
        exchanges=tuple(exchanges)[:MOST_EVENTS],
    )
