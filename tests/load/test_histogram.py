"""The histogram against exact percentiles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.reports.metrics.histogram import Histogram, bucket_bounds, bucket_of

values = st.lists(st.integers(1, 2**52), min_size=1, max_size=300)


@given(values, st.floats(0, 1))
def test_a_percentile_is_within_the_stated_error_of_the_exact_one(
    found: list[int], share: float
) -> None:
    """The nearest-rank percentile is read to within 0.4 %."""
    histogram = Histogram()
    histogram.add(np.array(found, dtype=np.int64))
    exact = sorted(found)[max(math.ceil(share * len(found) - 1e-9), 1) - 1]
    assert histogram.percentile(share) == pytest.approx(exact, rel=0.004)


@given(values, values)
def test_merging_two_histograms_is_the_same_as_adding_all_values_to_one(
    one: list[int], other: list[int]
) -> None:
    """Nothing is lost over workers, nor on the way through JSON."""
    parts = [Histogram(), Histogram()]
    for part, found in zip(parts, (one, other), strict=True):
        part.add(np.array(found, dtype=np.int64))
    parts[0].merge(Histogram.from_sparse(parts[1].sparse()))
    together = Histogram()
    together.add(np.array(one + other, dtype=np.int64))
    assert parts[0].sparse() == together.sparse()
    assert parts[0].count == len(one) + len(other)


@given(st.integers(1, 2**52))
def test_the_vector_and_the_plain_way_agree_on_the_bucket(value: int) -> None:
    """The bits of the double and the plain integer arithmetic give one bucket, which holds it."""
    histogram = Histogram()
    histogram.add(np.array([value]))
    assert histogram.sparse() == {str(bucket_of(value)): 1}
    low, high = bucket_bounds(bucket_of(value))
    assert low <= value < high


def test_an_empty_histogram_has_no_percentile() -> None:
    """No values, no figure: never a zero."""
    assert Histogram().percentile(0.5) is None
    assert Histogram().mean() is None


def test_the_rule_of_ranks_is_exact_where_interpolating_sketches_fail() -> None:
    """Whole milliseconds with a gap at the 95th percentile (the data of gatling#4715 in kind)."""
    histogram = Histogram()
    histogram.add(np.array([100] * 95 + [1502] * 7))
    assert histogram.percentile(0.95) == pytest.approx(1502, rel=0.004)
