"""Plots: well-formed, inside their frame, with gaps where nothing was measured."""

from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.factory import load_result
from trueup.reports.metrics.load_metrics import load_figures
from trueup.reports.renderers.plots import percentile_plot, seconds_plot, ticks


def points(svg: str) -> list[tuple[float, float]]:
    pairs = re.findall(r'points="([^"]*)"', svg)
    return [tuple(map(float, p.split(","))) for pair in pairs for p in pair.split()]  # type: ignore[misc]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=20))
def test_every_point_is_inside_the_picture(values: list[float]) -> None:
    """Whatever was measured; values that are not numbers leave a gap."""
    seconds = [{"t": float(t), "events": abs(value)} for t, value in enumerate(values)]
    svg = str(seconds_plot(seconds, ["events"], label="events"))
    Xml.fromstring(svg)
    for x, y in points(svg):
        assert 0 <= x <= 480
        assert -0.1 <= y <= 150
    assert len(points(svg)) == sum(map(math.isfinite, values))


def test_the_percentile_curve_rises() -> None:
    """More patience, more requests: y never falls as the share grows."""
    made = load_figures(load_result())
    curve = points(str(percentile_plot([made.response])))
    assert len(curve) > 20
    assert all(a[0] < b[0] and a[1] >= b[1] for a, b in itertools.pairwise(curve))


def test_nothing_measured_draws_nothing() -> None:
    """An empty plot would look like a result."""
    assert percentile_plot([]) == ""
    assert seconds_plot([], ["events"], label="events") == ""
    assert seconds_plot([{"t": 0.0}], ["events"], label="events") == ""


def test_a_long_run_keeps_its_worst_second() -> None:
    """Ten hours are drawn with no more points than the picture is wide; a spike stays."""
    seconds = [{"t": float(t), "p99_ms": 900.0 if t == 20_001 else 2.0} for t in range(36_000)]
    drawn = points(str(seconds_plot(seconds, ["p99_ms"], label="p99")))
    assert len(drawn) <= 480
    heights = sorted(y for _, y in drawn)
    assert heights[0] < heights[1] - 50


@pytest.mark.parametrize(("highest", "last"), [(0, 1), (7, 8), (97, 100), (1e6, 1e6), (0.03, 0.03)])
def test_ticks_are_round_and_reach_the_highest(highest: float, last: float) -> None:
    """From 0, in even steps."""
    made = ticks(highest)
    assert made[0] == 0
    assert made[-1] == pytest.approx(last)


def test_marks_stay_within_the_picture_and_lose_their_words_where_they_are_many() -> None:
    """One in the last second is at its end, one after it nowhere; the label names each."""
    seconds = [{"t": float(t), "events": 1.0} for t in range(10)]
    drawn = str(seconds_plot(seconds, ["events"], label="E", marks=[(9.7, "a<b"), (11.0, "c")]))
    assert drawn.count('<line class="mark"') == 1
    assert 'x1="468.0"' in drawn
    assert "E; highest 1; a&lt;b at 10 s" in drawn
    many = str(seconds_plot(seconds, ["events"], label="E", marks=[(1.0, "m")] * 9))
    assert many.count('<line class="mark"') == 9
    assert ">m</text>" not in many
