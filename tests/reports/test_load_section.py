"""The load section of the page: whole seconds only, stalls, errors by kind, steps of a search."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.reports.factory import PASSES, changed_load, journal, load_result
from tests.reports.test_html import Page
from trueup.reports.journal.records import KneeInterval, KneeStep, LoadResult
from trueup.reports.metrics.load_metrics import load_figures
from trueup.reports.model import build_report
from trueup.reports.renderers.html import render_html
from trueup.reports.renderers.load_section import load_section
from trueup.reports.renderers.next_steps import next_step
from trueup.reports.renderers.result import render_result
from trueup.reports.results import ExitStatus, LoadThreshold
from trueup.reports.verdicts import load_status


def drawn(load: LoadResult, caption: str) -> str:
    """The picture of the chart whose caption begins so."""
    section = load_section(load_figures(load))
    return str(next(chart.svg for chart in section.charts if chart.caption.startswith(caption)))


def heights(svg: str, style: str = "series s0") -> list[float]:
    lines = re.findall(rf'class="{style}" points="([^"]*)"', svg)
    return [float(pair.split(",")[1]) for line in lines for pair in line.split()]


def test_a_last_second_that_is_not_whole_is_not_drawn() -> None:
    """Half a second of responses, and what arrives after the end, is no fall of the rate."""
    rows = tuple(
        {"t": float(t), "requests": 100.0, "events": 100.0, "errors": 0.0, "p99_ms": 2.0}
        for t in range(10)
    )
    late = {"t": 10.0, "requests": 3.0, "events": 3.0, "errors": 0.0, "p99_ms": 900.0}
    load = changed_load(
        load_result(), plan={"duration_s": 10.5}, timeline={"seconds": (*rows, late)}
    )
    assert len(set(heights(drawn(load, "Events accepted")))) == 1
    assert len(heights(drawn(load, "Response times"))) == 10


def test_a_stall_of_a_long_run_is_seen() -> None:
    """500 s without a response in a run of half an hour, and 2 s that thinning could lose."""
    rows = tuple(
        {"t": float(t), "requests": 9.0, "events": 9.0, "errors": 0.0, "p99_ms": 2.0}
        for t in range(1800)
        if not (400 <= t < 900 or t in (1500, 1501))
    )
    load = changed_load(
        load_result(), plan={"duration_s": 1800.0, "warmup_s": 60.0}, timeline={"seconds": rows}
    )
    rates, times = drawn(load, "Events accepted"), drawn(load, "Response times")
    zero = max(heights(rates))
    assert heights(rates).count(zero) > 50
    for svg in (rates, times):
        assert svg.count('<rect class="silent"') == 2
        assert svg.count('<rect class="warmup"') == 1
        assert "502 s without a response" in svg
    assert times.count('class="series s0"') == 2


def test_errors_are_drawn_by_reason_and_the_rarer_ones_share_a_line() -> None:
    errors = {f"reason {n}": ((n, 10 - n),) for n in range(6)}
    load = changed_load(load_result(), timeline={"errors": errors})
    section = load_section(load_figures(load))
    chart = next(one for one in section.charts if one.caption.startswith("Failed attempts"))
    words = [word for key, word in chart.keys if key.startswith("s") and key != "silent"]
    assert words == ["reason 0", "reason 1", "reason 2", "other reasons"]
    assert max(heights(str(chart.svg), "series s3")) > min(heights(str(chart.svg), "series s3"))


def test_plan_and_thresholds_are_lines() -> None:
    """The planned rate in events per second; thresholds on the rate and on response times."""
    thresholds = (
        LoadThreshold(name="response_p99_ms", limit=25.0, value=3.0, unit="ms", ok=True),
        LoadThreshold(name="requests_per_s", limit=1900.0, value=2000.0, unit="1/s", ok=True),
    )
    load = changed_load(
        load_result(), thresholds=thresholds, timeline={"planned": ((0.0, 2000.0),)}
    )
    rates = drawn(load, "Events accepted")
    assert 'class="planned"' in rates
    assert "requests_per_s ≥ 1,900/s" in rates
    assert "response_p99_ms ≤ 25 ms" in drawn(load, "Response times")


def found(low: float | None, high: float | None) -> LoadResult:
    missed = LoadThreshold(name="response_p99_ms", limit=25.0, value=80.0, unit="ms", ok=False)
    steps = (
        KneeStep(rate_rps=100.0, seen="met", events_per_s=9_990.0, p99_ms=2.0),
        KneeStep(rate_rps=12_000.0, seen="missed", p99_ms=80.0, failed=7, missed=(missed,)),
        KneeStep(rate_rps=6_000.0, seen="generator limited"),
    )
    return changed_load(
        load_result(), knee=KneeInterval(low_rps=low, high_rps=high, why="a reason", steps=steps)
    )


def test_every_step_of_a_search_is_a_row_and_a_point_and_in_result_json(tmp_path: Path) -> None:
    report = build_report(journal(tmp_path / "r", PASSES, load=(found(100.0, 12_000.0),)))
    page = render_html(report)
    assert page.count('<circle class="step') == 3
    text = " ".join(Page(page).text.split())
    assert "12,000✗ missed–80.0 ms7response_p99_ms 80 ms, limit 25 ms" in text
    steps = json.loads(render_result(report))["load"][0]["knee_steps"]
    assert [(step["rate_rps"], step["seen"]) for step in steps] == [
        (100.0, "met"),
        (12_000.0, "missed"),
        (6_000.0, "generator limited"),
    ]
    assert steps[1]["missed"][0]["value"] == 80.0


def test_a_search_that_found_no_limit_does_not_conform_in_silence(tmp_path: Path) -> None:
    """Both ends are needed; the screen and the page say what is missing."""
    assert load_status(found(100.0, 12_000.0)) is ExitStatus.CONFORMS
    for load in (found(100.0, None), found(None, 12_000.0), found(None, None)):
        assert load_status(load) is ExitStatus.COULD_NOT_TELL
    report = build_report(journal(tmp_path / "r", PASSES, load=(found(100.0, None),)))
    assert report.exit_status == 2
    assert "what the load was run for" in next_step(report)
    assert "The search found no limit." in Page(render_html(report)).text
