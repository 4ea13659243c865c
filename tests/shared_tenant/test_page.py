"""docs/judging.md describes every verdict, exit status and level."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trueup.reports.results import EXIT_STATUS, Verdict

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "judging.md").read_text("utf-8")
TABLE = [line for line in PAGE.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_a_row(verdict: Verdict) -> None:
    """Each is explained."""
    first_cells = [line.split("|")[1] for line in TABLE]
    assert any(str(verdict) in cell for cell in first_cells)


def test_every_exit_status_and_level_is_described() -> None:
    """Statuses 0 to 4, and the levels that a target file can reach."""
    verdicts = PAGE.partition("## Verdicts")[2].partition("\n## ")[0]
    told = {int(number) for number in re.findall(r"\b([0-9])\b", verdicts)}
    assert set(EXIT_STATUS.values()) <= told
    levels = PAGE.partition("## Levels")[2].partition("\n## ")[0]
    assert re.findall(r"^\| (\d) \|", levels, re.M) == ["0", "1", "2", "3", "4"]


def test_its_links_lead_somewhere() -> None:
    """Every page that it points to is there."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).is_file()] == []
