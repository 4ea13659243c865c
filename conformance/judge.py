"""Evaluate a journal: verdicts are the same as in the run, for anyone who has the file.

The run calls `judge_records` with the records that it has just written; others call
`judge_journal` with those that they have read. Verdicts are computed nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from trueup.conformance.checks.check import Check
from trueup.conformance.checks.compare import judge_added
from trueup.conformance.checks.evaluate import judge_evaluation
from trueup.conformance.checks.installed import GROUP, installed_checks
from trueup.conformance.checks.registry import CHECKS
from trueup.conformance.contract.evaluation import evaluate
from trueup.conformance.errors import JudgeBroken
from trueup.conformance.ports import SentTraffic
from trueup.conformance.reconciliation.evaluate import (
    PARTS,
    PARTS_BEFORE_CHECKS,
    judge_traffic,
    traffic_checks,
)
from trueup.conformance.selection import checks_at
from trueup.conformance.stateful.evaluate import BEGUN, judge_sequences
from trueup.conformance.stateful.evaluate import CHECK as STATEFUL
from trueup.reports.journal.records import Delivered, Hook, JudgePlan, Phase, Record, Result
from trueup.reports.journal.storage import Journal
from trueup.reports.results import CheckResult

__all__ = ["BY_NAME", "disagreements", "judge_journal", "judge_records", "required_checks"]

BY_NAME = {check.name: check for check in CHECKS}
_LEVEL_OF_HOOK = {"proxies": 1, "ingest": 2, "clock": 3, "restart": 4}
"""Part of a target file → the level that it opens."""
_STAGE = "judge "
"""Begins the names of the phases in which checks read."""


def judge_records(records: Iterable[Record], checks: Sequence[Check]) -> list[CheckResult]:
    """Return the verdicts of the checks over records, in their order.

    Raises JudgeBroken without a plan.
    """
    records = tuple(records)
    own = [check for check in checks if check.added is None]
    results = {result.check: result for result in judge_evaluation(evaluate(records), own)}
    results |= {result.check: result for result in judge_added(records, checks)}
    return [results[check.name] for check in checks]


def required_checks(journal: Journal) -> tuple[str, ...]:
    """Return the names of the checks that a journal has to hold results of, in order.

    They follow from what was done, not from the list in the header, so that a check cannot be
    removed from a journal: all checks of the levels that the run's level, the target's hooks and
    the hooks that were called amount to, within the header's `only`; the checks of the traffic
    that was delivered; and that of stateful tests if they were run. Checks of installed packages
    are not among them: another machine may have others.
    """
    records, header = journal.records, journal.header
    names: dict[str, None] = {}
    parts = {record.part for record in records if isinstance(record, JudgePlan)}
    # Those without a fleet are probes beside a part.
    parts |= {record.source for record in records if isinstance(record, Delivered) and record.fleet}
    for part in PARTS_BEFORE_CHECKS:
        if part in parts:
            names |= dict.fromkeys(traffic_checks(part))
    stages = {
        record.name.removeprefix(_STAGE)
        for record in records
        if isinstance(record, Phase) and record.name.startswith(_STAGE)
    }
    if stages:
        reached = {0} | {
            level
            for plan in records
            if isinstance(plan, JudgePlan) and not plan.part
            for hook, level in _LEVEL_OF_HOOK.items()
            if hook in plan.hooks and level <= header.level
        }
        reached |= {
            _LEVEL_OF_HOOK.get(hook.hook, 0)
            for hook in records
            if isinstance(hook, Hook) and hook.ok and not hook.check and hook.stage in stages
        }
        names |= dict.fromkeys(check.name for check in checks_at(reached, only=header.only))
    if any(part.startswith(f"{BEGUN}-") for part in parts) or any(
        isinstance(record, Hook) and record.hook == BEGUN for record in records
    ):
        names[STATEFUL] = None
    if "load" in parts:
        names |= dict.fromkeys(traffic_checks("load"))
    return tuple(names)


def judge_journal(
    journal: Journal, sent: Mapping[str, SentTraffic] | None = None
) -> list[CheckResult]:
    """Return every verdict that a journal has to hold, recomputed from its records.

    Those are the checks that its header declares and those of `required_checks`. `sent` holds the
    traffic of the parts (`fleet`, `proxied`, `load`), drawn or read again; the checks of a part
    that is missing there are left out. Raises JudgeBroken for a declared name that neither this
    version nor an installed package knows, and LawUnusable.
    """
    names = tuple(dict.fromkeys((*journal.header.checks, *required_checks(journal))))
    of_traffic = {name for part in PARTS for name in traffic_checks(part)} | {STATEFUL}
    known = dict(BY_NAME)
    if any(name not in known and name not in of_traffic for name in names):
        known |= {check.name: check for check in installed_checks()}
    unknown = [n for n in names if n not in known and n not in of_traffic]
    if unknown:
        raise JudgeBroken(_unknown(journal, unknown))
    results: list[CheckResult] = []
    checks = [known[name] for name in names if name in known]
    if checks and any(isinstance(r, JudgePlan) and not r.part for r in journal.records):
        results = judge_records(journal.records, checks)
    if STATEFUL in names:
        results.append(judge_sequences(journal.records))
    for part, traffic in (sent or {}).items():
        found, _ = judge_traffic(journal.records, traffic, part)
        results += [result for result in found if result.check in names]
    return results


def _unknown(journal: Journal, names: Sequence[str]) -> str:
    packages = {
        record.result.package
        for record in journal.records
        if isinstance(record, Result) and record.result.check in names and record.result.package
    }
    remedies = [f"judge it with trueup {journal.header.trueup}"]
    if packages:
        remedies = [f"install {package}, which adds them" for package in sorted(packages)]
    return (
        f"{journal.path}: declares checks that neither this version of trueup nor an installed "
        f"package (entry points of {GROUP}) knows: {', '.join(names)}\n"
        f"  remedy: {'; '.join(remedies)}"
    )


def disagreements(journal: Journal, again: Sequence[CheckResult]) -> list[str]:
    """Return a sentence for each check whose result in the journal is not the recomputed one.

    So are a check that had to be evaluated and is not declared or has no result, and a result of
    a check that neither the header nor the records call for.
    """
    stored = {r.result.check: r.result for r in journal.records if isinstance(r, Result)}
    declared = {*journal.header.checks}
    found = [
        f"{name}: has a result in the journal, but the run did not have to evaluate it"
        for name in sorted(stored.keys() - declared - {*required_checks(journal)})
    ]
    for result in again:
        before = stored.get(result.check)
        if result.check not in declared:
            found.append(
                f"{result.check}: had to be evaluated at level {journal.header.level}, but the "
                f"journal (of trueup {journal.header.trueup}) does not declare it; "
                f"{result.verdict} when judged again"
            )
        elif before is None:
            found.append(f"{result.check}: not in the journal, {result.verdict} when judged again")
        elif (before.verdict, before.evidence) != (result.verdict, result.evidence):
            found.append(
                f"{result.check}: in the journal {before.verdict} on {before.evidence} "
                f"observations, judged again {result.verdict} on {result.evidence}"
            )
    return found
