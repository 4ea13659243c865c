"""One screen at the end of a run: a line for each law, tie-out, load, status and next step.

For 80 columns and about 40 lines. Colours and typographic characters are left out where the
terminal has none; no information is in the colour alone.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from trueup.reports.formatting import amount, duration, one_line, plural, rate, visible
from trueup.reports.metrics.coverage import coverage_summary
from trueup.reports.metrics.load_metrics import LoadFigures
from trueup.reports.metrics.sensitivity import Sensitivity
from trueup.reports.metrics.tieout import (
    COLUMNS,
    PlaceRow,
    TableCell,
    TieOutRow,
    pivot,
    places,
    rows_for_small_screen,
)
from trueup.reports.model import RunReport
from trueup.reports.renderers.known import known_notes, reason_of
from trueup.reports.renderers.load_summary import (
    load_statements,
    met_text,
    refusal_text,
    sent_text,
    threshold_text,
)
from trueup.reports.renderers.next_steps import next_step
from trueup.reports.renderers.sensitivity import blind_fields, headline
from trueup.reports.results import CheckResult, ExitStatus, Verdict
from trueup.reports.verdict_styles import VERDICTS
from trueup.reports.verdicts import ThresholdOutcome, threshold_outcome

__all__ = ["LawLine", "law_lines", "plain_text", "render_terminal"]

_STYLE: Final[Mapping[str, str]] = {
    "bad": "bold red",
    "doubt": "yellow",
    "good": "green",
    "quiet": "dim",
}
_MAX_LAW_LINES: Final = 22
_MAX_TIE_OUTS: Final = 6
_INDENT: Final = " " * 6
_MISSING: Final = 5
_DIFFERENCES: Final = 3
"""Differences shown of one check; `result.json` has all of them."""
_WHERE_LEAST: Final = 24
_EXPLAINED_LAWS: Final = 4
"""Failing laws up to which each has its differences on the screen; above, one line each."""
_STOPPED_LINES_MOST: Final = 8
_NAME_MOST: Final = 36
_BLIND_MOST: Final = 5
_NAME_LEAST: Final = 12
_PLAIN: Final = str.maketrans(
    {style_of.mark: style_of.ascii_mark for style_of in VERDICTS.values()}
    | {"…": "~", "–": "-", "−": "-", "µ": "u", "×": "x"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LawLine:
    """One law over all its checks: its most severe verdict, and the check that has it."""

    law: str
    worst: CheckResult
    evidence: int
    """Pieces of evidence over all checks of the law."""
    checks: int


def law_lines(results: Sequence[CheckResult]) -> tuple[LawLine, ...]:
    """Return the results (most severe first) grouped by law, in the order of their first check."""
    laws: dict[str, list[CheckResult]] = {}
    for result in results:
        laws.setdefault(result.law, []).append(result)
    return tuple(
        LawLine(
            law=law,
            worst=group[0],
            evidence=sum(result.evidence for result in group),
            checks=len(group),
        )
        for law, group in laws.items()
    )


def render_terminal(report: RunReport, console: Console, *, html: str = "") -> None:
    """Print one screen; `html` is the path of the full report, shown in the last line."""
    if console.encoding.lower().replace("-", "").startswith("utf"):
        for part in _screen(report, html=html, width=console.width):
            console.print(part, highlight=False)
        return
    page = Console(file=io.StringIO(), width=console.width)
    with page.capture() as captured:
        for part in _screen(report, html=html, width=console.width):
            page.print(part, highlight=False)
    console.print(Text(plain_text(captured.get(), console.encoding)), end="")


def plain_text(text: str, encoding: str) -> str:
    """Return the text with each typographic character replaced by one that the encoding has."""
    return text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)


def _screen(report: RunReport, *, html: str, width: int) -> Iterator[RenderableType]:
    yield _title(report, width)
    yield ""
    if report.results:
        yield _laws(report, width=width)
    yield from _missing(report, width)
    rows = pivot(report.tie_outs)
    if shown := rows_for_small_screen(rows):
        yield ""
        yield _tie_outs(rows, shown, width=width)
    networks, by_place = places(rows)
    if networks:
        yield ""
        yield _places(networks, by_place)
    for load in report.figures:
        yield ""
        yield _load(load, width=width)
    coverage = coverage_summary(report.coverage)
    if coverage is not None:
        yield ""
        yield Text.assemble(("COVERAGE  ", "dim"), one_line(coverage.headline, width - 10))
    if report.sensitivity is not None:
        yield ""
        yield _sensitivity(report.sensitivity, width=width)
    yield ""
    yield _end(report, html=html, width=width)


def _missing(report: RunReport, width: int) -> Iterator[Text]:
    """Checks without a result, and why."""
    for name in report.missing[:_MISSING]:
        why = "declared, but has no result"
        if name in report.undeclared:
            why = "required at this level, but the journal does not declare it"
        elif report.ended_early:
            why = "not reached"
        yield Text(f"?  {one_line(f'{name}: {why}', width - 3)}", style="yellow")
    if len(report.missing) > _MISSING:
        more = plural(len(report.missing) - _MISSING, "more check")
        yield Text(f"?  and {more}", style="yellow")


def _title(report: RunReport, width: int) -> Text:
    header = report.header
    facts = [
        f"level {header.level}",
        *([f"only {', '.join(header.only)}"] if header.only else []),
        f"seed {header.seed}",
        *([duration(report.duration_s)] if report.duration_s is not None else []),
        f"judge {plural(report.requests, 'request')}",
        *(sent_text(sent) for sent in report.sent),
    ]
    title = one_line(f"{header.scenario} on {header.target} ({header.base_url})", width - 8)
    text = Text.assemble(("trueup", "bold"), f" {title}")
    _lay(text, "", facts, width, "dim", indent="")
    for sent in report.sent:
        if reason := refusal_text(sent):
            text.append(f"\n!  {one_line(reason, width - 3)}", style="yellow")
    return text


def _laws(report: RunReport, *, width: int) -> RenderableType:
    """One line for each law; one that did not pass has the reason and what it blocks below.

    Laws that the target does not claim share one line. Where the laws would fill the screen,
    those that hold are listed in columns.
    """
    folded = {result.check for row in report.rows for result in row.dependants}
    lines = [line for line in law_lines(report.results) if line.worst.check not in folded]
    unclaimed = [x.law for x in lines if x.worst.verdict is Verdict.NOT_APPLICABLE]
    shown = [x for x in lines if x.worst.verdict is not Verdict.NOT_APPLICABLE]
    holding = [x for x in shown if x.worst.verdict is Verdict.PASS]
    notes = _notes(report, shown, width)
    crowded = len(shown) + sum(map(len, notes.values())) > _MAX_LAW_LINES
    listed = [x for x in shown if x not in holding] if crowded else shown
    law_width = min(max((len(line.law) for line in shown), default=3), 16)
    text = Text()
    if listed:
        says = max(8, width - law_width - 16)
        text.append(f"   {'LAW':<{law_width}}  {'SAYS':<{says}} {'EVIDENCE':>8}\n", "dim")
    for line in listed:
        _law(text, line, law_width, width)
        for note, style in notes[line.law]:
            text.append(f"   {one_line(note, width - 4)}\n", style=style)
    if crowded and holding:
        heading = one_line("LAWS THAT HOLD, AND THE EVIDENCE FOR EACH", width - 3)
        text.append(f"   {heading}\n", "dim")
        text.append(_columns(holding, law_width, width))
    if unclaimed:
        label = "not claimed" if report.planted is None else "not now, or not claimed"
        names = one_line(", ".join(unclaimed), width - len(label) - 6)
        text.append(f"·  {label}: {names}\n", style="dim")
    text.rstrip()
    return text


def _law(text: Text, line: LawLine, law_width: int, width: int) -> None:
    """Append a law with its worst verdict, its sentence and its evidence."""
    style_of = VERDICTS[line.worst.verdict]
    style = _STYLE[style_of.tone]
    alone = line.worst.verdict is Verdict.BLOCKED
    sentence = _why(line.worst) if alone else line.worst.title
    room = max(8, width - law_width - 16)
    text.append(f"{style_of.mark}  ", style=style)
    text.append(f"{one_line(line.law, law_width):<{law_width}}  ", style=style)
    text.append(f"{one_line(sentence, room):<{room}} ", style=style if alone else "")
    text.append(f"{amount(line.evidence):>8}\n", style="dim")


def _notes(
    report: RunReport, lines: Sequence[LawLine], width: int
) -> dict[str, list[tuple[str, str]]]:
    """Law → (text, style) of the lines below it: why it did not pass, and which laws it blocks."""
    failing = sum(line.worst.verdict is Verdict.FAIL for line in lines)
    blocked = {row.result.check: row.dependants for row in report.rows}
    notes: dict[str, list[tuple[str, str]]] = {}
    for line in lines:
        worst = line.worst
        tone = VERDICTS[worst.verdict].tone
        found = notes.setdefault(line.law, [])
        if tone in ("bad", "doubt") and worst.verdict is not Verdict.BLOCKED:
            explained = failing <= _EXPLAINED_LAWS
            if excuse := reason_of(report, worst.check):
                found.append((excuse, "yellow"))
            reasons = _reasons(worst, width=width - 4, explained=explained)
            found += [(reason, _STYLE[tone]) for reason in reasons]
        names = dict.fromkeys(result.law for result in blocked.get(worst.check, ()))
        if others := ", ".join(name for name in names if name != line.law):
            found.append((f"blocks {others}", "dim"))
    return notes


def _columns(lines: Sequence[LawLine], law_width: int, width: int) -> Text:
    """Laws that hold, several to a line: name and evidence."""
    amounts = [amount(line.evidence) for line in lines]
    amount_width = max(5, *map(len, amounts)) if amounts else 5
    cell = law_width + amount_width + 5
    per_line = max(1, (width + 2) // cell)
    text = Text()
    for number, (line, evidence) in enumerate(zip(lines, amounts, strict=True), start=1):
        text.append("✓  ", style=_STYLE["good"])
        text.append(f"{one_line(line.law, law_width):<{law_width}}")
        text.append(f"{evidence:>{amount_width}}", style="dim")
        text.append("\n" if number % per_line == 0 or number == len(lines) else "  ")
    return text


def _reasons(worst: CheckResult, *, width: int, explained: bool) -> list[str]:
    """Why a check did not pass, one line each: with up to three differences where `explained`."""
    differences = worst.counterexample.differences if worst.counterexample else ()
    if worst.verdict is not Verdict.FAIL or len(differences) < 2 or not explained:
        return [_why(worst)]
    first = differences[0]
    repeated = (first.expected, first.seen) == (worst.expected, worst.seen)
    lines = [] if repeated else [_why(worst)]
    for one in differences[:_DIFFERENCES]:
        values = one_line(f": expected {one.expected}, saw {one.seen}", width - _WHERE_LEAST)
        lines.append(f"{one_line(one.where, max(_WHERE_LEAST, width - len(values)))}{values}")
    if len(differences) > _DIFFERENCES:
        lines.append(f"and {plural(len(differences) - _DIFFERENCES, 'more difference')}")
    return lines


def _why(worst: CheckResult) -> str:
    word = VERDICTS[worst.verdict].word
    if worst.verdict is Verdict.BLOCKED:
        return f"{word}: rests on {worst.blocked_by}"
    if worst.verdict is Verdict.FAIL and (worst.expected or worst.seen):
        return f"{word}: expected {worst.expected}; saw {worst.seen}"
    return f"{word}: {worst.reason}"


def _places(networks: Sequence[str], rows: Sequence[PlaceRow]) -> Table:
    """The places that counted the requests through proxies, a row each; a column a network."""
    table = Table(box=None, show_header=True, header_style="dim", pad_edge=False)
    table.add_column("PROXIED", no_wrap=True)
    for network in networks:
        table.add_column(network, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.place, *map(_cell, row.cells))
    return table


def _tie_outs(
    rows: Sequence[TieOutRow], shown: Sequence[TieOutRow], *, width: int
) -> RenderableType:
    """The table. In a narrow terminal bytes go below it, and names are cut before numbers are."""
    parts_shown = {row.part for row in shown}
    rows = [row for row in rows if row.part in parts_shown]
    columns = [column for column in COLUMNS if any(column in row.cells for row in rows)]
    shown = shown[:_MAX_TIE_OUTS]
    lines = [[_cell(row.cells.get(column)) for column in columns] for row in shown]
    notes: list[str] = []
    if _beside(columns, shown, lines) + _NAME_MOST > width:
        lines = [[_without_bytes(row.cells.get(column)) for column in columns] for row in shown]
        notes = [
            f"{row.name}, {column}: {cell.seen}"
            for row in shown
            for column, cell in row.cells.items()
            if _in_bytes(cell)
        ]
    names = min(_NAME_MOST, max(_NAME_LEAST, width - _beside(columns, shown, lines)))
    table = Table(box=None, show_header=True, header_style="dim", pad_edge=False)
    table.add_column("TIE-OUT", no_wrap=True, max_width=names)
    for head in ("expected", *columns):
        table.add_column(head, justify="right", no_wrap=True)
    for row, line in zip(shown, lines, strict=True):
        table.add_row(one_line(row.name, names), row.expected, *line)
    parts: list[RenderableType] = [table]
    parts += [Text(one_line(note, width), "bold red") for note in notes]
    if len(rows) > len(shown):
        rest = len(rows) - len(shown)
        bad = sum(not row.ok for row in rows) - sum(not row.ok for row in shown)
        word = f"{bad} of them off" if bad else "all of them tie out"
        parts.append(Text(f"… and {plural(rest, 'more row')}, {word}", "dim"))
    return Group(*parts)


def _beside(
    columns: Sequence[str], rows: Sequence[TieOutRow], lines: Sequence[Sequence[Text]]
) -> int:
    """Columns that the table takes beside the names."""
    expected = max(len("expected"), *(len(row.expected) for row in rows))
    widths = (
        max(len(column), *(len(line[number]) for line in lines))
        for number, column in enumerate(columns)
    )
    return sum(2 + wide for wide in (expected, *widths))


def _cell(cell: TableCell | None) -> Text:
    if cell is None:
        return Text("·", style="dim")
    if cell.ok:
        return Text(cell.seen or "✓", style="green")
    return Text(f"✗ {cell.seen}", style="bold red")


def _in_bytes(cell: TableCell | None) -> bool:
    """Whether a cell is off by bytes alone."""
    return cell is not None and not cell.ok and cell.seen.endswith(" B")


def _without_bytes(cell: TableCell | None) -> Text:
    return Text("✗ bytes", style="bold red") if _in_bytes(cell) else _cell(cell)


def _load(load: LoadFigures, *, width: int) -> Text:
    """The headline figure first; then what happened, and every threshold."""
    result, room = load.result, width - len(_INDENT)
    text = Text.assemble(
        ("LOAD  ", "dim"), (f"{rate(load.headline_eps)} {load.headline_word}", "bold")
    )
    what = f"{result.plan.scenario}, {result.plan.shape}, {duration(result.plan.duration_s)}"
    what = one_line(what, max(0, room - len(text.plain) + 4))
    text.append(f"  {what}", style="dim")
    for label, facts in load_statements(load):
        style = {"generator": "dim", "errors": "yellow"}.get(label, "")
        _lay(text, label, facts, room, style)
    for doubt in load.doubts:
        _lay(text, "", (doubt,), room, "yellow")
    kept = met_text(result)
    if kept:
        _lay(text, "✓ met:", kept, room, "green")
    for threshold in result.thresholds:
        says = threshold_outcome(threshold, result)
        if says is not ThresholdOutcome.MET:
            mark, style = ("✗", "bold red") if says is ThresholdOutcome.MISSED else ("?", "yellow")
            _lay(text, mark, (threshold_text(threshold, result),), room, style)
    return text


def _lay(
    text: Text, label: str, facts: Sequence[str], room: int, style: str, *, indent: str = _INDENT
) -> None:
    """Append statements on as few lines as they need; one that is longer than a line is cut."""
    line = f"{label} " if label else ""
    for number, fact in enumerate(map(visible, facts)):
        piece = f" · {fact}" if number and line.strip() else fact
        if len(line) + len(piece) > room and line.strip() and number:
            text.append(f"\n{indent}{line.rstrip()}", style=style)
            line, piece = "  ", fact
        line += one_line(piece, room - len(line)) if not number else piece
        if len(line) > room:
            line = line[: room - 1] + "…"
    text.append(f"\n{indent}{line.rstrip()}", style=style)


def _stopped_lines(said: str, width: int) -> Iterator[str]:
    """What stopped a run, on a few lines; a longer one is in the report."""
    lines = [
        line
        for paragraph in visible(said).splitlines()
        for line in textwrap.wrap(" ".join(paragraph.split()), max(20, width - 11))
    ]
    yield from (
        f"  {line}" if number else line for number, line in enumerate(lines[:_STOPPED_LINES_MOST])
    )
    if len(lines) > _STOPPED_LINES_MOST:
        yield "  …"


def _sensitivity(found: Sensitivity, *, width: int) -> Text:
    text = Text.assemble(("SENSITIVITY  ", "dim"), one_line(headline(found), width - 13))
    blind = blind_fields(found)
    if blind:
        shown = [visible(field) for field in blind[:_BLIND_MOST]]
        if len(blind) > len(shown):
            shown.append(plural(len(blind) - len(shown), "more field"))
        _lay(text, "this run could not have noticed:", shown, width - len(_INDENT), "yellow")
    return text


def _end(report: RunReport, *, html: str, width: int) -> Text:
    style_of = report.style
    mark = {"good": "✓", "bad": "✗"}.get(style_of.tone, "?")
    cut_short = " (cut short)" if report.interrupted else ""
    text = Text()
    line = f"{mark} {style_of.headline}{cut_short}: {report.counts}"
    text.append(line, style=f"bold {_STYLE[style_of.tone]}")
    if report.stopped_by:
        for number, line in enumerate(_stopped_lines(report.stopped_by, width)):
            text.append(f"\n  {'' if number else 'Stopped: '}{line}")
    elif report.status is not ExitStatus.CONFORMS:
        text.append(f"\n  {one_line(next_step(report), width - 2)}")
    for note in known_notes(report.known):
        for number, part in enumerate(textwrap.wrap(visible(note), width - 4)):
            text.append(f"\n  {'  ' if number else ''}{part}")
    if html:
        text.append(f"\n  Report: {html}")
    return text
