"""Markdown: a summary for a pull request or a chat."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trueup.reports.formatting import amount, duration, one_line, plural, rate
from trueup.reports.metrics.coverage import coverage_summary
from trueup.reports.metrics.tieout import COLUMNS, pivot
from trueup.reports.model import RunReport
from trueup.reports.renderers.load_summary import (
    load_statements,
    met_text,
    refusal_text,
    sent_text,
    threshold_text,
)
from trueup.reports.renderers.next_steps import next_step
from trueup.reports.results import CheckResult, ExitStatus, Verdict
from trueup.reports.verdict_styles import IMPACTS, STATUSES, VERDICTS
from trueup.reports.verdicts import ThresholdOutcome, threshold_outcome

__all__ = ["markdown_text", "render_markdown"]

_DIFFERENCES: Final = 5
"""Differences shown of one check; `result.json` has all of them."""
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&$])")


def markdown_text(text: str, limit: int = 300) -> str:
    """Return untrusted text on one line, escaped for Markdown and HTML."""
    return (
        _SPECIAL.sub(r"\\\1", one_line(text, limit)).replace("\\<", "&lt;").replace("\\>", "&gt;")
    )


def render_markdown(report: RunReport) -> str:
    """Return the run as GitHub-flavoured Markdown: status, failures, tables."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: RunReport) -> Iterator[str]:
    header, style = report.header, STATUSES[report.status]
    mark = {"good": "✅", "bad": "❌"}.get(style.tone, "❔")
    yield f"## {mark} {style.headline}: {markdown_text(header.target)}"
    yield ""
    yield f"**{report.counts}**"
    if report.status is not ExitStatus.CONFORMS:
        yield ""
        yield next_step(report)
    yield ""
    facts = [
        f"scenario {markdown_text(header.scenario)}",
        f"level {header.level}",
        f"seed {header.seed}",
        f"judge {plural(report.requests, 'request')}",
        *(markdown_text(sent_text(sent)) for sent in report.sent),
        *(markdown_text(text) for sent in report.sent if (text := refusal_text(sent))),
        duration(report.duration_s) if report.duration_s is not None else "cut short",
        f"trueup {markdown_text(header.trueup)}",
    ]
    yield " · ".join(facts)
    yield from _findings(report)
    yield from _checks(report)
    yield from _tie_outs(report)
    yield from _load(report)
    yield from _coverage(report)


def _findings(report: RunReport) -> Iterator[str]:
    for row in report.rows:
        result = row.result
        if VERDICTS[result.verdict].tone not in ("bad", "doubt"):
            continue
        yield ""
        yield f"### {VERDICTS[result.verdict].mark} {markdown_text(result.law)}: {result.verdict}"
        yield ""
        yield f"{markdown_text(result.title)} {markdown_text(result.reason, 600)}"
        if result.package:
            yield ""
            yield f"Added by the package {markdown_text(result.package)}."
            for clause, text in result.clause_texts.items():
                yield f"{markdown_text(clause)}: {markdown_text(text)}"
        if result.verdict is Verdict.FAIL:
            yield ""
            yield f"- impact: {IMPACTS[result.impact][1]}"
        if result.expected or result.seen:
            yield f"- expected: {markdown_text(result.expected)}"
            yield f"- seen: {markdown_text(result.seen)}"
        differences = result.counterexample.differences if result.counterexample else ()
        for difference in differences[:_DIFFERENCES]:
            yield (
                f"- {markdown_text(difference.where)}: expected "
                f"{markdown_text(difference.expected)}, saw {markdown_text(difference.seen)}"
            )
        if len(differences) > _DIFFERENCES:
            yield f"- and {plural(len(differences) - _DIFFERENCES, 'more difference')}"
        if row.dependants:
            yield f"- blocks: {', '.join(markdown_text(r.law) for r in row.dependants)}"


def _checks(report: RunReport) -> Iterator[str]:
    yield ""
    yield "| | law | check | verdict | evidence |"
    yield "|---|---|---|---|---:|"
    for result in report.results:
        yield _check(result)
    for name in report.missing:
        word = "not declared" if name in report.undeclared else "no result"
        yield f"| | | {markdown_text(name)} | {word} | 0 |"


def _check(result: CheckResult) -> str:
    style = VERDICTS[result.verdict]
    return (
        f"| {style.mark} | {markdown_text(result.law)} | {markdown_text(result.check)} "
        f"| {style.word} | {amount(result.evidence)} |"
    )


def _tie_outs(report: RunReport) -> Iterator[str]:
    rows = pivot(report.tie_outs)
    if not rows:
        return
    columns = [column for column in COLUMNS if any(column in row.cells for row in rows)]
    yield ""
    yield f"| traffic | expected | {' | '.join(columns)} |"
    yield f"|---|---:|{'---:|' * len(columns)}"
    for row in rows:
        if not row.whole and row.ok:
            continue
        cells = (row.cells.get(column) for column in columns)
        shown = ("" if c is None else c.seen or "✓" if c.ok else f"**✗ {c.seen}**" for c in cells)
        scope = markdown_text(row.name)
        yield f"| {scope} | {row.expected} | {' | '.join(shown)} |"


def _coverage(report: RunReport) -> Iterator[str]:
    summary = coverage_summary(report.coverage)
    if summary is None:
        return
    yield ""
    yield f"**Contract coverage: {markdown_text(summary.headline)}**"
    for table in summary.tables:
        yield ""
        yield f"- {markdown_text(table.name)}: {table.reached} of {table.classes} classes"


def _load(report: RunReport) -> Iterator[str]:
    for figures in report.figures:
        load, plan = figures.result, figures.result.plan
        yield ""
        yield (
            f"**Load {markdown_text(plan.scenario)}: {rate(figures.headline_eps)} "
            f"{figures.headline_word}**, {markdown_text(plan.shape)}, {duration(plan.duration_s)}"
        )
        yield ""
        for label, facts in load_statements(figures):
            told = " · ".join(markdown_text(fact) for fact in facts)
            yield f"- {label} {told}" if label else f"- {told}"
        for doubt in figures.doubts:
            yield ""
            yield markdown_text(doubt)
        yield ""
        yield from (f"- ✓ {markdown_text(kept)}" for kept in met_text(load))
        for threshold in load.thresholds:
            says = threshold_outcome(threshold, load)
            if says is not ThresholdOutcome.MET:
                mark = "✗" if says is ThresholdOutcome.MISSED else "?"
                yield f"- {mark} {markdown_text(threshold_text(threshold, load))}"
