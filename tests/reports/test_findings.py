"""Findings in every format: how many differences are shown, what is folded, what is a warning."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import msgspec

from tests.reports.factory import PASSES, RESULTS, failing_result, journal
from tests.reports.test_html import Page
from tests.reports.test_terminal import screen
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.html import LIMITS, render_html
from trueup.reports.renderers.junit import render_junit
from trueup.reports.renderers.markdown import MOST_CHARACTERS, render_markdown
from trueup.reports.renderers.result import render_result
from trueup.reports.results import CheckResult, Verdict

_MANY = 1_000


def _blocked(name: str, by: str) -> CheckResult:
    return msgspec.structs.replace(
        PASSES[0],
        check=name,
        law=name.upper(),
        verdict=Verdict.BLOCKED,
        reason="Cannot be evaluated while its cause fails.",
        blocked_by=by,
    )


def test_every_difference_is_in_result_json_and_in_the_page(tmp_path: Path) -> None:
    """The page shows 6 and has the others in a details element; no difference is left out."""
    report = build_report(journal(tmp_path / "r", (failing_result(1, differences=_MANY),)))
    document = json.loads(render_result(report))
    assert len(document["checks"][0]["differences"]) == _MANY
    html = render_html(report)
    Page(html)
    shown, folded = html.split("show all 1,000 differences", 1)
    assert len(re.findall(r"user-1 · cell \d+\.", shown)) == LIMITS.differences == 6
    assert len(re.findall(r"user-1 · cell \d+\.", folded)) == _MANY - LIMITS.differences


def test_a_page_with_few_differences_has_nothing_to_unfold(tmp_path: Path) -> None:
    """Six differences are all shown at once."""
    report = build_report(journal(tmp_path / "r", (failing_result(1, differences=6),)))
    assert "show all" not in render_html(report)


def test_the_other_formats_show_a_few_differences_and_count_the_rest(tmp_path: Path) -> None:
    """Terminal 3, Markdown and JUnit 5; each says how many more there are."""
    report = build_report(journal(tmp_path / "r", (failing_result(1, differences=_MANY),)))
    for text, count, more in (
        (screen(report), 3, "997"),
        (render_markdown(report), 5, "995"),
        (render_junit(report), 5, "995"),
    ):
        assert len(re.findall(r"user-1 · cell \d+\.", text)) == count
        assert f"and {more} more differences" in text


def test_sixty_failing_checks_with_a_thousand_differences_are_reported_in_full(
    tmp_path: Path,
) -> None:
    """60,000 differences; the terminal, Markdown and JUnit stay short."""
    results = tuple(failing_result(number, differences=_MANY) for number in range(60))
    report = build_report(journal(tmp_path / "r", results))
    html, document = render_html(report), render_result(report)
    assert len(screen(report).splitlines()) < 200
    assert len(render_junit(report)) < 200_000
    markdown = render_markdown(report)
    assert len(markdown) <= MOST_CHARACTERS
    assert all(f"| check-{number} |" in markdown for number in range(60))
    assert re.search(r"And \d+ more findings in report.html", markdown) or "check-59 (" in markdown
    assert html.count("show all 1,000 differences") == 60
    assert document.count('"where"') == 60_000


def test_a_chain_of_blocked_checks_is_folded_under_the_check_that_failed(tmp_path: Path) -> None:
    """A check that is blocked by a blocked check belongs to the cause at the end of the chain."""
    cause = failing_result(1, differences=2)
    results = (cause, _blocked("second", cause.check), _blocked("third", "second"))
    report = build_report(journal(tmp_path / "r", results))
    assert [row.result.check for row in report.rows] == [cause.check]
    assert [r.check for r in report.rows[0].dependants] == ["second", "third"]
    assert "blocks SECOND, THIRD" in screen(report)
    assert "blocks: second, third" in render_markdown(report)
    assert "2 checks blocked by this one" in Page(render_html(report)).text


def test_a_blocked_check_whose_cause_is_no_finding_stands_alone(tmp_path: Path) -> None:
    """Blocked by a check that passed, by itself, or in a circle: it must not disappear."""
    results = (
        PASSES[0],
        _blocked("of-a-pass", PASSES[0].check),
        _blocked("of-itself", "of-itself"),
        _blocked("one", "two"),
        _blocked("two", "one"),
    )
    report = build_report(journal(tmp_path / "r", results))
    assert {row.result.check for row in report.rows} == {result.check for result in results}
    assert all(name in render_html(report) for name in ("OF-A-PASS", "OF-ITSELF", "ONE", "TWO"))


def test_a_warning_is_shown_as_a_warning_in_every_format(
    failing: RunReport, tmp_path: Path
) -> None:
    """It passes in JUnit, whose suite output carries the sentence; elsewhere its word is `warn`."""
    warned = next(result for result in RESULTS if result.verdict is Verdict.WARN)
    output = Xml.fromstring(render_junit(failing)).findtext("testsuite/system-out") or ""
    assert output.startswith(f"warn: {warned.law} ({warned.check}): 429 carries no Retry-After")
    alone = build_report(journal(tmp_path / "alone", (warned, *PASSES)))
    assert "warn: 429 carries no Retry-After" in screen(alone)
    assert f"<summary>! {warned.check} ({warned.law}): warn</summary>" in render_markdown(failing)
    assert "! warn" in Page(render_html(failing)).text
