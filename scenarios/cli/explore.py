"""`trueup explore`: random histories, and the shortest one that goes wrong."""

from __future__ import annotations

from pathlib import Path

import click

from trueup.scenarios.cli.shared import command_line, finish, run_options, target_option
from trueup.scenarios.run.orchestrator import RunRequest
from trueup.scenarios.scenario import HistoriesPart, Scenario

__all__ = ["command"]


@click.command(short_help="Act out random histories; shrink one that goes wrong.")
@target_option
@click.option(
    "--examples",
    type=click.IntRange(1, 10_000),
    default=30,
    show_default=True,
    help="Histories to act out at most.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Act out only the history in FILE, as an earlier run left it.",
)
@run_options
def command(
    target: Path | None,
    examples: int,
    replay: Path | None,
    seed: int | None,
    allow_hosts: tuple[str, ...],
    runs: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Deliver, repeat, pay, move the clock and look, in an order that chance decides.

    Each history is held to an oracle. One that goes wrong is made shorter until nothing can be
    left out, and kept as history.json in the run's folder.
    """
    order = RunRequest(
        scenario=Scenario(
            name="explore",
            what="random histories",
            histories=HistoriesPart(examples=examples, replay=str(replay or "")),
        ),
        seed=7 if seed is None else seed,
        runs=runs,
        target=target,
        allow_hosts=allow_hosts,
        command=command_line(),
    )
    return finish(order, as_json=as_json, quiet=quiet)
