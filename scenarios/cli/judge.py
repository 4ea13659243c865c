"""`trueup judge`: recompute the verdicts of a run from its journal alone."""

from __future__ import annotations

from pathlib import Path

import click

from trueup.conformance.judge import disagreements
from trueup.reports.formatting import visible
from trueup.reports.journal.records import Result
from trueup.reports.journal.storage import Journal
from trueup.reports.results import EXIT_STATUS, ExitStatus
from trueup.scenarios.cli.finished_run import LATEST_RUN, read_run, report_of
from trueup.scenarios.run.reevaluate import reevaluate

__all__ = ["command"]


@click.command()
@click.argument("journal", type=click.Path(path_type=Path), default=LATEST_RUN, metavar="JOURNAL")
@click.option("--verbose", is_flag=True, help="One line for every verdict.")
def command(journal: Path, verbose: bool) -> int:
    """Recompute the verdicts of JOURNAL (a file or a run's folder), without a target.

    Each recomputed verdict is compared with the recorded one. Exit status: that of the run if all
    agree, 3 if one differs. If a run was cut short, only the verdicts that it reached are compared.
    """
    read = read_run(journal)
    again = reevaluate(read)
    if short := _cut_short(read):
        reached = {r.result.check for r in read.records if isinstance(r, Result)}
        declared, again = len(again), [result for result in again if result.check in reached]
        click.echo(
            f"{read.path}: the journal was cut short after {len(read.records)} records ({short}). "
            f"It holds {len(again)} of {declared} verdicts; the others cannot be compared."
        )
    if verbose:
        for result in again:
            click.echo(f"{result.verdict:<15} {result.law:<12} {result.check}")
    differing = disagreements(read, again)
    for line in differing:
        click.echo(visible(line))
    if differing:
        click.echo(f"{len(differing)} of {len(again)} verdicts differ from the journal.")
        return EXIT_STATUS[ExitStatus.OUR_ERROR]
    if again:
        click.echo(f"All {len(again)} verdicts agree with the journal.")
    return report_of(read).exit_status


def _cut_short(journal: Journal) -> str:
    """Return why a journal ends before its run does, or an empty string."""
    if journal.footer is None:
        return "it has no footer: the disk was full, or the process was killed"
    said = journal.footer.stopped_by.partition(". ")[0]
    return said or ("interrupted" if journal.footer.interrupted else "")
