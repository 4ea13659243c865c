"""The laws on the terminal: those that need attention with the names of their checks and why.

What is required comes first: a line for each law that needs attention, and the laws that hold. Why
a check did not pass is added as long as there are lines left, whole or not at all, never cut.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.text import Text

from trueup.reports.formatting import amount, one_line, plural, visible
from trueup.reports.model import RunReport
from trueup.reports.renderers.known import reason_of
from trueup.reports.renderers.laws import LawGroup, law_groups
from trueup.reports.results import CheckResult, Verdict
from trueup.reports.verdict_styles import VERDICTS

__all__ = ["STYLES", "laws_text", "least_lines", "wrapped"]

STYLES: Final[Mapping[str, str]] = {
    "bad": "bold red",
    "doubt": "yellow",
    "good": "green",
    "quiet": "dim",
}
_DIFFERENCES: Final = 3
"""Differences shown of one check; `result.json` has all of them."""
_NOTE_LINES: Final = 4
"""Lines of one reason or difference; what is longer is in the report."""
_NAMES_LINES: Final = 8
"""Lines of the names of the laws that hold."""
_LAW_MOST: Final = 16
_INDENT: Final = "   "

Note = tuple[str, list[str]]
"""Style and lines of what is said of a finding."""


def laws_text(report: RunReport, *, width: int, lines_left: int) -> Text:
    """Return the laws in about so many lines; what cannot be left out may take more.

    Laws that are blocked by another one stand below it. Laws that the target does not claim share
    a paragraph.
    """
    folded = {result.check for row in report.rows for result in row.dependants}
    groups = [one for one in law_groups(report.results) if one.worst.check not in folded]
    unclaimed = [one.law for one in groups if one.worst.verdict is Verdict.NOT_APPLICABLE]
    holding = [one for one in groups if one.worst.verdict is Verdict.PASS]
    needs = [one for one in groups if one not in holding and one.law not in unclaimed]
    law_width = min(max((len(one.law) for one in (*needs, *holding)), default=3), _LAW_MOST)

    said = Text()
    end = Text()
    if unclaimed:
        label = "not claimed" if report.planted is None else "not now, or not claimed"
        lines = wrapped(f"{label}: {', '.join(unclaimed)}", width - 3)
        end.append("·  " + f"\n{_INDENT}".join(lines) + "\n", style="dim")
    sentences = _sentences(holding, law_width, width)
    if needs:
        holds = _columns(holding, law_width, width)
        for shown in (holds, _compact(holding, width)):
            left = lines_left - _height(shown) - _height(end)
            found, whole = _attention(report, needs, folded, law_width, width, left)
            holds = shown
            if whole:
                break
        said.append(found)
        said.append(holds)
    elif _height(sentences) + _height(end) > lines_left:
        said.append(_columns(holding, law_width, width))
    else:
        said.append(sentences)
    said.append(end)
    said.rstrip()
    return said


def least_lines(report: RunReport, width: int) -> int:
    """Return the lines of the laws with the first reason and nothing more that can be left out."""
    return _height(laws_text(report, width=width, lines_left=0)) + 1


def wrapped(text: str, width: int, most: int = _NOTE_LINES) -> list[str]:
    """Return untrusted text on lines of at most `width` characters.

    Of a text that needs more than `most` lines the first ones are kept, and the last one says
    where the rest is.
    """
    shown = one_line(text, width * (most + 2))
    # Names have hyphens: they are cut only where they are longer than a line.
    lines = textwrap.wrap(shown, max(width, 8), break_on_hyphens=False) or [""]
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], one_line("(the rest is in the report)", max(width, 8))]


def _height(text: Text) -> int:
    return text.plain.count("\n")


def _attention(
    report: RunReport,
    needs: Sequence[LawGroup],
    folded: set[str],
    law_width: int,
    width: int,
    lines_left: int,
) -> tuple[Text, bool]:
    """The laws that need attention, with as much of the reasons as there are lines for.

    The second value says whether all of it is there.
    """
    heads = [_head(one, folded, law_width, width) for one in needs]
    if sum(map(_height, heads)) + 1 > max(lines_left, 4):
        text = _names(needs, folded, width)
        blocked = {row.result.check: row.dependants for row in report.rows}
        for style, lines in _notes(report, needs[0], blocked, width - len(_INDENT)):
            named = wrapped(f"{needs[0].worst.check}: {' '.join(lines)}", width - len(_INDENT))
            if _height(text) + len(named) <= lines_left:
                text.append("".join(f"{_INDENT}{line}\n" for line in named), style=style)
            break
        return text, False
    title = f"{_INDENT}{'LAW':<{law_width}}  CHECKS THAT NEED ATTENTION"
    evidence = "OBSERVATIONS"
    text = Text(f"{title:<{max(width - len(evidence), 0)}}{evidence}"[:width] + "\n", style="dim")
    lines_left -= sum(map(_height, heads)) + 1
    blocked = {row.result.check: row.dependants for row in report.rows}
    notes = [list(_notes(report, group, blocked, width - len(_INDENT))) for group in needs]
    kept = _kept(notes, lines_left)
    for number, (head, said) in enumerate(zip(heads, notes, strict=True)):
        text.append(head)
        for place, (style, lines) in enumerate(said):
            if (number, place) in kept:
                text.append("".join(f"{_INDENT}{line}\n" for line in lines), style=style)
    return text, len(kept) == sum(map(len, notes)) and lines_left >= 0


def _kept(notes: Sequence[Sequence[Note]], lines_left: int) -> set[tuple[int, int]]:
    """Which notes there are lines for: (law, note). The first reason is kept in any case.

    The first note of every law comes before the second one of any.
    """
    order = sorted(
        ((place, number) for number, said in enumerate(notes) for place in range(len(said)))
    )
    kept: set[tuple[int, int]] = set()
    for place, number in order:
        lines = len(notes[number][place][1])
        if lines > lines_left and kept:
            break
        lines_left -= lines
        kept.add((number, place))
    return kept


def _failing(group: LawGroup, folded: set[str]) -> list[CheckResult]:
    """The checks of a law that need attention; those that are folded stand below their cause."""
    return [
        result
        for result in group.results
        if VERDICTS[result.verdict].tone in ("bad", "doubt") and result.check not in folded
    ]


def _head(group: LawGroup, folded: set[str], law_width: int, width: int) -> Text:
    """A law, the names of its checks that need attention, and its observations."""
    style_of = VERDICTS[group.worst.verdict]
    count = amount(group.evidence)
    names = ", ".join(result.check for result in _failing(group, folded))
    left = len(_INDENT) + law_width + 2
    lines = wrapped(names, max(width - left - len(count) - 2, 8), most=_NAMES_LINES)
    text = Text()
    style = STYLES[style_of.tone]
    text.append(f"{style_of.mark}  {one_line(group.law, law_width):<{law_width}}  ", style=style)
    text.append(f"{lines[0]:<{max(width - left - len(count), 0)}}", style=style)
    text.append(f"{count}\n", style="dim")
    for line in lines[1:]:
        text.append(f"{'':<{left}}{line}\n", style=style)
    return text


def _names(needs: Sequence[LawGroup], folded: set[str], width: int) -> Text:
    """Only the names of the checks that need attention, by verdict: there are no lines for more."""
    text = Text()
    by_verdict: dict[Verdict, list[str]] = {}
    for group in needs:
        for result in _failing(group, folded):
            by_verdict.setdefault(result.verdict, []).append(visible(result.check))
    for verdict in VERDICTS:
        if names := by_verdict.get(verdict):
            style = VERDICTS[verdict]
            said = f"{style.word}, {plural(len(names), 'check')}: {', '.join(names)}"
            lines = textwrap.wrap(said, width - len(_INDENT), break_on_hyphens=False)
            text.append(
                f"{style.mark}  " + f"\n{_INDENT}".join(lines) + "\n", style=STYLES[style.tone]
            )
    return text


def _notes(
    report: RunReport,
    group: LawGroup,
    blocked: Mapping[str, Sequence[CheckResult]],
    width: int,
) -> Iterator[Note]:
    """What is said of a law that needs attention: why, with differences, and what it blocks."""
    worst = group.worst
    tone = STYLES[VERDICTS[worst.verdict].tone]
    if excuse := reason_of(report, worst.check):
        yield "yellow", wrapped(excuse, width)
    yield from ((tone, lines) for lines in _reasons(worst, width))
    names = dict.fromkeys(result.law for result in blocked.get(worst.check, ()))
    if others := ", ".join(name for name in names if name != group.law):
        yield "dim", wrapped(f"blocks {others}", width)


def _reasons(worst: CheckResult, width: int) -> Iterator[list[str]]:
    """Why a check did not pass, with up to three differences where it has several."""
    differences = worst.counterexample.differences if worst.counterexample else ()
    several = worst.verdict is Verdict.FAIL and len(differences) > 1
    first = differences[0] if differences else None
    repeated = first is not None and (first.expected, first.seen) == (worst.expected, worst.seen)
    if not (several and repeated):
        yield wrapped(_why(worst), width)
    for one in differences[:_DIFFERENCES] if several else ():
        yield wrapped(f"{one.where}: expected {one.expected}, saw {one.seen}", width)
    if several and len(differences) > _DIFFERENCES:
        yield [f"and {plural(len(differences) - _DIFFERENCES, 'more difference')}"]


def _why(worst: CheckResult) -> str:
    word = VERDICTS[worst.verdict].word
    if worst.verdict is Verdict.BLOCKED:
        return f"{word}: rests on {worst.blocked_by}"
    if worst.verdict is Verdict.FAIL and (worst.expected or worst.seen):
        return f"{word}: expected {worst.expected}; saw {worst.seen}"
    return f"{word}: {worst.reason}"


def _sentences(groups: Sequence[LawGroup], law_width: int, width: int) -> Text:
    """Laws that hold, each with its sentence and its observations."""
    text = Text()
    if not groups:
        return text
    counts = [amount(one.evidence) for one in groups]
    heading = "OBSERVATIONS"
    count_width = max(len(heading), *map(len, counts))
    left = len(_INDENT) + law_width + 2
    says = max(width - left - count_width - 1, 8)
    title = f"{_INDENT}{'LAW':<{law_width}}  {'SAYS':<{says}} {heading:>{count_width}}\n"
    text.append(title, style="dim")
    for group, count in zip(groups, counts, strict=True):
        lines = wrapped(group.worst.title, says)
        text.append(f"✓  {one_line(group.law, law_width):<{law_width}}  ", style=STYLES["good"])
        text.append(f"{lines[0]:<{says}} ")
        text.append(f"{count:>{count_width}}\n", style="dim")
        for line in lines[1:]:
            text.append(f"{'':<{left}}{line}\n")
    return text


def _compact(groups: Sequence[LawGroup], width: int) -> Text:
    """Only the names of the laws that hold, in a paragraph."""
    if not groups:
        return Text()
    names = ", ".join(group.law for group in groups)
    said = f"{plural(len(groups), 'law holds', 'laws hold')}: {names}"
    lines = wrapped(said, width - len(_INDENT), most=_NAMES_LINES)
    return Text("✓  " + f"\n{_INDENT}".join(lines) + "\n", style=STYLES["good"])


def _columns(groups: Sequence[LawGroup], law_width: int, width: int) -> Text:
    """Laws that hold, several to a line: name and observations."""
    text = Text()
    if not groups:
        return text
    heading = one_line("LAWS THAT HOLD, AND THE OBSERVATIONS FOR EACH", width - len(_INDENT))
    text.append(f"{_INDENT}{heading}\n", style="dim")
    counts = [amount(one.evidence) for one in groups]
    count_width = max(5, *map(len, counts))
    cell = law_width + count_width + 5
    per_line = max(1, (width + 2) // cell)
    for number, (group, count) in enumerate(zip(groups, counts, strict=True), start=1):
        text.append("✓  ", style=STYLES["good"])
        text.append(f"{one_line(group.law, law_width):<{law_width}}")
        text.append(f"{count:>{count_width}}", style="dim")
        last = number % per_line == 0 or number == len(groups)
        text.append("\n" if last else "  ")
    return text
