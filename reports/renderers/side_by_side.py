"""Runs side by side, for a terminal and as a page; with intervals where two can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from trueup.reports.comparison.compare import LoadChange, RunComparison
from trueup.reports.comparison.side_by_side import CheckLine, SideBySide, ValueLine
from trueup.reports.formatting import figure, one_line, plural
from trueup.reports.renderers.html import page_environment
from trueup.reports.results import Verdict
from trueup.reports.verdict_styles import VERDICTS

__all__ = ["letters", "render_side_by_side", "side_by_side_text"]

_NAME_MOST: Final = 46
_COLUMN_MOST: Final = 24
_TONES: Final = {"better": "good", "worse": "bad"}


def letters(count: int) -> list[str]:
    """Return a name for each run: A, B, … Z, then R27, R28, …"""
    return [chr(ord("A") + n) if n < 26 else f"R{n + 1}" for n in range(count)]


def side_by_side_text(made: SideBySide) -> str:
    """Return a table for a terminal: what was run, what differs, figures; a column for each run."""
    return "\n".join(_lines(made)) + "\n"


def _lines(made: SideBySide) -> Iterator[str]:
    names = letters(len(made.runs))
    readings = [line for line in made.readings if line.differs]
    about = [line for line in made.about if line.name not in ("run", "target")]
    tables = (
        ("", about),
        (
            f"VERDICTS THAT DIFFER "
            f"({plural(len(made.checks) - len(made.differing), 'check')} the same everywhere)",
            [_verdicts(check) for check in made.differing],
        ),
        ("READINGS THAT DIFFER", readings),
        ("LOAD", made.load),
        ("SETTINGS OF THE LOAD THAT DIFFER", made.plans),
    )
    lines = [line for _, rows in tables for line in rows]
    widest = max((len(value) for line in lines for value in line.values), default=0)
    name_width = min(max((len(line.name) for line in lines), default=0), _NAME_MOST)
    widths = (name_width + 2, min(widest, _COLUMN_MOST) + 2)
    for name, run in zip(names, made.runs, strict=True):
        yield f"{name}  {one_line(run.header.target, 40)}: {one_line(run.header.run, 80)}"
    yield ""
    yield _row(ValueLine(name="", values=tuple(names)), widths)
    for title, rows in tables:
        if rows or title.startswith("VERDICTS"):
            if title:
                yield ""
                yield title
            yield from (_row(line, widths) for line in rows)


def _verdicts(check: CheckLine) -> ValueLine:
    return ValueLine(name=check.check, values=tuple(map(_word, check.verdicts)))


def _row(line: ValueLine, widths: tuple[int, int]) -> str:
    left, wide = widths
    cells = "".join(f"{one_line(value, wide - 2):<{wide}}" for value in line.values)
    return f"{one_line(line.name, left - 2):<{left}}{cells}".rstrip()


def _word(verdict: Verdict | None) -> str:
    if verdict is None:
        return "? no result"
    return f"{VERDICTS[verdict].mark} {VERDICTS[verdict].word}"


def render_side_by_side(made: SideBySide, comparison: RunComparison | None = None) -> str:
    """Return the page of several runs; `comparison` adds intervals where there are two."""
    template = page_environment().get_template("side_by_side.html.j2")
    return template.render(
        made=made,
        names=letters(len(made.runs)),
        verdicts=VERDICTS,
        differing_readings=_split(made.readings),
        changes=[_change(change) for change in comparison.load] if comparison else [],
    )


def _split(lines: Sequence[ValueLine]) -> list[tuple[str, list[ValueLine]]]:
    """Lines that differ, and those that do not, each with a title."""
    return [
        ("that differ", [line for line in lines if line.differs]),
        ("the same everywhere", [line for line in lines if not line.differs]),
    ]


def _change(change: LoadChange) -> dict[str, str]:
    """A difference of load figures as the page shows it."""
    share = f"{change.after / change.before - 1:+.1%}" if change.before else ""
    return {
        "name": f"{change.scenario}, {change.figure}",
        "before": f"{figure(change.before)} {change.unit}",
        "after": f"{figure(change.after)} {change.unit}",
        "share": share.replace("-", "−"),
        "interval": f"{figure(change.low)} … {figure(change.high)} {change.unit}".replace("-", "−"),
        "trend": str(change.trend),
        "tone": _TONES.get(str(change.trend), "quiet"),
    }
