"""The page in Chromium: its policy lets the filter run, and the filter hides what it excludes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from trueup.reports.model import RunReport
from trueup.reports.renderers.html import render_html

CHROMIUM = shutil.which("chromium")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_the_filter_runs_under_the_policy_and_hides_what_it_excludes(
    failing: RunReport, tmp_path: Path
) -> None:
    """Typed words are there from the start, so that the script filters when it is loaded."""
    page = tmp_path / "report.html"
    typed = render_html(failing).replace(
        'id="filter-words" type="search"', 'id="filter-words" type="search" value="Both SORT"'
    )
    page.write_text(typed, encoding="utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    html = done.stdout
    assert re.search(r'<div id="filter" role="search">', html)
    assert ">1 of 20 checks<" in html
    checks = re.findall(r'<div class="check" id="k\d+"[^>]*>', html)
    shown = [check for check in checks if 'hidden=""' not in check]
    assert len(checks) == 20
    assert len(shown) == 1
    assert "sort-both-ways" in shown[0]
