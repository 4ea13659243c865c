"""`trueup load`: one load scenario through Locust, with every accepted event reconciled."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import click

from trueup.conformance.target.load import load_target, outside_hosts
from trueup.conformance.target.model import Target
from trueup.reports.comparison.compare import (
    compare,
    comparison_document,
    comparison_text,
    why_not_comparable,
)
from trueup.reports.errors import NotComparable
from trueup.reports.known_failures import read_known
from trueup.reports.model import RunReport, build_report
from trueup.scenarios.cli.finished_run import read_run
from trueup.scenarios.cli.known_option import known_option
from trueup.scenarios.cli.log_options import log_options
from trueup.scenarios.cli.shared import command_line, run_options, show, watched
from trueup.scenarios.drivers import load_ingest
from trueup.scenarios.embedded.target import EMBEDDED
from trueup.scenarios.errors import CouldNotTell, UsageProblem
from trueup.scenarios.load.messages import batch_of
from trueup.scenarios.load.plan import LoadPlan, load_names
from trueup.scenarios.load.replay import REPLAY_PLAN
from trueup.scenarios.run.orchestrator import LOAD_LEVEL, RunRequest, level_of
from trueup.scenarios.run.preconditions import plan_of
from trueup.scenarios.scenario import LoadPart, NetworkName, ReplayPart, Scenario

__all__ = ["command"]


_OF_REPLAYS: Final = {
    "--speed": "speed",
    "--keep-names": "keep_names",
    "--format": "log_format",
    "--zone": "zone",
    "--field": "log_fields",
    "--network": "log_network",
}
"""Options that say nothing without `--replay`."""


class _Finite(click.FloatRange):
    """A number in a range; neither nan nor inf, which every range would let through."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number to load by; write one such as 200", param, ctx)
        return number


@click.command(
    epilog=f"Scenarios: {', '.join(load_names())}. Without --target: the embedded reference.",
)
@click.argument("scenario", default="steady")
@click.option(
    "--target",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Target file of the implementation to load.",
)
@click.option("--rate", type=_Finite(0, min_open=True), help="Requests per second.")
@click.option("--duration", type=_Finite(0, min_open=True), help="Seconds.")
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Generators: 1, or a master and so many workers.",
)
@click.option(
    "--master",
    "master_bind",
    metavar="ADDRESS",
    help="Be the master, on this address, of --workers on other hosts.",
)
@click.option("--workers", type=click.IntRange(1, 1000), help="Workers to wait for with --master.")
@click.option(
    "--web",
    "web_port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Show Locust's web page on this port of the loopback.",
)
@click.option(
    "--locustfile",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Users of your own instead of the reactor.",
)
@click.option(
    "--replay",
    "replay_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="LOG",
    help="Send the events of an access log, at their own times, instead of a fleet's.",
)
@click.option(
    "--speed",
    type=_Finite(0, 1_000_000, min_open=True),
    default=1.0,
    show_default=True,
    help="With --replay: times the pace of the log.",
)
@click.option(
    "--keep-names",
    is_flag=True,
    help="With --replay: send names and addresses as they are; by default they are replaced.",
)
@log_options
@click.option("--find-limit", is_flag=True, help="Search for the highest rate that keeps limits.")
@click.option("--calibrate", is_flag=True, help="Measure the null sink of this machine first.")
@click.option(
    "--compare",
    "earlier",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Compare with the load of an earlier run's folder, with intervals.",
)
@click.option(
    "--i-may-load",
    "may_load",
    multiple=True,
    metavar="HOST",
    help="Confirm that you may load HOST, which is not this machine.",
)
@known_option
@run_options
def command(
    scenario: str,
    target: Path | None,
    rate: float | None,
    duration: float | None,
    processes: int,
    master_bind: str | None,
    workers: int | None,
    web_port: int | None,
    locustfile: Path | None,
    replay_file: Path | None,
    speed: float,
    keep_names: bool,
    log_format: str,
    zone: str,
    log_fields: tuple[str, ...],
    log_network: NetworkName,
    find_limit: bool,
    calibrate: bool,
    earlier: Path | None,
    may_load: tuple[str, ...],
    known: Path | None,
    seed: int | None,
    allow_hosts: tuple[str, ...],
    runs: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Load a target by SCENARIO (a name or a TOML file) and reconcile what it accepted.

    Locust runs as a child process. The exit status is 0 only if every accepted event is counted
    once in every view and the scenario's thresholds hold.
    """
    if (master_bind is None) != (workers is None):
        raise UsageProblem(
            "--master and --workers go together: the address, and how many to expect"
        )
    if locustfile is not None and (processes > 1 or master_bind is not None):
        raise UsageProblem(
            "--locustfile runs in one process: its users number the fleet's events within it. "
            "Leave --processes and --master out."
        )
    if find_limit and master_bind is not None:
        raise UsageProblem(
            "--find-limit cannot be used with --master: workers on other hosts end with the first "
            "step, and no worker is left for the second. Search with --processes N on this "
            "machine, or load with --master at one --rate after another."
        )
    if find_limit and earlier is not None:
        raise UsageProblem(
            "--find-limit cannot be used with --compare: a search ends at a rate of its own, and "
            "runs at two rates cannot be compared. Compare the limits, or load at one --rate."
        )
    replay = None
    if replay_file is not None:
        replay = ReplayPart(
            file=str(replay_file),
            speed=speed,
            keep_names=keep_names,
            format=log_format,
            zone=zone,
            fields=log_fields,
            network=log_network,
        )
        if earlier is not None:
            raise UsageProblem(
                "--replay cannot be used with --compare: what a log asks for is known only when it "
                "was read. Compare finished runs: trueup report compare"
            )
        scenario = REPLAY_PLAN.name if _defaulted("scenario") else scenario
    elif odd := [name for name, option in _OF_REPLAYS.items() if not _defaulted(option)]:
        raise UsageProblem(f"{odd[0]} goes with --replay: it says how a log is read or sent")
    part = LoadPart(
        scenario=scenario,
        rate=rate,
        duration_s=duration,
        processes=processes,
        master_bind=master_bind,
        workers=workers or 0,
        web_port=web_port,
        locustfile=str(locustfile) if locustfile else "",
        calibrate=calibrate,
        find_limit=find_limit,
        replay=replay,
    )
    plan = plan_of(part, seed=seed)
    loaded = load_target(target) if target is not None else None
    order = RunRequest(
        scenario=Scenario(
            name=f"load-{plan.name}"[:41],
            what=plan.what,
            load=part,
        ),
        seed=plan.seed,
        runs=runs,
        target=target,
        allow_hosts=_hosts(loaded, allow_hosts, may_load),
        command=command_line(),
        known=read_known(known) if known is not None else None,
    )
    before = _comparable(earlier, plan, order, loaded) if earlier is not None else None
    result = watched(order, quiet=quiet)
    if before is None or result.error is not None:
        return show(result, as_json=as_json)
    try:
        comparison = compare(before, result.report)
    except NotComparable as refused:
        # What the run itself found is not lost over it.
        status = show(result, as_json=as_json, extra={"comparison": None})
        click.echo(f"Not compared: {refused}", err=True)
        return status
    document = comparison_document(comparison)
    status = show(result, as_json=as_json, extra={"comparison": document})
    if not as_json:
        click.echo(comparison_text(comparison), nl=False, err=True)
    return status


def _defaulted(name: str) -> bool:
    """Return whether an option was left out."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.DEFAULT


def _hosts(
    target: Target | None, allowed: tuple[str, ...], may_load: tuple[str, ...]
) -> tuple[str, ...]:
    """Hosts off this machine that may be loaded: to be tested is not to be loaded."""
    outside = set(allowed)
    if target is not None:
        outside |= set(outside_hosts(target))
    if odd := sorted(outside - set(may_load)):
        raise UsageProblem(
            f"{', '.join(odd)} is not this machine. trueup loads this machine only, unless you "
            f"confirm that you may load that host, which is heavier than a test:\n"
            f"  {' '.join(f'--i-may-load {host}' for host in odd)}"
        )
    return may_load


def _comparable(
    earlier: Path, plan: LoadPlan, order: RunRequest, target: Target | None
) -> RunReport:
    """The earlier run, read before anything is loaded.

    Raises UsageProblem where a run of this plan could not be compared with it, CouldNotTell where
    it loaded nothing.
    """
    before = build_report(read_run(earlier))
    if not before.load:
        raise CouldNotTell(f"{earlier}: this run loaded nothing; there is nothing to compare with")
    load = before.load[-1]
    # What the header of this run, and its result, will say.
    name, level, batch = EMBEDDED, LOAD_LEVEL, plan.requests.batch
    if target is not None:
        name, level = target.name, level_of(order.scenario, target)
        batch = batch_of(plan, load_ingest(target))
    asked = (
        ("run's scenario", before.header.scenario, order.scenario.name),
        ("target", before.header.target, name),
        ("level", before.header.level, level),
        ("seed", before.header.seed, order.seed),
        ("scenario", load.plan.scenario, plan.name),
        ("shape", load.plan.shape, plan.shape.kind),
        ("rate", load.plan.rate_rps, plan.shape.rate if plan.open_loop else None),
        ("duration", load.plan.duration_s, plan.shape.duration_s),
        ("warm-up", load.plan.warmup_s, plan.shape.warmup_s),
        ("events in a request", load.plan.batch, batch),
    )
    if differ := [f"{what} ({was} and {now})" for what, was, now in asked if was != now]:
        raise UsageProblem(
            f"{earlier}: this run could not be compared with it: they would differ in "
            f"{', '.join(differ)}. Load with what the earlier run had."
        )
    if why := why_not_comparable(load):
        raise UsageProblem(f"{earlier}: tells nothing of its target: {why}. Repeat that run first.")
    return before
