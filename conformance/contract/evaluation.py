"""Evaluate a journal by the contract: build the model, compare responses, attribute deviations.

`evaluate` is a pure function of the records. `Evaluation.with_changed` evaluates the same run with
some responses exchanged, and compares again only the requests that the change concerns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from trueup.conformance.contract.causes import AttributedDeviation, attribute
from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.history import build_history
from trueup.conformance.contract.inferred import infer
from trueup.conformance.contract.interpretation import Interpretation
from trueup.conformance.contract.ledgers import AccountStates, read_accounts
from trueup.conformance.contract.limits import judge_locks, judge_rate
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.responses import (
    collect_ids,
    collect_units,
    judge_unit,
    resource_path,
)
from trueup.conformance.errors import JudgeBroken
from trueup.reports.journal.records import Exchange, Hook, JudgePlan, ReadingSeen, Record
from trueup.reports.results import Reading

__all__ = ["Evaluation", "evaluate"]

UNDECLARED_FRESHNESS_S: Final = 35.0
"""How long a view may lag where the target file does not say."""
LOCKS: Final = "hooks-are-locked"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A run, held against the contract."""

    plan: JudgePlan
    model: ContractModel
    hooks: tuple[Hook, ...]
    records: tuple[Record, ...]
    findings: tuple[RequestFinding, ...]
    attributed: tuple[AttributedDeviation, ...]
    evidence: Mapping[str, int]
    """Check → comparisons that could have refuted it."""
    unusable: Mapping[str, tuple[str, int]]
    """Check → (why a response that it needs could not be used, number of that exchange)."""
    bound: timedelta

    def doubtful(self) -> Mapping[str, frozenset[int]]:
        """Return what may be right when it is asked again: check → numbers of its last responses.

        Deviations that a view which lags may show, and responses that could not be used.
        """
        found: dict[str, set[int]] = {}
        for attributed in self.attributed:
            deviation = attributed.deviation
            if deviation.unit.last and not deviation.definite:
                found.setdefault(attributed.check, set()).update(deviation.unit.numbers)
        for finding in self.findings:
            if finding.unusable and finding.unit.last:
                for check in finding.affected:
                    found.setdefault(check, set()).update(finding.unit.numbers)
        return {check: frozenset(numbers) for check, numbers in found.items()}

    def with_changed(self, changed: Mapping[int, Exchange]) -> Evaluation:
        """Return the same run evaluated with other responses, by exchange number.

        The readings stay as they are, so that a changed response is held to what the run settled.
        """
        records = tuple(changed.get(r.n, r) if isinstance(r, Exchange) else r for r in self.records)
        return _evaluate(records, self.plan, self.model, self.bound, before=self)


def evaluate(
    records: Iterable[Record], part: str = "", *, before: Evaluation | None = None
) -> Evaluation:
    """Return the evaluation of a journal's records. Raises JudgeBroken without a plan.

    `before`: the evaluation of the same journal when it was shorter. What it found of requests that
    were not made again is taken over; the result is the same.
    """
    records = tuple(records)
    plan = next((r for r in records if isinstance(r, JudgePlan) and r.part == part), None)
    if plan is None:
        raise JudgeBroken("the journal holds no plan: the run ended before it began")
    readings: dict[str, Reading] = {
        r.reading.name: r.reading for r in records if isinstance(r, ReadingSeen)
    }
    reading = Interpretation.of(readings, frozenset(plan.claims))
    told = reading.value_of("freshness-s")
    bound = timedelta(seconds=float(told) if told else UNDECLARED_FRESHNESS_S)
    model = ContractModel(
        history=build_history(records, part),
        reading=reading,
        graph=plan.graph,
        read_only=plan.level == 0,
    )
    return _evaluate(records, plan, model, bound, before=before)


def _evaluate(
    records: tuple[Record, ...],
    plan: JudgePlan,
    model: ContractModel,
    bound: timedelta,
    *,
    before: Evaluation | None,
) -> Evaluation:
    units = collect_units(records, model.history.clock, bound, plan.part)
    model = replace(model, ids=collect_ids(units))
    if model.read_only and not model.inferred.known:
        model = replace(model, inferred=infer(model.history, units))
    accounts = read_accounts(model, units)
    model = replace(model, shared=any(state.shared for state in accounts.values()))
    findings = _judge_units(model, accounts, units, bound, before)
    if units:
        whole_run = replace(units[-1], stage="", ask="")
        findings += [judge_rate(records, whole_run), judge_locks(records, whole_run)]
    attributed, made = attribute(model, findings, bound)
    evidence = dict(made)
    unusable: dict[str, tuple[str, int]] = {}
    for finding in findings:
        for check, amount in finding.evidence.items():
            evidence[check] = evidence.get(check, 0) + amount
        if finding.unusable and finding.unit.last:
            first = next(iter(finding.unusable.items()))
            for check in finding.affected:
                unusable.setdefault(check, first)
    _visibility(model, findings, evidence)
    return Evaluation(
        plan=plan,
        model=model,
        hooks=tuple(r for r in records if isinstance(r, Hook)),
        records=records,
        findings=tuple(findings),
        attributed=tuple(attributed),
        evidence=evidence,
        unusable=unusable,
        bound=bound,
    )


def _judge_units(
    model: ContractModel,
    accounts: AccountStates,
    units: Sequence[JudgedRequest],
    bound: timedelta,
    before: Evaluation | None,
) -> list[RequestFinding]:
    """Findings of all units; those of units that did not change are taken over.

    Account figures rest on other responses (the baseline), and retrieves on the ids that searches
    showed: those are judged again where such a response changed.
    """
    kept: dict[tuple[str, str, int], RequestFinding] = {}
    fresh: set[str] = set()
    if before is not None:
        kept = {(f.unit.stage, f.unit.ask, f.unit.attempts): f for f in before.findings}
        known = [(kept.get((u.stage, u.ask, u.attempts)), u) for u in units]
        changed = [u for old, u in known if old is not None and not _same(old, u)]
        for unit in changed:
            fresh |= _touched_by(resource_path(unit.first))
    findings = []
    for unit in units:
        if not unit.last and not _past(model, unit, bound):
            continue
        old = kept.get((unit.stage, unit.ask, unit.attempts))
        path = resource_path(unit.first)
        if old is not None and _same(old, unit) and not _rests_on(path, fresh):
            findings.append(old)
        else:
            findings.append(judge_unit(model, accounts, unit))
    return findings


def _same(finding: RequestFinding | None, unit: JudgedRequest) -> bool:
    return (
        finding is not None
        and finding.unit.last is unit.last
        and len(finding.unit.exchanges) == len(unit.exchanges)
        and all(one is two for one, two in zip(finding.unit.exchanges, unit.exchanges, strict=True))
    )


def _touched_by(path: str) -> set[str]:
    resource, _, action = path.partition("/")
    if action == "search" and resource == "log_summary":
        return {resource, "account"}
    if action in ("search", "summary"):
        return {resource, "account"}
    return set()


def _rests_on(path: str, fresh: set[str]) -> bool:
    resource, _, action = path.partition("/")
    if "/retrieve/" in f"/{path}/" and resource in fresh:
        return True
    account = ("residential", "mobile", "residential_ledger", "mobile_ledger", "customer")
    return "account" in fresh and resource in account and action != ""


def _past(model: ContractModel, unit: JudgedRequest, bound: timedelta) -> bool:
    written = model.history.last_write(unit.op)
    return written is None or unit.asked_at - written >= bound


def _visibility(
    model: ContractModel, findings: Sequence[RequestFinding], evidence: dict[str, int]
) -> None:
    """Evidence for FRESH and MONOTONE: views that show what was just written, read repeatedly."""
    asked: dict[tuple[str, str], int] = {}
    for finding in findings:
        if finding.deviations or finding.unusable or not finding.seen_cells:
            continue
        if any(finding.seen_cells.values()):
            evidence["events-are-soon-visible"] = evidence.get("events-are-soon-visible", 0) + 1
        key = (finding.unit.stage, finding.unit.ask.partition(" #")[0])
        asked[key] = asked.get(key, 0) + 1
    repeated = sum(count - 1 for count in asked.values() if count > 1)
    evidence["reads-never-go-backwards"] = evidence.get("reads-never-go-backwards", 0) + repeated
