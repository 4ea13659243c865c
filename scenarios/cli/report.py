"""`trueup report`: render the report of a finished run again, or compare two runs."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import click
from rich.console import Console

from trueup.reports.comparison.compare import (
    RunComparison,
    compare,
    comparison_document,
    comparison_text,
)
from trueup.reports.comparison.side_by_side import side_by_side, side_by_side_document
from trueup.reports.errors import NotComparable
from trueup.reports.known_failures import read_known
from trueup.reports.metrics.sensitivity import read_sensitivity
from trueup.reports.model import RunReport
from trueup.reports.renderers.annotations import render_annotations
from trueup.reports.renderers.badge import render_badge
from trueup.reports.renderers.ctrf import render_ctrf
from trueup.reports.renderers.exports import render_csv, render_prometheus
from trueup.reports.renderers.html import render_html
from trueup.reports.renderers.junit import render_junit
from trueup.reports.renderers.known import render_known
from trueup.reports.renderers.markdown import render_markdown
from trueup.reports.renderers.result import render_result
from trueup.reports.renderers.side_by_side import render_side_by_side, side_by_side_text
from trueup.reports.renderers.terminal import render_terminal
from trueup.reports.renderers.trend import render_trend, trend_text
from trueup.reports.renderers.writer import write_all, write_text
from trueup.reports.results import EXIT_STATUS
from trueup.reports.trend import read_trend, trend_document
from trueup.scenarios.cli.finished_run import LATEST_RUN, read_run, report_of
from trueup.scenarios.cli.known_option import known_option
from trueup.scenarios.cli.output import echo_utf8
from trueup.scenarios.cli.report_ci import CI_FOLDER, publish
from trueup.scenarios.errors import UsageProblem

__all__ = ["FORMATS", "command"]

FORMATS: Final[Mapping[str, Callable[[RunReport], str]]] = {
    "html": render_html,
    "junit": render_junit,
    "ctrf": render_ctrf,
    "markdown": render_markdown,
    "github": render_annotations,
    "known": render_known,
    "json": render_result,
    "badge": render_badge,
    "csv": render_csv,
    "prometheus": render_prometheus,
}
"""Format → what makes it of a run; `terminal` is drawn to the screen at hand instead."""
_SHOW: Final = "show"


class _Reports(click.Group):
    """A group whose first command may be left out: `trueup report RUN` shows RUN."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks_for_help = args[:1] and args[0] in self.get_help_option_names(ctx)
        if not asks_for_help and (not args or args[0] not in self.commands):
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[RUN] [OPTIONS]")
        formatter.write_usage(ctx.command_path, "compare A B [C …]", prefix="       ")
        formatter.write_usage(ctx.command_path, "trend [FOLDER]", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.commands[_SHOW].format_options(ctx, formatter)
        with formatter.section("Commands"):
            names = [name for name in self.commands if name != _SHOW]
            formatter.write_dl(
                [(name, self.commands[name].get_short_help_str(70)) for name in names]
            )


@click.group(cls=_Reports)
def command() -> None:
    """Make a report of RUN again from its journal alone.

    RUN is a run's folder or its journal; runs/latest if none is given. With --out FOLDER and
    no --format, writes report.html, junit.xml, result.json and evidence/ there.
    """


@command.command(_SHOW, hidden=True)
@click.argument("run", type=click.Path(path_type=Path), default=LATEST_RUN)
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", *FORMATS]),
    metavar="FORMAT",
    help=f"What to make: terminal (if neither this nor --out is given), {', '.join(FORMATS)}.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="File (or, without --format, folder) to write to instead of the screen.",
)
@click.option(
    "--ci",
    is_flag=True,
    help="Write all that a build server shows, and end with the run's exit status.",
)
@known_option
def show(run: Path, form: str | None, out: Path | None, ci: bool, known: Path | None) -> int:
    """Show a run, or write its reports."""
    if ci and form is not None:
        raise UsageProblem("--ci writes every format that a build server shows: leave --format out")
    report = _read(run, known)
    if ci:
        return publish(report, out or CI_FOLDER, os.environ)
    if form is None and out is not None:
        click.echo("".join(f"{path}\n" for path in write_all(report, out).values()), nl=False)
        return 0
    if out is not None:
        text = _screen(report, run, out) if form in (None, "terminal") else _text(report, form)
        click.echo(write_text(out, text))
    elif form in (None, "terminal"):
        click.echo(_screen(report, run, out), nl=False)
    else:
        echo_utf8(_text(report, form))
    return 0


def _text(report: RunReport, form: str | None) -> str:
    return FORMATS[form or ""](report)


@command.command("compare", short_help="Compare runs.")
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, metavar="A B [C …]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page.")
@click.option(
    "--side-by-side",
    "beside",
    is_flag=True,
    help="Show two runs of different plans or targets; more than two always are.",
)
def compare_runs(runs: tuple[Path, ...], as_json: bool, html: Path | None, beside: bool) -> int:
    """Compare the run A with the run B, or show several side by side.

    Of two runs: verdicts that changed, and load figures with the interval of their difference.
    Two runs of another scenario, target, level, seed or load plan are refused; exit status 1
    where anything got worse, else 0. Side by side nothing is refused, and the status is 0.
    """
    if len(runs) < 2:
        raise UsageProblem(
            "compare takes two or more runs: trueup report compare BEFORE AFTER, or A B C …"
        )
    reports = [_read(run) for run in runs]
    if len(reports) > 2 or beside:
        made = side_by_side(reports)
        page, status = render_side_by_side(made), 0
        document, text = side_by_side_document(made), side_by_side_text(made)
    else:
        comparison = _comparison(*reports)
        page = render_side_by_side(side_by_side(reports), comparison)
        document, text = comparison_document(comparison), comparison_text(comparison)
        status = EXIT_STATUS[comparison.status]
    if html is not None:
        path = write_text(html, page)
        if not as_json:
            text += f"{path}\n"
    if as_json:
        echo_utf8(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        click.echo(text, nl=False)
    return status


def _comparison(before: RunReport, after: RunReport) -> RunComparison:
    try:
        return compare(before, after)
    except NotComparable as refused:
        raise NotComparable(f"{refused} Or see both with --side-by-side.") from refused


@command.command("trend", short_help="Show a folder of runs over time.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page.")
def trend_of(folder: Path, as_json: bool, html: Path | None) -> int:
    """Show the runs below FOLDER over time; runs/ if none is given.

    Runs of one target, scenario and level belong together. Reads result.json of each run.
    """
    trend = read_trend(folder)
    if as_json:
        echo_utf8(json.dumps(trend_document(trend), ensure_ascii=False) + "\n")
    else:
        click.echo(trend_text(trend), nl=False)
    if html is not None:
        base = Path(os.path.relpath(folder, html.parent)).as_posix() + "/"
        path = write_text(html, render_trend(trend, base=quote(base)))
        if not as_json:
            click.echo(path)
    return 0


def _screen(report: RunReport, run: Path, out: Path | None) -> str:
    """The screen as text: for the terminal at hand, or 80 plain columns for a file."""
    html = (run if run.is_dir() else run.parent) / "report.html"
    console = Console() if out is None else Console(file=io.StringIO(), width=80)
    with console.capture() as captured:
        render_terminal(report, console, html=str(html) if html.is_file() else "")
    return captured.get()


def _read(run: Path, known: Path | None = None) -> RunReport:
    file = read_known(known) if known is not None else None
    journal = read_run(run)
    return report_of(journal, read_sensitivity(journal.path.parent), known=file)
