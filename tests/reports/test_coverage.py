"""Contract coverage: which classes of the contract's dimensions a run reached, in every format."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from tests.reports.factory import COVERAGE, PASSES, journal
from tests.reports.test_html import Page
from tests.reports.test_terminal import screen
from trueup.reports.metrics.coverage import coverage_summary
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.html import render_html
from trueup.reports.renderers.markdown import render_markdown
from trueup.reports.renderers.result import render_result, result_schema


@pytest.fixture
def covered(tmp_path: Path) -> RunReport:
    """A run that reached one of three classes."""
    return build_report(journal(tmp_path / "covered", PASSES, extra=(COVERAGE,)))


def test_the_headline_counts_classes_and_dimensions(covered: RunReport) -> None:
    """The same phrase on the terminal, in Markdown and on the page."""
    headline = "1 of 3 classes of 3 dimensions reached"
    assert f"COVERAGE  {headline}" in screen(covered)
    assert headline in render_markdown(covered)
    assert headline in Page(render_html(covered)).text


def test_the_page_lists_what_was_not_reached_and_why(covered: RunReport) -> None:
    """Classes that were not reached come first, each with its reason."""
    text = Page(render_html(covered)).text
    assert "2 classes not reached, and why" in text
    assert "older than 90 days" in text
    assert "needs level 3" in text
    assert text.index("older than 90 days") < text.index("event: network")


def test_result_json_has_a_row_for_each_class(covered: RunReport) -> None:
    """It keeps to the schema; a class that was reached has no reason."""
    document = json.loads(render_result(covered))
    jsonschema.Draft202012Validator(result_schema()).validate(document)
    assert (document["coverage"]["classes"], document["coverage"]["reached"]) == (3, 1)
    assert document["coverage"]["rows"][0] == {
        "table": "event",
        "dimension": "network",
        "class": "mobile",
        "sentence": "drawn from the mobile pool",
        "reached": True,
        "why": None,
    }
    assert document["coverage"]["rows"][1]["why"] == "needs level 3"


def test_a_run_without_a_record_has_no_coverage(passing: RunReport) -> None:
    """Nothing is made up where the run recorded nothing."""
    assert json.loads(render_result(passing))["coverage"] is None
    assert "COVERAGE" not in screen(passing)
    assert 'id="coverage"' not in render_html(passing)
    assert coverage_summary(passing.coverage) is None


def test_a_class_that_a_later_record_reached_was_reached(tmp_path: Path) -> None:
    """Records of several parts of a run are one table, each class once."""
    age = msgspec.structs.replace(COVERAGE.rows[1], reached=True, why="")
    later = msgspec.structs.replace(COVERAGE, rows=(age,))
    report = build_report(journal(tmp_path / "r", PASSES, extra=(COVERAGE, later, COVERAGE)))
    assert [row.reached for row in report.coverage] == [True, True, False]
