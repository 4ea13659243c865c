"""`trueup check`: the conformance checks alone, without fleet traffic or load."""

from __future__ import annotations

from pathlib import Path

import click

from trueup.conformance.datasets.depth import Depth
from trueup.scenarios.cli.shared import (
    command_line,
    depth_option,
    finish,
    run_options,
    sensitivity_option,
    target_option,
)
from trueup.scenarios.run.orchestrator import RunRequest
from trueup.scenarios.scenario import ChecksPart, Scenario

__all__ = ["command"]


@click.command()
@target_option
@click.option(
    "--level",
    type=click.IntRange(0, 4),
    default=4,
    show_default=True,
    help="0 only reads; 2 injects events; 3 moves the clock; 4 restarts.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="A check or a law, such as SUM=LOG; may be given again.",
)
@sensitivity_option
@depth_option
@run_options
def command(
    target: Path | None,
    sensitivity: int,
    level: int,
    only: tuple[str, ...],
    depth: str | None,
    seed: int | None,
    allow_hosts: tuple[str, ...],
    runs: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run every check that the target's level allows.

    With --level 0 nothing is ever written: it audits the data that a live account already has.
    """
    checks = ChecksPart(level=level, only=only, depth=Depth(depth or Depth.STANDARD))
    order = RunRequest(
        scenario=Scenario(name="check", what="all checks", checks=checks),
        seed=7 if seed is None else seed,
        runs=runs,
        target=target,
        allow_hosts=allow_hosts,
        command=command_line(),
        sensitivity=sensitivity,
    )
    return finish(order, as_json=as_json, quiet=quiet)
