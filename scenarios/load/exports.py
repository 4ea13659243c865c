"""A load result for other tools: JSON, CSV by second, Prometheus text. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from reports.histogram import PERCENTILE_RULE, Histogram
from reports.records import LoadResult
from scenarios.load.thresholds import THRESHOLDS, events_per_s, percentile_ms
from scenarios.load.verdict import load_verdict

__all__ = ["EXPORTS", "summary", "to_csv", "to_json", "to_prometheus", "write_exports"]

_QUANTILES: Final = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
_HISTOGRAMS: Final = ("response", "service", "lateness", "freshness", "reads")
_COLUMNS: Final = ("t", "requests", "events", "errors", "p50_ms", "p99_ms")


def correct_events_per_s(result: LoadResult) -> float | None:
    """The headline: accepted events per second if every one of them ties out, else the share.

    None until reconciled.
    """
    rate = events_per_s(result)
    if rate is None or result.correct_events is None or not result.events_accepted:
        return None
    return rate * result.correct_events / result.events_accepted


def summary(result: LoadResult) -> dict[str, object]:
    """The figures that a person or a script asks for first."""
    verdict, why = load_verdict(result)
    return {
        "verdict": str(verdict),
        "why": why,
        "correct_events_per_s": correct_events_per_s(result),
        "events_per_s": events_per_s(result),
        "figures": {name: row.read(result) for name, row in THRESHOLDS.items()},
        "percentiles_ms": {
            name: {str(q): percentile_ms(_sparse(result, name), q) for q in _QUANTILES}
            for name in _HISTOGRAMS
        },
        "percentile_rule": PERCENTILE_RULE,
        "null_sink_rps": result.null_sink_rps,
    }


def _sparse(result: LoadResult, name: str) -> Mapping[str, int]:
    found: Mapping[str, int] = getattr(result, f"{name}_ns")
    return found


def to_json(result: LoadResult) -> str:
    """Everything, with the summary first."""
    value = {"summary": summary(result), "result": msgspec.to_builtins(result)}
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def to_csv(result: LoadResult) -> str:
    """One row a second, the warm-up marked."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*_COLUMNS, "warmup"])
    for second in result.seconds:
        row = [f"{second[name]:g}" for name in _COLUMNS]
        table.writerow([*row, int(second["t"] < result.warmup_s)])
    return text.getvalue()


def to_prometheus(result: LoadResult) -> str:
    """The text exposition format, version 0.0.4: counters, gauges, and summaries in seconds."""
    label = f'{{scenario="{result.scenario}"}}'
    lines: list[str] = []

    def put(name: str, kind: str, text: str, value: float | None) -> None:
        if value is not None:
            lines.extend(
                (
                    f"# HELP trueup_load_{name} {text}",
                    f"# TYPE trueup_load_{name} {kind}",
                    f"trueup_load_{name}{label} {value:.17g}",
                )
            )

    put("requests_total", "counter", "Answered requests.", result.requests)
    put("events_accepted_total", "counter", "Accepted events.", result.events_accepted)
    put("events_refused_total", "counter", "Refused events.", result.events_refused)
    put("events_unknown_total", "counter", "Events of unknown outcome.", result.events_unknown)
    put("events_correct_total", "counter", "Events that tie out.", result.correct_events)
    put("events_per_second", "gauge", "Accepted events per second.", events_per_s(result))
    put(
        "correct_events_per_second",
        "gauge",
        "Events per second that tie out.",
        correct_events_per_s(result),
    )
    put("generator_busy", "gauge", "Busy share of the generator.", result.generator_cpu_share)
    for name in _HISTOGRAMS:
        lines.extend(_summary_lines(name, result))
    return "\n".join(lines) + "\n"


def _summary_lines(name: str, result: LoadResult) -> list[str]:
    histogram = Histogram.from_sparse(_sparse(result, name))
    mean = histogram.mean()
    if mean is None:
        return []
    metric, scenario = f"trueup_load_{name}_seconds", f'scenario="{result.scenario}"'
    return [
        f"# HELP {metric} Percentiles after the warm-up.",
        f"# TYPE {metric} summary",
        *(
            f'{metric}{{{scenario},quantile="{q}"}} {(histogram.percentile(q) or 0) / 1e9:.9g}'
            for q in _QUANTILES
        ),
        f"{metric}_sum{{{scenario}}} {mean * histogram.count / 1e9:.9g}",
        f"{metric}_count{{{scenario}}} {histogram.count}",
    ]


EXPORTS: Final = {"load.json": to_json, "load.csv": to_csv, "load.prom": to_prometheus}
"""File name → rendering."""


def write_exports(result: LoadResult, folder: Path) -> None:
    """Write every export into a run's folder."""
    for name, render in EXPORTS.items():
        (folder / name).write_text(render(result), encoding="utf-8")
