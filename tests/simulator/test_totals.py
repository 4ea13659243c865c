"""Totals equal the sums of the rows; the fingerprint does not depend on how it is computed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.fleets import common, fleet
from trueup.reports.results import CellKey, Counts, HourKey
from trueup.simulator.fingerprint import blocks, combine, digest, fingerprint
from trueup.simulator.totals import add_row, totals

SPARSE = fleet(rate=200 / (6 * 86400), seed=3, customers=(5,))


@pytest.mark.slow
@settings(max_examples=20)
@given(
    ranges=st.lists(
        st.tuples(st.integers(0, 3_000_000), st.integers(0, 400)), min_size=1, max_size=4
    ),
    sparse=st.booleans(),
)
def test_totals_equal_the_sums_of_the_rows(ranges: list[tuple[int, int]], sparse: bool) -> None:
    """Cells and hours, counts and bytes, for any ranges; repeated ones count twice."""
    some = SPARSE if sparse else common()
    if sparse:
        ranges = [(first % 1000, count % 30) for first, count in ranges]
    cells: dict[CellKey, Counts] = {}
    hours: dict[HourKey, Counts] = {}
    for first, count in ranges:
        for row in some.batch(first, count).rows():
            add_row(cells, hours, row)
    found = totals(some, ranges)
    assert found.cells == cells
    assert found.hours == hours
    assert found.events == sum(count for _first, count in ranges)


def test_the_fingerprint_is_the_one_that_was_committed() -> None:
    """The same bytes on every machine and numpy. A change here needs a new MODEL_VERSION."""
    golden = "b0b9c3da9968a501b6258213e0580a2ce8bb3aa8b158322ca84c5859a0a50b72"
    assert fingerprint(fleet(), 20_000) == golden


def test_totals_of_a_day_equal_the_sums_of_its_rows() -> None:
    """Coverage events, targets, other hostnames and probes in one range."""
    cells: dict[CellKey, Counts] = {}
    hours: dict[HourKey, Counts] = {}
    for row in common().batch(0, 4000).rows():
        add_row(cells, hours, row)
    found = totals(common(), [(0, 1000), (1000, 3000)])
    assert (found.cells, found.hours) == (cells, hours)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 4])
def test_the_fingerprint_does_not_depend_on_the_number_of_workers(workers: int) -> None:
    assert fingerprint(fleet(), 40_000, workers) == fingerprint(common(), 40_000)


def test_the_fingerprint_does_not_depend_on_the_order_of_drawing() -> None:
    """Blocks drawn backwards by a new fleet have the same hash."""
    some = fleet()
    backwards = {block: digest(some, block) for block in reversed(blocks(20_000))}
    found = combine(backwards[block] for block in blocks(20_000))
    assert found == fingerprint(common(), 20_000)
    assert found != fingerprint(common(), 19_999)
