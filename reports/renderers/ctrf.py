"""The run in the Common Test Report Format (CTRF), for dashboards that read many tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from trueup.reports.formatting import json_document, one_line
from trueup.reports.model import RunReport
from trueup.reports.results import CheckResult, Json, Verdict

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
_STATUSES: Final = ("passed", "failed", "skipped", "pending", "other")


def render_ctrf(report: RunReport) -> str:
    """Return the run as a CTRF document; declared checks without a result are `pending`."""
    waited = {row.result.check: row.elapsed_s for row in report.rows}
    tests: list[Json] = [_test(one, waited.get(one.check, 0.0)) for one in report.results]
    tests += [{"name": name, "status": "pending", "duration": 0} for name in report.missing]
    counts = Counter(_STATUS[result.verdict] for result in report.results)
    counts["pending"] += len(report.missing)
    start = _epoch_ms(report.header.started_at)
    header = report.header
    summary: dict[str, Json] = {
        "tests": len(tests),
        **{status: counts[status] for status in _STATUSES},
        "suites": len({result.law for result in report.results}),
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
            "tests": tests,
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


def _test(result: CheckResult, seconds: float) -> Json:
    test: dict[str, Json] = {
        "name": result.check,
        "status": _STATUS[result.verdict],
        "rawStatus": str(result.verdict),
        "duration": round(seconds * 1000),
        "suite": [result.law],
        "message": one_line(result.reason, 2000),
        "tags": list(result.clauses),
        "type": "conformance",
    }
    if result.expected or result.seen:
        test["trace"] = f"expected: {result.expected}\nseen: {result.seen}"
    return test


def _epoch_ms(moment: str) -> int:
    """Milliseconds since 1970; 0 where the time cannot be read."""
    try:
        at = datetime.fromisoformat(moment)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0
