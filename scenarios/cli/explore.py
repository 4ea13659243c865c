"""`trueup explore`: stateful property-based tests, and the shortest sequence that fails."""

from __future__ import annotations

from pathlib import Path

import click

from trueup.scenarios.cli.shared import (
    command_line,
    finish,
    level_option,
    run_options,
    target_option,
)
from trueup.scenarios.run.effects import LEVEL_MOST
from trueup.scenarios.run.orchestrator import RunRequest
from trueup.scenarios.scenario import Scenario, StatefulPart

__all__ = ["command"]


@click.command()
@target_option
@click.option(
    "--examples",
    type=click.IntRange(1, 10_000),
    default=30,
    show_default=True,
    help="Sequences to run at most.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Run only the sequence in FILE, as an earlier run kept it.",
)
@level_option(least=2)
@run_options
def command(
    target: Path | None,
    examples: int,
    replay: Path | None,
    level: int | None,
    seed: int | None,
    allow_hosts: tuple[str, ...],
    runs: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Deliver, repeat, pay, change users, move the clock, restart and read, in a random order.

    Every response is judged by the contract. A sequence that fails is shrunk until no step can be
    left out, run once more, and kept as steps.json in the run's folder.
    """
    order = RunRequest(
        scenario=Scenario(
            name="explore",
            what="stateful tests",
            stateful=StatefulPart(
                examples=examples,
                replay=str(replay or ""),
                level=LEVEL_MOST if level is None else level,
            ),
        ),
        seed=7 if seed is None else seed,
        runs=runs,
        target=target,
        allow_hosts=allow_hosts,
        command=command_line(),
        level_asked=level is not None,
    )
    return finish(order, as_json=as_json, quiet=quiet)
