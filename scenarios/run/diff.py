"""The same checks against two targets, one after the other: the same history as far as possible."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trueup.conformance.client.clock import fresh_prefix
from trueup.conformance.client.preflight import preflight
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.datasets.depth import Depth
from trueup.conformance.target.load import levels, load_target
from trueup.conformance.target.model import Target
from trueup.reports.comparison.target_differences import TargetDifferences, compare_targets
from trueup.reports.journal.records import Record
from trueup.reports.journal.storage import read_journal
from trueup.reports.model import RunReport
from trueup.scenarios.progress import ProgressReporter
from trueup.scenarios.run.effects import default_level
from trueup.scenarios.run.orchestrator import RunRequest, RunResult, confirm_host, run_scenario
from trueup.scenarios.run.run_directory import temporary_journal
from trueup.scenarios.scenario import ChecksPart, Scenario

__all__ = ["DiffRequest", "common_level", "diff_targets"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffRequest:
    """Which targets to compare, and by what."""

    one: Path
    two: Path
    level: int | None
    """Highest level; None: that which both files allow without being asked."""
    only: Sequence[str] = ()
    depth: Depth = Depth.STANDARD
    seed: int
    runs: Path
    allow_hosts: Sequence[str] = ()
    command: str = ""


def common_level(one: Target, two: Target, asked: int | None) -> int:
    """Return the highest level that both targets reach, up to the one asked for."""
    most = min(default_level(one), default_level(two)) if asked is None else asked
    return min(max(each for each in levels(target) if each <= most) for target in (one, two))


def diff_targets(order: DiffRequest, reporter: ProgressReporter) -> TargetDifferences:
    """Run the same checks against both targets and return what differs.

    Both files are read, and both targets asked, before any event is sent to either. Raises what
    `preflight` and `run_scenario` raise, and what cut either run short.
    """
    targets = load_target(order.one), load_target(order.two)
    for target in targets:
        confirm_host(target, order.allow_hosts)
    for target in targets:
        asyncio.run(_expect_response(target))
    level = common_level(*targets, order.level)
    reporter.info(f"level {level} at both: {targets[0].path} and {targets[1].path}")
    prefix = fresh_prefix() if targets[0].base_url != targets[1].base_url else ""
    one, two = (_run(order, path, level, prefix, reporter) for path in (order.one, order.two))
    return compare_targets(_observed(one), _observed(two))


async def _expect_response(target: Target) -> None:
    with temporary_journal(target) as writer:
        await preflight(target, Recorder(writer, secrets=target.secrets))


def _run(
    order: DiffRequest, target: Path, level: int, prefix: str, reporter: ProgressReporter
) -> RunResult:
    result = run_scenario(
        RunRequest(
            scenario=Scenario(
                name="diff",
                what="all checks",
                checks=ChecksPart(level=level, only=tuple(order.only), depth=order.depth),
            ),
            seed=order.seed,
            runs=order.runs,
            target=target,
            allow_hosts=order.allow_hosts,
            command=order.command,
            prefix=prefix,
        ),
        reporter,
    )
    if result.error is not None:
        raise result.error
    return result


def _observed(result: RunResult) -> tuple[RunReport, Sequence[Record]]:
    return result.report, read_journal(result.folder).records
