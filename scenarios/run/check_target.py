"""The checks alone against a target file, for the pytest plugin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trueup.conformance.datasets.depth import Depth
from trueup.reports.results import CheckResult
from trueup.scenarios.run.orchestrator import RunRequest, run_scenario
from trueup.scenarios.scenario import ChecksPart, Scenario

__all__ = ["CheckRun", "check_target_file"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckRun:
    """What the checks found, and the folder of the run."""

    folder: Path
    results: tuple[CheckResult, ...]


def check_target_file(
    target: Path,
    *,
    runs: Path,
    seed: int,
    level: int,
    depth: Depth,
    only: Sequence[str],
    allow_hosts: Sequence[str],
) -> CheckRun:
    """Run the named checks against a target and return the result. Raises what stopped the run."""
    order = RunRequest(
        scenario=Scenario(
            name="pytest",
            what="all checks",
            checks=ChecksPart(level=level, only=tuple(only), depth=depth),
        ),
        seed=seed,
        runs=runs,
        target=target,
        allow_hosts=allow_hosts,
    )
    result = run_scenario(order)
    if result.error is not None:
        raise result.error
    return CheckRun(folder=result.folder, results=result.report.results)
