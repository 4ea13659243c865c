"""How much of the dimension tables a run has reached: one row for each class of each dimension."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from trueup.conformance.datasets.dimensions import DIMENSIONS, Dimension, ValueClass
from trueup.conformance.datasets.filter_fields import FIELDS, USES
from trueup.conformance.datasets.operations import ClassName, Plan
from trueup.conformance.model import CheckContext
from trueup.reports.results import CoverageRow

__all__ = ["coverage"]

_DIRECTIONS: Final = {"asc": "smallest first", "desc": "largest first"}
_PARAMETERS: Final = (
    Dimension(
        table="request",
        name="parameter",
        classes=tuple(
            ValueClass(
                name=f"{field.endpoint} {'' if operator == 'exact' else operator}{field.name}",
                sentence=f"a filter of {field.endpoint}",
                claim=field.claim,
            )
            for field in FIELDS
            for operator in USES[field.kind]
        ),
    ),
    Dimension(
        table="request",
        name="order",
        classes=tuple(
            ValueClass(
                name=f"{field.endpoint} {field.name}_{direction}",
                sentence=f"rows of {field.endpoint}, {words}",
                claim=field.claim,
            )
            for field in FIELDS
            if field.kind != "id"
            for direction, words in _DIRECTIONS.items()
        ),
    ),
)
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
