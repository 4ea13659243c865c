"""Known failures as text, the same in every format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from trueup.reports.formatting import one_line, plural
from trueup.reports.known_failures import (
    EXCUSABLE,
    EntryState,
    KnownEntry,
    KnownFailure,
    KnownFailures,
)
from trueup.reports.model import RunReport
from trueup.reports.results import CheckResult

__all__ = ["known_notes", "known_text", "reason_of", "render_known"]

_REMEDY: Final = {
    EntryState.EXPIRED: "its last day is over, so that the failure counts: fix it or extend it",
    EntryState.RESOLVED: "no longer fails: remove the entry",
    EntryState.NOT_RUN: "nothing in this run has its name and a verdict",
}
_REASON: Final = 120
_PERIOD: Final = timedelta(days=30)
"""How long a new entry is proposed to count."""


def render_known(report: RunReport) -> str:
    """Return a file of known failures with an entry for each finding that counts against a build.

    Entries of the file that was given stay as they are; those that no longer fail are left out. A
    new one has no reason yet, so that the file is refused until it says why it is accepted.
    """
    until = _last_day(report)
    lines = [f"# Failures of {one_line(report.header.run, 120)} that are accepted, and until when."]
    kept = [] if report.known is None else report.known.entries
    for entry in kept:
        if entry.state is not EntryState.RESOLVED:
            failure = entry.failure
            kind, _, name = failure.name.partition(" ")
            lines += _entry(kind, name, failure.reason, failure.until)
    for row in report.rows:
        result = row.result
        if result.verdict in EXCUSABLE and not _has_entry(kept, result):
            lines += ["", f"# {result.verdict}: {one_line(result.title, 200)}"]
            lines += _entry("check", result.check, "", until)[1:]
    return "\n".join(lines) + "\n"


def _has_entry(entries: Sequence[KnownEntry], result: CheckResult) -> bool:
    return any(entry.failure.covers(result) for entry in entries)


def _entry(kind: str, name: str, reason: str, until: date) -> list[str]:
    return [
        "",
        "[[known]]",
        f"{kind} = {_quoted(name)}",
        f"reason = {_quoted(reason)}",
        f"until = {until}",
    ]


def _quoted(text: str) -> str:
    """A basic string of TOML: JSON's escapes are among its own."""
    return json.dumps(one_line(text, 1000), ensure_ascii=False)


def _last_day(report: RunReport) -> date:
    """Thirty days after the run started; of a time that cannot be read, the first day of all."""
    try:
        return (datetime.fromisoformat(report.header.started_at) + _PERIOD).date()
    except (ValueError, OverflowError):
        return date.min


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
