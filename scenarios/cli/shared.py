"""What several commands share: options, and how a request becomes a screen and an exit status."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import click

from trueup.conformance.datasets.depth import Depth
from trueup.reports.renderers.result import render_result
from trueup.reports.renderers.terminal import render_terminal
from trueup.reports.results import Json
from trueup.scenarios.cli.console import OutputConsole
from trueup.scenarios.cli.output import echo_utf8
from trueup.scenarios.progress import reporter_for
from trueup.scenarios.run.effects import LEVEL_MOST
from trueup.scenarios.run.orchestrator import RunRequest, RunResult, run_scenario

__all__ = [
    "allow_host_option",
    "command_line",
    "depth_option",
    "finish",
    "level_option",
    "run_options",
    "seed_option",
    "sensitivity_option",
    "show",
    "target_option",
    "watched",
]

target_option = click.option(
    "--target",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Target file; the embedded reference if none is given.",
)
F = TypeVar("F", bound=Callable[..., object])


def level_option(least: int = 0) -> Callable[[F], F]:
    """Return the option for the highest level of a run; None where it is not given."""
    return click.option(
        "--level",
        type=click.IntRange(least, LEVEL_MOST),
        help="0 only reads; 2 injects events; 3 moves the clock; 4 restarts. Default: 4 for the "
        "embedded reference and a target that is `disposable`, 2 for others.",
    )


sensitivity_option = click.option(
    "--sensitivity",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Judge N changes of the recorded responses at the end; see trueup sensitivity.",
)
depth_option = click.option(
    "--depth",
    type=click.Choice([each.value for each in Depth]),
    default=None,
    help="Requests of the checks: quick (at most 450), standard (1,200), exhaustive.",
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(0, 2**62),
    default=None,
    help="Everything random follows from it.",
)
allow_host_option = click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="HOST",
    help="Confirm that you may test HOST, which is not this machine.",
)


def run_options(function: F) -> F:
    """Add the options of every command that makes a run, and return the command."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print result.json, nothing else."),
        click.option("--quiet", is_flag=True, help="Show no progress."),
        click.option(
            "--runs",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("runs"),
            show_default=True,
            help="Folder that keeps the runs.",
        ),
        allow_host_option,
        seed_option,
    ):
        function = option(function)
    return function


def command_line() -> str:
    """Return what was typed, as it can be typed again."""
    return shlex.join(["trueup", *sys.argv[1:]])


def finish(order: RunRequest, *, as_json: bool, quiet: bool) -> int:
    """Run a scenario, show its screen and return its exit status. Raises what cut it short."""
    return show(watched(order, quiet=quiet), as_json=as_json)


def watched(order: RunRequest, *, quiet: bool) -> RunResult:
    """Run a scenario and show its progress on standard error; return its result."""
    with reporter_for(OutputConsole(stderr=True), quiet=quiet) as reporter:
        return run_scenario(order, reporter)


def show(
    result: RunResult, *, as_json: bool, extra: Mapping[str, Json] = MappingProxyType({})
) -> int:
    """Show a run's screen or its JSON, and return its exit status.

    Raises what cut the run short.
    """
    if as_json:
        echo_utf8(render_result(result.report, extra))
    else:
        html = result.folder / "report.html"
        render_terminal(result.report, OutputConsole(), html=str(html) if html.is_file() else "")
    if result.error is not None:
        raise result.error
    return result.exit_status
