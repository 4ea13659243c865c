"""Faults in search, paging and sorting: G."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from trueup.reference.behaviour import Row
from trueup.reference.mutants.mutant import Mutant, swap
from trueup.reference.query import Between, Condition, Equal, Like, Sort
from trueup.reference.resources import Resource, ResourceKind

__all__ = ["FAULTS"]

_CAP: Final = 100


def _repeat_last(page: int, per_page: int, total: int) -> tuple[int, int]:
    last = max(1, -(-total // per_page))
    return (min(page, last) - 1) * per_page, per_page


def _capped(page: int, per_page: int, _total: int) -> tuple[int, int]:
    offset = (page - 1) * per_page
    return offset, max(0, min(per_page, _CAP - offset))


def _each(change: Any) -> Any:
    """A decision that changes every condition; None drops it."""

    def conditions(_resource: Resource, given: tuple[Condition, ...]) -> tuple[Condition, ...]:
        changed = (change(condition) for condition in given)
        return tuple(condition for condition in changed if condition is not None)

    return conditions


def _no_network(condition: Condition) -> Condition | None:
    return None if condition.field.name in ("log_network", "log_summary_network") else condition


def _wild(condition: Condition) -> Condition:
    if isinstance(condition, Equal) and not condition.negated:
        return Like(field=condition.field, pattern=condition.value)
    return condition


def _above(condition: Condition) -> Condition:
    if isinstance(condition, Between) and condition.low is not None and condition.high is None:
        step = 1_000_000 if condition.field.kind is ResourceKind.INSTANT else 1
        return replace(condition, low=condition.low + step)
    return condition


def _below(condition: Condition) -> Condition:
    if isinstance(condition, Between) and condition.high is not None and condition.low is None:
        step = 1_000_000 if condition.field.kind is ResourceKind.INSTANT else 1
        return replace(condition, high=condition.high - step)
    return condition


def _no_not(condition: Condition) -> Condition | None:
    if isinstance(condition, Between | Equal) and condition.negated:
        return None
    return condition


def _beginning(condition: Condition) -> Condition:
    if isinstance(condition, Like):
        return replace(condition, pattern=condition.pattern.lstrip("%"))
    return condition


def _another(resource: str, action: str, row: Row) -> Row:
    if action != "retrieve":
        return row
    if resource == "log":
        return {**row, "log_total_bytes": row["log_total_bytes"] + 1}
    if resource == "log_summary":
        return {**row, "log_summary_requests": row["log_summary_requests"] + 1}
    return row


def _as_text(_resource: Resource, sort: Sort) -> Sort:
    if sort.field is None or sort.field.kind is not ResourceKind.INTEGER:
        return sort
    return replace(sort, field=replace(sort.field, column=f"CAST({sort.field.column} AS TEXT)"))


FAULTS: Final[tuple[Mutant, ...]] = (
    swap(
        "G1",
        "One row is lost at each page boundary.",
        window=lambda page, per_page, _total: ((page - 1) * (per_page + 1), per_page),
    ),
    swap(
        "G2",
        "The last row of a page is also the first of the next.",
        window=lambda page, per_page, _total: ((page - 1) * max(1, per_page - 1), per_page),
    ),
    swap("G3", "Rows with equal keys come in another order each time.", stable_ties=False),
    swap("G4", "The network filter is ignored.", conditions=_each(_no_network)),
    swap("G5", "total_count is the number of rows on the page.", total=lambda _total, items: items),
    swap(
        "G6",
        "Searches silently end after 100 rows and say that there are no more.",
        window=_capped,
        total=lambda total, _items: min(total, _CAP),
    ),
    swap(
        "G7",
        "Descending order is ignored.",
        sort=lambda _resource, sort: replace(sort, descending=False),
    ),
    swap("G8", "Retrieve shows other numbers than search.", present=_another),
    swap(
        "G9",
        "Exact filters take % and _ as wildcards.",
        conditions=_each(_wild),
        escape_like=False,
    ),
    swap("G10", "A page past the end repeats the last one.", window=_repeat_last),
    swap("N24", "A filter min_ leaves out the value itself.", conditions=_each(_above)),
    swap("N25", "A filter max_ leaves out the value itself.", conditions=_each(_below)),
    swap("N26", "A filter not_ is ignored.", conditions=_each(_no_not)),
    swap("N27", "A filter like_ looks at the beginning only.", conditions=_each(_beginning)),
    swap("N28", "Numbers are sorted as text.", sort=_as_text),
    swap(
        "N29",
        "total_count is one too low wherever there is more than one page.",
        total=lambda total, items: total - 1 if total > items else total,
    ),
)
