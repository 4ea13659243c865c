"""JUnit XML: what build servers read; the verdict survives, hostile text does not."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from tests.reports.factory import PASSES, changed_load, journal, load_result
from tests.reports.golden_files import check_golden
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.junit import render_junit
from trueup.reports.results import LoadThreshold

SUITE = "id package name hostname timestamp tests failures errors skipped time"
ALLOWED: dict[str, tuple[set[str], list[str]]] = {
    "testsuites": (set(), ["testsuite"]),
    "testsuite": (
        set(SUITE.split()),
        ["properties", "testcase", "system-out", "system-err"],
    ),
    "properties": (set(), ["property"]),
    "property": ({"name", "value"}, []),
    "testcase": ({"name", "classname", "time"}, ["skipped", "error", "failure"]),
    "skipped": ({"message"}, []),
    "error": ({"message", "type"}, []),
    "failure": ({"message", "type"}, []),
    "system-out": (set(), []),
    "system-err": (set(), []),
}
"""Element → attributes (all of them required here) and children in their order: what the Ant and
the Jenkins schema have in common."""


def assert_valid(element: Xml.Element) -> None:
    attributes, children = ALLOWED[element.tag]
    assert set(element.attrib) == attributes, element.tag
    order = [children.index(child.tag) for child in element]
    assert order == sorted(order), f"{element.tag} holds {[child.tag for child in element]}"
    if element.tag == "testcase":
        assert len(element) <= 1
    for child in element:
        assert_valid(child)


@pytest.mark.parametrize("kind", ["failing", "passing", "cut_short"])
def test_the_document_keeps_to_the_common_schema(kind: str, request: pytest.FixtureRequest) -> None:
    """Attributes, children, order, number forms, and counts that add up."""
    root = Xml.fromstring(render_junit(request.getfixturevalue(kind)))
    assert_valid(root)
    for suite in root:
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases)
        for plural, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[plural]) == sum(case.find(tag) is not None for case in cases)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
        assert all(re.fullmatch(r"\d+\.\d{3}", case.attrib["time"]) for case in cases)


def test_each_verdict_becomes_the_element_that_stops_the_right_builds(failing: RunReport) -> None:
    """Skips have their verdict in the message; what could not be determined does not pass."""
    root = Xml.fromstring(render_junit(failing))
    elements = {
        case.attrib["name"]: [(child.tag, child.attrib["message"].split(":")[0]) for child in case]
        for case in root[0].iter("testcase")
    }
    assert elements["summaries-equal-logs"] == [("failure", "fail")]
    assert elements["money-in"] == [("failure", "not-testable")]
    assert elements["foreign-rows-hidden"] == [("error", "inconclusive")]
    assert elements["ledger-equals-summaries"] == [("skipped", "blocked-by summaries-equal-logs")]
    assert elements["charged-counters"] == [("skipped", "not-applicable")]
    assert elements["rate-limit-recovers"] == []
    assert elements["keys-required"] == []


@pytest.mark.parametrize(
    "parts, element",
    [
        ({}, "failure"),
        ({"machine": {"noisy": True}}, "error"),
        ({"generator": {"limited": True}}, "error"),
    ],
)
def test_an_undetermined_threshold_is_an_error_not_a_failure(
    tmp_path: Path, parts: dict[str, object], element: str
) -> None:
    """A rate that was missed on a disturbed machine does not count against the target."""
    load = changed_load(load_result(missed=True), **parts)
    report = build_report(journal(tmp_path / "r", PASSES, load=(load,)))
    root = Xml.fromstring(render_junit(report))
    case = next(c for c in root.iter("testcase") if "correct events" in c.attrib["name"])
    assert [child.tag for child in case] == [element]


def test_a_threshold_that_was_not_measured_is_an_error(tmp_path: Path) -> None:
    """No value, no failure."""
    rows = (LoadThreshold(name="freshness_p99_ms", limit=1, value=None, unit="ms", ok=False),)
    load = changed_load(load_result(), thresholds=rows)
    report = build_report(journal(tmp_path / "r", PASSES, load=(load,)))
    suite = Xml.fromstring(render_junit(report))[1]
    assert (suite.attrib["errors"], suite.attrib["failures"]) == ("1", "0")


def test_a_check_that_never_reported_is_an_error(cut_short: RunReport) -> None:
    """A silent check must not look like one that passed."""
    root = Xml.fromstring(render_junit(cut_short))
    missing = [case for case in root.iter("testcase") if case.find("error") is not None]
    assert [case.attrib["name"] for case in missing] == ["never-reached", "nor-this"]


def test_the_document_of_a_cut_short_run(cut_short: RunReport) -> None:
    """As it was looked at."""
    check_golden("junit-cut-short.xml", render_junit(cut_short))
