"""Evaluate a journal by the contract: build the model, compare responses, attribute deviations.

`evaluate` is a pure function of the records. `Evaluation.with_changed` evaluates the same run with
some responses exchanged, and compares again only the requests that the change concerns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from trueup.conformance.contract.account_states import AccountStates, read_accounts
from trueup.conformance.contract.causes import AttributedDeviation, attribute
from trueup.conformance.contract.check_names import FRESH, MONOTONE
from trueup.conformance.contract.fields import LOG_FIELDS
from trueup.conformance.contract.filled_fields import FilledFields, collect_filled
from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.history import build_history
from trueup.conformance.contract.inferred import infer
from trueup.conformance.contract.interpretation import Interpretation, freshness_s
from trueup.conformance.contract.limits import judge_locks, judge_rate
from trueup.conformance.contract.matching import parse_search
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.paths import resource_path
from trueup.conformance.contract.proxied import judge_proxied
from trueup.conformance.contract.responses import (
    collect_ids,
    collect_units,
    judge_unit,
)
from trueup.conformance.errors import JudgeBroken
from trueup.conformance.model import POOLS
from trueup.reports.journal.records import Exchange, Hook, JudgePlan, ReadingSeen, Record
from trueup.reports.results import Reading

__all__ = ["Evaluation", "evaluate"]


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
    accounts: AccountStates
    settled: bool = False
    """Whether last attempts count as asked so late that no view may lag any more."""

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

        Only what the changed responses touch is judged again; the result is that of `evaluate` on
        the changed records. At level 0, and where a response to a change of a proxy user differs,
        the history itself follows from the responses, and everything is judged again.
        """
        records = tuple(changed.get(r.n, r) if isinstance(r, Exchange) else r for r in self.records)
        if self.model.read_only or any(each.method != "GET" for each in changed.values()):
            return evaluate(records, self.plan.part, settled=self.settled)
        kept = None
        if not any(resource_path(each.path).startswith("log/") for each in changed.values()):
            kept = self.model.filled
        return _evaluate(
            records,
            self.plan,
            self.model,
            self.bound,
            before=self,
            settled=self.settled,
            filled=kept,
        )


def evaluate(
    records: Iterable[Record],
    part: str = "",
    *,
    before: Evaluation | None = None,
    settled: bool = False,
) -> Evaluation:
    """Return the evaluation of a journal's records. Raises JudgeBroken without a plan.

    `before`: the evaluation of the same journal when it was shorter. What it found of requests that
    were not made again is taken over, unless readings have changed; the result is the same.
    `settled`: last attempts count as asked after the time for which a view may lag. That is right
    for responses of a target that responds the same each time: a run asks again until that time
    has passed.
    """
    records = tuple(records)
    plan = next((r for r in records if isinstance(r, JudgePlan) and r.part == part), None)
    if plan is None:
        raise JudgeBroken("the journal holds no plan: the run ended before it began")
    readings: dict[str, Reading] = {
        r.reading.name: r.reading for r in records if isinstance(r, ReadingSeen)
    }
    reading = Interpretation.of(readings, frozenset(plan.claims))
    bound = timedelta(seconds=freshness_s({"freshness-s": reading.declared_value("freshness-s")}))
    model = ContractModel(
        history=build_history(records, part),
        reading=reading,
        graph=plan.graph,
        read_only=plan.level < 2,
    )
    if before is not None and before.model.reading != reading:
        before = None
    return _evaluate(records, plan, model, bound, before=before, settled=settled)


def _evaluate(
    records: tuple[Record, ...],
    plan: JudgePlan,
    model: ContractModel,
    bound: timedelta,
    *,
    before: Evaluation | None,
    settled: bool,
    filled: FilledFields | None = None,
) -> Evaluation:
    units = collect_units(records, model.history.clock, plan.part)
    model = replace(model, ids=collect_ids(units))
    if model.read_only and not model.inferred.known:
        model = replace(model, inferred=infer(model.history, units))
    model = replace(model, filled=filled or collect_filled(model.history, units))
    accounts = read_accounts(model, units)
    model = replace(model, shared=any(state.shared for state in accounts.values()))
    findings = _judge_units(model, accounts, units, bound, before)
    if units:
        whole_run = replace(units[-1], stage="", ask="")
        findings += [judge_rate(records, whole_run), judge_locks(records, whole_run)]
    findings += judge_proxied(records, model.reading, model.history.clock)
    attributed, made = attribute(model, findings, bound, settled=settled)
    evidence = dict(made)
    unusable: dict[str, tuple[str, int]] = {}
    for finding in findings:
        for check, amount in finding.evidence.items():
            evidence[check] = evidence.get(check, 0) + amount
        if finding.unusable and finding.unit.last:
            first = next(iter(finding.unusable.items()))
            for check in finding.affected:
                unusable.setdefault(check, first)
    _visibility(findings, evidence)
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
        accounts=accounts,
        settled=settled,
    )


def _judge_units(
    model: ContractModel,
    accounts: AccountStates,
    units: Sequence[JudgedRequest],
    bound: timedelta,
    before: Evaluation | None,
) -> list[RequestFinding]:
    """Findings of all units; those of units that did not change are taken over.

    A finding rests on the responses of its unit and, beside them, on what other responses showed:
    account figures on the baseline and on other users' traffic, retrieves on the ids that searches
    showed, graphs and searches by hostname on whether the account is shared.
    """
    kept: dict[tuple[str, str, int], RequestFinding] = {}
    if before is not None and before.model.shared is model.shared:
        kept = {(f.unit.stage, f.unit.ask, f.unit.attempts): f for f in before.findings}
    findings = []
    for unit in units:
        if not unit.last and model.may_lag(unit, bound):
            continue
        old = kept.get((unit.stage, unit.ask, unit.attempts))
        if (
            old is not None
            and before is not None
            and _same(old.unit, unit)
            and _same_ids(before.model, model, unit)
            and _same_filled(before.model, model, unit)
            and _same_account(before.accounts, accounts, unit)
        ):
            findings.append(old)
        else:
            findings.append(judge_unit(model, accounts, unit))
    return findings


def _same(one: JudgedRequest, two: JudgedRequest) -> bool:
    return (
        one.last is two.last
        and one.before == two.before
        and len(one.exchanges) == len(two.exchanges)
        and all(a is b for a, b in zip(one.exchanges, two.exchanges, strict=True))
    )


def _same_ids(before: ContractModel, model: ContractModel, unit: JudgedRequest) -> bool:
    """Whether searches showed the object that is retrieved to the same customers."""
    resource, _, rest = resource_path(unit.first.path).partition("/retrieve/")
    return not rest or before.ids.get((resource, rest)) == model.ids.get((resource, rest))


def _same_filled(before: ContractModel, model: ContractModel, unit: JudgedRequest) -> bool:
    """Whether fields that were sent without a value, and that are needed here, show the same."""
    one, two = before.filled, model.filled
    if one is two:
        return True
    needed = {"log_status_code", "service_id"}
    if resource_path(unit.first.path) == "log/search":
        search = parse_search(unit.first.query, LOG_FIELDS)
        needed = {condition.field.name for condition in search.conditions}
        needed |= {search.order.field.name} if search.order is not None else set()
    return one.of(needed) == two.of(needed)


def _same_account(before: AccountStates, accounts: AccountStates, unit: JudgedRequest) -> bool:
    """Whether account figures are held to the same baseline, and to the same use by others."""
    resource = resource_path(unit.first.path).partition("/")[0]
    pools = [pool for pool in POOLS if resource in (pool, f"{pool}_ledger", "customer")]
    for pool in pools:
        one, two = (states.get((unit.customer, pool)) for states in (before, accounts))
        if one is None or two is None:
            if one is not two:
                return False
        elif one.basis(unit.stage) != two.basis(unit.stage):
            return False
    return True


def _visibility(findings: Sequence[RequestFinding], evidence: dict[str, int]) -> None:
    """Evidence for FRESH and MONOTONE: views that show what was just written, read repeatedly."""
    asked: dict[tuple[str, str], int] = {}
    for finding in findings:
        if finding.deviations or finding.unusable or not finding.seen_cells:
            continue
        if any(finding.seen_cells.values()):
            evidence[FRESH] = evidence.get(FRESH, 0) + 1
        key = (finding.unit.stage, finding.unit.ask.partition(" #")[0])
        asked[key] = asked.get(key, 0) + 1
    repeated = sum(count - 1 for count in asked.values() if count > 1)
    evidence[MONOTONE] = evidence.get(MONOTONE, 0) + repeated
