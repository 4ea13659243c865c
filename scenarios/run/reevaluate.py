"""Judging a run again: traffic drawn anew from its ranges, verdicts recomputed from the journal."""

from __future__ import annotations

from trueup.conformance.judge import judge_journal
from trueup.reports.journal.storage import Journal
from trueup.reports.results import CheckResult
from trueup.scenarios.run.traffic import traffic_of

__all__ = ["reevaluate"]


def reevaluate(journal: Journal) -> list[CheckResult]:
    """Return every verdict that the journal declares, recomputed from it alone.

    Raises FleetError where the fleet's profile or model is no longer the one that was used.
    """
    return judge_journal(journal, traffic_of(journal))
