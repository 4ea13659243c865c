"""Load results for other tools: CSV second by second, and Prometheus text.

Figures only; whoever wants verdicts in full reads `result.json`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

from reports.figures import QUANTILES, LoadFigures
from reports.model import RunReport
from reports.text import visible
from reports.window import every_second, window

__all__ = ["CSV_COLUMNS", "render_csv", "render_prometheus"]

CSV_COLUMNS: Final = (
    "run",
    "scenario",
    "t",
    "requests",
    "events",
    "errors",
    "p50_ms",
    "p99_ms",
    "counted",
)
"""Columns of the CSV; `t` counts seconds from the start of the load, and `counted` is 1 where the
second counts for rates: neither warm-up nor what came after the end."""


def render_csv(report: RunReport) -> str:
    """One line a second and load run, under one line of names; RFC 4180, lines end with LF.

    A second in which nothing came has its line. A figure that was not measured in a second is
    empty, never 0.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for load in (made.result for made in report.figures):
        counted = window(load)
        for second in every_second(load):
            values = (second.get(column, "") for column in CSV_COLUMNS[2:-1])
            counts = int(counted.holds(second.get("t", 0.0)))
            writer.writerow((report.header.run, load.scenario, *values, counts))
    return out.getvalue()


def render_prometheus(report: RunReport) -> str:
    """The run in the Prometheus text format 0.0.4: gauges, base units, one sample a line."""
    samples = [*_run_samples(report)]
    for load in report.figures:
        samples += _load_samples(load)
    lines: list[str] = []
    told: set[str] = set()
    for name, help_text, labels, value in sorted(samples, key=lambda sample: sample[0]):
        if name not in told:
            told.add(name)
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} gauge"]
        said = ",".join(f'{key}="{_label(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{said}}} {value:.12g}" if said else f"{name} {value:.12g}")
    return "\n".join(lines) + "\n"


_Sample = tuple[str, str, dict[str, str], float]


def _run_samples(report: RunReport) -> Iterator[_Sample]:
    target = {"target": report.header.target, "scenario": report.header.scenario}
    exit_help = "Exit status: 0 conforms, 1 does not, 2 could not tell, 3 our error, 4 usage."
    yield "trueup_exit_status", exit_help, target, report.exit_status
    for verdict, count in report.tally.counts:
        yield "trueup_checks", "Checks by verdict.", target | {"verdict": str(verdict)}, count
    yield "trueup_checks_missing", "Declared checks without a report.", target, report.tally.missing


def _load_samples(made: LoadFigures) -> Iterator[_Sample]:
    load = made.result
    name = {"scenario": load.scenario}
    if made.requests_per_s is not None:
        yield "trueup_load_requests_per_second", "Requests per second.", name, made.requests_per_s
    if made.accepted_eps is not None:
        accepted = "Accepted events per second."
        yield "trueup_load_accepted_events_per_second", accepted, name, made.accepted_eps
    for outcome, count in (
        ("accepted", load.events_accepted),
        ("refused", load.events_refused),
        ("unknown", load.events_unknown),
    ):
        yield "trueup_load_events", "Events by outcome.", name | {"outcome": outcome}, count
    if made.correct_eps is not None:
        correct = "Accepted events per second that every view confirms."
        yield "trueup_load_correct_events_per_second", correct, name, made.correct_eps
    yield "trueup_load_error_ratio", "Requests that ended in an error.", name, made.error_share
    limited = "1 where the generator itself was the limit."
    yield "trueup_load_generator_limited", limited, name, int(load.generator_limited)
    for one in made.latencies:
        for word, share in QUANTILES:
            if word in one.quantiles:
                labels = name | {"kind": one.name, "quantile": f"{share:g}"}
                seconds = one.quantiles[word] / 1000
                yield "trueup_load_latency_seconds", "Latency quantiles.", labels, seconds
    for threshold in load.thresholds:
        labels = name | {"threshold": threshold.name}
        yield "trueup_load_threshold_ok", "1 where the threshold held.", labels, int(threshold.ok)


def _label(text: str) -> str:
    """A label value with the three escapes that the format knows."""
    return visible(text).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
