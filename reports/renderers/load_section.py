"""A load run as the page shows it: thresholds, errors, steps of a search, and the charts.

Charts show the whole seconds of the run. Responses that arrive after its end, while retries are
awaited, count for no rate and are not drawn, nor is a last second that is not whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from trueup.reports.formatting import quantity
from trueup.reports.journal.records import LoadResult
from trueup.reports.metrics.load_metrics import LoadFigures
from trueup.reports.metrics.measurement_window import every_second, window
from trueup.reports.renderers.load_summary import errors_of, knee_text, threshold_text
from trueup.reports.renderers.plots import (
    Band,
    Limit,
    Points,
    RateStep,
    axis_ms,
    percentile_plot,
    rate_steps_plot,
    time_plot,
)
from trueup.reports.results import LoadThreshold
from trueup.reports.verdicts import ThresholdOutcome, threshold_outcome, why_undetermined

__all__ = ["Chart", "LoadSection", "ThresholdRow", "load_section"]

_PERCENTILES: Final = (
    ("p999_ms", "p99.9"),
    ("p99_ms", "p99"),
    ("p90_ms", "p90"),
    ("p50_ms", "p50"),
)
_ERROR_LINES: Final = 4
"""Reasons of failures with a line of their own; the last one may stand for all others."""
_STEP_KINDS: Final[Mapping[str, str]] = {"met": "met", "missed": "missed"}
_RESPONSE: Final = "response_"
"""Begins the names of thresholds on response times."""

Rows = Sequence[Mapping[str, float]]
Key = tuple[str, str]
"""(Class of the line in the style sheet, what it shows)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRow:
    """A threshold with its outcome."""

    threshold: LoadThreshold
    outcome: str
    """`met`, `missed` or `undetermined`."""
    why: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A plot with its caption."""

    caption: str
    keys: tuple[Key, ...]
    svg: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSection:
    """A load run with its charts."""

    figures: LoadFigures
    knee: str
    errors: list[tuple[str, int]]
    thresholds: list[ThresholdRow]
    charts: tuple[Chart, ...]
    steps: Markup
    """Chart of the steps of a search; empty where none was made."""


def load_section(figures: LoadFigures) -> LoadSection:
    """Return what the page shows of a load run."""
    load = figures.result
    return LoadSection(
        figures=figures,
        knee=knee_text(load),
        errors=errors_of(load.requests),
        thresholds=[_threshold_row(one, load) for one in load.thresholds],
        charts=tuple(chart for chart in _charts(figures) if chart.svg),
        steps=_steps(load),
    )


def _threshold_row(one: LoadThreshold, load: LoadResult) -> ThresholdRow:
    outcome = threshold_outcome(one, load)
    undetermined = outcome is ThresholdOutcome.UNDETERMINED
    return ThresholdRow(
        threshold=one,
        outcome=str(outcome),
        why=why_undetermined(one, load) if undetermined else "",
        text=threshold_text(one, load),
    )


def _charts(figures: LoadFigures) -> Iterator[Chart]:
    load = figures.result
    end_s = window(load).end
    rows = [row for row in every_second(load) if row.get("t", 0.0) + 1 <= end_s]
    bands = [*_warmup(load), *_silent(rows)]
    marks = [(fault.t_s, fault.what) for fault in figures.faults if fault.t_s is not None]
    noted = tuple(_notes(bands, bool(marks)))
    planned = [(t, per_s * load.plan.batch) for t, per_s in load.timeline.planned]
    yield Chart(
        caption="Events accepted in each second",
        keys=(
            ("s0", "accepted"),
            *([("planned", "planned")] if planned else []),
            *noted,
        ),
        svg=time_plot(
            [_points(rows, "events")],
            label="Events accepted per second",
            title="events/s",
            end_s=end_s,
            steps=planned,
            limits=_rate_limits(load),
            bands=bands,
            marks=marks,
        ),
    )
    measured = [(key, name) for key, name in _PERCENTILES if any(key in row for row in rows)]
    yield Chart(
        caption="Response times in each second, logarithmic",
        keys=(*((f"s{number}", name) for number, (_, name) in enumerate(measured)), *noted),
        svg=time_plot(
            [_points(rows, key) for key, _ in measured],
            label=f"{', '.join(name for _, name in measured)} per second",
            title="response time",
            end_s=end_s,
            show=axis_ms,
            log=True,
            limits=_time_limits(load),
            bands=bands,
            marks=marks,
        ),
    )
    failed = _failures(load, rows, end_s)
    yield Chart(
        caption="Failed attempts in each second, by reason",
        keys=(*((f"s{number}", reason) for number, reason in enumerate(failed)), *noted),
        svg=time_plot(
            list(failed.values()),
            label="Failed attempts per second",
            title="failed attempts/s",
            end_s=end_s,
            bands=bands,
            marks=marks,
        ),
    )
    lines = [one for one in (figures.response, figures.service, figures.lateness) if one.curve]
    yield Chart(
        caption="Time over the share of requests that were faster",
        keys=tuple((f"s{number}", one.name) for number, one in enumerate(lines)),
        svg=percentile_plot(lines),
    )


def _points(rows: Rows, name: str) -> Points:
    return [(row.get("t", 0.0), row.get(name)) for row in rows]


def _warmup(load: LoadResult) -> Iterator[Band]:
    if load.plan.warmup_s > 0:
        yield Band(start=0.0, end=load.plan.warmup_s, kind="warmup")


def _silent(rows: Rows) -> Iterator[Band]:
    """Seconds in a row in which no request with events had a response."""
    start: float | None = None
    at = 0.0
    for row in rows:
        at = row.get("t", 0.0)
        if row.get("requests", 1.0) == 0 and start is None:
            start = at
        elif row.get("requests", 1.0) > 0 and start is not None:
            yield Band(start=start, end=at, kind="silent")
            start = None
    if start is not None:
        yield Band(start=start, end=at + 1, kind="silent")


def _notes(bands: Sequence[Band], marked: bool) -> Iterator[Key]:
    """What backgrounds and vertical lines mean, where there are any."""
    kinds = {band.kind for band in bands}
    if "warmup" in kinds:
        yield "warmup", "warm-up, left out of every figure"
    if "silent" in kinds:
        yield "silent", "no response"
    if marked:
        yield "mark", "disturbance of the target"


def _rate_limits(load: LoadResult) -> list[Limit]:
    """Thresholds on rates, as events per second."""
    factors = {"events_per_s": 1, "requests_per_s": load.plan.batch}
    return [
        Limit(
            value=one.limit * factors[one.name],
            word=f"{one.name} ≥ {quantity(one.limit, one.unit)}",
        )
        for one in load.thresholds
        if one.name in factors
    ]


def _time_limits(load: LoadResult) -> list[Limit]:
    """Thresholds on response times, which hold over the whole run."""
    return [
        Limit(value=one.limit, word=f"{one.name} ≤ {quantity(one.limit, one.unit)}")
        for one in load.thresholds
        if one.name.startswith(_RESPONSE)
    ]


def _failures(load: LoadResult, rows: Rows, end_s: int) -> dict[str, Points]:
    """Reason → failed attempts by second; the rarer reasons of many share a line.

    A record without reasons by second has one line for all.
    """
    totals = {why: sum(n for _, n in found) for why, found in load.timeline.errors.items()}
    frequent = sorted(load.timeline.errors, key=lambda why: (-totals[why], why))
    by_reason = {why: load.timeline.errors[why] for why in frequent}
    if not by_reason:
        whole = [(row.get("t", 0.0), row.get("errors", 0.0)) for row in rows]
        return {"any reason": whole} if any(count for _, count in whole) else {}
    own = list(by_reason)[: _ERROR_LINES - (len(by_reason) > _ERROR_LINES)]
    counts = {reason: Counter(dict(by_reason[reason])) for reason in own}
    if len(own) < len(by_reason):
        others: Counter[int] = Counter()
        for reason in list(by_reason)[len(own) :]:
            others.update(dict(by_reason[reason]))
        counts["other reasons"] = others
    return {
        reason: [(float(t), float(found[t])) for t in range(end_s)]
        for reason, found in counts.items()
    }


def _steps(load: LoadResult) -> Markup:
    if load.knee is None:
        return Markup("")
    steps = [
        RateStep(rate=step.rate_rps, kind=_STEP_KINDS.get(step.seen, "open"))
        for step in load.knee.steps
    ]
    return rate_steps_plot(steps, low=load.knee.low_rps, high=load.knee.high_rps)
