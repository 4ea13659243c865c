"""A folder of runs over time: what belongs together, what changed, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.command_line import exit_status
from tests.reports.factory import HOSTILE, PASSES, RESULTS, journal, load_result
from tests.reports.test_hostile_content import BIDIRECTIONAL, CONTROL, hostile_report
from tests.reports.test_html import Page
from trueup.reports.errors import ReportError
from trueup.reports.model import build_report
from trueup.reports.renderers.result import render_result
from trueup.reports.renderers.trend import render_trend, trend_text
from trueup.reports.trend import read_trend
from trueup.reports.verdict_styles import VERDICTS


def put(folder: Path, name: str, day: int, *results: Any, **kind: Any) -> None:
    """A run's folder with its result, as if it had started on a day of April 2025."""
    report = build_report(journal(folder / name, results or PASSES, **kind))
    document = json.loads(render_result(report))
    document["started_at"] = f"2025-04-{day:02}T12:00:00Z"
    document["run"] = name
    (folder / name / "result.json").write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs of one series, one of another scenario, and what is no run of this version."""
    load = (load_result(),)
    folder = tmp_path / "runs of april"
    put(folder, "c", 3, load=load)
    put(folder, "a", 1, load=load)
    failing = msgspec.structs.replace(PASSES[0], verdict=RESULTS[0].verdict)
    put(folder, "b", 2, failing, *PASSES[1:], load=(load_result(missed=True),))
    put(folder, "other", 9, scenario="nightly")
    (folder / "empty").mkdir()
    (folder / "old").mkdir()
    (folder / "old" / "result.json").write_text('{"schema_version": 1}')
    (folder / "broken").mkdir()
    (folder / "broken" / "result.json").write_text('{"schema_version": 2}')
    (folder / "latest").symlink_to("c")
    (folder / "trend.html").write_text("")
    return folder


def test_runs_of_one_kind_belong_together_in_the_order_of_time(runs: Path) -> None:
    """The series with the latest run comes first; what is left out is named with the reason."""
    trend = read_trend(runs)
    assert [(one.scenario, [run.run for run in one.runs]) for one in trend.series] == [
        ("nightly", ["other"]),
        ("everything", ["a", "b", "c"]),
    ]
    assert {name: why.partition(":")[0] for name, why in trend.skipped} == {
        "broken": "its result.json cannot be read",
        "empty": "it has no result.json",
        "old": "its result.json has schema 1, not 2",
    }


def test_checks_that_changed_and_figures_are_kept(runs: Path) -> None:
    series = read_trend(runs).series[1]
    assert series.changed == ("keys-required",)
    assert [run.failing for run in series.runs] == [(), ("keys-required",), ()]
    assert [load.events_per_s for load in series.runs[0].load] == [pytest.approx(199_600)]
    assert series.runs[0].load[0].p99_ms == pytest.approx(3.4, rel=0.05)


def test_the_text_has_a_line_for_each_run_and_names_what_changed(runs: Path) -> None:
    text = trend_text(read_trend(runs))
    assert "everything on reference, level 3: 3 runs" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "2025-04-02 12:00 ✗ does not conform 13 of 14 load-steady 199,600/s, p99 3.4 ms" in lines
    assert "verdict changed: keys-required" in lines
    assert "left out: empty: it has no result.json" in lines


def test_the_page_has_charts_the_matrix_of_changes_and_links(runs: Path) -> None:
    html = render_trend(read_trend(runs), base="../x/")
    page = Page(html)
    assert html.count("<svg") == 1 + 3
    assert html.count('class="step missed"') == 3
    assert 'href="../x/b/report.html"' in html
    assert f"{VERDICTS[RESULTS[0].verdict].mark} fail" in page.text
    assert not {"script", "img", "link", "form", "iframe"} & set(page.tags)


def test_untrusted_text_of_a_result_does_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    report = hostile_report(folder / "bad")
    document = json.loads(render_result(report))
    document["scenario"] = HOSTILE
    (folder / "bad" / "result.json").write_text(json.dumps(document), encoding="utf-8")
    trend = read_trend(folder)
    for text in (render_trend(trend), trend_text(trend)):
        assert not set(text) & set(CONTROL + BIDIRECTIONAL)
    assert "<script>" not in render_trend(trend)


def test_the_command_shows_writes_and_refuses(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "pages" / "trend.html"
    assert exit_status("report", "trend", str(runs), "--html", str(page)) == 0
    assert str(page) in capsys.readouterr().out
    assert 'href="../runs%20of%20april/c/report.html"' in page.read_text(encoding="utf-8")
    assert exit_status("report", "trend", str(runs), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["series"][1]["runs"][1]["failing"] == ["keys-required"]
    assert exit_status("report", "trend", str(runs / "empty")) == 4
    assert "no run with a result.json" in capsys.readouterr().err
    with pytest.raises(ReportError, match="cannot be read"):
        read_trend(runs / "nowhere")
