"""What a run could not have noticed is shown wherever the run is."""

from __future__ import annotations

import io
import json
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from tests.reports.factory import PASSES, journal
from trueup.reports.metrics.sensitivity import BlindSpot, Sensitivity, Share
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.html import render_html
from trueup.reports.renderers.result import render_result, result_schema
from trueup.reports.renderers.sensitivity import sensitivity_text
from trueup.reports.renderers.terminal import render_terminal

MEASURED = Sensitivity(
    run="r",
    seed=1,
    enumerated=900,
    mutants=100,
    noticed=72,
    doubted=3,
    explained=10,
    stages=(
        Share(view="log", by="inject", noticed=40, mutants=50),
        Share(view="log", by="money", noticed=32, mutants=50),
    ),
    fields=(Share(view="log", by="log_id", noticed=72, mutants=100),),
    laws={"LOG=SENT": 72},
    blind_spots=(
        BlindSpot(
            view="log",
            field="asn_id",
            operator="zero",
            stages=("inject",),
            customers=("a",),
            mutants=18,
            tried=20,
            example="zero: asn_id of log <b>1</b>: 0 instead of 1299",
        ),
        BlindSpot(
            view="envelope",
            field="search message",
            operator="text case",
            stages=("inject",),
            customers=("a", "b"),
            mutants=10,
            tried=10,
            example="text case: …",
            why="The text is free.",
            source="S17",
        ),
    ),
)


@pytest.fixture
def report(tmp_path: Path) -> RunReport:
    return build_report(journal(tmp_path, results=PASSES), MEASURED)


def screen(report: RunReport) -> str:
    raw = io.StringIO()
    render_terminal(report, Console(file=raw, width=80))
    return raw.getvalue()


def test_the_screen_says_the_share_and_what_could_not_have_been_noticed(report: RunReport) -> None:
    """Of those that can be judged: 72 of 90."""
    text = screen(report)
    assert "72 of 90 judgeable changes of its responses noticed (80 %)" in text
    assert "this run could not have noticed: log: asn_id" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_run_that_was_not_measured_shows_nothing_of_it(tmp_path: Path) -> None:
    plain = build_report(journal(tmp_path, results=PASSES))
    assert "SENSITIVITY" not in screen(plain)
    assert 'id="sensitivity"' not in render_html(plain)
    assert json.loads(render_result(plain))["sensitivity"] is None


def test_result_json_keeps_to_its_schema_and_names_the_blind_fields(report: RunReport) -> None:
    document = json.loads(render_result(report))
    jsonschema.validate(document, result_schema())
    assert document["sensitivity"]["blind_fields"] == ["log: asn_id"]
    assert document["sensitivity"]["unexplained"] == 18
    assert document["sensitivity"]["views"] == [{"view": "log", "noticed": 72, "mutants": 100}]


def test_the_page_lists_blind_spots_escaped_and_explained(report: RunReport) -> None:
    page = render_html(report)
    assert 'id="sensitivity"' in page
    assert 'href="#sensitivity"' in page
    assert "<b>1</b>" not in page
    assert "The text is free." in page


def test_the_table_has_a_column_for_each_stage_and_a_row_for_each_view() -> None:
    lines = sensitivity_text(MEASURED).splitlines()
    head = next(line for line in lines if line.startswith("VIEW"))
    assert head.split() == ["VIEW", "ALL", "inject", "money"]
    row = lines[lines.index(head) + 1]
    assert row.split() == ["log", "72/100", "40/50", "32/50"]
    assert any("18 of 20  log, asn_id: zero" in line for line in lines)
    assert any("The text is free. (S17)" in line for line in lines)
