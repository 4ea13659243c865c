"""The rows that a search of log summaries must or may contain, from the cells of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trueup.conformance.contract.findings import Cell, JudgedRequest
from trueup.conformance.contract.matching import SearchCondition, SearchRequest, all_of
from trueup.conformance.contract.model import ContractModel, day_start
from trueup.conformance.contract.sums import CellSum
from trueup.conformance.rows import Row, as_str
from trueup.reports.results import Json

__all__ = [
    "SummaryCandidate",
    "find_candidates",
    "identity_of",
    "sort_values_of",
]


@dataclass(slots=True)
class SummaryCandidate:
    """A row that may be listed: one hostname's, or (hostname empty) the consolidated one."""

    cell: Cell
    total: CellSum
    must: bool


def sort_values_of(
    search: SearchRequest, candidates: Mapping[Cell, SummaryCandidate]
) -> list[Json]:
    """Return the values that a search sorts by; none if the model does not know them."""
    name = search.order.field.name if search.order is not None else ""
    known: dict[str, Callable[[SummaryCandidate], Json]] = {
        "log_summary_requests": lambda one: one.total.requests,
        "log_summary_bytes": lambda one: one.total.bytes,
        "log_summary_network": lambda one: one.cell.network,
        "log_summary_period": lambda one: f"{one.cell.day} 00:00:00",
    }
    value_of = known.get(name)
    return [] if value_of is None else [value_of(each) for each in candidates.values()]


def identity_of(row: Row) -> str:
    """Return the id of a row; empty if it has none."""
    return as_str(row, "log_summary_id") or ""


def find_candidates(
    model: ContractModel, unit: JudgedRequest, search: SearchRequest
) -> dict[Cell, SummaryCandidate]:
    """Return the rows that a search must or may return, by cell."""
    found: dict[Cell, SummaryCandidate] = {}
    users = model.history.users_of(unit.customer) if search.user is None else [search.user]
    for name in users:
        merged: dict[Cell, CellSum] = {}
        for cell, total in model.cells(unit.customer, name, unit.op).items():
            day = day_start(cell.day)
            must_have = model.reading.hostname_must_show(day, unit.now)
            created = unit.now if must_have else model.created(cell, unit.customer, unit.op)
            may_have = must_have or model.reading.hostname_may_show(day, created, unit.now)
            if may_have:
                _offer(found, search, cell, total, sure=must_have)
            if not must_have:
                whole = Cell(cell.user, cell.network, "", cell.day)
                group = merged.setdefault(whole, CellSum())
                if may_have:  # each hostname may be merged already, or stand by itself
                    group.possible += [*total.certain, *total.possible]
                else:
                    group.add(total)
        apart = {(c.network, c.day) for c in found if c.user == name and c.hostname}
        for cell, total in merged.items():
            sure = (cell.network, cell.day) not in apart
            _offer(found, search, cell, total, sure=sure)
    return found


def _offer(
    found: dict[Cell, SummaryCandidate],
    search: SearchRequest,
    cell: Cell,
    total: CellSum,
    *,
    sure: bool,
) -> None:
    """Add a row that must or may be listed, unless the filters keep it out."""
    values: dict[str, Json] = {
        "proxy_user_id": cell.user,
        "log_summary_network": cell.network,
        "log_summary_hostname": cell.hostname or None,
        "log_summary_period": f"{cell.day} 00:00:00",
    }
    exact = not total.possible and len(total.spellings) < 2

    def holds(condition: SearchCondition) -> bool | None:
        name = condition.field.name
        if name == "log_summary_hostname" and cell.hostname:
            answers = {condition.holds(each) for each in (cell.hostname, *total.spellings)}
            return answers.pop() if len(answers) == 1 else None
        if name in ("log_summary_requests", "log_summary_bytes") and exact:
            return condition.holds(total.requests if name.endswith("requests") else total.bytes)
        return condition.holds(values[name]) if name in values else None

    verdict = all_of(map(holds, search.conditions))
    if verdict is not False:
        must = sure and verdict is True and bool(total.certain)
        found[cell] = SummaryCandidate(cell=cell, total=total, must=must)
