"""`result.json`: a run for programs; its form is `schemas/result.schema.json`.

Names and meanings are stable under one `schema_version`; new ones may be added. Everything that a
program would decide by is in the document, and nothing that only people read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import msgspec

from trueup.reports.formatting import json_document
from trueup.reports.journal.records import KneeStep
from trueup.reports.known_failures import KnownFailures
from trueup.reports.metrics.coverage import coverage_summary
from trueup.reports.metrics.load_metrics import Latency, LoadFigures
from trueup.reports.metrics.sensitivity import Sensitivity
from trueup.reports.model import RunReport
from trueup.reports.renderers.sensitivity import blind_fields, view_totals
from trueup.reports.results import CheckResult, Json
from trueup.reports.verdicts import load_status, threshold_outcome

__all__ = ["RESULT_SCHEMA_VERSION", "render_result", "result_document", "result_schema"]

RESULT_SCHEMA_VERSION: Final = 2


def result_schema() -> dict[str, Json]:
    """Return the JSON Schema (2020-12) of `result.json`."""
    text = (
        files("trueup.reports").joinpath("schemas/result.schema.json").read_text(encoding="utf-8")
    )
    schema: dict[str, Json] = json.loads(text)
    return schema


def render_result(report: RunReport, extra: Mapping[str, Json] = MappingProxyType({})) -> str:
    """Return the document as JSON text, keys in a fixed order, with a final line feed.

    `extra` has further keys of the schema, found out after the run.
    """
    document = {**result_document(report), **extra}
    return json_document(document)


def result_document(report: RunReport) -> dict[str, Json]:
    """Return the run as plain JSON values."""
    header, counts = report.header, report.counts
    return {
        "schema_version": RESULT_SCHEMA_VERSION,
        "trueup": header.trueup,
        "run": header.run,
        "scenario": header.scenario,
        "target": header.target,
        "base_url": header.base_url,
        "level": header.level,
        "seed": header.seed,
        "only": list(header.only),
        "started_at": header.started_at,
        "finished_at": report.finished_at or None,
        "duration_s": report.duration_s,
        "interrupted": report.interrupted,
        "stopped_by": report.stopped_by or None,
        "status": str(report.status),
        "exit_status": report.exit_status,
        "counts": {
            "passed": counts.passed,
            "tested": counts.tested,
            "testable": counts.testable,
            "total": counts.total,
            "missing": counts.missing,
            "verdicts": {str(verdict): count for verdict, count in counts.by_verdict},
        },
        "news": str(report.news),
        "known": _known(report.known),
        "checks": [_check(result, report) for result in report.results],
        "missing": list(report.missing),
        "undeclared": list(report.undeclared),
        "readings": [msgspec.to_builtins(reading) for reading in report.readings],
        "tie_outs": [
            {"part": seen.part, **msgspec.to_builtins(seen.row), "ok": seen.row.ok}
            for seen in report.tie_outs
        ],
        "events": [
            {
                "source": sent.source,
                "accepted": sent.accepted,
                "refused": sent.refused,
                "unknown": sent.unknown,
                "reasons": [{"reason": why, "events": count} for why, count in sent.reasons],
            }
            for sent in report.sent
        ],
        "load": [_load(load) for load in report.figures],
        "phases": [
            {"name": stage.name, "state": stage.state, "duration_s": stage.duration_s}
            for stage in report.stages
        ],
        "requests": report.requests,
        "coverage": _coverage(report),
        "sensitivity": _sensitivity(report.sensitivity),
    }


def _coverage(report: RunReport) -> dict[str, Json] | None:
    summary = coverage_summary(report.coverage)
    if summary is None:
        return None
    return {
        "classes": summary.classes,
        "reached": summary.reached,
        "rows": [
            {
                "table": row.table,
                "dimension": row.dimension,
                "class": row.name,
                "sentence": row.sentence,
                "reached": row.reached,
                "why": row.why or None,
            }
            for row in report.coverage
        ],
    }


def _sensitivity(found: Sensitivity | None) -> dict[str, Json] | None:
    """What was measured, without the table by field and the list that sensitivity.json holds."""
    if found is None:
        return None
    return {
        "mutants": found.mutants,
        "noticed": found.noticed,
        "explained": found.explained,
        "unexplained": found.unexplained,
        "share": found.share,
        "views": [
            {"view": total.view, "noticed": total.noticed, "mutants": total.mutants}
            for total in view_totals(found)
        ],
        "blind_fields": list(blind_fields(found)),
    }


def _known(known: KnownFailures | None) -> dict[str, Json] | None:
    if known is None:
        return None
    return {
        "file": known.source,
        "excused": known.excused,
        "entries": [
            {
                "check": one.failure.check or None,
                "clause": one.failure.clause or None,
                "threshold": one.failure.threshold or None,
                "reason": one.failure.reason,
                "until": str(one.failure.until),
                "state": str(one.state),
            }
            for one in known.entries
        ],
    }


def _check(result: CheckResult, report: RunReport) -> dict[str, Json]:
    example, known = result.counterexample, report.known
    excused = known.checks.get(result.check) if known is not None else None
    return {
        "check": result.check,
        "law": result.law,
        "title": result.title,
        "verdict": str(result.verdict),
        "reason": result.reason,
        "clauses": list(result.clauses),
        "clause_texts": dict(result.clause_texts),
        "package": result.package or None,
        "level": result.level,
        "impact": str(result.impact),
        "grade": result.grade,
        "evidence": result.evidence,
        "evidence_needed": result.evidence_needed,
        "expected": result.expected,
        "seen": result.seen,
        "blocked_by": result.blocked_by or None,
        "known": excused.reason if excused is not None else None,
        "duration_s": round(report.durations.get(result.check, 0.0), 3),
        "differences": [
            {"where": d.where, "expected": d.expected, "seen": d.seen}
            for d in (example.differences if example else ())
        ],
        "exchanges": list(example.exchanges if example else ()),
    }


def _load(figures: LoadFigures) -> dict[str, Json]:
    load = figures.result
    return {
        "scenario": load.plan.scenario,
        "engine": load.generator.engine,
        "shape": load.plan.shape,
        "duration_s": load.plan.duration_s,
        "warmup_s": load.plan.warmup_s,
        "counted_s": list(figures.counted_s),
        "planned_rps": load.plan.rate_rps,
        "requests": load.requests.completed,
        "requests_per_s": figures.requests_per_s,
        "error_share": figures.error_share,
        "errors": dict(load.requests.errors),
        "events": {
            "sent": load.events.sent,
            "accepted": load.events.accepted,
            "refused": load.events.refused,
            "unknown": load.events.unknown,
            "correct": load.events.correct,
        },
        "accepted_events_per_s": figures.accepted_eps,
        "correct_events_per_s": figures.correct_eps,
        "latency_ms": {one.name: _latency(one) for one in figures.latencies},
        "generator_cpu_share": load.generator.cpu_share,
        "generator_limited": load.generator.limited,
        "machine_noisy": load.machine.noisy,
        "stopped_by": load.timeline.stopped_by or None,
        "reads": load.requests.reads,
        "status": str(load_status(load)),
        "null_sink_rps": load.generator.null_sink_rps,
        "knee_rps": [load.knee.low_rps, load.knee.high_rps] if load.knee else None,
        "knee_why": load.knee.why if load.knee else None,
        "knee_steps": [_step(step) for step in load.knee.steps] if load.knee else None,
        "unsent": load.requests.unsent,
        "batch": load.plan.batch,
        "replay": load.plan.replay or None,
        "faults": [
            {"what": one.what, "at": one.at, "t_s": one.t_s, "error": one.error or None}
            for one in figures.faults
        ],
        "reconcile_s": load.reconcile_s,
        "thresholds": [
            {
                "name": t.name,
                "limit": t.limit,
                "value": t.value,
                "unit": t.unit,
                "ok": t.ok,
                "outcome": str(threshold_outcome(t, load)),
            }
            for t in load.thresholds
        ],
    }


def _step(step: KneeStep) -> dict[str, Json]:
    return {
        "rate_rps": step.rate_rps,
        "seen": step.seen,
        "events_per_s": step.events_per_s,
        "p99_ms": step.p99_ms,
        "failed": step.failed,
        "unsent": step.unsent,
        "missed": [
            {"name": t.name, "limit": t.limit, "value": t.value, "unit": t.unit}
            for t in step.missed
        ],
    }


def _latency(latency: Latency) -> dict[str, Json] | None:
    if not latency.count:
        return None
    return {"count": latency.count, **latency.quantiles, "max": latency.max_ms}
