"""`trueup prove`: the zoo, the kill matrix, and what it says of the judge."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click
from rich.console import Console

from trueup.reports.renderers.kill_matrix import render_matrix_json, render_matrix_markdown
from trueup.reports.renderers.writer import write_text
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.mutation.prove import exit_status_of_proof, prove
from trueup.scenarios.mutation.register import (
    MutantCatalogue,
    load_expected_kills,
    load_mutants,
    load_variant_setups,
    quick_ids,
)
from trueup.scenarios.progress import reporter_for

__all__ = ["command"]


@click.command(short_help="Try every fault of the zoo: does the judge convict?")
@click.option("--quick", is_flag=True, help="A subset that touches every law of the first proof.")
@click.option("--only", multiple=True, metavar="ID", help="A fault or variant; may be given again.")
@click.option("--list", "listing", is_flag=True, help="List the zoo and end.")
@click.option("--seed", type=click.IntRange(0, 2**62), default=7, show_default=True)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=None,
    help="Trials at a time; the machine's cores if not given.",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write the kill matrix as Markdown, such as docs/kill-matrix.md.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def command(
    quick: bool,
    only: tuple[str, ...],
    listing: bool,
    seed: int,
    workers: int | None,
    write: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Start the reference once for every fault and variant, and judge each.

    A fault counts as killed only where a law fails that it is charged with. The unfaulted
    reference and every correct-but-different variant must raise nothing. Exit status 0: all
    killed, no alarm; 1: a survivor or an alarm; 2: a fault that proves nothing.
    """
    mutants = load_mutants()
    if listing:
        _list(mutants)
        return 0
    chosen = _chosen(mutants, only, quick=quick)
    with reporter_for(Console(stderr=True), quiet=quiet or as_json) as reporter:
        reporter.start("prove")
        matrix = asyncio.run(
            prove(
                mutants,
                load_expected_kills(),
                load_variant_setups(),
                only=chosen,
                seed=seed,
                workers=workers or len(os.sched_getaffinity(0)),
                progress=lambda done, total, name: reporter.update(done, f"{done}/{total} {name}"),
            )
        )
        reporter.finish()
    if write is not None:
        write_text(write, render_matrix_markdown(matrix))
    click.echo(render_matrix_json(matrix) if as_json else render_matrix_markdown(matrix), nl=False)
    return exit_status_of_proof(matrix)


def _chosen(
    mutants: MutantCatalogue, only: tuple[str, ...], *, quick: bool
) -> frozenset[str] | None:
    known = {entry.id for entry in (*mutants.faults, *mutants.variants)}
    if odd := sorted(set(only) - known):
        raise UsageProblem(
            f"no such fault or variant: {', '.join(odd)}. See `trueup prove --list`."
        )
    if only:
        return frozenset(only)
    return quick_ids() if quick else None


def _list(mutants: MutantCatalogue) -> None:
    for title, entries in (("Faults", mutants.faults), ("Variants", mutants.variants)):
        click.echo(f"{title}:")
        for entry in entries:
            click.echo(f"  {entry.id:<5} {entry.what}")
