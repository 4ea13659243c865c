"""How much of the dimension tables a run has reached: one row for each class of each dimension."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

from trueup.conformance.datasets.dimensions import DIMENSIONS, Dimension, ValueClass
from trueup.conformance.datasets.filter_fields import FIELDS, USES, FilterField
from trueup.conformance.datasets.operations import ClassName, Plan
from trueup.conformance.model import CheckContext
from trueup.reports.results import CoverageRow

__all__ = ["coverage"]

_DIRECTIONS: Final = {"asc": "smallest first", "desc": "largest first"}


def _of_fields(name: str, named: Callable[[FilterField], Iterable[tuple[str, str]]]) -> Dimension:
    """A dimension of requests with the (name, sentence) of each field of each search."""
    return Dimension(
        table="request",
        name=name,
        classes=tuple(
            ValueClass(name=f"{field.endpoint} {one}", sentence=sentence, claim=field.claim)
            for field in FIELDS
            for one, sentence in named(field)
        ),
    )


def _parameters(field: FilterField) -> Iterable[tuple[str, str]]:
    for operator in USES[field.kind]:
        prefix = "" if operator == "exact" else operator
        yield prefix + field.name, f"a filter of {field.endpoint}"


def _orders(field: FilterField) -> Iterable[tuple[str, str]]:
    for direction, words in _DIRECTIONS.items() if field.kind != "id" else ():
        yield f"{field.name}_{direction}", f"rows of {field.endpoint}, {words}"


_PARAMETERS: Final = (_of_fields("parameter", _parameters), _of_fields("order", _orders))
"""Every documented filter with each operator, and every sort order."""


def coverage(
    plan: Plan, context: CheckContext, finished: Collection[str]
) -> tuple[CoverageRow, ...]:
    """Return a row for each class, in the order of the tables.

    `finished`: names of the stages that the run has gone through. A class is reached where a
    finished stage has it.
    """
    planned: dict[ClassName, list[str]] = {}
    for stage in plan.stages:
        for each in stage.classes:
            planned.setdefault(each, []).append(stage.name)
    return tuple(
        _row(own, each, context, plan.depth, planned, finished)
        for own in (*DIMENSIONS, *_PARAMETERS)
        for each in own.classes
    )


def _row(
    own: Dimension,
    each: ValueClass,
    context: CheckContext,
    depth: str,
    planned: dict[ClassName, list[str]],
    finished: Collection[str],
) -> CoverageRow:
    stages = planned.get((own.table, own.name, each.name), [])
    why = ""
    if not stages:
        why = each.missing(context.level, context.claims, context.hooks)
        why = why or f"left out at depth {depth}"
    elif not any(stage in finished for stage in stages):
        why = f"stage {stages[0]} was not reached"
    return CoverageRow(
        table=own.table,
        dimension=own.name,
        name=each.name,
        sentence=each.sentence,
        reached=not why,
        why=why,
    )
