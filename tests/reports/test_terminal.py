"""One screen: 80 columns, about 40 lines, nothing said by colour alone."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from reports.model import RunReport, build_report
from reports.terminal import law_lines, render_terminal
from tests.reports.factory import PASSES, RESULTS, journal, load_result
from tests.reports.golden import check_golden


def screen(report: RunReport, *, encoding: str = "utf-8", width: int = 80) -> str:
    raw = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    render_terminal(report, Console(file=raw, width=width), html="runs/latest/report.html")
    raw.seek(0)
    return raw.read()


def test_the_screen_of_a_failing_run(failing: RunReport) -> None:
    """As it was looked at."""
    check_golden("terminal-failing.txt", screen(failing))


def test_the_screen_of_a_passing_run(passing: RunReport) -> None:
    """As it was looked at."""
    check_golden("terminal-passing.txt", screen(passing))


def test_the_screen_of_a_run_that_was_cut_short(cut_short: RunReport) -> None:
    """As it was looked at."""
    check_golden("terminal-cut-short.txt", screen(cut_short))


def test_a_screen_is_one_screen_however_many_the_laws(tmp_path: Path) -> None:
    """Forty laws and a load run still fit 42 lines of 80 columns; each law is named."""
    laws = [f"LAW={number}" for number in range(40)]
    results = tuple(msgspec.structs.replace(PASSES[0], law=law, check=law) for law in laws)
    load = load_result(missed=True)
    report = build_report(journal(tmp_path / "r", (*RESULTS, *results), load=(load,)))
    lines = screen(report).splitlines()
    assert len(lines) <= 42
    assert max(map(len, lines)) <= 80
    assert all(law in screen(report) for law in laws)


@pytest.mark.parametrize("width", [40, 60, 132])
def test_other_widths_are_kept_too(failing: RunReport, width: int) -> None:
    """Law lines never overflow, so that a narrow terminal does not tear them."""
    assert max(map(len, screen(failing, width=width).splitlines())) <= width


def test_a_plain_terminal_gets_plain_marks(failing: RunReport) -> None:
    """Marks that the encoding lacks have stand-ins; the verdict is still there in words."""
    text = screen(failing, encoding="ascii")
    assert "x  SUM=LOG" in text
    assert "+  AUTH" in text
    assert "Does not conform" in text
    assert "\x1b" not in text


def test_hostile_text_cannot_drive_the_terminal(failing: RunReport) -> None:
    """Escape sequences of a target arrive as visible text."""
    raw = io.StringIO()
    console = Console(file=raw, width=80, force_terminal=True, color_system="standard")
    render_terminal(failing, console)
    assert "\x1b[31mred" not in raw.getvalue()
    assert "\x00" not in raw.getvalue()


def test_a_law_shows_its_worst_check(failing: RunReport) -> None:
    """Evidence adds up over its checks."""
    line = law_lines(failing.results)[0]
    assert (line.law, line.worst.check, line.evidence) == ("SUM=LOG", "summaries-equal-logs", 1204)
