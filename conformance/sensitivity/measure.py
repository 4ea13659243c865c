"""Evaluate mutants of a run's responses, and count which of them its verdicts notice. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from trueup.conformance.checks.check import Check
from trueup.conformance.checks.evaluate import judge_evaluation
from trueup.conformance.contract.evaluation import evaluate
from trueup.conformance.sensitivity.blind_spots import Unjudgeable, why_unjudgeable
from trueup.conformance.sensitivity.mutants import ResponseMutant
from trueup.reports.journal.records import Exchange, Record
from trueup.reports.metrics.sensitivity import BlindSpot, Sensitivity, Share
from trueup.reports.results import CheckResult, Verdict

__all__ = ["Effect", "Judged", "Rejudge", "judge_mutant", "rejudge_records", "summarize"]

Rejudge: TypeAlias = Callable[[Mapping[int, Exchange]], Sequence[CheckResult]]
"""From the changed exchanges of a run, by number, to the verdicts over all of its records."""

_BAD: Final = frozenset({Verdict.FAIL, Verdict.WARN, Verdict.NOT_TESTABLE, Verdict.BLOCKED})


class Effect(StrEnum):
    """What changed responses do to the verdicts."""

    NOTICED = "noticed"
    DOUBTED = "doubted"
    UNNOTICED = "unnoticed"
    BROKEN = "broken"
    """The evaluation raised an exception."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The result for one mutant."""

    id: str
    effect: Effect
    sentence: str = ""
    """What it shows; only of mutants that were not noticed."""
    check: str = ""
    """The first check whose verdict became worse."""
    law: str = ""
    error: str = ""
    """Text of the exception."""


def rejudge_records(records: Sequence[Record], checks: Sequence[Check]) -> Rejudge:
    """Return a function that evaluates all records with some exchanges replaced.

    The evaluation of the unchanged records is kept, and only what a change touches is done again.
    A changed response counts as given after the time for which a view may lag: a run asks for a
    wrong response again until then, and a target that is wrong each time gives it again.
    """
    evaluation = evaluate(records, settled=True)

    def rejudge(changed: Mapping[int, Exchange]) -> Sequence[CheckResult]:
        return judge_evaluation(evaluation.with_changed(changed), checks)

    return rejudge


def judge_mutant(
    rejudge: Rejudge, baseline: Sequence[CheckResult], changed: Mapping[int, Exchange]
) -> tuple[Effect, CheckResult | None, str]:
    """Return what changed exchanges do to the verdicts of `baseline`.

    The result is the effect, the first check result that became worse (for `doubted`: that became
    inconclusive), and the text of an exception, if there was one.
    """
    before = {result.check: result.verdict for result in baseline}
    try:
        after = rejudge(changed)
    except Exception as error:
        return Effect.BROKEN, None, f"{type(error).__name__}: {error}"
    doubted = None
    for result in after:
        was = before.get(result.check)
        if result.verdict in _BAD and was not in _BAD:
            return Effect.NOTICED, result, ""
        if result.verdict is Verdict.FAIL and was is Verdict.WARN:
            return Effect.NOTICED, result, ""
        if result.verdict is Verdict.INCONCLUSIVE and was is Verdict.PASS:
            doubted = doubted or result
    return (Effect.UNNOTICED if doubted is None else Effect.DOUBTED), doubted, ""


def summarize(
    mutants: Sequence[ResponseMutant],
    judged: Iterable[Judged],
    *,
    run: str,
    seed: int,
    enumerated: int,
    unjudgeable: Sequence[Unjudgeable],
) -> Sensitivity:
    """Return counts by view, stage and field, and the blind spots with their explanations."""
    found = {one.id: one for one in judged}
    by_stage: Counter[tuple[str, str]] = Counter()
    by_field: Counter[tuple[str, str]] = Counter()
    noticed_stage: Counter[tuple[str, str]] = Counter()
    noticed_field: Counter[tuple[str, str]] = Counter()
    blind: defaultdict[tuple[str, str, str, str], list[ResponseMutant]] = defaultdict(list)
    tried: Counter[tuple[str, str, str]] = Counter()
    reasons = {entry.why: entry for entry in unjudgeable}
    for mutant in mutants:
        stage, field = (mutant.view, mutant.stage), (mutant.view, mutant.field)
        by_stage[stage] += 1
        by_field[field] += 1
        tried[mutant.group] += 1
        if found[mutant.id].effect is Effect.NOTICED:
            noticed_stage[stage] += 1
            noticed_field[field] += 1
        else:
            reason = why_unjudgeable(unjudgeable, mutant)
            blind[(*mutant.group, reason.why if reason else "")].append(mutant)
    spots = [
        BlindSpot(
            view=view,
            field=field,
            operator=operator,
            stages=tuple(dict.fromkeys(mutant.stage for mutant in some)),
            customers=tuple(sorted({mutant.customer for mutant in some})),
            mutants=len(some),
            tried=tried[some[0].group],
            example=found[some[0].id].sentence,
            why=why,
            source=reasons[why].source if why else "",
        )
        for (view, field, operator, why), some in blind.items()
    ]
    effects = Counter(one.effect for one in found.values())
    return Sensitivity(
        run=run,
        seed=seed,
        enumerated=enumerated,
        mutants=len(mutants),
        noticed=effects[Effect.NOTICED],
        doubted=effects[Effect.DOUBTED],
        explained=sum(spot.mutants for spot in spots if spot.why),
        stages=_shares(by_stage, noticed_stage),
        fields=_shares(by_field, noticed_field),
        laws=dict(
            Counter(one.law for one in found.values() if one.effect is Effect.NOTICED).most_common()
        ),
        blind_spots=tuple(
            sorted(spots, key=lambda s: (bool(s.why), -s.mutants, s.view, s.field, s.operator))
        ),
        broken=tuple(f"{x.id}: {x.error}" for x in found.values() if x.effect is Effect.BROKEN),
    )


def _shares(
    tried: Counter[tuple[str, str]], noticed: Counter[tuple[str, str]]
) -> tuple[Share, ...]:
    return tuple(
        Share(view=view, by=by, noticed=noticed[view, by], mutants=count)
        for (view, by), count in tried.items()
    )
