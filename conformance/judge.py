"""Judging from a journal alone: the same verdicts as in the run, for anyone who has the file.

The live run calls `judge_records` with the records that it has just written; a third party calls
`judge_journal` with those that it has read. There is no other way to a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from trueup.conformance.checks.check import Check
from trueup.conformance.checks.evaluate import judge_all
from trueup.conformance.checks.registry import CHECKS
from trueup.conformance.errors import JudgeBroken
from trueup.conformance.observed.observations import Observations
from trueup.conformance.ports import SentTraffic
from trueup.conformance.reconciliation.evaluate import PARTS, judge_traffic, traffic_checks
from trueup.conformance.stateful.evaluate import CHECK as HISTORIES
from trueup.conformance.stateful.evaluate import judge_histories
from trueup.reports.journal.records import JudgePlan, Record, Result
from trueup.reports.journal.storage import Journal
from trueup.reports.results import CheckResult

__all__ = ["BY_NAME", "disagreements", "judge_journal", "judge_records"]

BY_NAME = {check.name: check for check in CHECKS}


def judge_records(records: Iterable[Record], checks: Sequence[Check]) -> list[CheckResult]:
    """Verdicts of the checks over records; JudgeBroken where the run never began."""
    return judge_all(Observations(records), checks)


def judge_journal(
    journal: Journal, sent: Mapping[str, SentTraffic] | None = None
) -> list[CheckResult]:
    """Recompute every verdict that a journal's header declares.

    `sent` holds the traffic of the parts (`fleet`, `load`), drawn again from the journal; the
    checks of a part that is missing there are left out. Raises JudgeBroken for a name that this
    version does not know.
    """
    names = journal.header.checks
    of_traffic = {name for part in PARTS for name in traffic_checks(part)} | {HISTORIES}
    unknown = [n for n in names if n not in BY_NAME and n not in of_traffic]
    if unknown:
        raise JudgeBroken(
            f"{journal.path}: declares checks that this version of trueup does not know: "
            f"{', '.join(unknown)}; judge it with trueup {journal.header.trueup}"
        )
    results: list[CheckResult] = []
    if any(isinstance(r, JudgePlan) and not r.part for r in journal.records):
        results = judge_records(journal.records, [BY_NAME[n] for n in names if n in BY_NAME])
    if HISTORIES in names:
        results.append(judge_histories(journal.records))
    for part, traffic in (sent or {}).items():
        found, _ = judge_traffic(journal.records, traffic, part)
        results += [result for result in found if result.check in names]
    return results


def disagreements(journal: Journal, again: Sequence[CheckResult]) -> list[str]:
    """Checks whose verdict in the journal is not the recomputed one; a sentence each."""
    stored = {r.result.check: r.result for r in journal.records if isinstance(r, Result)}
    found = []
    for result in again:
        before = stored.get(result.check)
        if before is None:
            found.append(f"{result.check}: not in the journal, {result.verdict} when judged again")
        elif (before.verdict, before.evidence) != (result.verdict, result.evidence):
            found.append(
                f"{result.check}: in the journal {before.verdict} on {before.evidence} "
                f"observations, judged again {result.verdict} on {result.evidence}"
            )
    return found
