"""Covering arrays: every pair and triple that is claimed, and nothing that a constraint forbids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.conformance.datasets.covering import (
    PAIR,
    TRIPLE,
    Constraint,
    Impossible,
    Row,
    cover,
    covered,
    possible,
)
from trueup.conformance.datasets.dimensions import DIMENSIONS, dimension, table

FACTORS = {"size": ("s", "m", "l"), "colour": ("red", "blue"), "shape": ("round", "square")}


def no_large_red(row: Row) -> bool:
    return (row["size"], row["colour"]) != ("l", "red")


NO_LARGE_RED = Constraint(fields=("size", "colour"), allows=no_large_red)

factor_tables = st.lists(st.integers(1, 5), min_size=2, max_size=6).map(
    lambda sizes: {f"f{n}": tuple(f"v{k}" for k in range(size)) for n, size in enumerate(sizes)}
)


@given(factor_tables, st.integers(0, 9))
def test_every_pair_of_values_is_in_some_row(
    factors: dict[str, tuple[str, ...]], seed: int
) -> None:
    rows = cover(factors, seed=seed)
    names = list(factors)
    assert covered(rows, names, PAIR) == possible(factors, names, PAIR)


@given(factor_tables, st.integers(0, 9))
def test_every_triple_of_a_group_is_in_some_row(
    factors: dict[str, tuple[str, ...]], seed: int
) -> None:
    group = list(factors)[:4]
    rows = cover(factors, seed=seed, triples=[group])
    assert covered(rows, group, TRIPLE) == possible(factors, group, TRIPLE)
    assert covered(rows, list(factors), PAIR) == possible(factors, factors, PAIR)


@given(factor_tables, st.integers(0, 9))
def test_no_row_breaks_a_constraint(factors: dict[str, tuple[str, ...]], seed: int) -> None:
    first, second = list(factors)[:2]
    rule = Constraint(
        fields=(first, second),
        allows=lambda row: row[first] == "v0" or row[second] == "v0",
    )
    rows = cover(factors, seed=seed, constraints=[rule])
    assert all(rule.allows(row) for row in rows)
    names = list(factors)
    assert covered(rows, names, PAIR) == possible(factors, names, PAIR, [rule])


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    assert cover(FACTORS, seed=1) == cover(FACTORS, seed=1)
    big = {f"f{n}": tuple("abcdef") for n in range(5)}
    assert cover(big, seed=1) != cover(big, seed=2)


def test_a_pair_that_leaves_no_whole_row_is_left_out() -> None:
    only_square = Constraint(fields=("shape",), allows=lambda row: row["shape"] == "square")
    rows = cover(FACTORS, seed=1, constraints=[only_square, NO_LARGE_RED])
    assert {row["shape"] for row in rows} == {"square"}
    assert ("l", "red") not in {(row["size"], row["colour"]) for row in rows}


def test_constraints_that_leave_no_row_are_an_error() -> None:
    never = Constraint(fields=("size",), allows=lambda _row: False)
    with pytest.raises(Impossible, match="size, colour, shape"):
        cover(FACTORS, seed=1, constraints=[never])


def test_the_array_of_events_is_not_much_longer_than_its_two_largest_dimensions_ask_for() -> None:
    factors = {each.name: each.names for each in table("event") if each.name != "day"}
    rows = cover(factors, seed=7)
    sizes = sorted(len(values) for values in factors.values())
    assert len(rows) <= 1.25 * sizes[-1] * sizes[-2]


def test_every_class_has_a_sentence_and_a_name_of_its_own_within_its_dimension() -> None:
    for each in DIMENSIONS:
        assert len(set(each.names)) == len(each.names)
        assert all(one.sentence for one in each.classes)
    keys = [(each.table, each.name) for each in DIMENSIONS]
    assert len(set(keys)) == len(keys)


def test_a_class_says_what_a_run_lacks_to_reach_it() -> None:
    gone = {each.name: each for each in dimension("event", "delivery").classes}["after-log-gone"]
    assert gone.missing(2, ("deduplication",), ("ingest",)) == "needs level 3"
    assert gone.missing(3, (), ("clock",)) == "`deduplication` is not claimed"
    assert gone.missing(3, ("deduplication",), ("clock",)) == ""
