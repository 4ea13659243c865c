"""Load results for other tools: CSV second by second, and Prometheus text.

Figures only; for verdicts in full see `result.json`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

from trueup.reports.formatting import visible
from trueup.reports.journal.records import LoadResult
from trueup.reports.metrics.load_metrics import QUANTILES, LoadFigures
from trueup.reports.metrics.measurement_window import every_second, window
from trueup.reports.model import RunReport
from trueup.reports.verdicts import ThresholdOutcome, threshold_outcome

__all__ = ["CSV_COLUMNS", "render_csv", "render_prometheus"]

CSV_COLUMNS: Final = (
    "run",
    "scenario",
    "t",
    "requests",
    "events",
    "ingest_errors",
    "p50_ms",
    "p99_ms",
    "counted",
    "reads",
    "read_errors",
    "knee_low_rps",
    "knee_high_rps",
)
"""Columns of the CSV; `t` counts seconds from the start of the load, and `counted` is 1 where the
second counts for rates: neither warm-up nor what came after the end. `ingest_errors` are failed
deliveries and `read_errors` failed reads; the last two columns are the run's, in each row."""
_KEY: Final = {"ingest_errors": "errors"}
"""Column → key of a second in the journal, where they differ."""


def render_csv(report: RunReport) -> str:
    """Return one line a second and load run, below the column names.

    RFC 4180 with LF line ends. A second without a response has its line. A figure that was not
    measured in a second is empty, never 0.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for load in (figures.result for figures in report.figures):
        counted, (low, high) = window(load), _knee(load)
        for second in every_second(load):
            row = {column: second.get(_KEY.get(column, column), "") for column in CSV_COLUMNS}
            row |= {
                "run": visible(report.header.run),
                "scenario": visible(load.plan.scenario),
                "counted": int(counted.holds(second.get("t", 0.0))),
                "knee_low_rps": "" if low is None else low,
                "knee_high_rps": "" if high is None else high,
            }
            writer.writerow(row.values())
    return out.getvalue()


def render_prometheus(report: RunReport) -> str:
    """Return the run in the Prometheus text format 0.0.4: gauges, base units, one sample a line."""
    samples = [*_run_samples(report)]
    for load in report.figures:
        samples += _load_samples(report, load)
    lines: list[str] = []
    told: set[str] = set()
    for name, help_text, labels, value in sorted(samples, key=lambda sample: sample[0]):
        if name not in told:
            told.add(name)
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} gauge"]
        said = ",".join(f'{key}="{_label(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{said}}} {_number(value)}" if said else f"{name} {_number(value)}")
    return "\n".join(lines) + "\n"


_Sample = tuple[str, str, dict[str, str], float]


def _run_samples(report: RunReport) -> Iterator[_Sample]:
    target = {"target": report.header.target, "scenario": report.header.scenario}
    exit_help = "Exit status: 0 conforms, 1 does not, 2 could not tell, 3 internal error, 4 usage."
    yield "trueup_exit_status", exit_help, target, report.exit_status
    for verdict, count in report.counts.by_verdict:
        yield "trueup_checks", "Checks by verdict.", target | {"verdict": str(verdict)}, count
    yield (
        "trueup_checks_missing",
        "Declared checks without a result.",
        target,
        report.counts.missing,
    )


def _load_samples(report: RunReport, figures: LoadFigures) -> Iterator[_Sample]:
    load = figures.result
    name = {"target": report.header.target, "scenario": load.plan.scenario}
    for outcome, count in (
        ("accepted", load.events.accepted),
        ("refused", load.events.refused),
        ("unknown", load.events.unknown),
    ):
        yield "trueup_load_events", "Events by outcome.", name | {"outcome": outcome}, count
    for what, help_text, value in _plain(figures):
        if value is not None:
            yield f"trueup_load_{what}", help_text, name, value
    for one in figures.latencies:
        for word, share in QUANTILES:
            if word in one.quantiles:
                labels = name | {"kind": one.name, "quantile": f"{share:g}"}
                seconds = one.quantiles[word] / 1000
                yield "trueup_load_latency_seconds", "Latency quantiles.", labels, seconds
    for threshold in load.thresholds:
        labels = name | {"threshold": threshold.name}
        says = threshold_outcome(threshold, load)
        if says is not ThresholdOutcome.UNDETERMINED:
            told = "1 where the threshold was met, 0 where it was missed; absent: undetermined."
            yield "trueup_load_threshold_ok", told, labels, int(says is ThresholdOutcome.MET)


def _plain(figures: LoadFigures) -> Iterator[tuple[str, str, float | None]]:
    """(name, help, value) of every figure without labels of its own; None: not measured."""
    load = figures.result
    yield "requests", "Requests with a response.", load.requests.completed
    yield "reads", "Read requests mixed in, with a response.", load.requests.reads
    yield "failed_attempts", "Failed attempts, reads included.", load.requests.failed
    yield "unsent_requests", "Planned requests that were never sent.", load.requests.unsent
    yield "batch_events", "Events in a request.", load.plan.batch
    yield "planned_requests_per_second", "Requests per second, as planned.", load.plan.rate_rps
    yield "requests_per_second", "Requests per second.", figures.requests_per_s
    yield "accepted_events_per_second", "Accepted events per second.", figures.accepted_eps
    correct = "Accepted events per second that every view confirms."
    yield "correct_events_per_second", correct, figures.correct_eps
    yield "error_ratio", "Failed attempts of all attempts.", figures.error_share
    busy = "Share of the time in which the generator's loop was not waiting."
    yield "generator_busy_ratio", busy, load.generator.cpu_share
    limited = "1 where the generator itself was the limit."
    yield "generator_limited", limited, int(load.generator.limited)
    yield "machine_noisy", "1 where the machine was disturbed.", int(load.machine.noisy)
    sink = "Requests per second of this generator into a null sink."
    yield "null_sink_requests_per_second", sink, load.generator.null_sink_rps
    low_rps, high_rps = _knee(load)
    low = "Highest rate at which the limits were met, requests per second, after a search."
    yield "knee_low_requests_per_second", low, low_rps
    high = "Lowest rate above it at which one was missed, requests per second, after a search."
    yield "knee_high_requests_per_second", high, high_rps


def _knee(load: LoadResult) -> tuple[float | None, float | None]:
    """Both ends of the interval that a search found, requests per second."""
    return (load.knee.low_rps, load.knee.high_rps) if load.knee else (None, None)


def _number(value: float) -> str:
    return f"{value:d}" if isinstance(value, int) else f"{value:.12g}"


def _label(text: str) -> str:
    """A label value with the three escapes of the format."""
    return visible(text).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
