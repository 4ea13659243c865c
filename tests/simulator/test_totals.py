"""The oracle adds up what the rows say, without keeping them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from reports.facts import CellKey, Counts, HourKey
from simulator.fingerprint import fingerprint
from simulator.totals import add_row, totals
from tests.simulator.fleets import common, fleet

SPARSE = fleet(rate=200 / (6 * 86400), seed=3, customers=(5,))


@settings(max_examples=25, deadline=None)
@given(
    ranges=st.lists(
        st.tuples(st.integers(0, 3_000_000), st.integers(0, 400)), min_size=1, max_size=4
    ),
    sparse=st.booleans(),
)
def test_totals_are_the_sums_of_the_rows(ranges: list[tuple[int, int]], sparse: bool) -> None:
    """Cells and hours, counts and bytes, for any ranges, repeated ones counted twice."""
    some = SPARSE if sparse else common()
    if sparse:
        ranges = [(first % 5000, count % 60) for first, count in ranges]
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
    """The same bytes on every machine, numpy and day. A change here is a new MODEL_VERSION."""
    golden = "cc37b23c3779bdc12e486ee04611803d7cc75e9ea1580b3b7679bcc8d3917769"
    assert fingerprint(fleet(), 20_000) == golden
