"""What the reader of a report does next, in one sentence."""

from __future__ import annotations

from trueup.reports.compare import why_not_comparable
from trueup.reports.model import RunReport
from trueup.reports.results import ExitStatus
from trueup.reports.verdict_styles import STATUSES

__all__ = ["next_step"]


def next_step(report: RunReport) -> str:
    """Return the advice of the status.

    A run whose load figures say nothing of its target is not recommended as a baseline.
    """
    why = next((why for load in report.load if (why := why_not_comparable(load))), "")
    if report.status is ExitStatus.CONFORMS and why:
        return f"Nothing to fix. Not a baseline for comparisons of load: {why}."
    return STATUSES[report.status].next_step
