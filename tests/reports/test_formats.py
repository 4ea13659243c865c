"""The formats for machines and for pull requests: result.json, CTRF, badge, Markdown, exports."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import jsonschema
import pytest

from tests.reports.factory import (
    HOSTILE,
    PASSES,
    changed_load,
    failing_result,
    journal,
    load_result,
)
from tests.reports.golden_files import check_golden
from trueup.reports.journal.records import KneeInterval
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.annotations import render_annotations
from trueup.reports.renderers.badge import render_badge
from trueup.reports.renderers.ctrf import render_ctrf
from trueup.reports.renderers.exports import CSV_COLUMNS, render_csv, render_prometheus
from trueup.reports.renderers.markdown import markdown_text, render_markdown
from trueup.reports.renderers.result import render_result, result_schema
from trueup.scenarios.load.aggregate import with_reads
from trueup.simulator.reactor import Second

KINDS = ["failing", "passing", "cut_short"]


@pytest.mark.parametrize(
    "path", ["reports/schemas/result.schema.json", "conformance/target/target_schema.json"]
)
def test_a_schema_has_a_name_of_its_own_and_is_valid(path: str) -> None:
    """A URN with the version, which no network has to serve."""
    schema = json.loads((Path(__file__).parents[2] / path).read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert re.fullmatch(r"urn:trueup:schema:(result|target):\d+", schema["$id"])


@pytest.mark.parametrize("kind", KINDS)
def test_result_json_keeps_to_its_schema(kind: str, request: pytest.FixtureRequest) -> None:
    """Every kind of run; the schema itself is valid and refuses an undeclared key."""
    jsonschema.Draft202012Validator.check_schema(result_schema())
    validator = jsonschema.Draft202012Validator(result_schema())
    document = json.loads(render_result(request.getfixturevalue(kind)))
    validator.validate(document)
    assert not validator.is_valid(document | {"surprise": 1})


def test_result_json_says_what_a_program_branches_on(failing: RunReport) -> None:
    """Status, counts, verdicts by check, and load figures in their units."""
    document = json.loads(render_result(failing))
    assert (document["status"], document["exit_status"]) == ("does not conform", 1)
    assert document["counts"]["passed"] == 14
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
        "message": "conforms · 14 of 14 · level 3",
        "color": "brightgreen",
        "isError": False,
    }
    assert json.loads(render_badge(failing))["color"] == "red"


@pytest.mark.parametrize("kind", KINDS)
def test_every_threshold_of_a_load_is_a_test_in_ctrf_and_times_add_up(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """A missed one is failed; the checks together took as long as their phase."""
    report: RunReport = request.getfixturevalue(kind)
    tests = json.loads(render_ctrf(report))["results"]["tests"]
    loads = [(test["name"], test["status"]) for test in tests if test.get("type") == "load"]
    last = "failed" if kind == "failing" else "passed"
    expected = [("response p99", "passed"), ("correct events per second", last)]
    assert loads == ([] if kind == "cut_short" else expected)
    took = sum(test["duration"] for test in tests if test.get("type") == "conformance")
    assert took == pytest.approx(15_500, abs=20)


def test_annotations_are_one_line_each_with_the_failures_first(failing: RunReport) -> None:
    """Text of a target cannot end a command or begin one; properties have their own escapes."""
    lines = render_annotations(failing).splitlines()
    assert all(re.match(r"::(error|warning|notice) title=[^,:]*::", line) for line in lines)
    assert lines[0].startswith("::notice title=trueup::Does not conform: 14 passed")
    assert lines[1].startswith("::error title=summaries-equal-logs (SUM=LOG)::fail: Per proxy")
    assert "%0Aexpected: 20 requests" in lines[1]
    kinds = [line.split(" ")[0] for line in lines[1:]]
    assert kinds == ["::error"] * 3 + ["::warning"] * 2


def test_a_runner_shows_ten_of_a_kind_so_the_tenth_counts_the_others(tmp_path: Path) -> None:
    results = tuple(failing_result(number, differences=1) for number in range(12))
    lines = render_annotations(build_report(journal(tmp_path / "r", results))).splitlines()
    assert [line[:7] for line in lines] == ["::notic", *["::error"] * 10]
    assert lines[-1] == "::error title=trueup::and 3 more: see report.html"


def test_the_badge_of_a_run_limited_to_some_checks_is_not_green(tmp_path: Path) -> None:
    """It says that checks were selected; a part of the contract is not the contract."""
    report = build_report(journal(tmp_path / "r", PASSES, only=("AUTH", "KEY")))
    badge = json.loads(render_badge(report))
    assert badge["message"] == "conforms · 14 of 14 · level 3 · selected checks"
    assert badge["color"] == "yellow"


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
        'trueup_load_latency_seconds{target="reference",scenario="load-steady",'
        'kind="response",quantile="0.99"}' in text
    )


def figures_of(folder: Path, **parts: object) -> tuple[RunReport, dict[str, str]]:
    """A run with such a load, and its Prometheus samples by name where they have no more labels."""
    load = changed_load(load_result(), **parts)
    report = build_report(journal(folder / "r", PASSES, load=(load,)))
    lines = (line.rpartition(" ") for line in render_prometheus(report).splitlines())
    plain = '{target="reference",scenario="load-steady"}'
    return report, {name.removesuffix(plain): value for name, _, value in lines}


def test_what_a_search_for_the_limit_found_is_in_every_format_for_programs(tmp_path: Path) -> None:
    """Both ends and what they rest on; nothing where nothing was searched for."""
    found = KneeInterval(low_rps=120.0, high_rps=131.5, why="both ends measured again")
    report, samples = figures_of(tmp_path / "a", knee=found)
    load = json.loads(render_result(report))["load"][0]
    assert (load["knee_rps"], load["knee_why"]) == ([120.0, 131.5], "both ends measured again")
    assert samples["trueup_load_knee_low_requests_per_second"] == "120"
    assert samples["trueup_load_knee_high_requests_per_second"] == "131.5"
    row = next(csv.DictReader(io.StringIO(render_csv(report))))
    assert (row["knee_low_rps"], row["knee_high_rps"]) == ("120.0", "131.5")
    assert "120 to 132 requests/s" in render_markdown(report)
    plain, samples = figures_of(tmp_path / "b")
    assert json.loads(render_result(plain))["load"][0]["knee_why"] is None
    assert not [name for name in samples if "knee" in name]


def test_load_samples_hold_what_a_dashboard_watches(tmp_path: Path) -> None:
    """Counts exact, shares between 0 and 1, flags 0 or 1; what was not measured has no sample."""
    _, samples = figures_of(
        tmp_path,
        requests={"unsent": 12, "reads": 7},
        machine={"noisy": True},
        events={"accepted": 2**60 + 1, "correct": 2**60 + 1},
        generator={"null_sink_rps": None},
    )
    told = {name.removeprefix("trueup_load_"): value for name, value in samples.items()}
    assert (told["unsent_requests"], told["reads"], told["machine_noisy"]) == ("12", "7", "1")
    assert (told["planned_requests_per_second"], told["generator_busy_ratio"]) == ("2000", "0.41")
    accepted = 'events{target="reference",scenario="load-steady",outcome="accepted"}'
    assert told[accepted] == str(2**60 + 1)
    assert "null_sink_requests_per_second" not in told


def test_the_errors_of_a_run_are_the_sum_of_its_ingest_and_read_errors(
    tmp_path: Path,
) -> None:
    """Each line has both counts; their sum is the count of the run."""
    seconds = with_reads(
        ({"t": 0.0, "requests": 5.0, "events": 500.0, "errors": 1.0, "p50_ms": 1.0},),
        [(0, [Second(t=0, requests=3)]), (2, [Second(t=2, errors={"refused": 4})])],
    )
    report, _ = figures_of(
        tmp_path,
        timeline={"seconds": seconds},
        requests={"errors": {"HTTP 500": 1, "refused": 4}},
    )
    rows = list(csv.DictReader(io.StringIO(render_csv(report))))
    assert [(row["ingest_errors"], row["reads"], row["read_errors"]) for row in rows[:3]] == [
        ("1.0", "3.0", "0.0"),
        ("0.0", "0.0", "0.0"),
        ("0.0", "0.0", "4.0"),
    ]
    columns = ("ingest_errors", "read_errors")
    assert sum(float(row[column]) for row in rows for column in columns) == sum(
        report.load[0].requests.errors.values()
    )
