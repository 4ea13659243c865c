"""The run in the Common Test Report Format (CTRF), for dashboards that read many tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from trueup.reports.formatting import json_document, one_line, quantity
from trueup.reports.journal.records import LoadResult
from trueup.reports.model import RunReport
from trueup.reports.renderers.known import known_text, reason_of
from trueup.reports.results import CheckResult, Json, LoadThreshold, Verdict
from trueup.reports.verdicts import ThresholdOutcome, threshold_outcome, why_undetermined

__all__ = ["CTRF_VERSION", "render_ctrf"]

CTRF_VERSION: Final = "1.0.0"
"""Version of the format, as in its examples."""
_STATUS: Final[Mapping[Verdict, str]] = {
    Verdict.PASS: "passed",
    Verdict.WARN: "passed",
    Verdict.FAIL: "failed",
    Verdict.NOT_TESTABLE: "failed",
    Verdict.INCONCLUSIVE: "other",
    Verdict.BLOCKED: "skipped",
    Verdict.NOT_APPLICABLE: "skipped",
}
_OUTCOME: Final[Mapping[ThresholdOutcome, str]] = {
    ThresholdOutcome.MET: "passed",
    ThresholdOutcome.MISSED: "failed",
    ThresholdOutcome.UNDETERMINED: "other",
}
_STATUSES: Final = ("passed", "failed", "skipped", "pending", "other")


def render_ctrf(report: RunReport) -> str:
    """Return the run as a CTRF document.

    Declared checks without a result are `pending`, known failures `skipped`. Each threshold of a
    load run is a test of its own.
    """
    tests: list[dict[str, Json]] = [_test(one, report) for one in report.results]
    tests += [{"name": name, "status": "pending", "duration": 0} for name in report.missing]
    for load in report.load:
        tests += [_threshold(one, load, report) for one in load.thresholds]
    counts = Counter(test["status"] for test in tests)
    start = _epoch_ms(report.header.started_at)
    header = report.header
    summary: dict[str, Json] = {
        "tests": len(tests),
        **{status: counts[status] for status in _STATUSES},
        "suites": len({str(test["suite"]) for test in tests if "suite" in test}),
        "start": start,
        "stop": start + round((report.duration_s or 0) * 1000),
    }
    document: dict[str, Json] = {
        "reportFormat": "CTRF",
        "specVersion": CTRF_VERSION,
        "generatedBy": "trueup",
        "results": {
            "tool": {"name": "trueup", "version": header.trueup},
            "summary": summary,
            "tests": list(tests),
            "environment": {
                "appName": header.target,
                "testEnvironment": header.base_url,
                "extra": {
                    "run": header.run,
                    "scenario": header.scenario,
                    "seed": header.seed,
                    "level": header.level,
                    "status": str(report.status),
                    "exitStatus": report.exit_status,
                },
            },
        },
    }
    return json_document(document)


def _test(result: CheckResult, report: RunReport) -> dict[str, Json]:
    excuse = reason_of(report, result.check)
    test: dict[str, Json] = {
        "name": result.check,
        "status": "skipped" if excuse else _STATUS[result.verdict],
        "rawStatus": str(result.verdict),
        "duration": round(report.durations.get(result.check, 0.0) * 1000),
        "suite": [result.law],
        "message": one_line(f"{excuse} ({result.reason})" if excuse else result.reason, 2000),
        "tags": list(result.clauses),
        "type": "conformance",
    }
    if result.expected or result.seen:
        test["trace"] = f"expected: {result.expected}\nseen: {result.seen}"
    return test


def _threshold(one: LoadThreshold, load: LoadResult, report: RunReport) -> dict[str, Json]:
    """A threshold of a load run as a test; the run's time is shared by its thresholds."""
    outcome = threshold_outcome(one, load)
    known = report.known.thresholds.get(one.name) if report.known is not None else None
    seen = "not measured" if one.value is None else f"measured {quantity(one.value, one.unit)}"
    message = f"limit {quantity(one.limit, one.unit)}, {seen}"
    if outcome is ThresholdOutcome.UNDETERMINED:
        message = f"undetermined, {why_undetermined(one, load)}: {message}"
    if known is not None:
        message = f"{known_text(known)} ({message})"
    return {
        "name": one.name,
        "status": "skipped" if known is not None else _OUTCOME[outcome],
        "rawStatus": str(outcome),
        "duration": round(load.plan.duration_s * 1000 / len(load.thresholds)),
        "suite": [f"load {load.plan.scenario}"],
        "message": one_line(message, 2000),
        "type": "load",
    }


def _epoch_ms(moment: str) -> int:
    """Milliseconds since 1970; 0 where the time cannot be read."""
    try:
        at = datetime.fromisoformat(moment)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0
