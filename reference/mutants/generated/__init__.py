"""Mutants that are generated: mutation points × operators × conditions.

A mutation point is a place where the reference decides or shows something (`ingestion_points`,
`lifecycle_points`, `query_points`, `response_points`, `account_points`); an operator changes a
value of the point's type (`operators`); a condition says when (`conditions`). The whole product has
tens of thousands of mutants, each reachable by its id, `point:operator@condition`.
`generated_mutants` is the part that is tried: of every point as many mutants as its depth allows,
chosen so that each operator and each condition of the point appears before any appears twice. What
is no fault is ruled out by `equivalent`, with a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Final

from trueup.reference.mutants.generated import (
    account_points,
    ingestion_points,
    lifecycle_points,
    query_points,
    response_points,
)
from trueup.reference.mutants.generated.conditions import CONDITIONS, Condition
from trueup.reference.mutants.generated.equivalent import EQUIVALENT, Equivalent
from trueup.reference.mutants.generated.mutation_point import MutationPoint, mutant_of
from trueup.reference.mutants.generated.operators import Operator
from trueup.reference.mutants.mutant import Mutant

__all__ = ["EQUIVALENT", "POINTS", "generated", "generated_mutants", "ruled_out"]

POINTS: Final[tuple[MutationPoint, ...]] = (
    *ingestion_points.POINTS,
    *lifecycle_points.POINTS,
    *account_points.POINTS,
    *query_points.POINTS,
    *response_points.POINTS,
)
"""Every point, in the order of the data's way through the server."""


def mutant_id(point: MutationPoint, operator: Operator, condition: Condition) -> str:
    """Return the id of the mutant of these three."""
    return mutant_of(point, operator, condition).id


def ruled_out(mutant: str) -> Equivalent | None:
    """Return the row that rules out the mutant with this id, or None if it is a fault."""
    return next((row for row in EQUIVALENT if fnmatchcase(mutant, row.pattern)), None)


def _candidates(point: MutationPoint) -> Iterator[tuple[Operator, Condition]]:
    """Every pair of a point that is a fault, in table order."""
    for operator in point.operators:
        for condition in point.conditions:
            if ruled_out(mutant_id(point, operator, condition)) is None:
                yield operator, condition


def _chosen(point: MutationPoint, turn: int) -> Iterator[Mutant]:
    """At most `point.depth` mutants: rare operators and conditions first, ties by `turn`."""
    left = list(_candidates(point))
    used: dict[str, int] = {}
    for number in range(min(point.depth, len(left))):
        shift = (turn + number) * 7 % len(left)
        rotated = left[shift:] + left[:shift]
        operator, condition = min(
            rotated,
            key=lambda pair: (
                used.get(pair[0].name, 0) + used.get(pair[1].name, 0),
                used.get(pair[0].name, 0),
            ),
        )
        left.remove((operator, condition))
        for name in (operator.name, condition.name):
            used[name] = used.get(name, 0) + 1
        yield mutant_of(point, operator, condition)


@cache
def generated_mutants() -> tuple[Mutant, ...]:
    """Return the mutants that are tried, in the order of their points, each id once."""
    return tuple(mutant for turn, point in enumerate(POINTS) for mutant in _chosen(point, turn))


def generated(mutant: str) -> Mutant | None:
    """Return the mutant with this id, also one that is not tried; None if there is none."""
    name, _, rest = mutant.rpartition(":") if "@" not in mutant else mutant.partition(":")
    operator_name, _, condition_name = rest.partition("@")
    condition = CONDITIONS.get(condition_name or "always")
    for point in POINTS:
        if point.id != name or condition not in point.conditions or ruled_out(mutant):
            continue
        for operator in point.operators:
            if operator.name == operator_name:
                return mutant_of(point, operator, condition)
    return None
