"""Causes of deviations: the check that names each cause, and the checks that only follow from it.

A lost event is missing in the logs, the summaries, the ledger, the graph and the account. Each of
these is a deviation; the first is the cause, and the others are attributed to it. A view follows
from another one if it shows exactly what can be computed from what the other one showed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from trueup.conformance.contract.across_responses import (
    compare_balances,
    compare_constants,
    compare_error_counts,
    compare_optional_fields,
    compare_retrieves,
    compare_with_whole,
)
from trueup.conformance.contract.check_names import CONTENT, HOSTS_KEPT, IMPOSSIBLE, PAGES, REMOVED
from trueup.conformance.contract.findings import Cell, Deviation, RequestFinding
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.presence import find_left_out, find_vanished
from trueup.conformance.contract.proxy_users import find_revived
from trueup.conformance.contract.reassignment import (
    find_healed,
    reassign_days,
    reassign_field,
    reassign_presence,
)
from trueup.conformance.contract.sums import NOTHING
from trueup.reports.results import Counts

__all__ = ["AttributedDeviation", "attribute"]

AGEING: Final = frozenset({REMOVED, HOSTS_KEPT})
"""Rows that stand apart too long, or are merged too early: the sums of both forms follow."""
LOG_CHECKS: Final = frozenset(
    {
        "logs-are-complete",
        "logs-are-single",
        "logs-are-kept",
        "events-survive-a-restart",
        "redelivered-events-count-once",
        "refused-events-leave-nothing",
        IMPOSSIBLE,
        CONTENT,
        "logs-keep-large-sizes",
    }
)


_VIEWS: Final = {"log": "log", "cell": "log_summary"}
"""Topic → view whose rows are wrong: a page of a sorted list has another place in them then."""


@dataclass(frozen=True, slots=True)
class AttributedDeviation:
    """A deviation, its check, and the check of its cause if it only follows from another."""

    deviation: Deviation
    check: str
    cause: str = ""
    lag: bool = False
    """Whether it may only be a view that lags: it was asked too soon after a change."""


def attribute(
    model: ContractModel,
    findings: Sequence[RequestFinding],
    bound: timedelta,
    *,
    settled: bool = False,
) -> tuple[list[AttributedDeviation], Mapping[str, int]]:
    """Charge every deviation of a run; `bound` is how long a view may lag after a change.

    `settled`: last attempts count as asked after that time, whenever they were asked.
    Returns them with the comparisons that were made across responses, by check.
    """
    made: Counter[str] = Counter()
    extra = [
        *compare_retrieves(model, findings, made),
        *compare_optional_fields(model, findings),
        *compare_constants(model, findings, made),
        *compare_error_counts(model, findings, made),
        *find_revived(model, findings, made),
        *find_left_out(findings, made),
        *find_vanished(findings, made),
        *compare_balances(model, findings, made),
        *compare_with_whole(model, findings, made),
    ]
    deviations = [d for finding in findings for d in finding.deviations] + extra
    judged = [d for d in deviations if d.unit.last or not model.may_lag(d.unit, bound)]
    renamed = reassign_days(judged)
    renamed = reassign_presence(renamed, findings)
    renamed = [reassign_field(model, each, findings) for each in renamed]
    healed = find_healed(model, renamed, findings)
    causes = _Causes(renamed, findings)
    found = []
    for deviation in renamed:
        check = healed.get(id(deviation), deviation.check)
        cause = causes.of(deviation) if check == deviation.check else ""
        lag = not (deviation.definite or settled) and model.may_lag(deviation.unit, bound)
        found.append(AttributedDeviation(deviation=deviation, check=check, cause=cause, lag=lag))
    return found, made


class _Causes:
    """Looks a deviation's cause up among the views that it is computed from."""

    def __init__(self, deviations: Sequence[Deviation], findings: Sequence[RequestFinding]) -> None:
        self._cells: dict[tuple[str, str, Cell], tuple[Counts, Counts, str]] = {}
        self._logs: dict[tuple[str, str, str], str] = {}
        self._log_cells: dict[tuple[str, str], Mapping[Cell, Counts]] = {}
        self._usage: dict[tuple[str, str, str], dict[str, tuple[int, str]]] = defaultdict(dict)
        self._listing: dict[tuple[int, ...], str] = {}
        self._paid: dict[tuple[str, str, str], str] = {}
        self._aged: dict[tuple[str, ...], str] = {}
        self._rows: dict[tuple[str, str, str], str] = {}
        for finding in findings:
            for (view, customer, user), cells in finding.seen_cells.items():
                if view == "log":
                    self._log_cells[f"{finding.unit.stage} {customer}", user] = cells
        for deviation in deviations:
            self._note(deviation)

    def _note(self, deviation: Deviation) -> None:
        stage = deviation.unit.stage
        if deviation.topic and deviation.topic[0] in _VIEWS:
            if deviation.check != PAGES:
                self._listing.setdefault(deviation.unit.numbers, deviation.check)
            view = _VIEWS[deviation.topic[0]]
            self._rows.setdefault((stage, deviation.topic[1], view), deviation.check)
        match deviation.topic:
            case ("log", customer, _, _):
                for event in deviation.events:
                    if deviation.check in LOG_CHECKS:
                        self._logs.setdefault((stage, customer, event.user), deviation.check)
            case (
                "field",
                customer,
                _,
                "log_total_bytes"
                | "log_network"
                | "log_hostname"
                | "log_request_datetime"
                | "proxy_user_id",
            ):
                for event in deviation.events:
                    self._logs.setdefault((stage, customer, event.user), deviation.check)
            case ("cell", customer, user, network, _, day) if deviation.check in AGEING:
                self._aged[stage, customer, user, network, day] = deviation.check
            case ("cell", customer, user, network, host, day):
                cell = Cell(user, network, host, day)
                self._cells[stage, customer, cell] = (
                    deviation.expected_counts or NOTHING,
                    deviation.seen_counts or NOTHING,
                    deviation.check,
                )
            case ("usage", customer, pool, day):
                self._usage[stage, customer, pool][day] = (_more_bytes(deviation), deviation.check)
            case ("payment", customer, pool, _):
                self._paid.setdefault((stage, customer, pool), deviation.check)
            case _:
                pass

    def of(self, deviation: Deviation) -> str:
        """The check that names its cause; empty where it is one itself."""
        stage = deviation.unit.stage
        if deviation.check == PAGES and not deviation.topic:
            return self._listing.get(deviation.unit.numbers, "")
        match deviation.topic:
            case ("cell", customer, user, network, host, day):
                aged = self._aged.get((stage, customer, user, network, day), "")
                if aged and deviation.check not in AGEING:
                    return aged
                return self._cell_cause(deviation, stage, customer, Cell(user, network, host, day))
            case ("slice", customer, view):
                return self._rows.get((stage, customer, view), "")
            case ("usage", customer, pool, day):
                return self._sum_cause(deviation, stage, customer, network=pool, day=day)
            case ("used", customer, user, pool):
                return self._sum_cause(deviation, stage, customer, network=pool, user=user)
            case ("account" | "customer", customer, pool):
                usage = self._usage.get((stage, customer, pool), {})
                paid = self._paid.get((stage, customer, pool), "")
                return next((check for _, check in usage.values()), paid)
            case ("graph", customer, user, network, bucket):
                return self._sum_cause(
                    deviation, stage, customer, network=network, user=user, day=bucket[:10]
                )
            case _:
                return ""

    def _cell_cause(self, deviation: Deviation, stage: str, customer: str, cell: Cell) -> str:
        """A sum that is exactly what the logs of its stage add up to is as wrong as they are."""
        logs = self._log_cells.get((f"{stage} {customer}", cell.user))
        check = self._logs.get((stage, customer, cell.user), "")
        if logs is None or not check or deviation.seen_counts is None or not cell.hostname:
            return ""
        shown = logs.get(cell, NOTHING)
        same = shown[:2] == deviation.seen_counts[:2]
        return check if same else ""

    def _sum_cause(
        self,
        deviation: Deviation,
        stage: str,
        customer: str,
        *,
        network: str = "",
        user: str = "",
        day: str = "",
    ) -> str:
        """A sum that is wrong by as much as the summaries that it adds up follows from them."""
        wrong = [
            (have.bytes - want.bytes, have.requests - want.requests, check)
            for (at, of, cell), (want, have, check) in self._cells.items()
            if at == stage
            and of == customer
            and (not network or cell.network == network)
            and (not user or cell.user == user)
            and (not day or cell.day.startswith(day))
        ]
        if not wrong:
            return ""
        if sum(each[0] for each in wrong) == _more_bytes(deviation):
            return wrong[0][2]
        return ""


def _more_bytes(deviation: Deviation) -> int:
    want, have = deviation.expected_counts or NOTHING, deviation.seen_counts or NOTHING
    return have.bytes - want.bytes
