"""`trueup sensitivity`: how many changes of a run's responses its verdicts would have noticed."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import click

from trueup.reports.formatting import visible
from trueup.reports.journal.storage import Journal
from trueup.reports.metrics.sensitivity import sensitivity_json
from trueup.reports.renderers.sensitivity import sensitivity_text
from trueup.reports.renderers.writer import write_all
from trueup.reports.results import EXIT_STATUS, ExitStatus
from trueup.scenarios.cli.finished_run import LATEST_RUN, read_run, report_of
from trueup.scenarios.run.sensitivity import (
    find_false_failures,
    measure_sensitivity,
    write_sensitivity,
)

__all__ = ["command"]

_SHOWN_MOST = 20


@click.command()
@click.argument("run", type=click.Path(path_type=Path), default=LATEST_RUN, metavar="RUN")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=2_000,
    show_default=True,
    help="Mutants to judge, spread over views, fields and operators; 0: all.",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Chooses which rows are changed.")
@click.option("--workers", type=click.IntRange(1), help="Processes; those of the machine if unset.")
@click.option("--json", "as_json", is_flag=True, help="Print sensitivity.json, nothing else.")
@click.option(
    "--lost-responses",
    is_flag=True,
    help="Replace single responses by lost, cut and gateway ones instead; nothing may fail.",
)
def command(
    run: Path, limit: int, seed: int, workers: int | None, as_json: bool, lost_responses: bool
) -> int:
    """Change recorded responses of RUN and count the changes that its verdicts notice.

    RUN is a run's folder or its journal; no target is needed. Each mutant is what one consistently
    wrong implementation would have returned; one that no verdict notices is a blind spot. The
    result is written to sensitivity.json in the run's folder and into the reports.

    Exit status: 0 measured, 3 the checks raised an exception or, with --lost-responses, failed
    because of a lost response.
    """
    journal = read_run(run)
    if lost_responses:
        return _lost(journal, limit=limit, seed=seed, workers=workers)
    found = measure_sensitivity(
        journal, limit=limit or None, seed=seed, workers=workers, progress=_progress
    )
    folder = journal.path.parent
    write_sensitivity(found, folder)
    write_all(report_of(journal, found), folder)
    click.echo(sensitivity_json(found) if as_json else sensitivity_text(found), nl=False)
    return EXIT_STATUS[ExitStatus.OUR_ERROR if found.broken else ExitStatus.CONFORMS]


def _lost(journal: Journal, *, limit: int, seed: int, workers: int | None) -> int:
    tried, found = find_false_failures(
        journal, limit=limit or None, seed=seed, workers=workers, progress=_progress
    )
    responses = len({(one.n, one.loss) for one in found})
    click.echo(f"{tried} responses replaced one at a time; {responses} made a check fail.")
    for loss, count in Counter(one.loss for one in found).most_common():
        click.echo(f"  {count:>6}  {loss}")
    for check, count in Counter(one.check for one in found).most_common():
        click.echo(f"  {count:>6}  {check or 'the judge itself failed'}")
    for one in found[:_SHOWN_MOST]:
        click.echo(visible(f"  {one.loss}: {one.question}: {one.check}: {one.reason}"))
    return EXIT_STATUS[ExitStatus.OUR_ERROR if found else ExitStatus.CONFORMS]


def _progress(done: int, every: int) -> None:
    """How far it is, on the standard error, where a person looks."""
    if sys.stderr.isatty():
        end = "\n" if done == every else ""
        click.echo(f"\r{done} of {every} judged{end}", nl=False, err=True)
