"""Remake the picture in the README: what a run ends with, as the latest run ended.

`python -m trueup.scenarios.screen README.md runs/latest` puts the run's screen between the two
marks.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console

from trueup.reports.journal.storage import read_journal
from trueup.reports.model import build_report
from trueup.reports.renderers.terminal import render_terminal

__all__ = ["remake", "screen"]

_MARKED = re.compile(r"(<!-- screen -->\n```\n).*?(```\n<!-- /screen -->)", re.DOTALL)


def screen(run: Path) -> str:
    """Return the screen of a run, 80 columns wide, without colour."""
    out = io.StringIO()
    console = Console(file=out, width=80, color_system=None, legacy_windows=False)
    render_terminal(build_report(read_journal(run)), console, html="runs/latest/report.html")
    return "\n".join(line.rstrip() for line in out.getvalue().strip("\n").splitlines()) + "\n"


def remake(text: str, picture: str) -> str:
    """Return the text with the screen between its marks. Raises ValueError if they are missing."""
    made, count = _MARKED.subn(lambda found: found[1] + picture + found[2], text)
    if count != 1:
        raise ValueError(f"expected the marks of one screen, found {count}")
    return made


if __name__ == "__main__":
    readme = Path(sys.argv[1])
    readme.write_text(remake(readme.read_text("utf-8"), screen(Path(sys.argv[2]))), "utf-8")
