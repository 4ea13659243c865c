"""`trueup check`: the conformance checks alone, without fleet traffic or load."""

from __future__ import annotations

from pathlib import Path

import click

from trueup.conformance.datasets.depth import Depth
from trueup.reports.known_failures import read_known
from trueup.scenarios.cli.known_option import known_option
from trueup.scenarios.cli.shared import (
    command_line,
    depth_option,
    finish,
    level_option,
    run_options,
    sensitivity_option,
    target_option,
)
from trueup.scenarios.run.effects import LEVEL_MOST
from trueup.scenarios.run.orchestrator import RunRequest
from trueup.scenarios.scenario import ChecksPart, Scenario

__all__ = ["command"]


@click.command()
@target_option
@level_option()
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="A check or a law, such as SUM=LOG; may be given again.",
)
@sensitivity_option
@depth_option
@known_option
@run_options
def command(
    target: Path | None,
    sensitivity: int,
    level: int | None,
    only: tuple[str, ...],
    depth: str | None,
    known: Path | None,
    seed: int | None,
    allow_hosts: tuple[str, ...],
    runs: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run every check that the target's level allows.

    With --level 0 nothing is ever written: it audits the data that a live account already has.
    """
    checks = ChecksPart(
        level=LEVEL_MOST if level is None else level,
        only=only,
        depth=Depth(depth or Depth.STANDARD),
    )
    order = RunRequest(
        scenario=Scenario(name="check", what="all checks", checks=checks),
        seed=7 if seed is None else seed,
        runs=runs,
        target=target,
        allow_hosts=allow_hosts,
        command=command_line(),
        known=read_known(known) if known is not None else None,
        sensitivity=sensitivity,
        level_asked=level is not None,
    )
    return finish(order, as_json=as_json, quiet=quiet)
