"""`trueup run`: a scenario, whole, against the embedded reference or a target."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec.structs import replace

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
)
from trueup.scenarios.run.effects import within_level
from trueup.scenarios.run.orchestrator import RunRequest
from trueup.scenarios.scenario import load_scenario, scenario_names

__all__ = ["command"]


@click.command(
    epilog=f"Scenarios: {', '.join(scenario_names())}. Without --target: the embedded reference.",
)
@click.argument("scenario", default="main")
@click.option(
    "--target",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Target file of the implementation to test.",
)
@level_option()
@depth_option
@sensitivity_option
@known_option
@run_options
def command(
    scenario: str,
    target: Path | None,
    level: int | None,
    depth: str | None,
    sensitivity: int,
    known: Path | None,
    seed: int | None,
    allow_hosts: tuple[str, ...],
    runs: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run SCENARIO (a name or a TOML file; main if none is given) and write a report.

    Sends fleet traffic of four networks, runs the checks, moves the clock past 7 and 90 days where
    it may, load-tests the ingestion endpoint and reconciles every accepted event.
    """
    plan = load_scenario(scenario)
    if depth is not None and plan.checks is not None:
        plan = replace(plan, checks=replace(plan.checks, depth=Depth(depth)))
    if level is not None:
        plan = within_level(plan, level)
        if plan.checks is not None:
            plan = replace(plan, checks=replace(plan.checks, level=level))
    order = RunRequest(
        scenario=plan,
        seed=plan.seed if seed is None else seed,
        runs=runs,
        target=target,
        allow_hosts=allow_hosts,
        command=command_line(),
        known=read_known(known) if known is not None else None,
        sensitivity=sensitivity,
        level_asked=level is not None or scenario not in scenario_names(),
    )
    return finish(order, as_json=as_json, quiet=quiet)
