"""Known failures as text, the same in every format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trueup.reports.formatting import one_line, plural
from trueup.reports.known_failures import EntryState, KnownFailure, KnownFailures
from trueup.reports.model import RunReport

__all__ = ["known_notes", "known_text", "reason_of"]

_REMEDY: Final = {
    EntryState.EXPIRED: "its last day is over, so that the failure counts: fix it or extend it",
    EntryState.RESOLVED: "no longer fails: remove the entry",
    EntryState.NOT_RUN: "nothing in this run has its name and a verdict",
}
_REASON: Final = 120


def known_text(failure: KnownFailure) -> str:
    """Return until when and why a failure is accepted."""
    return f"known until {failure.until}: {failure.reason}"


def reason_of(report: RunReport, check: str) -> str:
    """Return why the failure of a check is accepted; empty where it is not."""
    failure = report.known.checks.get(check) if report.known is not None else None
    return known_text(failure) if failure is not None else ""


def known_notes(known: KnownFailures | None) -> Iterator[str]:
    """Yield a sentence on what is excused, and one for each entry that is not needed or expired."""
    if known is None:
        return
    yield f"{plural(known.excused, 'failure')} known, by {known.source}"
    for state, remedy in _REMEDY.items():
        for failure in known.those(state):
            yield f"{failure.name} ({one_line(failure.reason, _REASON)}): {remedy}"
