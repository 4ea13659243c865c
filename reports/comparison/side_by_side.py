"""Several runs side by side: verdicts, readings, sensitivity and speed of several implementations.

Nothing is refused here: the runs may differ in target, scenario and seed, and what they differ in
is shown. Whether a figure of two runs of one plan truly differs is for the module `compare`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from trueup.reports.comparison.compare import plan_differences, why_not_comparable
from trueup.reports.formatting import amount, duration, milliseconds, rate
from trueup.reports.metrics.coverage import coverage_summary
from trueup.reports.metrics.load_metrics import LoadFigures
from trueup.reports.model import RunReport
from trueup.reports.results import Json, Verdict
from trueup.reports.verdict_styles import VERDICTS

__all__ = ["CheckLine", "SideBySide", "ValueLine", "side_by_side", "side_by_side_document"]

_NONE: Final = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLine:
    """One check in every run."""

    check: str
    law: str
    title: str
    verdicts: tuple[Verdict | None, ...]
    """In the order of the runs; None: no result."""

    @property
    def differs(self) -> bool:
        """Whether the runs have different verdicts, a missing one among them."""
        return len(set(self.verdicts)) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLine:
    """One value in every run, as text; `–` where a run has none."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs have different values."""
        return len(set(self.values)) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """Several runs."""

    runs: tuple[RunReport, ...]
    about: tuple[ValueLine, ...]
    """What was run, and how it ended."""
    checks: tuple[CheckLine, ...]
    """Those with different verdicts first, the most severe first."""
    readings: tuple[ValueLine, ...]
    load: tuple[ValueLine, ...]
    """Figures of each load scenario."""
    plans: tuple[ValueLine, ...]
    """Settings of load plans that are not the same in every run."""

    @property
    def differing(self) -> tuple[CheckLine, ...]:
        """The checks with different verdicts."""
        return tuple(line for line in self.checks if line.differs)


def side_by_side(runs: Sequence[RunReport]) -> SideBySide:
    """Return several runs arranged line by line."""
    return SideBySide(
        runs=tuple(runs),
        about=tuple(
            ValueLine(name=name, values=tuple(value(run) for run in runs)) for name, value in _ABOUT
        ),
        checks=_checks(runs),
        readings=_readings(runs),
        load=_load(runs),
        plans=_plans(runs),
    )


def _sensitivity(run: RunReport) -> str:
    found = run.sensitivity
    return _NONE if found is None else f"{int(found.share * 100)} % of {amount(found.mutants)}"


def _coverage(run: RunReport) -> str:
    found = coverage_summary(run.coverage)
    return _NONE if found is None else f"{amount(found.reached)} of {amount(found.classes)}"


_ABOUT: Final[tuple[tuple[str, Callable[[RunReport], str]], ...]] = (
    ("target", lambda run: run.header.target),
    ("run", lambda run: run.header.run),
    ("verdict", lambda run: str(run.status)),
    ("passed", lambda run: f"{run.counts.passed} of {run.counts.testable} testable"),
    ("checks in all", lambda run: amount(run.counts.total)),
    ("level", lambda run: f"L{run.header.level}"),
    ("scenario", lambda run: run.header.scenario),
    ("seed", lambda run: str(run.header.seed)),
    ("trueup", lambda run: run.header.trueup),
    ("sensitivity: noticed changes", _sensitivity),
    ("contract classes reached", _coverage),
    ("requests of the checks", lambda run: amount(run.requests)),
    ("duration", lambda run: duration(run.duration_s)),
)


def _checks(runs: Sequence[RunReport]) -> tuple[CheckLine, ...]:
    by_run = [{result.check: result for result in run.results} for run in runs]
    every = {check: result for found in reversed(by_run) for check, result in found.items()}
    lines = [
        CheckLine(
            check=check,
            law=result.law,
            title=result.title,
            verdicts=tuple(found[check].verdict if check in found else None for found in by_run),
        )
        for check, result in every.items()
    ]

    def order(line: CheckLine) -> tuple[bool, int, str, str]:
        weights = [VERDICTS[verdict].weight for verdict in line.verdicts if verdict is not None]
        return (not line.differs, min(weights, default=0), line.law, line.check)

    return tuple(sorted(lines, key=order))


def _readings(runs: Sequence[RunReport]) -> tuple[ValueLine, ...]:
    by_run = [{one.name: one.value for one in run.readings} for run in runs]
    names = dict.fromkeys(name for found in by_run for name in found)
    return tuple(
        ValueLine(name=name, values=tuple(found.get(name, _NONE) for found in by_run))
        for name in names
    )


def _quantile(name: str) -> Callable[[LoadFigures], str]:
    return lambda figures: milliseconds(figures.response.quantiles.get(name))


_LOAD: Final[tuple[tuple[str, Callable[[LoadFigures], str]], ...]] = (
    ("planned requests/s", lambda figures: rate(figures.result.plan.rate_rps)),
    ("correct events/s", lambda figures: rate(figures.correct_eps)),
    ("accepted events/s", lambda figures: rate(figures.accepted_eps)),
    ("response p50", _quantile("p50")),
    ("response p99", _quantile("p99")),
    ("failed attempts", lambda figures: f"{figures.error_share:.2%}"),
    ("says nothing because", lambda figures: why_not_comparable(figures.result) or _NONE),
)


def _load(runs: Sequence[RunReport]) -> tuple[ValueLine, ...]:
    by_run = [{one.result.plan.scenario: one for one in run.figures} for run in runs]
    scenarios = dict.fromkeys(name for found in by_run for name in found)
    return tuple(
        ValueLine(
            name=f"{scenario}, {name}",
            values=tuple(
                value(found[scenario]) if scenario in found else _NONE for found in by_run
            ),
        )
        for scenario in scenarios
        for name, value in _LOAD
    )


def _plans(runs: Sequence[RunReport]) -> tuple[ValueLine, ...]:
    """Settings in which any run differs from the first one that has the same load scenario."""
    by_run = [{one.result.plan.scenario: one.result for one in run.figures} for run in runs]
    lines: list[ValueLine] = []
    for scenario in dict.fromkeys(name for found in by_run for name in found):
        first = next(found[scenario] for found in by_run if scenario in found)
        values: dict[str, list[str]] = {}
        for number, found in enumerate(by_run):
            for one in plan_differences(first, found[scenario]) if scenario in found else ():
                values.setdefault(one.key, [one.before] * len(runs))[number] = one.after
        for key, row in values.items():
            there = tuple(
                value if scenario in found else _NONE
                for value, found in zip(row, by_run, strict=True)
            )
            lines.append(ValueLine(name=f"{scenario}, {key}", values=there))
    return tuple(lines)


def side_by_side_document(made: SideBySide) -> dict[str, Json]:
    """Return the comparison as plain JSON values; lists are in the order of `runs`."""

    def lines(values: Sequence[ValueLine]) -> list[Json]:
        return [{"name": line.name, "values": list(line.values)} for line in values]

    return {
        "runs": [run.header.run for run in made.runs],
        "about": lines(made.about),
        "checks": [
            {
                "check": line.check,
                "law": line.law,
                "verdicts": [str(verdict) if verdict else None for verdict in line.verdicts],
                "differs": line.differs,
            }
            for line in made.checks
        ],
        "readings": lines(made.readings),
        "load": lines(made.load),
        "plans": lines(made.plans),
    }
