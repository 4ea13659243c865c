"""Verdicts of laws that other packages add, from the comparisons that they make in a run's records.

The rules are those of `evaluate.py`: a difference is a failure, and too few comparisons are
inconclusive. A law that raises an exception, returns something else than comparisons or does not
end is inconclusive, with the reason.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trueup.conformance.checks.check import AddedLaw, Check
from trueup.conformance.checks.law import Comparison, RecordedRun, recorded_run
from trueup.reports.journal.records import Record
from trueup.reports.results import CheckResult, Counterexample, Difference, Json, Verdict

__all__ = ["judge_added"]

MOST_COMPARISONS: Final = 10_000_000
"""Comparisons that a law may make in one run."""
MOST_DIFFERENCES: Final = 1_000
"""Differences that a result holds; more are counted in its reason."""
MOST_EXCHANGES: Final = 40
"""Numbers of responses that a result holds."""
MOST_TEXT: Final = 2_000
"""Characters of a value or a place in a difference."""


@dataclass(slots=True)
class _Compared:
    made: int = 0
    wrong: int = 0
    differences: list[Difference] = field(default_factory=list)
    exchanges: dict[int, None] = field(default_factory=dict)
    error: str = ""


def judge_added(records: Iterable[Record], checks: Sequence[Check]) -> list[CheckResult]:
    """Return one result for each check that has a law of another package, in their order."""
    added = [(check, check.added) for check in checks if check.added is not None]
    if not added:
        return []
    run = recorded_run(records)
    return [_result(check, law, _compare(law, run)) for check, law in added]


def _compare(law: AddedLaw, run: RecordedRun) -> _Compared:
    found = _Compared()
    try:
        for comparison in law.compare(run):
            if not isinstance(comparison, Comparison):
                found.error = (
                    f"its function returned {type(comparison).__name__}, not trueup.laws.Comparison"
                )
                break
            if found.made == MOST_COMPARISONS:
                found.error = f"it made more than {MOST_COMPARISONS:,} comparisons"
                break
            found.made += 1
            if comparison.expected != comparison.seen:
                _take(found, comparison)
    except (Exception, SystemExit) as error:
        found.error = f"{_place(error)}{type(error).__name__}: {error}"
    return found


def _take(found: _Compared, comparison: Comparison) -> None:
    found.wrong += 1
    if len(found.differences) < MOST_DIFFERENCES:
        found.differences.append(
            Difference(
                where=_text(comparison.where),
                expected=_text(comparison.expected),
                seen=_text(comparison.seen),
            )
        )
    for number in comparison.exchanges:
        if len(found.exchanges) < MOST_EXCHANGES:
            found.exchanges[int(number)] = None


def _text(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"


def _place(error: BaseException) -> str:
    """Return the file and line in which an exception was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: " if frames else ""


def _result(check: Check, law: AddedLaw, found: _Compared) -> CheckResult:
    verdict, reason = _verdict(check, law, found)
    first = found.differences[0] if verdict is Verdict.FAIL else None
    return CheckResult(
        check=check.name,
        law=check.law,
        title=check.title,
        verdict=verdict,
        reason=reason,
        clauses=check.clauses,
        level=check.level,
        impact=check.impact,
        evidence=found.made,
        evidence_needed=check.needed,
        expected=first.expected if first else "",
        seen=first.seen if first else "",
        counterexample=Counterexample(
            differences=tuple(found.differences), exchanges=tuple(found.exchanges)
        )
        if first
        else None,
        package=law.package,
        clause_texts=dict(law.clause_texts),
    )


def _verdict(check: Check, law: AddedLaw, found: _Compared) -> tuple[Verdict, str]:
    if found.error:
        return Verdict.INCONCLUSIVE, f"{law.package} could not compare: {found.error}"
    if found.wrong:
        first = found.differences[0]
        also = f", and {found.wrong - 1} more" if found.wrong > 1 else ""
        return (
            Verdict.FAIL,
            f"{first.where}: expected {first.expected}, saw {first.seen}{also}",
        )
    if found.made < check.needed:
        return (
            Verdict.INCONCLUSIVE,
            f"{found.made} of at least {check.needed} comparisons that could have refuted it were "
            "made; those agree with it",
        )
    return Verdict.PASS, f"{found.made:,} comparisons agree with it"
