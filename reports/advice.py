"""What the reader of a run does next, in a sentence."""

from __future__ import annotations

from reports.compare import unfit
from reports.facts import ExitStatus
from reports.looks import STATUSES
from reports.model import RunReport

__all__ = ["next_step"]


def next_step(report: RunReport) -> str:
    """The status's own advice; a load that says nothing of its target is no baseline."""
    why = next((why for load in report.load if (why := unfit(load))), "")
    if report.status is ExitStatus.CONFORMS and why:
        return f"Nothing to mend. Not a baseline for comparisons of load: {why}."
    return STATUSES[report.status].next_step
