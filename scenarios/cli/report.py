"""`trueup report`: render the report of a finished run again, or compare two runs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from trueup.reports.compare import compare, comparison_document, comparison_text
from trueup.reports.known_failures import read_known
from trueup.reports.metrics.sensitivity import read_sensitivity
from trueup.reports.model import RunReport
from trueup.reports.renderers.annotations import render_annotations
from trueup.reports.renderers.badge import render_badge
from trueup.reports.renderers.ctrf import render_ctrf
from trueup.reports.renderers.exports import render_csv, render_prometheus
from trueup.reports.renderers.html import render_html
from trueup.reports.renderers.junit import render_junit
from trueup.reports.renderers.markdown import render_markdown
from trueup.reports.renderers.result import render_result
from trueup.reports.renderers.terminal import render_terminal
from trueup.reports.renderers.writer import write_all, write_text
from trueup.reports.results import EXIT_STATUS
from trueup.scenarios.cli.finished_run import LATEST_RUN, read_run, report_of
from trueup.scenarios.cli.known_option import known_option

__all__ = ["FORMATS", "command"]

FORMATS: Final[Mapping[str, Callable[[RunReport], str]]] = {
    "html": render_html,
    "junit": render_junit,
    "ctrf": render_ctrf,
    "markdown": render_markdown,
    "github": render_annotations,
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
        formatter.write_usage(ctx.command_path, "compare BEFORE AFTER", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.commands[_SHOW].format_options(ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl([("compare", self.commands["compare"].get_short_help_str(70))])


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
    help="What to make; terminal if neither this nor --out is given.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="File (or, without --format, folder) to write to instead of the screen.",
)
@known_option
def show(run: Path, form: str | None, out: Path | None, known: Path | None) -> int:
    """Show a run, or write its reports."""
    report = _read(run, known)
    if form is None and out is not None:
        click.echo("".join(f"{path}\n" for path in write_all(report, out).values()), nl=False)
        return 0
    text = _screen(report, run, out) if form in (None, "terminal") else FORMATS[form or ""](report)
    click.echo(text if out is None else f"{write_text(out, text)}\n", nl=False)
    return 0


@command.command("compare", short_help="Compare two runs.")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
def compare_runs(before: Path, after: Path, as_json: bool) -> int:
    """Compare the run BEFORE with the run AFTER.

    Verdicts that changed, and load figures with the interval of their difference. Runs of
    another scenario, target, level, seed or load plan are refused. Exit status 1 where anything
    got worse, else 0.
    """
    comparison = compare(_read(before), _read(after))
    document = json.dumps(comparison_document(comparison), ensure_ascii=False) + "\n"
    click.echo(document if as_json else comparison_text(comparison), nl=False)
    return EXIT_STATUS[comparison.status]


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
