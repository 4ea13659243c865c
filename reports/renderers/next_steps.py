"""What the reader of a report does next, in one sentence."""

from __future__ import annotations

from trueup.reports.comparison.compare import why_not_comparable
from trueup.reports.model import RunReport
from trueup.reports.results import ExitStatus, Verdict

__all__ = ["next_step"]


def next_step(report: RunReport) -> str:
    """Return the advice of the status.

    A run whose load figures say nothing of its target is not recommended as a baseline.
    """
    why = next((why for load in report.load if (why := why_not_comparable(load))), "")
    if report.status is ExitStatus.CONFORMS and why:
        return f"Nothing to fix. Not a baseline for comparisons of load: {why}."
    if report.news is ExitStatus.COULD_NOT_TELL and report.status is ExitStatus.VIOLATES:
        return (
            "All that fails is known, but not every other check has a verdict: see which and why."
        )
    open_verdicts = report.missing or any(
        result.verdict in (Verdict.INCONCLUSIVE, Verdict.BLOCKED) for result in report.results
    )
    if report.news is ExitStatus.COULD_NOT_TELL and report.load and not open_verdicts:
        return "No law was broken, but the run does not show what the load was run for: see why."
    return report.style.next_step
