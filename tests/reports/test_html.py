"""The HTML report: one file, no network, no script, nothing of a target's that acts."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from tests.reports.factory import COVERAGE, HOSTILE, PASSES, changed_load, journal, load_result
from trueup.reports.journal.records import (
    ContractDeclared,
    Hook,
    KneeInterval,
    ReadingSeen,
    TieOutSeen,
)
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.html import LIMITS, render_html
from trueup.reports.results import Reading, TieOut

VOID = {"meta", "link", "br", "line", "polyline", "img", "input", "hr"}


class Page(HTMLParser):
    """Elements and attributes of a page; fails on a tag that is not closed in its place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("kind", ["failing", "passing", "cut_short"])
def test_the_page_is_well_formed_and_needs_nothing(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """Tags nest; no frame, image or form; nothing is fetched; ids are unique."""
    html = render_html(request.getfixturevalue(kind))
    page = Page(html)
    assert not {"iframe", "img", "object", "link", "form", "base"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    links = [value for _, name, value in page.attributes if name in ("href", "src", "action")]
    assert all(link is not None and link.startswith("#") for link in links)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link} <= set(ids)
    assert "url(" not in html
    assert "default-src 'none'" in html


@pytest.mark.parametrize("kind", ["failing", "passing", "cut_short"])
def test_the_policy_of_the_page_allows_its_own_script_alone(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """One script, the same in every page, named by its digest; none that a target could add."""
    html = render_html(request.getfixturevalue(kind))
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.S)
    own = files("trueup.reports").joinpath("templates/filter.js").read_text(encoding="utf-8")
    assert script == own
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in html
    assert "unsafe-eval" not in html
    assert html.count("unsafe-inline") == 1


def test_every_check_and_finding_can_be_filtered(failing: RunReport) -> None:
    """By verdict and law, and by any word of name, law, clauses and sentence, in lower case."""
    html = render_html(failing)
    found = re.findall(r'data-find="([^"]*)" data-verdict="([^"]*)" data-law="([^"]*)"', html)
    assert len(found) == 20 + 4
    words = {verdict: text for text, verdict, law in found if law == "SUM=LOG"}
    assert "summaries-equal-logs sum=log fail per proxy user" in words["fail"]
    assert "summary-1 summary-2" in words["fail"]
    assert '<option value="inconclusive">' in html
    assert "<option>SUM=LOG</option>" in html
    assert '<div id="filter" role="search" hidden>' in html


def test_sections_follow_the_questions_of_a_reader(tmp_path: Path) -> None:
    """What failed, where it does not tie out, load, what was not seen, then what passed."""
    load = (load_result(missed=True),)
    html = render_html(build_report(journal(tmp_path / "r", load=load, extra=(COVERAGE,))))
    ids = ["findings", "tie-out", "load", "coverage", "checks", "readings", "run"]
    places = [html.index(f'<h2 id="{name}"') for name in ids]
    assert places == sorted(places)


def test_clauses_checks_evidence_and_requests_lead_to_each_other(tmp_path: Path) -> None:
    """A finding leads to its check and its clauses, a clause to its checks, a check to evidence."""
    texts = {"SUMMARY-1": "One summary for each key.", "OTHER-1": "No check tests <this>."}
    contract = (ContractDeclared(clauses=texts),)
    report = build_report(journal(tmp_path / "r", extra=contract))
    html = render_html(report)
    card = html[html.index('id="f1"') : html.index('id="f2"')]
    assert '<a href="#k1">the check among all</a>' in card
    assert '<span class="mono">summaries-equal-logs</span>' in card
    assert '<a class="mono nowrap" href="#c2">SUMMARY-1</a>' in card
    check = html[html.index('id="k1"') : html.index('id="k2"')]
    assert '<a href="#f1">evidence</a>' in check
    assert "One summary for each key." in check
    assert "1,204 observations, at least 20 needed" in check
    clauses = html[html.index('<h2 id="clauses"') :]
    assert re.search(r'<tr id="c2">.*href="#k1">summaries-equal-logs</a>', clauses)
    assert "No check tests &lt;this&gt;." in clauses
    assert Page(html).open == []


def test_a_reading_that_every_part_declares_is_shown_once(tmp_path: Path) -> None:
    reading = ReadingSeen(reading=Reading(name="graph-end", value="exclusive", how="declared"))
    report = build_report(journal(tmp_path / "r", extra=(reading, reading)))
    assert [one.name for one in report.readings].count("graph-end") == 1


def test_hostile_text_is_shown_not_obeyed(failing: RunReport) -> None:
    """Text of a target is inserted unchanged as text; control characters are made visible."""
    html = render_html(failing)
    page = Page(html)
    assert "<script>alert('owned')</script>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", html)


def test_long_bodies_are_cut_with_a_note(failing: RunReport) -> None:
    """A body of 200 kB is cut, with a note."""
    html = render_html(failing)
    assert "x" * (LIMITS.body_characters + 1) not in html
    assert re.search(r"… \(19\d,\d{3} more characters\)", html)
    assert len(html) < 120_000


def test_a_reader_sees_the_end_first(failing: RunReport, passing: RunReport) -> None:
    """The first heading is the status, followed by the next step and the command to repeat it."""
    page = Page(render_html(failing))
    first = page.text.index("Does not conform", page.text.index("trueup ·"))
    assert first < page.text.index("Next step.") < page.text.index("Findings")
    assert "trueup run everything --seed 7" in page.text
    assert "14 passed / 16 tested / 18 testable / 20 total" in page.text
    assert "Findings" not in Page(render_html(passing)).text


def test_an_odd_level_or_time_does_not_break_the_page(cut_short: RunReport) -> None:
    """A journal of a later version may hold what we do not know."""
    assert "never ended" not in render_html(cut_short)
    assert "Could not tell" in render_html(cut_short)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (40.0, 44.0, "40 to 44 requests/s of 100 events (4,000 events/s and more); why"),
        (40.0, None, "40 to ? requests/s"),
        (None, 44.0, "below 44 requests/s; why"),
        (None, None, "unknown; why"),
    ],
)
def test_the_limit_is_an_interval_or_unknown(
    low: float | None, high: float | None, said: str, tmp_path: Path
) -> None:
    """A search of which nothing came does not read as an interval of everything."""
    load = changed_load(load_result(), knee=KneeInterval(low_rps=low, high_rps=high, why="why"))
    page = Page(render_html(build_report(journal(tmp_path / "r", PASSES, load=(load,)))))
    assert f"Limit{said}" in page.text


def test_whole_numbers_are_exact_whatever_their_size(tmp_path: Path) -> None:
    """Sums of bytes beyond 2^53 keep their last digits, ranges too."""
    row = TieOut(
        view="mobile_ledger",
        scope="tenant 1",
        expected_bytes=2**60 + 82,
        seen_bytes=2**60 + 83,
        slack_bytes=1,
    )
    seen = (TieOutSeen(part="load", row=row),)
    page = Page(render_html(build_report(journal(tmp_path / "r", PASSES, extra=seen))))
    assert "1,152,921,504,606,847,058 … 1,152,921,504,606,847,059" in page.text
    assert "the expectation is a range" in page.text


@pytest.mark.parametrize(
    ("parts", "said", "unsaid"),
    [
        ({}, "Keep this run as the baseline", "Not a baseline"),
        ({"machine": {"noisy": True}}, "Not a baseline for comparisons of load", "Keep this run"),
    ],
)
def test_a_run_that_could_not_be_compared_is_not_recommended_as_a_baseline(
    parts: dict[str, object], said: str, unsaid: str, tmp_path: Path
) -> None:
    """It conforms, but its figures say nothing of the target."""
    load = changed_load(load_result(), **parts)
    report = build_report(journal(tmp_path / "r", PASSES, load=(load,)))
    assert report.exit_status == 0
    text = Page(render_html(report)).text
    assert said in text
    assert unsaid not in text


def test_disturbances_of_the_target_are_marked_in_the_charts(
    tmp_path: Path,
) -> None:
    """Each chart by second has a line and a word for each; a table lists them, failed ones too."""
    load = changed_load(load_result(), timeline={"began_at": "2025-04-01T12:00:22.000Z"})
    pulled = (
        Hook(hook="restart", at="2025-04-01T12:00:26.500Z", stage="load"),
        Hook(hook="maintenance", at="2025-04-01T12:00:30Z", stage="load", ok=False, error=HOSTILE),
    )
    html = render_html(build_report(journal(tmp_path / "r", PASSES, load=(load,), extra=pulled)))
    page = Page(html)
    assert html.count('<text class="mark"') == 6
    assert "restart at 4 s; maintenance at 8 s" in html
    assert "Disturbances of the target during the load" in page.text
    assert "failed: </script>" in page.text


def test_without_the_moment_of_the_start_charts_have_no_marks(tmp_path: Path) -> None:
    """An older journal: what was done is listed with its time of day."""
    pulled = (Hook(hook="restart", at="2025-04-01T12:00:26.500Z", stage="load"),)
    load = (load_result(),)
    html = render_html(build_report(journal(tmp_path / "r", PASSES, load=load, extra=pulled)))
    assert '<text class="mark"' not in html
    assert "2025-04-01T12:00:26.500Z" in html


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours (WCAG 2.1, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_colour_reads_on_every_ground(scheme: int) -> None:
    """WCAG AA: at least 4.5 for text, on the page, on cards and on the verdict's wash."""
    css = files("trueup.reports").joinpath("templates/style.css").read_text(encoding="utf-8")
    block = re.findall(r":root \{(.*?)\}", css, flags=re.S)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    for text in ("text", "soft", "good", "bad", "doubt", "quiet", "link"):
        for ground in ("page", "card"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for tone in ("good", "bad", "doubt"):
        for text in ("text", "soft", "link", tone):
            assert contrast(colours[text], colours[f"{tone}-wash"]) >= 4.5, (text, tone)
    for line in ("s0", "s1", "s2", "s3"):
        assert contrast(colours[line], colours["page"]) >= 3, line
