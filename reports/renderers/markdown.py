"""Markdown: a comment of a pull request, or the summary of a job (`$GITHUB_STEP_SUMMARY`).

What a reviewer decides by comes first; tables that hold what passed are folded. The text is shorter
than the longest comment that code hosts take.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from trueup.reports.formatting import amount, duration, one_line, plural, rate
from trueup.reports.metrics.coverage import coverage_summary
from trueup.reports.metrics.tieout import COLUMNS, TieOutRow, pivot
from trueup.reports.model import CheckRow, RunReport
from trueup.reports.renderers.known import known_notes, reason_of
from trueup.reports.renderers.load_summary import (
    load_statements,
    met_text,
    refusal_text,
    sent_text,
    threshold_text,
)
from trueup.reports.renderers.next_steps import next_step
from trueup.reports.results import CheckResult, ExitStatus, Verdict
from trueup.reports.verdict_styles import IMPACTS, VERDICTS
from trueup.reports.verdicts import ThresholdOutcome, threshold_outcome

__all__ = ["MOST_CHARACTERS", "markdown_text", "render_markdown"]

MOST_CHARACTERS: Final = 60_000
"""Characters of the whole text; GitHub takes comments of 65,536."""
_DIFFERENCES: Final = 5
"""Differences shown of one check; `result.json` has all of them."""
_OPEN: Final = 3
"""Findings that are shown unfolded."""
_FINDINGS_SHARE: Final = 0.6
"""Share of the characters that findings may take before the tables."""
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&$@#])")


def markdown_text(text: str, limit: int = 300) -> str:
    """Return untrusted text on one line, escaped for Markdown and HTML.

    `@` and `#` are escaped, so that no text of a target mentions a person or an issue.
    """
    return (
        _SPECIAL.sub(r"\\\1", one_line(text, limit)).replace("\\<", "&lt;").replace("\\>", "&gt;")
    )


def render_markdown(report: RunReport) -> str:
    """Return the run as GitHub-flavoured Markdown of at most `MOST_CHARACTERS`."""
    needs = [row for row in report.rows if VERDICTS[row.result.verdict].tone in ("bad", "doubt")]
    head = [*_head(report), *_overview(report, needs)]
    end = [*_tie_outs(report), *_load(report), *_coverage(report)]
    checks = _folded(f"All {plural(len(report.results), 'check')}", list(_checks(report)))
    room = MOST_CHARACTERS - _length(head)
    findings = _findings(report, needs, room * _FINDINGS_SHARE)
    room -= _length(findings)
    parts = [head, findings]
    for part, name in ((end, "tie-out, load and coverage"), (checks, "the table of all checks")):
        if _length(part) > room:
            part = ["", f"There is no place here for {name}: see report.html."]
        room -= _length(part)
        parts.append(part)
    return "\n".join(line for part in parts for line in part) + "\n"


def _length(lines: Sequence[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _head(report: RunReport) -> Iterator[str]:
    header, style = report.header, report.style
    mark = {"good": "✅", "bad": "❌"}.get(style.tone, "⚠️")
    yield f"## {mark} {style.headline}: {markdown_text(header.target)}"
    yield ""
    yield f"**{report.counts}**"
    if report.status is not ExitStatus.CONFORMS:
        yield ""
        yield next_step(report)
    if report.stopped_by:
        yield ""
        yield f"Stopped: {markdown_text(report.stopped_by, 600)}"
    for note in known_notes(report.known):
        yield ""
        yield f"- {markdown_text(note)}"
    yield ""
    facts = [
        f"scenario {markdown_text(header.scenario)}",
        f"level {header.level}",
        *([f"only {markdown_text(', '.join(header.only))}"] if header.only else []),
        f"seed {header.seed}",
        f"judge {plural(report.requests, 'request')}",
        *(markdown_text(sent_text(sent)) for sent in report.sent),
        *(markdown_text(text) for sent in report.sent if (text := refusal_text(sent))),
        duration(report.duration_s) if report.duration_s is not None else "cut short",
        f"trueup {markdown_text(header.trueup)}",
    ]
    yield " · ".join(facts)


def _overview(report: RunReport, needs: Sequence[CheckRow]) -> Iterator[str]:
    """The checks that need attention, a row each, and those without a result."""
    if not needs and not report.missing:
        return
    yield ""
    yield "| | check | law | verdict | harm | blocks |"
    yield "|---|---|---|---|---|---:|"
    for row in needs:
        result, style = row.result, VERDICTS[row.result.verdict]
        word = f"known {style.word}" if reason_of(report, result.check) else style.word
        harm = IMPACTS[result.impact][1] if result.verdict is Verdict.FAIL else ""
        blocks = amount(len(row.dependants)) if row.dependants else ""
        yield (
            f"| {style.mark} | {markdown_text(result.check)} | {markdown_text(result.law)} "
            f"| {word} | {harm} | {blocks} |"
        )
    for name in report.missing:
        word = "not declared" if name in report.undeclared else "no result"
        yield f"| ? | {markdown_text(name)} | | {word} | | |"


def _findings(report: RunReport, needs: Sequence[CheckRow], room: float) -> list[str]:
    """What was expected and seen of each check that needs attention, in so many characters."""
    lines: list[str] = []
    for number, row in enumerate(needs):
        found = list(_finding(report, row))
        if number >= _OPEN or reason_of(report, row.result.check):
            found = _folded(_title(row.result), found)
        else:
            found = ["", f"### {_title(row.result)}", "", *found]
        if _length(lines) + _length(found) > room:
            more = plural(len(needs) - number, "more finding")
            return [*lines, "", f"And {more} in report.html."]
        lines += found
    return lines


def _title(result: CheckResult) -> str:
    style = VERDICTS[result.verdict]
    return f"{style.mark} {markdown_text(result.check)} ({markdown_text(result.law)}): {style.word}"


def _finding(report: RunReport, row: CheckRow) -> Iterator[str]:
    yield f"{markdown_text(row.result.title)} {markdown_text(row.result.reason, 600)}"
    if points := list(_points(report, row)):
        yield from ("", *points)


def _points(report: RunReport, row: CheckRow) -> Iterator[str]:
    """What is known of a finding, a point each."""
    result = row.result
    if excuse := reason_of(report, result.check):
        yield f"- {markdown_text(excuse)}"
    if result.package:
        yield f"- added by the package {markdown_text(result.package)}"
        for clause, text in result.clause_texts.items():
            yield f"- {markdown_text(clause)}: {markdown_text(text)}"
    if result.verdict is Verdict.FAIL:
        yield f"- impact: {IMPACTS[result.impact][1]}"
    if result.clauses:
        yield f"- clauses: {', '.join(map(markdown_text, result.clauses))}"
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
        yield f"- blocks: {', '.join(markdown_text(r.check) for r in row.dependants)}"


def _folded(title: str, lines: Sequence[str]) -> list[str]:
    """Lines that a click shows. Within the element Markdown is read after an empty line."""
    return ["", f"<details><summary>{title}</summary>", "", *lines, "", "</details>"]


def _checks(report: RunReport) -> Iterator[str]:
    yield "| | law | check | verdict | observations |"
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


def _tie_outs(report: RunReport) -> list[str]:
    """The tie-out; folded where all of it ties out."""
    rows = [row for row in pivot(report.tie_outs) if row.whole or not row.ok]
    if not rows:
        return []
    table = list(_tie_out_table(rows))
    off = sum(not row.ok for row in rows)
    if off:
        return ["", f"**Tie-out: {off} of {plural(len(rows), 'row')} off**", "", *table]
    return _folded(f"Tie-out: {plural(len(rows), 'row')}, none is off", table)


def _tie_out_table(rows: Sequence[TieOutRow]) -> Iterator[str]:
    columns = [column for column in COLUMNS if any(column in row.cells for row in rows)]
    yield f"| traffic | expected | {' | '.join(columns)} |"
    yield f"|---|---:|{'---:|' * len(columns)}"
    for row in rows:
        cells = (row.cells.get(column) for column in columns)
        shown = ("" if c is None else c.seen or "✓" if c.ok else f"**✗ {c.seen}**" for c in cells)
        yield f"| {markdown_text(row.name)} | {row.expected} | {' | '.join(shown)} |"


def _coverage(report: RunReport) -> Iterator[str]:
    summary = coverage_summary(report.coverage)
    if summary is None:
        return
    yield ""
    yield f"**Contract coverage: {markdown_text(summary.headline)}**"
    yield ""
    for table in summary.tables:
        yield f"- {markdown_text(table.name)}: {table.reached} of {table.classes} classes"


def _load(report: RunReport) -> Iterator[str]:
    known = report.known.thresholds if report.known is not None else {}
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
                excuse = " (known)" if threshold.name in known else ""
                yield f"- {mark} {markdown_text(threshold_text(threshold, load))}{excuse}"
