"""`trueup prove`: mutation-test the checks and render the kill matrix."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import click

from trueup.reports.renderers.kill_matrix import (
    KillMatrix,
    render_matrix_file,
    render_matrix_json,
    render_matrix_markdown,
)
from trueup.reports.renderers.writer import write_text
from trueup.scenarios.cli.console import OutputConsole
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.mutation.accountings import ACCOUNTINGS
from trueup.scenarios.mutation.prove import exit_status_of_proof, prove, prove_accountings
from trueup.scenarios.mutation.register import (
    MutantCatalogue,
    MutantEntry,
    exclusive_variants,
    load_expected_kills,
    load_explained,
    load_mutants,
    load_proxied,
    load_variant_setups,
    quick_ids,
)
from trueup.scenarios.mutation.sampling import sample, variant_combinations
from trueup.scenarios.progress import reporter_for

__all__ = ["command"]


_ALL: Final = "all"
_MARK: Final = ":"
"""Part of the ids of generated mutants, and of no other."""


class _Count(click.ParamType["int | None"]):
    """A number, or `all`, which is None."""

    name = "count"

    def convert(self, value: object, param: object, ctx: object) -> int | None:
        """Return the number. Raises BadParameter."""
        text = str(value)
        if text == _ALL:
            return None
        if not (text.isascii() and text.isdigit()):
            raise click.BadParameter(f"{text!r} is neither a number nor `{_ALL}`")
        return int(text)


@click.command()
@click.option("--quick", is_flag=True, help="A subset of faults and variants for daily use.")
@click.option(
    "--only",
    multiple=True,
    metavar="ID",
    help="A fault, variant or generated mutant; may be repeated.",
)
@click.option(
    "--generated",
    type=_Count(),
    default="0",
    metavar="N",
    help="Also try N generated mutants, a sample drawn by the seed; `all` for every one.",
)
@click.option(
    "--combinations",
    type=_Count(),
    default="0",
    metavar="N",
    help="Also try N combinations of variants, with and without their readings declared; `all`.",
)
@click.option(
    "--without-named", is_flag=True, help="Leave out the named faults and the single variants."
)
@click.option(
    "--proxies",
    "proxied",
    is_flag=True,
    help="Try faulty and correct accountings of proxies instead, at level 1.",
)
@click.option("--list", "listing", is_flag=True, help="List what can be tried, and end.")
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
    help="Also write the kill matrix, as Markdown to FILE and as JSON beside it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def command(
    quick: bool,
    only: tuple[str, ...],
    generated: int | None,
    combinations: int | None,
    without_named: bool,
    proxied: bool,
    listing: bool,
    seed: int,
    workers: int | None,
    write: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run the checks against every fault and variant of the reference.

    A fault is detected if a law fails that is registered for it. The reference and its correct
    variants must not fail. Of generated mutants the detected share is measured.

    Exit status: 0 every named fault is detected and nothing else fails, 1 otherwise, 2 a fault that
    cannot be tested.
    """
    workers = workers or len(os.sched_getaffinity(0))
    if proxied:
        if quick or generated != 0 or combinations != 0 or without_named:
            raise UsageProblem("--proxies goes with --only, --seed, --workers, --list and --write")
        if listing:
            _list(_accountings())
            return 0
        return _show(
            _prove_accountings(only, seed, workers, quiet=quiet or as_json),
            write=write,
            as_json=as_json,
        )
    by_id = any(_MARK in name for name in only)
    mutants = load_mutants(generated=generated != 0 or by_id)
    if listing:
        _list(mutants)
        return 0
    chosen = frozenset[str]() if without_named else _chosen(mutants, only, quick=quick)
    tried = sample(mutants.generated, generated, seed=seed)
    tried += tuple(each for each in mutants.generated if each.id in only and each not in tried)
    rows = variant_combinations(mutants.variants, exclusive_variants(), seed=seed)
    with reporter_for(OutputConsole(stderr=True), quiet=quiet or as_json) as reporter:
        reporter.start("prove")
        matrix = asyncio.run(
            prove(
                mutants,
                load_expected_kills(),
                load_variant_setups(),
                only=chosen,
                seed=seed,
                workers=workers,
                generated=tried,
                combinations=sample(rows, combinations, seed=seed),
                explained=load_explained(),
                progress=lambda done, total, name: reporter.update(done, f"{done}/{total} {name}"),
            )
        )
        reporter.finish()
    return _show(matrix, write=write, as_json=as_json)


def _show(matrix: KillMatrix, *, write: Path | None, as_json: bool) -> int:
    """Print a kill matrix, and write it if asked to. Returns the exit status."""
    if write is not None:
        write_text(write, render_matrix_markdown(matrix))
        write_text(write.with_suffix(".json"), render_matrix_file(matrix))
    click.echo(render_matrix_json(matrix) if as_json else render_matrix_markdown(matrix), nl=False)
    return exit_status_of_proof(matrix)


def _accountings() -> MutantCatalogue:
    """Return the accountings of proxies, and the faults of the reference that level 1 shows."""
    faults = load_proxied().faults
    others = {name: f"The reference with {' '.join(faults[name].options)}." for name in faults}
    what = {**others, **{one.id: one.what for one in ACCOUNTINGS.values()}}
    return MutantCatalogue(
        faults=tuple(MutantEntry(id=name, what=what[name]) for name in faults),
        variants=tuple(
            MutantEntry(id=name, what=one) for name, one in what.items() if name not in faults
        ),
    )


def _prove_accountings(
    only: tuple[str, ...], seed: int, workers: int, *, quiet: bool
) -> KillMatrix:
    known = _accountings()
    chosen = _chosen(known, only, quick=False)
    with reporter_for(OutputConsole(stderr=True), quiet=quiet) as reporter:
        reporter.start("prove")
        matrix = asyncio.run(
            prove_accountings(
                load_proxied(),
                known,
                only=chosen,
                seed=seed,
                workers=workers,
                progress=lambda done, total, name: reporter.update(done, f"{done}/{total} {name}"),
            )
        )
        reporter.finish()
    return matrix


def _chosen(
    mutants: MutantCatalogue, only: tuple[str, ...], *, quick: bool
) -> frozenset[str] | None:
    known = {each.id for each in (*mutants.faults, *mutants.variants, *mutants.generated)}
    if odd := sorted(set(only) - known):
        raise UsageProblem(
            f"no such fault, variant or generated mutant: {', '.join(odd)}. "
            "See `trueup prove --list`, with `--generated all` for generated ones."
        )
    if only:
        return frozenset(only)
    return quick_ids() if quick else None


def _list(mutants: MutantCatalogue) -> None:
    groups = {
        "Faults": mutants.faults,
        "Variants": mutants.variants,
        "Generated mutants": mutants.generated,
    }
    for title, entries in groups.items():
        if not entries:
            continue
        click.echo(f"{title}:")
        for entry in entries:
            click.echo(f"  {entry.id:<5} {entry.what}")
