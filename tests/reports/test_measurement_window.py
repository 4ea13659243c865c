"""The seconds that count: frozen ones as nothing, warm-up and drain not at all, for everybody."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from tests.reports.factory import PASSES, changed_load, journal, load_result
from tests.reports.test_terminal import screen
from trueup.reports.comparison.compare import Trend, compare
from trueup.reports.errors import JournalError
from trueup.reports.journal.records import (
    EventCounts,
    GeneratorUsage,
    LoadResult,
    LoadTimeline,
    PlannedLoad,
    RequestCounts,
)
from trueup.reports.metrics.load_metrics import load_figures
from trueup.reports.metrics.measurement_window import every_second, per_second, series
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.exports import render_csv, render_prometheus
from trueup.reports.renderers.html import render_html
from trueup.reports.renderers.markdown import render_markdown
from trueup.reports.renderers.result import render_result
from trueup.scenarios.load.thresholds import THRESHOLDS


def row(t: int, events: float = 4000.0, **parts: float) -> dict[str, float]:
    requests = events / 100
    return {"t": float(t), "requests": requests, "events": events, "errors": 0.0} | (
        {"p50_ms": 1.0, "p99_ms": 5.0} | parts
    )


def load(seconds: list[dict[str, float]], **parts: object) -> LoadResult:
    plain = LoadResult(
        plan=PlannedLoad(scenario="steady", shape="constant", duration_s=15.0, warmup_s=2.0),
        generator=GeneratorUsage(engine="e"),
        requests=RequestCounts(completed=int(sum(one["requests"] for one in seconds))),
        events=EventCounts(accepted=int(sum(one["events"] for one in seconds))),
        timeline=LoadTimeline(seconds=tuple(seconds)),
    )
    return changed_load(plain, **parts)


FROZEN = load([row(t) for t in (0, 1, 2, 3, 4, 12, 13, 14)])
"""It stalled from second 5 to second 11: 6 of 13 seconds that count have a response."""
HOLDS_BACK = load(
    [row(t, 300.0) for t in range(10)] + [row(t, 1000.0) for t in range(10, 30)],
    plan={"duration_s": 10.0},
    events={"correct": 23_000},
)
"""It takes 3 requests a second and responds 429 above that: the rest arrives at the end."""


def report(folder: Path, *loads: LoadResult) -> RunReport:
    return build_report(journal(folder, PASSES, load=loads))


def test_a_second_without_a_response_counts_as_zero_events() -> None:
    """4,000 events/s in 6 of 13 seconds are 1,846 a second, not 4,000."""
    assert load_figures(FROZEN).accepted_eps == pytest.approx(24_000 / 13)
    assert THRESHOLDS["events_per_s"].read(FROZEN) == pytest.approx(24_000 / 13)
    assert THRESHOLDS["requests_per_s"].read(FROZEN) == pytest.approx(240 / 13)
    assert series(FROZEN, "events") == [4000.0] * 3 + [0.0] * 7 + [4000.0] * 3


def test_what_is_accepted_after_the_end_or_in_the_warm_up_is_in_no_rate() -> None:
    """300 events/s in the window; 20,000 more in the drain change nothing."""
    made = load_figures(HOLDS_BACK)
    assert (made.counted_s, made.accepted_eps, made.correct_eps) == ((2, 10), 300, 300)
    assert THRESHOLDS["events_per_s"].read(HOLDS_BACK) == 300
    warm = load([row(t, 9000.0 if t < 2 else 300.0) for t in range(15)])
    assert load_figures(warm).accepted_eps == 300


def test_a_run_whose_views_do_not_tie_out_has_no_correct_rate() -> None:
    """No partial credit: 0 correct events are 0 a second, whatever was accepted."""
    for correct in (0, None):
        run = changed_load(HOLDS_BACK, events={"correct": correct})
        assert load_figures(run).correct_eps == correct


@pytest.mark.parametrize(
    ("parts", "counted"),
    [
        ({"timeline": {"stopped_by": "interrupted", "ended_s": 7.4}}, (2, 7)),
        ({"timeline": {"stopped_by": "interrupted"}}, (2, 8)),
        ({}, (2, 15)),
        ({"plan": {"duration_s": 12.5}}, (2, 12)),
        ({"plan": {"warmup_s": 1.5, "duration_s": 6.0}}, (2, 6)),
        ({"timeline": {"ended_s": 99.0}}, (2, 15)),
    ],
)
def test_the_window_ends_where_the_run_was_cut(
    parts: dict[str, object], counted: tuple[int, int]
) -> None:
    """Whole seconds, to the planned end, or to the cut: the last second seen may be a piece."""
    made = load_figures(load([row(t) for t in range(9)], **parts))
    assert made.counted_s == counted
    seen = min(counted[1], 9) - counted[0]
    assert made.accepted_eps == pytest.approx(4000 * seen / (counted[1] - counted[0]))


@pytest.mark.parametrize(
    "parts",
    [
        {"plan": {"duration_s": 1.0, "warmup_s": 0.25}},
        {"plan": {"duration_s": 0.0, "warmup_s": 0.0}},
        {"timeline": {"seconds": ()}},
        {"timeline": {"stopped_by": "interrupted", "seconds": ()}},
    ],
)
def test_a_run_without_a_whole_second_has_no_rate_instead_of_a_wrong_one(
    parts: dict[str, object], tmp_path: Path
) -> None:
    """None in every figure, a sentence that says why, and every report can be made of it."""
    short = changed_load(load([row(0)]), **parts)
    made = load_figures(short)
    assert (made.accepted_eps, made.correct_eps, made.requests_per_s) == (None, None, None)
    assert any("Load for longer" in doubt for doubt in made.doubts)
    told = report(tmp_path / "r", short)
    assert json.loads(render_result(told))["load"][0]["accepted_events_per_s"] is None
    for text in (screen(told), render_markdown(told), render_html(told)):
        assert "accepted events/s, not reconciled" in text
    assert "events_per_second" not in render_prometheus(told)


@pytest.mark.parametrize("length", [8 * 86_400.0, float("inf"), 1e300])
def test_a_record_of_an_impossible_length_is_refused(length: float) -> None:
    """It would be filled with rows of zeros without a bound."""
    with pytest.raises(JournalError, match="claims a run"):
        load_figures(load([row(0)], plan={"duration_s": length}))


def test_a_second_of_errors_alone_has_no_latency() -> None:
    """0.0 ms in the record of a second without a response is not a latency."""
    errors = row(5, 0.0, errors=40.0, p50_ms=0.0, p99_ms=0.0)
    seen = load([row(4), errors, row(6)], plan={"duration_s": 9.0})
    assert series(seen, "p99_ms") == [5.0, 5.0]
    assert series(seen, "events") == [0.0, 0.0, 4000.0, 0.0, 4000.0, 0.0, 0.0]
    assert [one.get("p99_ms") for one in every_second(seen)[4:7]] == [5.0, None, 5.0]
    assert per_second(seen, "errors") == pytest.approx(40 / 7)


def test_a_target_that_stalls_is_worse_than_one_that_responds(tmp_path: Path) -> None:
    """As fast while it responds, but without a response for 7 of 13 seconds: worse."""
    steady = report(tmp_path / "a", load([row(t) for t in range(15)]))
    trends = {
        change.figure: change.trend
        for change in compare(steady, report(tmp_path / "b", FROZEN)).load
    }
    assert trends["events per second"] is Trend.WORSE


@pytest.mark.parametrize(
    "run", [HOLDS_BACK, FROZEN, load_result()], ids=["drain", "frozen", "plain"]
)
def test_all_renderers_give_the_rate_that_the_threshold_is_held_to(
    run: LoadResult, tmp_path: Path
) -> None:
    """Screen, page, JSON, CSV, Prometheus and Markdown: one figure."""
    told = report(tmp_path / "r", run)
    rate = THRESHOLDS["events_per_s"].read(run)
    assert rate is not None
    said = f"{rate:,.0f} {load_figures(run).headline_word}"
    assert said in screen(told)
    assert said in render_markdown(told)
    assert said in " ".join(re.sub(r"<[^>]*>", "", render_html(told)).split())
    document = json.loads(render_result(told))["load"][0]
    assert document["accepted_events_per_s"] == pytest.approx(rate)
    counted = [
        one for one in csv.DictReader(io.StringIO(render_csv(told))) if one["counted"] == "1"
    ]
    assert sum(float(one["events"]) for one in counted) / len(counted) == pytest.approx(rate)
    sample = re.search(r"^trueup_load_accepted_events_per_second\S* (\S+)$",
                       render_prometheus(told), re.M)  # fmt: skip
    assert sample is not None
    assert float(sample[1]) == pytest.approx(rate)


def test_the_csv_has_a_line_for_a_second_without_a_response(tmp_path: Path) -> None:
    """No events, and no latency."""
    rows = list(csv.DictReader(io.StringIO(render_csv(report(tmp_path / "r", FROZEN)))))
    assert [float(one["t"]) for one in rows] == list(range(15))
    assert (rows[7]["events"], rows[7]["p99_ms"], rows[1]["counted"]) == ("0.0", "", "0")
