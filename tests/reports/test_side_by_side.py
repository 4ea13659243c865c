"""Several runs side by side: nothing is refused, and what differs stands first."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import msgspec
import pytest

from tests.command_line import exit_status
from tests.reports.factory import HOSTILE, PASSES, RESULTS, changed_load, journal, load_result
from tests.reports.test_hostile_content import BIDIRECTIONAL, CONTROL, hostile_report
from tests.reports.test_html import Page
from trueup.reports.comparison.compare import compare
from trueup.reports.comparison.side_by_side import side_by_side
from trueup.reports.journal.records import LoadResult
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.side_by_side import render_side_by_side, side_by_side_text
from trueup.reports.results import Verdict


def settings(rate: str, batch: str = "100") -> LoadResult:
    plan = {
        "settings": {"shape.rate": rate, "requests.batch": batch},
        "digest": f"{rate}-{batch}",
        "rate_rps": float(rate),
    }
    return changed_load(load_result(), plan=plan)


@pytest.fixture
def three(tmp_path: Path) -> tuple[RunReport, ...]:
    """One that fails, one that passes, one of another seed with a slower load."""
    return (
        build_report(journal(tmp_path / "a", load=(settings("2000"),))),
        build_report(journal(tmp_path / "b", PASSES, load=(settings("2000"),))),
        build_report(journal(tmp_path / "c", PASSES[1:], seed=8, load=(settings("500"),))),
    )


def test_checks_that_differ_come_first_the_worst_first(three: tuple[RunReport, ...]) -> None:
    """A check without a result in one run differs too; the others follow."""
    made = side_by_side(three)
    assert made.checks[0].check == "summaries-equal-logs"
    assert made.checks[0].verdicts == (Verdict.FAIL, None, None)
    names = [line.check for line in made.differing]
    assert "keys-required" in names
    assert "sort-both-ways" not in names
    assert {line.differs for line in made.checks[len(names) :]} == {False}


def test_targets_settings_and_figures_are_lines(three: tuple[RunReport, ...]) -> None:
    """What was run, and each setting of the load in which the runs differ, with every value."""
    made = side_by_side(three)
    about = {line.name: line.values for line in made.about}
    assert about["seed"] == ("7", "7", "8")
    assert about["verdict"] == ("does not conform", "conforms", "conforms")
    plans = {line.name: line.values for line in made.plans}
    assert plans == {"load-steady, shape.rate": ("2000", "2000", "500")}
    load = {line.name: line.values for line in made.load}
    assert load["load-steady, planned requests/s"] == ("2,000", "2,000", "500")
    assert load["load-steady, correct events/s"] == ("199,600",) * 3


def test_the_text_has_a_column_for_each_run(three: tuple[RunReport, ...]) -> None:
    lines = side_by_side_text(side_by_side(three)).splitlines()
    assert lines[0].startswith("A  reference: 20250401T120000-everything-7")
    row = next(line for line in lines if line.startswith("summaries-equal-logs"))
    assert " ".join(row.split()) == "summaries-equal-logs ✗ fail ? no result ? no result"
    assert "(13 checks the same everywhere)" in "\n".join(lines)


def test_the_page_needs_nothing_and_escapes_what_targets_say(
    three: tuple[RunReport, ...], tmp_path: Path
) -> None:
    hostile = hostile_report(tmp_path / "hostile")
    html = render_side_by_side(side_by_side((*three, hostile)))
    page = Page(html)
    assert not {"script", "iframe", "img", "link", "form"} & set(page.tags)
    assert "default-src 'none'" in html
    assert not set(html) & set(CONTROL + BIDIRECTIONAL)
    assert HOSTILE[:20] not in html
    assert "4 runs side by side" in page.text


def test_two_comparable_runs_have_intervals_on_their_page(tmp_path: Path) -> None:
    before = build_report(journal(tmp_path / "a", PASSES, load=(load_result(),)))
    after = build_report(journal(tmp_path / "b", PASSES, load=(load_result(),)))
    made = side_by_side((before, after))
    text = Page(render_side_by_side(made, compare(before, after))).text
    assert "The same verdicts" in text
    assert "no difference seen" in text
    assert "interval" not in Page(render_side_by_side(made)).text


def test_the_command_shows_three_and_refuses_two_of_other_plans(
    three: tuple[RunReport, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Side by side ends with 0; a difference of plans is named key by key."""
    a, b, c = (str(report.journal.parent) for report in three)
    page = tmp_path / "page.html"
    assert exit_status("report", "compare", a, b, c, "--html", str(page)) == 0
    assert "VERDICTS THAT DIFFER" in capsys.readouterr().out
    assert "3 runs side by side" in page.read_text(encoding="utf-8")
    assert exit_status("report", "compare", a, b, c, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["checks"][0]["verdicts"][0] == "fail"
    assert exit_status("report", "compare", b, c) == 4
    refused = capsys.readouterr().err
    assert "seed (7 and 8)" in refused
    assert "shape.rate of load load-steady (2000 and 500)" in refused
    assert "requests.batch" not in refused
    assert not re.search("digest|planned rate", refused)
    assert "--side-by-side" in refused
    assert exit_status("report", "compare", b, c, "--side-by-side") == 0
    assert exit_status("report", "compare", b) == 4
    assert "two or more runs" in capsys.readouterr().err


def test_a_setting_that_one_plan_lacks_is_named(tmp_path: Path) -> None:
    fewer = changed_load(
        settings("2000"), plan={"settings": {"shape.rate": "2000"}, "digest": "other"}
    )
    first = build_report(journal(tmp_path / "a", PASSES, load=(settings("2000"),)))
    second = build_report(journal(tmp_path / "b", PASSES, load=(fewer,)))
    plans = {line.name: line.values for line in side_by_side((first, second)).plans}
    assert plans == {"load-steady, requests.batch": ("100", "not set")}


def test_readings_are_compared(tmp_path: Path) -> None:
    first = build_report(journal(tmp_path / "a", (*RESULTS, *PASSES)))
    other = msgspec.structs.replace(first.readings[0], value="positive")
    second = build_report(journal(tmp_path / "b"))
    changed = tuple(other if one.name == other.name else one for one in second.readings)
    made = side_by_side((first, dataclasses.replace(second, readings=changed)))
    assert [(line.name, line.values) for line in made.readings if line.differs] == [
        ("usage-sign", ("negative", "positive"))
    ]
