"""One screen at the end of a run: laws, tie-out, load, status and next step.

For 80 columns and 40 lines, the prompt included: reasons take what the rest leaves, so that none is
cut. Colours and typographic characters are left out where the terminal has none; no information is
in the colour alone.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from trueup.reports.formatting import between, duration, one_line, plural, rate, visible
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
from trueup.reports.renderers.known import known_notes
from trueup.reports.renderers.load_summary import (
    load_statements,
    met_text,
    refusal_text,
    sent_text,
    threshold_text,
)
from trueup.reports.renderers.next_steps import next_step
from trueup.reports.renderers.sensitivity import blind_fields, headline
from trueup.reports.renderers.terminal_laws import STYLES, laws_text, least_lines, wrapped
from trueup.reports.results import ExitStatus
from trueup.reports.verdict_styles import VERDICTS
from trueup.reports.verdicts import ThresholdOutcome, threshold_outcome

__all__ = ["plain_text", "render_terminal"]

_LINES: Final = 39
"""Lines of a terminal of 40, without the prompt."""
_LAW_LINES_LEAST: Final = 6
_TIE_OUT_DETAILS: Final = ((6, True), (6, False), (3, False), (0, False))
"""How many rows that are off are shown, and whether the places are: the most that fits."""
_INDENT: Final = " " * 6
_STOPPED_LINES_MOST: Final = 8
_NAME_MOST: Final = 36
_STATEMENT_MOST: Final = 1000
"""Characters of one statement on a load."""
_BLIND_MOST: Final = 5
_NAME_LEAST: Final = 12
_PLAIN: Final = str.maketrans(
    {style_of.mark: style_of.ascii_mark for style_of in VERDICTS.values()}
    | {"…": "~", "–": "-", "−": "-", "µ": "u", "×": "x"}
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
    """The parts of the screen; details of the tie-out are left out as far as lines are scarce."""
    before: list[RenderableType] = [_title(report, width), ""]
    after: list[RenderableType] = []
    left = 0
    for off_rows, with_places in _TIE_OUT_DETAILS:
        after = list(
            _after_laws(report, html=html, width=width, off_rows=off_rows, with_places=with_places)
        )
        left = _LINES - _height(before, width) - _height(after, width)
        if least_lines(report, width) <= left:
            break
    yield from before
    if report.results:
        yield laws_text(report, width=width, lines_left=max(left, _LAW_LINES_LEAST))
    yield from after


def _height(parts: Sequence[RenderableType], width: int) -> int:
    """Lines that parts take in a terminal of this width."""
    console = Console(file=io.StringIO(), width=width)
    return sum(len(console.render_lines(part)) for part in parts)


def _after_laws(
    report: RunReport, *, html: str, width: int, off_rows: int, with_places: bool
) -> Iterator[RenderableType]:
    yield from _missing(report, width)
    rows = pivot(report.tie_outs)
    if rows:
        yield ""
        yield _overview(rows, width)
    if (off := rows_for_small_screen(rows)) and off_rows:
        yield ""
        yield _tie_outs(off, off_rows, width=width)
    networks, by_place = places(rows)
    agree = all(cell is None or cell.ok for row in by_place for cell in row.cells)
    if with_places and not agree:
        yield ""
        yield _places(networks, by_place)
    for load in report.figures:
        yield ""
        yield _load(load, width=width)
    coverage = coverage_summary(report.coverage)
    if coverage is not None or report.sensitivity is not None:
        yield ""
    if coverage is not None:
        yield Text.assemble(("COVERAGE  ", "dim"), one_line(coverage.headline, width - 10))
    if report.sensitivity is not None:
        yield _sensitivity(report.sensitivity, width=width)
    yield ""
    yield _end(report, html=html, width=width)


def _missing(report: RunReport, width: int) -> Iterator[Text]:
    """Checks without a result, by the reason."""
    by_reason: dict[str, list[str]] = {}
    for name in report.missing:
        why = "declared, but without a result"
        if name in report.undeclared:
            why = "required at this level, but not declared in the journal"
        elif report.ended_early:
            why = "not reached"
        by_reason.setdefault(why, []).append(name)
    for why, names in by_reason.items():
        said = f"{plural(len(names), 'check')} {why}: {', '.join(names)}"
        yield Text("?  " + "\n   ".join(wrapped(said, width - 3)), style="yellow")


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


def _overview(rows: Sequence[TieOutRow], width: int) -> RenderableType:
    """Each traffic over all places that count it: a tick where all of it ties out.

    A terminal that is too narrow for the table gets a sentence for each traffic.
    """
    wholes: dict[str, list[TieOutRow]] = {}
    for row in rows:
        if row.whole:
            wholes.setdefault(row.part, []).append(row)
    columns = [column for column in COLUMNS if any(column in row.cells for row in rows)]
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("TIE-OUT", no_wrap=True, max_width=_NAME_LEAST)
    for head in ("requests", *columns):
        table.add_column(head, justify="right", no_wrap=True)
    for part, parts in wholes.items():
        cells = [[row.cells[column] for row in parts if column in row.cells] for column in columns]
        marks = [_mark([cell.ok for cell in found]) for found in cells]
        table.add_row(one_line(part or "traffic", _NAME_LEAST), _requests(parts), *marks)
    if Console(file=io.StringIO(), width=200).measure(table).maximum <= width:
        return table
    text = Text("TIE-OUT\n", style="dim")
    for part, parts in wholes.items():
        bad = sum(not row.ok for row in parts)
        said = f"{bad} of {plural(len(parts), 'row')} off" if bad else "all of it ties out"
        text.append(f"{one_line(f'{part} {_requests(parts)}: {said}', width)}\n")
    text.rstrip()
    return text


def _mark(found: Sequence[bool]) -> Text:
    if not found:
        return Text("·", style="dim")
    return Text("✓", style="green") if all(found) else Text("✗", style="bold red")


def _requests(rows: Sequence[TieOutRow]) -> str:
    """Requests that are expected of all rows together."""
    ranges = [row.requests for row in rows if row.requests is not None]
    if not ranges:
        return "·"
    return between(sum(low for low, _ in ranges), sum(high for _, high in ranges))


def _places(networks: Sequence[str], rows: Sequence[PlaceRow]) -> Table:
    """The places that counted the requests through proxies, a row each; a column a network."""
    table = Table(box=None, show_header=True, header_style="dim", pad_edge=False)
    table.add_column("PROXIED", no_wrap=True)
    for network in networks:
        table.add_column(network, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.place, *map(_cell, row.cells))
    return table


def _tie_outs(rows: Sequence[TieOutRow], most: int, *, width: int) -> RenderableType:
    """The rows that are off. In a narrow terminal bytes go below them, and names are cut before
    numbers are.
    """
    columns = [column for column in COLUMNS if any(column in row.cells for row in rows)]
    shown = rows[:most]
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
    table.add_column("OFF", no_wrap=True, max_width=names)
    for head in ("expected", *columns):
        table.add_column(head, justify="right", no_wrap=True)
    for row, line in zip(shown, lines, strict=True):
        table.add_row(one_line(row.name, names), row.expected, *line)
    parts: list[RenderableType] = [table]
    parts += [Text(one_line(note, width), "bold red") for note in notes]
    if len(rows) > len(shown):
        parts.append(Text(f"and {plural(len(rows) - len(shown), 'more row')} off", "dim"))
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
    """Append statements on as few lines as they need; one that is longer than a line is wrapped."""
    line = f"{label} " if label else ""
    for number, fact in enumerate(one_line(fact, _STATEMENT_MOST) for fact in facts):
        piece = f" · {fact}" if number and line.strip() else fact
        if len(line) + len(piece) > room and line.strip() and number:
            text.append(f"\n{indent}{line.rstrip()}", style=style)
            line, piece = "  ", fact
        line += piece
        if len(line) > room:
            *whole, line = textwrap.wrap(line, room, subsequent_indent="  ") or [""]
            text.append("".join(f"\n{indent}{part}" for part in whole), style=style)
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
    text.append(line, style=f"bold {STYLES[style_of.tone]}")
    if report.stopped_by:
        for number, line in enumerate(_stopped_lines(report.stopped_by, width)):
            text.append(f"\n  {'' if number else 'Stopped: '}{line}")
    elif report.status is not ExitStatus.CONFORMS:
        text.append("".join(f"\n  {line}" for line in wrapped(next_step(report), width - 2)))
    for note in known_notes(report.known):
        for number, part in enumerate(textwrap.wrap(visible(note), width - 4)):
            text.append(f"\n  {'  ' if number else ''}{part}")
    if html:
        text.append(f"\n  Report: {html}")
    return text
