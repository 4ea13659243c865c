"""A folder of runs over time: verdicts, counts and speed of runs that asked the same.

It reads `result.json` of each run, not the journals, so that a year of runs takes seconds. Runs of
one target, scenario and level belong together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from trueup.reports.errors import ReportError
from trueup.reports.results import ExitStatus, Json, Verdict

__all__ = ["RunHistory", "RunSeries", "TrendLoad", "TrendRun", "read_trend", "trend_document"]

RESULT_NAME: Final = "result.json"
_SCHEMA_VERSION: Final = 2


class _ReadCounts(msgspec.Struct, frozen=True):
    passed: int
    tested: int
    testable: int
    total: int


class _ReadCheck(msgspec.Struct, frozen=True):
    check: str
    verdict: Verdict


class _ReadLoad(msgspec.Struct, frozen=True):
    scenario: str
    accepted_events_per_s: float | None
    correct_events_per_s: float | None
    latency_ms: dict[str, dict[str, float] | None]
    status: ExitStatus


class _ReadResult(msgspec.Struct, frozen=True):
    """What is read of `result.json`; other keys may be there."""

    schema_version: int
    run: str
    started_at: str
    scenario: str
    target: str
    level: int
    trueup: str
    status: ExitStatus
    duration_s: float | None
    counts: _ReadCounts
    checks: tuple[_ReadCheck, ...]
    load: tuple[_ReadLoad, ...]


class _SchemaVersion(msgspec.Struct, frozen=True):
    schema_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendLoad:
    """A load of one run."""

    scenario: str
    events_per_s: float | None
    """Correct ones where that is known, else accepted ones."""
    p99_ms: float | None
    status: ExitStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendRun:
    """One run of a series."""

    folder: str
    """Name of its folder."""
    run: str
    started_at: str
    trueup: str
    status: ExitStatus
    passed: int
    testable: int
    total: int
    duration_s: float | None
    verdicts: Mapping[str, Verdict]
    load: tuple[TrendLoad, ...]

    @property
    def failing(self) -> tuple[str, ...]:
        """Names of the checks that fail or cannot be tested though they are claimed."""
        bad = (Verdict.FAIL, Verdict.NOT_TESTABLE)
        return tuple(check for check, verdict in self.verdicts.items() if verdict in bad)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSeries:
    """Runs of one target, scenario and level, the oldest first."""

    target: str
    scenario: str
    level: int
    runs: tuple[TrendRun, ...]

    @property
    def changed(self) -> tuple[str, ...]:
        """Checks whose verdict was not the same in every run that has one, in order of name."""
        verdicts: dict[str, set[Verdict]] = {}
        for run in self.runs:
            for check, verdict in run.verdicts.items():
                verdicts.setdefault(check, set()).add(verdict)
        return tuple(sorted(check for check, found in verdicts.items() if len(found) > 1))

    @property
    def loads(self) -> tuple[str, ...]:
        """Load scenarios of any run."""
        return tuple(dict.fromkeys(load.scenario for run in self.runs for load in run.load))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHistory:
    """All runs of a folder."""

    series: tuple[RunSeries, ...]
    """The one with the latest run first."""
    skipped: tuple[tuple[str, str], ...]
    """(Folder, why it was left out)."""


def read_trend(folder: Path) -> RunHistory:
    """Return the runs below a folder.

    Links, such as `latest`, are left out. Raises ReportError where the folder cannot be read or
    has no run.
    """
    try:
        found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError as error:
        raise ReportError(
            f"{folder}: cannot be read: {error.strerror}. Name a folder of runs."
        ) from error
    runs: dict[tuple[str, str, int], list[TrendRun]] = {}
    skipped = []
    for path in found:
        read = _read(path / RESULT_NAME)
        if isinstance(read, str):
            skipped.append((path.name, read))
        else:
            key = (read.target, read.scenario, read.level)
            runs.setdefault(key, []).append(_run(path.name, read))
    if not runs:
        raise ReportError(
            f"{folder}: no run with a {RESULT_NAME} is here. Name the folder that keeps the runs, "
            "such as runs/."
        )
    series = [
        RunSeries(
            target=target,
            scenario=scenario,
            level=level,
            runs=tuple(sorted(group, key=lambda run: (run.started_at, run.run))),
        )
        for (target, scenario, level), group in runs.items()
    ]
    return RunHistory(
        series=tuple(sorted(series, key=lambda one: one.runs[-1].started_at, reverse=True)),
        skipped=tuple(skipped),
    )


def _read(path: Path) -> _ReadResult | str:
    """A run's result, or why it cannot be used."""
    try:
        raw = path.read_bytes()
        version = msgspec.json.decode(raw, type=_SchemaVersion).schema_version
        if version != _SCHEMA_VERSION:
            return f"its {RESULT_NAME} has schema {version}, not {_SCHEMA_VERSION}"
        return msgspec.json.decode(raw, type=_ReadResult)
    except FileNotFoundError:
        return f"it has no {RESULT_NAME}"
    except (OSError, msgspec.MsgspecError) as error:
        return f"its {RESULT_NAME} cannot be read: {error}"


def _run(folder: str, read: _ReadResult) -> TrendRun:
    return TrendRun(
        folder=folder,
        run=read.run,
        started_at=read.started_at,
        trueup=read.trueup,
        status=read.status,
        passed=read.counts.passed,
        testable=read.counts.testable,
        total=read.counts.total,
        duration_s=read.duration_s,
        verdicts={one.check: one.verdict for one in read.checks},
        load=tuple(_load(one) for one in read.load),
    )


def _load(read: _ReadLoad) -> TrendLoad:
    correct = read.correct_events_per_s
    return TrendLoad(
        scenario=read.scenario,
        events_per_s=read.accepted_events_per_s if correct is None else correct,
        p99_ms=(read.latency_ms.get("response") or {}).get("p99"),
        status=read.status,
    )


def trend_document(trend: RunHistory) -> dict[str, Json]:
    """Return the trend as plain JSON values."""

    def run(one: TrendRun) -> dict[str, Json]:
        loads: Sequence[Json] = [
            {
                "scenario": load.scenario,
                "events_per_s": load.events_per_s,
                "p99_ms": load.p99_ms,
                "status": str(load.status),
            }
            for load in one.load
        ]
        return {
            "run": one.run,
            "folder": one.folder,
            "started_at": one.started_at,
            "status": str(one.status),
            "passed": one.passed,
            "testable": one.testable,
            "total": one.total,
            "failing": list(one.failing),
            "load": list(loads),
        }

    return {
        "series": [
            {
                "target": one.target,
                "scenario": one.scenario,
                "level": one.level,
                "changed": list(one.changed),
                "runs": [run(each) for each in one.runs],
            }
            for one in trend.series
        ],
        "skipped": [{"folder": name, "why": why} for name, why in trend.skipped],
    }
