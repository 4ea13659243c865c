"""What a build server shows of a run: files, the summary of a job, annotations, an exit status."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from trueup.reports.model import RunReport
from trueup.reports.renderers.annotations import render_annotations
from trueup.reports.renderers.ctrf import render_ctrf
from trueup.reports.renderers.markdown import render_markdown
from trueup.reports.renderers.writer import write_all, write_text
from trueup.scenarios.cli.output import echo_utf8

__all__ = ["CI_FOLDER", "publish"]

CI_FOLDER: Final = Path("trueup-report")
"""Where the files go where no folder is named."""


def publish(report: RunReport, folder: Path, environment: Mapping[str, str]) -> int:
    """Write the reports of a run for a build server and return the run's exit status.

    Beside the files of every run, `ctrf.json` and `summary.md`. On GitHub the summary is appended
    to the job's (`GITHUB_STEP_SUMMARY`) and annotations are printed; elsewhere the names of the
    files are.
    """
    summary = render_markdown(report)
    paths = list(write_all(report, folder).values())
    paths.append(write_text(folder / "ctrf.json", render_ctrf(report)))
    paths.append(write_text(folder / "summary.md", summary))
    if step_summary := environment.get("GITHUB_STEP_SUMMARY"):
        with Path(step_summary).open("a", encoding="utf-8") as file:
            file.write(summary)
    if environment.get("GITHUB_ACTIONS") == "true":
        echo_utf8(render_annotations(report))
    else:
        click.echo("".join(f"{path}\n" for path in paths), nl=False)
    return report.exit_status
