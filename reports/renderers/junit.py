"""JUnit XML: one test case a check, one suite for conformance and one for each load run.

A verdict becomes the element that makes a build server act correctly: what counts against the
target is a failure, what could not be determined is an error, and only checks that are blocked,
not claimed or known to fail are skipped; the message of a skip says which. The document is valid
under the Ant and the Jenkins schema.

The checks of a phase share its requests, and so its time: each case has an even part, and the time
of a suite is the time that was taken. So it is with the thresholds of a load run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree as Xml

from trueup.reports.formatting import one_line, plural, quantity, visible
from trueup.reports.journal.records import LoadResult
from trueup.reports.model import RunReport
from trueup.reports.renderers.known import known_notes, known_text, reason_of
from trueup.reports.results import CheckResult, LoadThreshold, Verdict
from trueup.reports.verdicts import why_undetermined

__all__ = ["render_junit"]

_DIFFERENCES: Final = 5
"""Differences shown of one check; `result.json` has all of them."""
_ELEMENT: Final[Mapping[Verdict, str]] = {
    Verdict.PASS: "",
    Verdict.WARN: "",
    Verdict.FAIL: "failure",
    Verdict.NOT_TESTABLE: "failure",
    Verdict.INCONCLUSIVE: "error",
    Verdict.BLOCKED: "skipped",
    Verdict.NOT_APPLICABLE: "skipped",
}
"""Verdict → element within the test case; empty: the case passes."""


def render_junit(report: RunReport) -> str:
    """Return the run as a JUnit XML document."""
    root = Xml.Element("testsuites")
    root.append(_conformance(report))
    for number, figures in enumerate(report.figures, start=1):
        root.append(_load(report, figures.result, number))
    Xml.indent(root)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"
    )


def _conformance(report: RunReport) -> Xml.Element:
    cases: list[Xml.Element] = []
    for row in report.rows:
        cases += [_case(result, report) for result in (row.result, *row.dependants)]
    cases.extend(_missing(name, report) for name in report.missing)
    warned = [result for result in report.results if result.verdict is Verdict.WARN]
    warnings = [f"warn: {result.law} ({result.check}): {result.reason}" for result in warned]
    notes = [f"known: {note}" for note in known_notes(report.known)]
    return _suite(report, "conformance", 0, cases, output=_text([*warnings, *notes]))


def _case(result: CheckResult, report: RunReport) -> Xml.Element:
    seconds = report.durations.get(result.check, 0.0)
    case = _empty_case(f"trueup.{result.law}", result.check, seconds)
    kind = _ELEMENT[result.verdict]
    if excuse := reason_of(report, result.check):
        message = one_line(f"{excuse} ({result.verdict}: {result.reason})", 500)
        Xml.SubElement(case, "skipped", message=message)
        return case
    message = one_line(f"{result.verdict}: {result.reason}", 500)
    if kind == "skipped":
        root = f" {result.blocked_by}" if result.blocked_by else ""
        message = one_line(f"{result.verdict}{root}: {result.reason}", 500)
        Xml.SubElement(case, kind, message=message)
    elif kind:
        told = Xml.SubElement(case, kind, message=message, type=str(result.verdict))
        told.text = _text(_details(result))
    return case


def _details(result: CheckResult) -> Iterable[str]:
    """Everything that a reader needs who sees only the build server."""
    yield f"{result.law}: {result.title}"
    yield result.reason
    if result.clauses:
        yield f"clauses: {', '.join(result.clauses)}"
    yield from (f"{clause}: {text}" for clause, text in result.clause_texts.items())
    if result.package:
        yield f"added by the package {result.package}"
    yield f"impact: {result.impact}"
    if result.expected or result.seen:
        yield f"expected: {result.expected}"
        yield f"seen: {result.seen}"
    if result.counterexample:
        differences = result.counterexample.differences
        for difference in differences[:_DIFFERENCES]:
            yield f"at {difference.where}: expected {difference.expected}, saw {difference.seen}"
        if len(differences) > _DIFFERENCES:
            yield f"and {plural(len(differences) - _DIFFERENCES, 'more difference')} in result.json"


def _missing(name: str, report: RunReport) -> Xml.Element:
    case = _empty_case("trueup.missing", name, 0.0)
    message = "declared for this run, but it reported no result"
    if name in report.undeclared:
        message = "required at this level, but the journal does not declare it"
    elif report.ended_early:
        message = "declared for this run, but the run ended before it"
    Xml.SubElement(case, "error", message=message, type="missing")
    return case


def _load(report: RunReport, load: LoadResult, number: int) -> Xml.Element:
    cases = [_threshold(threshold, load, report) for threshold in load.thresholds]
    return _suite(report, f"load {load.plan.scenario}", number, cases)


def _threshold(threshold: LoadThreshold, load: LoadResult, report: RunReport) -> Xml.Element:
    name = visible(f"{threshold.name} ({quantity(threshold.limit, threshold.unit)})")
    seconds = load.plan.duration_s / len(load.thresholds)
    case = _empty_case(f"trueup.load.{load.plan.scenario}", name, seconds)
    seen = "nothing" if threshold.value is None else quantity(threshold.value, threshold.unit)
    known = report.known.thresholds.get(threshold.name) if report.known is not None else None
    if known is not None:
        message = one_line(f"{known_text(known)} (measured {seen})", 500)
        Xml.SubElement(case, "skipped", message=message)
    elif load.generator.limited:
        message = f"the generator was the limit; measured {seen}"
        Xml.SubElement(case, "error", message=visible(message), type="generator-limited")
    elif not threshold.ok:
        message = f"limit {quantity(threshold.limit, threshold.unit)}, measured {seen}"
        if why := why_undetermined(threshold, load):
            message = f"undetermined, {why}: {message}"
            Xml.SubElement(case, "error", message=visible(message), type="undetermined")
        else:
            Xml.SubElement(case, "failure", message=visible(message), type="threshold")
    return case


def _empty_case(classname: str, name: str, seconds: float) -> Xml.Element:
    attributes = {"classname": visible(classname), "name": visible(name), "time": f"{seconds:.3f}"}
    return Xml.Element("testcase", attributes)


def _suite(
    report: RunReport, name: str, number: int, cases: Iterable[Xml.Element], *, output: str = ""
) -> Xml.Element:
    """A suite with its counts, in the element order of the Ant schema; `output` is its stdout."""
    cases = list(cases)
    counts = {
        attribute: sum(case.find(kind) is not None for case in cases)
        for attribute, kind in (
            ("failures", "failure"),
            ("errors", "error"),
            ("skipped", "skipped"),
        )
    }
    seconds = sum(float(case.get("time", "0")) for case in cases)
    suite = Xml.Element(
        "testsuite",
        {
            "id": str(number),
            "package": "trueup",
            "name": visible(name),
            "hostname": "localhost",
            "timestamp": _timestamp(report.header.started_at),
            "tests": str(len(cases)),
            **{key: str(count) for key, count in counts.items()},
            "time": f"{seconds:.3f}",
        },
    )
    properties = Xml.SubElement(suite, "properties")
    for key, value in (
        ("run", report.header.run),
        ("target", report.header.target),
        ("base_url", report.header.base_url),
        ("scenario", report.header.scenario),
        ("seed", str(report.header.seed)),
        ("level", str(report.header.level)),
        ("verdict", str(report.status)),
        ("news", str(report.news)),
        ("counts", str(report.counts)),
    ):
        Xml.SubElement(properties, "property", name=key, value=visible(value))
    suite.extend(cases)
    Xml.SubElement(suite, "system-out").text = output or None
    Xml.SubElement(suite, "system-err")
    return suite


def _timestamp(moment: str) -> str:
    """ISO 8601 in UTC without zone and fraction, as the Ant schema requires."""
    try:
        parsed = datetime.fromisoformat(moment)
        at = parsed.astimezone(UTC) if parsed.tzinfo else parsed
    except (ValueError, OverflowError):
        return "1970-01-01T00:00:00"
    return f"{at:%Y-%m-%dT%H:%M:%S}"


def _text(lines: Iterable[str]) -> str:
    return visible("\n".join(lines))
