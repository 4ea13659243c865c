"""Failures that are known: listed in a file, each with a reason and a last day, so that a build is
red only for what is new.

The file is no part of the run: the journal and the verdicts stay as they are. It decides which exit
status a run ends with, and how reports mark the failures that it lists. An entry counts up to its
last day, compared with the day on which the run started, so that the same journal and the same file
always give the same report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec

from trueup.reports.configuration import (
    Mistake,
    TomlFile,
    describe_value,
    load_toml,
    struct_mistakes,
)
from trueup.reports.journal.records import LoadResult
from trueup.reports.results import CheckResult, Verdict
from trueup.reports.verdicts import ThresholdOutcome, threshold_outcome

__all__ = [
    "EXCUSABLE",
    "EntryState",
    "KnownEntry",
    "KnownFailure",
    "KnownFailures",
    "KnownFile",
    "match_known",
    "read_known",
]

_KIND: Final = "file of known failures"
_PAGE: Final = "docs/reports.md"
EXCUSABLE: Final = frozenset({Verdict.FAIL, Verdict.NOT_TESTABLE, Verdict.INCONCLUSIVE})
"""Verdicts that an entry may excuse. A blocked check is excused with the check that blocks it."""
_SUBJECTS: Final = ("check", "clause", "threshold")


class KnownFailure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry: what fails, why that is accepted, and the last day on which it is."""

    reason: str
    until: date
    check: str = ""
    """Name of a check."""
    clause: str = ""
    """Id of a clause: every check that tests it."""
    threshold: str = ""
    """Name of a threshold of a load scenario."""

    @property
    def name(self) -> str:
        """What the entry is about: `check pages-are-whole`, `clause PAGE-1`."""
        return next(f"{kind} {name}" for kind in _SUBJECTS if (name := getattr(self, kind)))

    def covers(self, result: CheckResult) -> bool:
        """Return whether the entry is about a check."""
        return result.check == self.check or self.clause in result.clauses


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """The entries of a file, in its order."""

    source: str
    """The file, as it was named."""
    entries: tuple[KnownFailure, ...]


class EntryState(StrEnum):
    """What a run shows of an entry."""

    FAILS = "fails as known"
    EXPIRED = "expired"
    """It fails, and the last day of the entry is over: the failure counts."""
    RESOLVED = "no longer fails"
    """Every check that it is about passed, or the threshold was met: the entry can go."""
    NOT_RUN = "not part of this run"
    """Nothing that it is about has a verdict in this run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEntry:
    """An entry and what a run shows of it."""

    failure: KnownFailure
    state: EntryState


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailures:
    """A file of known failures, compared with one run."""

    source: str
    entries: tuple[KnownEntry, ...]
    """Every entry, in the order of the file."""
    checks: Mapping[str, KnownFailure] = field(default_factory=dict)
    """Check → the entry that excuses it, blocked checks included."""
    thresholds: Mapping[str, KnownFailure] = field(default_factory=dict)
    """Threshold → the entry that excuses it."""

    @property
    def excused(self) -> int:
        """Number of checks and thresholds that fail as known."""
        return len(self.checks) + len(self.thresholds)

    def those(self, state: EntryState) -> tuple[KnownFailure, ...]:
        """Return the entries in one state."""
        return tuple(one.failure for one in self.entries if one.state is state)


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    known: tuple[dict[str, Any], ...]


def read_known(path: Path) -> KnownFile:
    """Return the entries of a TOML file with one `[[known]]` table for each.

    Raises ConfigurationError, which names the file and every mistake with its remedy.
    """
    file = TomlFile.read(path, kind=_KIND, page=_PAGE)
    return KnownFile(source=str(path), entries=load_toml(file, _build))


def _build(document: dict[str, Any]) -> tuple[tuple[KnownFailure, ...] | None, list[Mistake]]:
    """Return the entries, or every mistake."""
    entries = document.get("known", [])
    if not isinstance(entries, list):
        found = describe_value(entries)
        return None, [Mistake(key="known", expected="[[known]] tables", found=found)]
    mistakes = [*struct_mistakes({"known": [], **_without(document)}, _Document)]
    for number, entry in enumerate(entries):
        mistakes += struct_mistakes(entry, KnownFailure, at=f"known[{number}]")
        mistakes += _subject_mistakes(entry, f"known[{number}]")
    if mistakes:
        return None, mistakes
    return tuple(msgspec.convert(entry, KnownFailure) for entry in entries), []


def _without(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "known"}


def _subject_mistakes(entry: object, at: str) -> Iterator[Mistake]:
    """Yield a mistake where an entry is about nothing, about two things, or gives no reason."""
    if not isinstance(entry, Mapping):
        return
    named = [kind for kind in _SUBJECTS if entry.get(kind)]
    if len(named) != 1:
        yield Mistake(
            key=at,
            expected="one of `check`, `clause` and `threshold`",
            found=" and ".join(f"`{kind}`" for kind in named) or "none of them",
            remedy="write an entry for each check, clause or threshold that fails",
        )
    if isinstance(entry.get("reason"), str) and not entry["reason"].strip():
        yield Mistake(
            key=f"{at}.reason",
            expected="why the failure is accepted, such as the number of an issue",
            found='""',
        )


def match_known(
    file: KnownFile,
    results: Sequence[CheckResult],
    causes: Mapping[str, str],
    loads: Iterable[LoadResult],
    started_at: str,
) -> KnownFailures:
    """Return what a run shows of each entry, and which failures are excused.

    `causes` maps each blocked check to the check that blocks it in the end.
    """
    day = _day(started_at)
    loads = tuple(loads)
    checks: dict[str, KnownFailure] = {}
    thresholds: dict[str, KnownFailure] = {}
    entries = []
    for failure in file.entries:
        failing = [r.check for r in results if failure.covers(r) and r.verdict in EXCUSABLE]
        missed = _missed(failure, loads)
        state = EntryState.FAILS
        if not failing and not missed:
            state = _quiet_state(failure, results, loads)
        elif day is not None and day > failure.until:
            state = EntryState.EXPIRED
        entries.append(KnownEntry(failure=failure, state=state))
        if state is EntryState.FAILS:
            checks |= {name: failure for name in failing if name not in checks}
            thresholds |= {failure.threshold: failure} if missed else {}
    excused = {blocked: checks[cause] for blocked, cause in causes.items() if cause in checks}
    return KnownFailures(
        source=file.source,
        entries=tuple(entries),
        checks={**excused, **checks},
        thresholds=thresholds,
    )


def _missed(failure: KnownFailure, loads: Sequence[LoadResult]) -> bool:
    """Whether a load run missed the threshold of an entry, or could not determine it."""
    return any(
        threshold_outcome(one, load) is not ThresholdOutcome.MET
        for load in loads
        for one in load.thresholds
        if one.name == failure.threshold
    )


def _quiet_state(
    failure: KnownFailure, results: Sequence[CheckResult], loads: Sequence[LoadResult]
) -> EntryState:
    """State of an entry that nothing fails by."""
    verdicts = {result.verdict for result in results if failure.covers(result)}
    held = bool(verdicts) and verdicts <= {Verdict.PASS, Verdict.WARN}
    met = any(one.name == failure.threshold for load in loads for one in load.thresholds)
    return EntryState.RESOLVED if held or met else EntryState.NOT_RUN


def _day(at: str) -> date | None:
    """The day of a time, UTC; None where it cannot be read: no entry is then expired."""
    try:
        return datetime.fromisoformat(at).date()
    except ValueError:
        return None
