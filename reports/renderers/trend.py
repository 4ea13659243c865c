"""A folder of runs over time, for a terminal and as a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from markupsafe import Markup

from trueup.reports.formatting import milliseconds, moment, one_line, plural, rate
from trueup.reports.renderers.html import page_environment
from trueup.reports.renderers.plots import RunPoint, axis_count, axis_ms, runs_plot
from trueup.reports.results import ExitStatus
from trueup.reports.trend import RunHistory, RunSeries, TrendRun
from trueup.reports.verdict_styles import STATUSES, VERDICTS

__all__ = ["render_trend", "trend_text"]

_MOST_RUNS: Final = 30
"""Latest runs of a series that tables show; charts have all."""
_NAMES: Final = 3
_MARKS: Final = {"good": "✓", "bad": "✗"}


def trend_text(trend: RunHistory) -> str:
    """Return a line for each run, the latest last, and the checks whose verdict changed."""
    return "\n".join(_lines(trend)) + "\n"


def _lines(trend: RunHistory) -> Iterator[str]:
    for number, series in enumerate(trend.series):
        if number:
            yield ""
        yield _title(series)
        if len(series.runs) > _MOST_RUNS:
            yield f"  the latest {_MOST_RUNS}:"
        for run in series.runs[-_MOST_RUNS:]:
            loads = "".join(
                f"  {one_line(load.scenario, 20)} {rate(load.events_per_s)}/s, "
                f"p99 {milliseconds(load.p99_ms)}"
                for load in run.load
            )
            mark = _MARKS.get(STATUSES[run.status].tone, "?")
            yield (
                f"  {moment(run.started_at)}  {mark} {run.status:<16} "
                f"{run.passed:>4} of {run.testable}{loads}"
            )
            if run.failing:
                yield f"      {_failing(run)}"
        if series.changed:
            names = ", ".join(one_line(name, 60) for name in series.changed)
            yield f"  verdict changed: {names}"
    if trend.skipped:
        yield ""
        for name, why in trend.skipped:
            yield f"left out: {one_line(name, 60)}: {one_line(why, 100)}"


def _title(series: RunSeries) -> str:
    return one_line(
        f"{series.scenario} on {series.target}, level {series.level}: "
        f"{plural(len(series.runs), 'run')}",
        120,
    )


def _failing(run: TrendRun) -> str:
    names = [one_line(name, 60) for name in run.failing[:_NAMES]]
    if len(run.failing) > _NAMES:
        names.append(f"and {len(run.failing) - _NAMES} more")
    return ", ".join(names)


def render_trend(trend: RunHistory, *, base: str = "") -> str:
    """Return the page of a folder of runs; `base` leads from it to the folder, for links."""
    template = page_environment().get_template("trend.html.j2")
    return template.render(
        trend=trend,
        statuses=STATUSES,
        verdicts=VERDICTS,
        most=_MOST_RUNS,
        title=_title,
        failing=_failing,
        charts=_charts,
        link=lambda run: f"{base}{quote(run.folder)}/report.html",
    )


def _charts(series: RunSeries) -> list[tuple[str, Markup]]:
    """Passed checks, and rate and latency of each load, over the runs."""
    charts = [
        (
            "Checks that passed",
            runs_plot(
                [_point(run.passed, run.status) for run in series.runs],
                title="checks",
                label="Checks that passed in each run",
                show=axis_count,
            ),
        )
    ]
    for scenario in series.loads:
        found = [
            next((load for load in run.load if load.scenario == scenario), None)
            for run in series.runs
        ]
        rates = [
            _point(load.events_per_s if load else None, load.status if load else None)
            for load in found
        ]
        times = [
            _point(load.p99_ms if load else None, load.status if load else None) for load in found
        ]
        for caption, title, points, show in (
            ("events per second", "events/s", rates, axis_count),
            ("response p99", "response time", times, axis_ms),
        ):
            svg = runs_plot(points, title=title, label=f"{caption} in each run", show=show)
            charts.append((f"{scenario}: {caption}", svg))
    return [(caption, svg) for caption, svg in charts if svg]


def _point(value: float | None, status: ExitStatus | None) -> RunPoint:
    kinds = {ExitStatus.CONFORMS: "met", ExitStatus.VIOLATES: "missed"}
    return RunPoint(value=value, kind=kinds.get(status, "open") if status else "open")
