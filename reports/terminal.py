"""One screen at the end of a run: a line a law, the tie-out, the load, how it ended, what next.

Made for 80 columns and about 40 lines. Colour and typographic marks are left out where the
terminal has none; nothing is said by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.facts import CheckResult, ExitStatus, Verdict
from reports.figures import Latency, LoadFigures, figures
from reports.model import RunReport
from reports.text import amount, duration, milliseconds, one_line, plural, rate
from reports.tieout import COLUMNS, Cell, pivot
from reports.verdicts import STATUSES, VERDICTS

__all__ = ["LawLine", "law_lines", "render_terminal"]

_STYLE: Final[Mapping[str, str]] = {
    "bad": "bold red",
    "doubt": "yellow",
    "good": "green",
    "quiet": "dim",
}
_MAX_LAWS: Final = 32
_MAX_TIE_OUTS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class LawLine:
    """One law over all its checks: its worst verdict, and the check that shows it."""

    law: str
    worst: CheckResult
    evidence: int
    """Pieces of evidence over all checks of the law."""
    checks: int


def law_lines(results: Sequence[CheckResult]) -> tuple[LawLine, ...]:
    """Group results (worst first) by law, in the order of each law's worst check."""
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
    """Print one screen; `html` is where the full report lies, shown in the last line."""
    plain = not _typographic(console)
    for part in _screen(report, plain=plain, html=html, width=console.width):
        console.print(part, highlight=False, soft_wrap=False)


def _typographic(console: Console) -> bool:
    return console.encoding.lower().replace("-", "").startswith("utf")


def _screen(report: RunReport, *, plain: bool, html: str, width: int) -> Iterator[RenderableType]:
    yield _title(report, width)
    yield ""
    yield _laws(report, plain=plain, width=width)
    for name in report.missing[:5]:
        yield Text(f"  {name}: declared, but reported nothing", style="yellow")
    if report.tie_outs:
        yield ""
        yield _tie_outs(report, plain=plain)
    for load in report.load:
        yield ""
        yield _load(figures(load), plain=plain)
    yield ""
    yield _end(report, plain=plain, html=html, width=width)


def _title(report: RunReport, width: int) -> Text:
    header = report.header
    sent = sum(one.accepted + one.refused + one.unknown for one in report.sent)
    facts = [
        f"level {header.level}",
        f"seed {header.seed}",
        plural(report.requests, "request"),
        *([plural(sent, "event") + " sent"] if sent else []),
        *([duration(report.duration_s)] if report.duration_s is not None else []),
    ]
    title = one_line(f"{header.scenario} on {header.target} ({header.base_url})", width - 8)
    return Text.assemble(("trueup", "bold"), f" {title}\n", (" · ".join(facts), "dim"))


def _laws(report: RunReport, *, plain: bool, width: int) -> RenderableType:
    """A line a law; laws that did not pass say why below, the unclaimed share one line."""
    lines = law_lines(report.results)
    unclaimed = [x.law for x in lines if x.worst.verdict is Verdict.NOT_APPLICABLE]
    shown = [x for x in lines if x.worst.verdict is not Verdict.NOT_APPLICABLE]
    law_width = max((len(line.law) for line in shown), default=3)
    law_width = min(max(law_width, 3), 16)
    says = max(16, width - law_width - 17)
    text = Text()
    text.append(f"   {'LAW':<{law_width}}  {'SAYS':<{says}}  {'EVIDENCE':>8}\n", "dim")
    for line in shown[:_MAX_LAWS]:
        look = VERDICTS[line.worst.verdict]
        style = _STYLE[look.tone]
        text.append(f"{look.ascii_mark if plain else look.mark}  ", style=style)
        text.append(f"{one_line(line.law, law_width):<{law_width}}  ", style=style)
        text.append(f"{one_line(line.worst.title, says):<{says}}  ")
        text.append(f"{amount(line.evidence):>8}\n", style="dim")
        if look.tone in ("bad", "doubt"):
            text.append(f"   {one_line(_why(line.worst), width - 4)}\n", style=style)
    if len(shown) > _MAX_LAWS:
        text.append(f"   … and {len(shown) - _MAX_LAWS} more laws\n", style="dim")
    if unclaimed:
        names = one_line(", ".join(unclaimed), width - 17)
        text.append(f"{'-' if plain else '·'}  not claimed: {names}\n", style="dim")
    text.rstrip()
    return text


def _why(worst: CheckResult) -> str:
    word = VERDICTS[worst.verdict].word
    if worst.verdict is Verdict.BLOCKED:
        return f"{word}: rests on {worst.blocked_by}"
    if worst.verdict is Verdict.FAIL and (worst.expected or worst.seen):
        return f"{word}: expected {worst.expected}; saw {worst.seen}"
    return f"{word}: {worst.reason}"


def _tie_outs(report: RunReport, *, plain: bool) -> RenderableType:
    rows = pivot(report.tie_outs)
    table = Table(box=None, show_header=True, header_style="dim", pad_edge=False)
    table.add_column("TIE-OUT", no_wrap=True, max_width=22)
    table.add_column("expected", justify="right", no_wrap=True)
    columns = [column for column in COLUMNS if any(column in row.cells for row in rows)]
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    shown = sorted(rows, key=lambda row: row.ok)[:_MAX_TIE_OUTS]
    for row in shown:
        name = row.scope if row.part in ("", row.scope) else f"{row.part} {row.scope}"
        cells = (_cell(row.cells.get(column), plain=plain) for column in columns)
        table.add_row(one_line(name, 22), row.expected, *cells)
    parts: list[RenderableType] = [table]
    if len(rows) > len(shown):
        rest = rows[len(shown) :]
        bad = sum(not row.ok for row in rows) - sum(not row.ok for row in shown)
        word = f"{bad} of them off" if bad else "all of them tie out"
        parts.append(Text(f"… and {plural(len(rest), 'more row')}, {word}", "dim"))
    return Group(*parts)


def _cell(cell: Cell | None, *, plain: bool) -> Text:
    if cell is None:
        return Text("-" if plain else "·", style="dim")
    if cell.ok:
        return Text(cell.seen, style="green")
    return Text(f"{'x' if plain else '✗'} {cell.seen}", style="bold red")


def _load(load: LoadFigures, *, plain: bool) -> Text:
    """The headline figure first; then latency, then whether the generator itself kept up."""
    result = load.result
    text = Text.assemble(
        ("LOAD  ", "dim"),
        (f"{rate(load.headline_eps)} {load.headline_word}", "bold"),
        (
            f"  {one_line(result.scenario, 24)}, {result.shape}, {duration(result.duration_s)}",
            "dim",
        ),
    )
    text.append(f"\n      latency {_quantiles(load.response)}")
    text.append(f"\n      lateness {_quantiles(load.lateness)}", style="dim")
    if result.generator_cpu_share is not None:
        text.append(f"\n      generator CPU {result.generator_cpu_share:.0%}", style="dim")
    for doubt in load.doubts:
        text.append(f"\n      {one_line(doubt, 74)}", style="yellow")
    for threshold in result.thresholds:
        if not threshold.ok:
            value = "unknown" if threshold.value is None else f"{threshold.value:,.6g}"
            mark = "x" if plain else "✗"
            text.append(
                f"\n      {mark} {one_line(threshold.name, 40)}: {value} {threshold.unit}, "
                f"limit {threshold.limit:,.6g} {threshold.unit}",
                style="bold red",
            )
    return text


def _quantiles(latency: Latency) -> str:
    if not latency.quantiles:
        return "not measured"
    return " · ".join(f"{name} {milliseconds(ms)}" for name, ms in latency.quantiles.items())


def _end(report: RunReport, *, plain: bool, html: str, width: int) -> Text:
    look = STATUSES[report.status]
    mark = {"good": "+", "bad": "x"}.get(look.tone, "?")
    if not plain:
        mark = {"good": "✓", "bad": "✗"}.get(look.tone, "?")
    cut_short = " (cut short)" if report.interrupted else ""
    line = f"{mark} {look.headline}{cut_short}: {report.tally}"
    text = Text()
    text.append(line, style=f"bold {_STYLE[look.tone]}")
    if report.status is not ExitStatus.CONFORMS:
        text.append(f"\n  {look.next_step}")
    if html:
        text.append(f"\n  Report: {html}")
    return text
