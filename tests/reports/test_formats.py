"""The formats for machines and for pull requests: result.json, CTRF, badge, Markdown, exports."""

from __future__ import annotations

import csv
import io
import json
import re

import jsonschema
import pytest

from reports.badge import render_badge
from reports.ctrf import render_ctrf
from reports.exports import CSV_COLUMNS, render_csv, render_prometheus
from reports.markdown import markdown_text, render_markdown
from reports.model import RunReport
from reports.result import render_result, result_schema
from tests.reports.factory import HOSTILE
from tests.reports.golden import check_golden

KINDS = ["failing", "passing", "cut_short"]


@pytest.mark.parametrize("kind", KINDS)
def test_result_json_keeps_to_its_schema(kind: str, request: pytest.FixtureRequest) -> None:
    """Every kind of run; the schema itself is valid and refuses a key that nobody declared."""
    jsonschema.Draft202012Validator.check_schema(result_schema())
    validator = jsonschema.Draft202012Validator(result_schema())
    document = json.loads(render_result(request.getfixturevalue(kind)))
    validator.validate(document)
    assert not validator.is_valid(document | {"surprise": 1})


def test_result_json_says_what_a_program_branches_on(failing: RunReport) -> None:
    """Status, counts, verdicts by check, and load figures in their units."""
    document = json.loads(render_result(failing))
    assert (document["status"], document["exit_status"]) == ("does not conform", 1)
    assert document["tally"]["passed"] == 14
    assert document["checks"][0]["check"] == "summaries-equal-logs"
    load = document["load"][0]
    assert load["correct_events_per_s"] == pytest.approx(199_600)
    assert load["counted_s"] == [2, 12]
    assert load["latency_ms"]["response"]["p50"] == pytest.approx(0.42, rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_ctrf_counts_add_up(kind: str, request: pytest.FixtureRequest) -> None:
    """The keys that the format requires, its statuses, and a summary that is the sum."""
    document = json.loads(render_ctrf(request.getfixturevalue(kind)))
    assert document["reportFormat"] == "CTRF"
    results = document["results"]
    assert set(results) == {"tool", "summary", "tests", "environment"}
    statuses = [test["status"] for test in results["tests"]]
    for status in ("passed", "failed", "skipped", "pending", "other"):
        assert results["summary"][status] == statuses.count(status)
    assert results["summary"]["tests"] == len(statuses)
    assert results["summary"]["start"] == 1743508800000
    assert all(isinstance(test["duration"], int) for test in results["tests"])


def test_a_badge_says_the_end_and_its_denominator(failing: RunReport, passing: RunReport) -> None:
    """A shields endpoint."""
    assert json.loads(render_badge(passing)) == {
        "schemaVersion": 1,
        "label": "usage tracking",
        "message": "conforms · 14 of 14",
        "color": "brightgreen",
        "isError": False,
    }
    assert json.loads(render_badge(failing))["color"] == "red"


def test_the_markdown_of_a_failing_run(failing: RunReport) -> None:
    """As it was looked at."""
    check_golden("failing.md", render_markdown(failing))


def test_hostile_text_stays_text_in_markdown() -> None:
    """No tag, no code, no table cell, no link of a target's making."""
    shown = markdown_text(HOSTILE + " [x](http://evil) ![y](z) <b> | a\n# b")
    assert "<" not in shown
    assert not re.search(r"(?<!\\)[`|\[\]*_]", shown)
    assert "\n" not in shown


def test_csv_has_a_line_a_second(failing: RunReport) -> None:
    """Columns as documented; each second of each load run."""
    rows = list(csv.DictReader(io.StringIO(render_csv(failing))))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [float(row["t"]) for row in rows] == list(range(12))
    assert float(rows[7]["p99_ms"]) == 38.0


def test_csv_of_a_run_without_load_is_its_head(cut_short: RunReport) -> None:
    """A program that reads it finds no rows, not no file."""
    assert render_csv(cut_short).splitlines() == [",".join(CSV_COLUMNS)]


def test_prometheus_text_is_well_formed(failing: RunReport) -> None:
    """One HELP and TYPE before the samples of a name; no sample twice; base units."""
    text = render_prometheus(failing)
    sample = re.compile(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*\})? (-?[0-9.e+-]+|NaN)')
    names: list[str] = []
    seen: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            names.append(line.split()[2])
        elif not line.startswith("#"):
            found = sample.fullmatch(line)
            assert found is not None, line
            assert found[1] == names[-1]
            assert line.rsplit(" ", 1)[0] not in seen
            seen.add(line.rsplit(" ", 1)[0])
    assert len(names) == len(set(names))
    assert (
        'trueup_load_latency_seconds{scenario="load-steady",kind="response",quantile="0.99"}'
        in text
    )
