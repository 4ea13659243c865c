"""Planned times: how many, when, and whose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.simulator.reactor import AS_FAST_AS_POSSIBLE, SHAPES, Schedule, Shape, ShapeError


def planned(shape: Shape, **parts: Any) -> np.ndarray:
    blocks = list(Schedule(shape, **parts).chunks())
    return np.concatenate(blocks) if blocks else np.array([], dtype=np.int64)


@pytest.mark.parametrize("kind", SHAPES)
@given(rate=st.floats(1, 5_000), duration_s=st.floats(0.5, 5))
def test_the_number_of_arrivals_is_the_integral_of_the_rate(
    kind: str, rate: float, duration_s: float
) -> None:
    """Whatever the shape, an even schedule has its integral of arrivals, to the rounding of one."""
    shape = Shape(kind=kind, rate=rate, duration_s=duration_s)
    times = planned(shape)
    assert abs(len(times) - Schedule(shape).total) <= 1
    assert np.all(np.diff(times) >= 0)
    if len(times):
        assert 0 <= times[0] <= times[-1] < duration_s * 1e9


def test_a_constant_rate_is_evenly_spaced() -> None:
    """No bunching: neighbours are one period apart."""
    gaps = np.diff(planned(Shape(kind="constant", rate=1000, duration_s=1)))
    assert np.abs(gaps - 1_000_000).max() <= 2


@given(st.integers(1, 7), st.sampled_from(sorted(SHAPES)))
def test_workers_share_the_arrivals_and_none_is_planned_twice(workers: int, kind: str) -> None:
    """The union of all workers' times is the schedule of one."""
    shape = Shape(kind=kind, rate=300, duration_s=2)
    parts = [planned(shape, worker=k, workers=workers) for k in range(workers)]
    assert sorted(np.concatenate(parts).tolist()) == planned(shape).tolist()


def test_a_poisson_schedule_is_seeded_and_as_dense_as_planned() -> None:
    """Same seed, same times; the count is within five standard deviations of the mean."""
    shape = Shape(kind="ramp", rate=2000, duration_s=10)
    once, again = (planned(shape, poisson=True, seed=3) for _ in range(2))
    assert once.tolist() == again.tolist()
    assert planned(shape, poisson=True, seed=4).tolist() != once.tolist()
    assert abs(len(once) - 10_000) < 5 * 100


def test_a_ramp_puts_three_quarters_into_its_second_half() -> None:
    """The integral of a line from nothing: a quarter, then three quarters."""
    times = planned(Shape(kind="ramp", rate=1000, duration_s=4))
    assert np.mean(times >= 2e9) == pytest.approx(0.75, abs=0.002)


def test_a_spike_is_as_high_as_asked_and_only_there() -> None:
    """Five times the base rate in its tenth of the run."""
    times = planned(Shape(kind="spike", rate=1000, duration_s=10)) / 1e9
    inside = (times >= 5) & (times < 6)
    assert inside.sum() == pytest.approx(1000, abs=2)
    assert (~inside).sum() == pytest.approx(9 * 200, abs=2)


@pytest.mark.parametrize(
    "parts, word",
    [
        ({"kind": "wave", "rate": 1.0, "duration_s": 1.0}, "choose one of"),
        ({"kind": "constant", "rate": 0.0, "duration_s": 1.0}, "more than 0"),
        ({"kind": "constant", "rate": 1.0, "duration_s": 0.0}, "more than 0"),
        ({"kind": "ramp", "rate": 1.0, "duration_s": 1.0, "options": {"x": 1.0}}, "no option"),
    ],
)
def test_a_shape_that_cannot_be_planned_is_refused_with_a_remedy(
    parts: dict[str, Any], word: str
) -> None:
    """The message says what would be right."""
    with pytest.raises(ShapeError, match=word):
        Shape(**parts)


def test_the_closed_shape_needs_no_rate() -> None:
    """As fast as possible has no planned times, so no rate."""
    assert not Shape(kind=AS_FAST_AS_POSSIBLE, rate=0, duration_s=1).open
