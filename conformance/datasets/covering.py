"""Covering arrays: few rows that contain every pair (or triple) of values at least once.

A greedy generator after the AETG scheme: each row is the best of a few candidates; a candidate
begins with an uncovered tuple and gives every further factor the value that covers most. The seed
determines the result. The meaning of the values is unknown here: rules are given as predicates.

Why not a library (measured on the table of events, 3,831 pairs and 800 triples): covertable takes
1.0 s, allpairspy has no triples within groups; a whole plan may take one second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from random import Random
from typing import Final, TypeAlias

import numpy as np

__all__ = ["PAIR", "TRIPLE", "Constraint", "Impossible", "Row", "cover", "covered", "possible"]

Row: TypeAlias = Mapping[str, str]
"""One value for each factor."""
Tuple: TypeAlias = tuple[tuple[str, str], ...]
"""(factor, value) pairs in the order of the factors."""

PAIR: Final = 2
TRIPLE: Final = 3
CANDIDATES: Final = 4
"""Candidates that are built for each row; more make the array a little shorter."""


class Impossible(ValueError):
    """The constraints leave a factor without a value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Constraint:
    """A rule that every row keeps."""

    fields: tuple[str, ...]
    """The factors that `allows` looks at."""
    allows: Callable[[Row], bool]


def cover(
    factors: Mapping[str, Sequence[str]],
    *,
    seed: int,
    triples: Sequence[Sequence[str]] = (),
    constraints: Sequence[Constraint] = (),
) -> tuple[Row, ...]:
    """Return rows that cover every pair of values that the constraints allow.

    `triples` names groups of factors within which every triple is covered as well. The same
    arguments give the same rows; another seed gives another array. A tuple that cannot be extended
    to a whole row is left out. Raises Impossible where the constraints leave no row at all.
    """
    return _Builder(factors, triples, constraints, Random(seed)).rows()  # noqa: S311


class _Builder:
    """Builds one array: what is still uncovered, and the random numbers."""

    def __init__(
        self,
        factors: Mapping[str, Sequence[str]],
        triples: Sequence[Sequence[str]],
        constraints: Sequence[Constraint],
        random: Random,
    ) -> None:
        self._factors = factors
        self._rules = constraints
        self._random = random
        values = [(name, value) for name, own in factors.items() for value in own]
        self._number = {value: n for n, value in enumerate(values)}
        self._slots: dict[str, range] = {}
        for name, own in factors.items():
            first = sum(len(slot) for slot in self._slots.values())
            self._slots[name] = range(first, first + len(own))
        self._open = np.zeros((len(values), len(values)), dtype=np.int32)
        for one, two in possible(factors, factors, PAIR, constraints):
            self._set_pair(self._number[one], self._number[two], 1)
        self._groups = [[name for name in factors if name in group] for group in triples]
        self._triples = [
            dict.fromkeys(sorted(possible(factors, group, TRIPLE, constraints)))
            for group in self._groups
        ]

    def _set_pair(self, one: int, two: int, value: int) -> None:
        self._open[one, two] = self._open[two, one] = value

    def rows(self) -> tuple[Row, ...]:
        found: list[Row] = []
        while (start := self._uncovered()) is not None:
            candidates = [row for row in self._candidates(start) if row is not None]
            if candidates:
                best = max(candidates, key=self._gain)
                found.append(best)
                self._cover(best)
            else:
                self._drop(start)
        if not found:
            row = self._extend({})
            if row is None:
                raise Impossible(f"the constraints leave no row of {', '.join(self._factors)}")
            found.append(row)
        return tuple(found)

    def _uncovered(self) -> Tuple | None:
        """A tuple that no row covers yet; triples come first. None where all are covered."""
        for group in self._triples:
            if group:
                return self._random.choice(list(group))
        pairs = np.argwhere(np.triu(self._open))
        if not len(pairs):
            return None
        one, two = pairs[self._random.randrange(len(pairs))]
        names = list(self._number)
        return (names[one], names[two])

    def _candidates(self, start: Tuple) -> Iterable[Row | None]:
        return (self._extend(dict(start)) for _ in range(CANDIDATES))

    def _extend(self, row: dict[str, str]) -> Row | None:
        """A whole row that begins with the given values; None where the constraints forbid it."""
        for group in self._triples[1:]:
            joined = next((each for each in group if self._joins(row, each)), ())
            row |= dict(joined)
        if not self._allowed(row):
            return None
        score = np.zeros(len(self._number), dtype=np.int32)
        for value in row.items():
            score += self._open[self._number[value]]
        rest = [name for name in self._factors if name not in row]
        self._random.shuffle(rest)
        for name in rest:
            slot = self._slots[name]
            order = list(range(len(slot)))
            self._random.shuffle(order)
            order.sort(key=lambda n: -int(score[slot[n]]))
            for n in order:
                row[name] = self._factors[name][n]
                if self._allowed(row, name):
                    break
            else:
                return None
            score += self._open[slot[n]]
        return {name: row[name] for name in self._factors}

    def _joins(self, row: Row, triple: Tuple) -> bool:
        """Whether a triple agrees with the values that a row has."""
        return all(row.get(name, value) == value for name, value in triple) and self._allowed(
            {**row, **dict(triple)}
        )

    def _allowed(self, row: Row, name: str = "") -> bool:
        return all(
            rule.allows(row)
            for rule in self._rules
            if (not name or name in rule.fields) and all(field in row for field in rule.fields)
        )

    def _gain(self, row: Row) -> int:
        numbers = [self._number[value] for value in row.items()]
        return int(self._open[np.ix_(numbers, numbers)].sum()) // 2

    def _cover(self, row: Row) -> None:
        numbers = [self._number[value] for value in row.items()]
        self._open[np.ix_(numbers, numbers)] = 0
        for names, group in zip(self._groups, self._triples, strict=True):
            for each in combinations([(name, row[name]) for name in names], TRIPLE):
                group.pop(each, None)

    def _drop(self, start: Tuple) -> None:
        """Give up a tuple that no row can hold."""
        for group in self._triples:
            group.pop(start, None)
        for one, two in combinations(start, PAIR) if len(start) == PAIR else ():
            self._set_pair(self._number[one], self._number[two], 0)


def possible(
    factors: Mapping[str, Sequence[str]],
    names: Iterable[str],
    strength: int,
    constraints: Sequence[Constraint] = (),
) -> frozenset[Tuple]:
    """Return tuples of `strength` (factor, value) pairs among `names` that the constraints allow.

    A constraint is applied where all of its factors are in the tuple.
    """
    found = set()
    for chosen in combinations(names, strength):
        rules = [rule for rule in constraints if set(rule.fields) <= set(chosen)]
        for values in product(*(factors[name] for name in chosen)):
            row = dict(zip(chosen, values, strict=True))
            if all(rule.allows(row) for rule in rules):
                found.add(tuple(row.items()))
    return frozenset(found)


def covered(rows: Iterable[Row], names: Sequence[str], strength: int) -> frozenset[Tuple]:
    """Return the tuples of `strength` (factor, value) pairs among `names` that the rows contain."""
    return frozenset(
        tuple((name, row[name]) for name in chosen)
        for row in rows
        for chosen in combinations(names, strength)
    )
