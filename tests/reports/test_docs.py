"""The page on reports promises nothing that is not there, and leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path

from trueup.reports.comparison.compare import SMALLEST_CHANGE
from trueup.reports.renderers.curl import KEY_VARIABLES
from trueup.reports.renderers.exports import CSV_COLUMNS
from trueup.reports.renderers.html import LIMITS
from trueup.reports.renderers.writer import RUN_FILES
from trueup.reports.results import Verdict
from trueup.scenarios.cli.report import FORMATS

PAGE = (Path(__file__).parents[2] / "docs" / "reports.md").read_text(encoding="utf-8")


def test_every_format_file_and_verdict_is_on_the_page() -> None:
    """A new one must be described before it lands."""
    described = set(re.findall(r"^\| `([a-z]+)` \|", PAGE, flags=re.M))
    assert described == {*FORMATS, "terminal"}
    assert all(f"`{name}`" in PAGE for name in RUN_FILES)
    rows = set(re.findall(r"^\| ([a-z-]+) \|", PAGE, flags=re.M))
    assert {str(verdict) for verdict in Verdict} <= rows
    assert ", ".join(CSV_COLUMNS) in PAGE
    assert all(f"`{name}`" in PAGE for names in KEY_VARIABLES.values() for name in names)


def test_figures_on_the_page_are_those_of_the_code() -> None:
    """Limits that a reader relies on."""
    assert f"{LIMITS.body_characters:,} characters" in PAGE
    assert f"larger than {SMALLEST_CHANGE:.0%}".replace("%", " %") in PAGE
