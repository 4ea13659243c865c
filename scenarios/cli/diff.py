"""`trueup diff`: two targets under the same checks, side by side."""

from __future__ import annotations

import json
from pathlib import Path

import click

from trueup.conformance.datasets.depth import Depth
from trueup.reports.renderers.target_differences import differences_document, differences_text
from trueup.reports.results import EXIT_STATUS
from trueup.scenarios.cli.console import OutputConsole
from trueup.scenarios.cli.shared import command_line, depth_option, level_option, run_options
from trueup.scenarios.progress import reporter_for
from trueup.scenarios.run.diff import DiffRequest, diff_targets

__all__ = ["command"]


@click.command()
@click.argument("one", metavar="A", type=click.Path(path_type=Path))
@click.argument("two", metavar="B", type=click.Path(path_type=Path))
@level_option()
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="A check or a law, such as SUM=LOG; may be given again.",
)
@depth_option
@run_options
def command(
    one: Path,
    two: Path,
    level: int | None,
    only: tuple[str, ...],
    depth: str | None,
    seed: int | None,
    allow_hosts: tuple[str, ...],
    runs: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Check the targets of the files A and B by the same history, and show what differs.

    Verdicts, readings, fields, statuses and speed stand side by side; what differs though both
    conform is named. Both are run at the level that both reach, one after the other, and each
    run keeps its folder and report.

    Exit status: that of the worse target: 0 both conform, 1 one does not, 2 could not tell.
    """
    order = DiffRequest(
        one=one,
        two=two,
        level=level,
        only=only,
        depth=Depth(depth or Depth.STANDARD),
        seed=7 if seed is None else seed,
        runs=runs,
        allow_hosts=allow_hosts,
        command=command_line(),
    )
    with reporter_for(OutputConsole(stderr=True), quiet=quiet) as reporter:
        found = diff_targets(order, reporter)
    document = json.dumps(differences_document(found), indent=2, ensure_ascii=True) + "\n"
    click.echo(document if as_json else differences_text(found), nl=False)
    return EXIT_STATUS[found.status]
