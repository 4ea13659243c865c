"""Plots: well-formed, inside their frame, with gaps where nothing was measured."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.factory import load_result
from trueup.reports.metrics.load_metrics import load_figures
from trueup.reports.renderers.plots import (
    Band,
    Limit,
    Points,
    RateStep,
    percentile_plot,
    rate_steps_plot,
    thinned,
    ticks,
    time_plot,
)


def points(svg: str) -> list[tuple[float, float]]:
    pairs = re.findall(r'points="([^"]*)"', svg)
    return [tuple(map(float, p.split(","))) for pair in pairs for p in pair.split()]  # type: ignore[misc]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=20))
def test_every_point_is_inside_the_picture(values: list[float]) -> None:
    """Whatever was measured; values that are not numbers leave a gap."""
    measured = [(float(t), abs(value)) for t, value in enumerate(values)]
    svg = str(time_plot([measured], label="events", title="events/s", end_s=len(values)))
    if not any(map(math.isfinite, values)):
        assert svg == ""
        return
    Xml.fromstring(svg)
    for x, y in points(svg):
        assert 0 <= x <= 480
        assert -0.1 <= y <= 180
    assert len(set(points(svg))) <= sum(map(math.isfinite, values))


def test_the_percentile_curve_rises() -> None:
    """More patience, more requests: y never falls as the share grows."""
    made = load_figures(load_result())
    curve = points(str(percentile_plot([made.response])))
    assert len(curve) > 20
    assert all(a[0] < b[0] and a[1] >= b[1] for a, b in itertools.pairwise(curve))


def plot(measured: Points, end_s: float | None = None, **options: Any) -> str:
    length = float(len(measured)) if end_s is None else end_s
    return str(time_plot([measured], label="E", title="y", end_s=length, **options))


def test_nothing_measured_draws_nothing() -> None:
    """An empty plot would look like a result."""
    assert percentile_plot([]) == ""
    assert plot([]) == ""
    assert plot([(0.0, None)]) == ""
    assert rate_steps_plot([], low=None, high=None) == ""


@pytest.mark.parametrize(("usual", "odd"), [(2.0, 900.0), (900.0, 0.0)], ids=["slow", "stalled"])
def test_a_long_run_keeps_its_highest_and_its_lowest_second(usual: float, odd: float) -> None:
    """Ten hours are drawn with no more points than the picture is wide; one odd second stays."""
    measured = [(float(t), odd if t == 20_001 else usual) for t in range(36_000)]
    drawn = points(plot(measured))
    assert len(drawn) <= 480
    levels = Counter(y for _, y in drawn)
    assert len(levels) == 2
    assert min(levels.values()) == 1


def test_a_stretch_is_drawn_in_the_order_of_its_times() -> None:
    """The lowest before the highest where it came before, and the other way round."""
    measured: Points = [(float(t), float(t % 2)) for t in range(1000)]
    (part,) = thinned(measured)
    assert part == sorted(part)
    assert {value for _, value in part} == {0.0, 1.0}


def test_seconds_without_a_response_break_the_line() -> None:
    """A stall is a gap between two lines, and a second alone between gaps is a dot."""
    measured: Points = [(float(t), None if 3 <= t < 6 or t == 7 else 1.0) for t in range(10)]
    svg = plot(measured)
    lines = re.findall(r'<polyline class="series s0" points="([^"]*)"', svg)
    assert [len(line.split()) for line in lines] == [3, 2, 2]
    assert len(set(lines[1].split())) == 1


def test_limits_plan_bands_and_titles_are_drawn() -> None:
    """Each with a class of its own; words are escaped; all stay within the axes."""
    svg = plot(
        [(float(t), 5.0) for t in range(10)],
        limits=[Limit(value=40.0, word="a<b")],
        steps=[(0.0, 10.0), (5.0, 20.0)],
        bands=[Band(start=0, end=2, kind="warmup"), Band(start=4, end=4.01, kind="silent")],
    )
    Xml.fromstring(svg)
    assert '<text class="title" x="2" y="12">y</text>' in svg
    assert ">seconds from the start</text>" in svg
    assert ">a&lt;b</text>" in svg
    assert svg.count("<rect") == 2
    assert 'width="1.5"' in svg
    (plan,) = re.findall(r'class="planned" points="([^"]*)"', svg)
    assert len(plan.split()) == 4
    assert all(24 <= y <= 140 for _, y in points(svg))


def test_the_steps_of_a_search_are_drawn_by_outcome() -> None:
    """A circle a step, the ends as lines."""
    steps = [RateStep(rate=rate, kind=kind) for rate, kind in ((10, "met"), (20, "missed"))]
    svg = str(rate_steps_plot([*steps, RateStep(rate=15, kind="open")], low=10, high=None))
    Xml.fromstring(svg)
    kinds = re.findall(r'class="step (\w+)"', svg)
    assert kinds == ["met", "missed", "open"]
    assert svg.count('<line class="limit"') == 1
    assert "3 steps, 1 met the limits" in svg


@pytest.mark.parametrize(("highest", "last"), [(0, 1), (7, 8), (97, 100), (1e6, 1e6), (0.03, 0.03)])
def test_ticks_are_round_and_reach_the_highest(highest: float, last: float) -> None:
    """From 0, in even steps."""
    made = ticks(highest)
    assert made[0] == 0
    assert made[-1] == pytest.approx(last)


def test_marks_stay_within_the_picture_and_lose_their_words_where_they_are_many() -> None:
    """One in the last second is at its end, one after it nowhere; the label names each."""
    measured: Points = [(float(t), 1.0) for t in range(10)]
    drawn = plot(measured, marks=[(9.7, "a<b"), (11.0, "c")])
    assert drawn.count('<line class="mark"') == 1
    assert "E; highest 1; a&lt;b at 10 s" in drawn
    assert 'x1="468.0"' in plot(measured, marks=[(10.4, "end")])
    many = plot(measured, marks=[(1.0, "m")] * 9)
    assert many.count('<line class="mark"') == 9
    assert ">m</text>" not in many
