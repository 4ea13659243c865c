"""Which generated mutants and which combinations of variants are tried. Deterministic by a seed.

A sample of generated mutants is systematic: one of every n in the order of their mutation points,
from a start that the seed draws, so that each kind of mutant has its share. Combinations of
variants are the rows of a covering array: any two variants that can be true at once are in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import reduce
from itertools import combinations
from random import Random
from typing import Final, TypeVar

import msgspec

from trueup.conformance.datasets.covering import Constraint, Row, cover
from trueup.scenarios.embedded.target import TargetOverrides
from trueup.scenarios.mutation.register import MutantEntry, VariantSetup

__all__ = ["combined_setup", "explanation", "sample", "variant_combinations"]

T = TypeVar("T")
_WITH: Final = "with"
_WITHOUT: Final = "without"


def sample(items: Sequence[T], count: int | None, *, seed: int) -> tuple[T, ...]:
    """Return `count` of the items, evenly spread over their order; all where `count` is None."""
    if count is None or count >= len(items):
        return tuple(items)
    if count == 0:
        return ()
    width = len(items) / count
    start = Random(seed).random() * width  # noqa: S311 - a reproducible choice
    return tuple(items[int(start + number * width)] for number in range(count))


def variant_combinations(
    variants: Sequence[MutantEntry], exclusive: Collection[frozenset[str]], *, seed: int
) -> tuple[tuple[str, ...], ...]:
    """Return ids of variants that are tried together, a row a combination.

    Two variants are compatible unless they replace one decision of the reference or are in one
    group of `exclusive`. Every pair of compatible variants is in a row.
    """
    forbidden = [
        Constraint(fields=(one.id, two.id), allows=_not_both(one.id, two.id))
        for one, two in combinations(variants, 2)
        if set(one.replaces) & set(two.replaces)
        or any({one.id, two.id} <= group for group in exclusive)
    ]
    factors = {variant.id: (_WITHOUT, _WITH) for variant in variants}
    rows = cover(factors, seed=seed, constraints=forbidden)
    return tuple(tuple(name for name, value in row.items() if value == _WITH) for row in rows)


def _not_both(one: str, two: str) -> Callable[[Row], bool]:
    return lambda row: _WITHOUT in (row[one], row[two])


def combined_setup(
    ids: Sequence[str], setups: Mapping[str, VariantSetup], *, declared: bool
) -> VariantSetup:
    """Return how a combination is started: what each variant needs, joined.

    `declared`: their readings are in the target file, instead of being probed.
    """
    options = tuple(word for name in ids for word in ("--variant", name))
    each = [setups[name] for name in ids if name in setups]
    overrides = reduce(_joined, (setup.overrides for setup in each), TargetOverrides())
    if declared:
        readings = {key: value for setup in each for key, value in setup.readings.items()}
        overrides = msgspec.structs.replace(overrides, readings=readings)
    return VariantSetup(
        options=(*options, *(word for setup in each for word in setup.options)),
        overrides=overrides,
    )


def _joined(one: TargetOverrides, two: TargetOverrides) -> TargetOverrides:
    return TargetOverrides(
        rate_limit=one.rate_limit if two.rate_limit is None else two.rate_limit,
        without=(*one.without, *two.without),
        graph={**one.graph, **two.graph},
        readings={**one.readings, **two.readings},
    )


def explanation(mutant: str, explained: Mapping[str, str]) -> str:
    """Return why no check can notice a mutant; "" where nothing explains it."""
    reasons = (reason for pattern, reason in explained.items() if fnmatchcase(mutant, pattern))
    return next(reasons, "")
