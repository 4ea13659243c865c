"""One trial: a faulty or varied reference, started and tested in a process of its own.

`python -m trueup.scenarios.mutation.trial` reads a plan on its standard input and prints the
trial; `prove` starts many of these.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from trueup.conformance.datasets.depth import Depth
from trueup.conformance.errors import ConformanceError
from trueup.reports.results import CheckResult
from trueup.scenarios.embedded.process import die_with_parent, end_as_interrupted
from trueup.scenarios.embedded.target import NO_OVERRIDES, TargetOverrides
from trueup.scenarios.errors import ScenarioError
from trueup.scenarios.run.orchestrator import RunRequest, run_scenario
from trueup.scenarios.scenario import ChecksPart, Scenario

__all__ = ["Trial", "TrialPlan", "run_trial", "trial_process"]

_Plan = TypeVar("_Plan")


class TrialPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to start and judge."""

    id: str
    options: tuple[str, ...]
    """Flags of the reference beside those that every trial gives."""
    seed: int
    level: int = 4
    overrides: TargetOverrides = NO_OVERRIDES
    depth: Depth = Depth.STANDARD


class Trial(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a trial showed. Without results it proves nothing."""

    results: tuple[CheckResult, ...] = ()
    error: str = ""
    timed_out: bool = False
    requests: int = 0
    wall_s: float = 0.0


def run_trial(plan: TrialPlan, runs: Path) -> Trial:
    """Check the plan's reference by every law; return the trial. A fault raises nothing here."""
    order = RunRequest(
        scenario=Scenario(
            name="trial", what=plan.id, checks=ChecksPart(level=plan.level, depth=plan.depth)
        ),
        seed=plan.seed,
        runs=runs,
        reference_options=plan.options,
        overrides=plan.overrides,
    )
    since = time.monotonic()
    try:
        result = run_scenario(order)
    except (ScenarioError, ConformanceError) as error:
        return Trial(error=str(error))
    wall_s = time.monotonic() - since
    if result.error is not None and not result.report.results:
        return Trial(error=f"{type(result.error).__name__}: {result.error}", wall_s=wall_s)
    return Trial(results=result.report.results, requests=result.report.requests, wall_s=wall_s)


def trial_process(plan_type: type[_Plan], run: Callable[[_Plan, Path], Trial]) -> None:
    """Run the plan on the standard input in a temporary folder, and print the trial as JSON.

    Ends with the process that started it.
    """
    die_with_parent()
    end_as_interrupted()
    with tempfile.TemporaryDirectory(prefix="trueup-") as folder:
        trial = run(msgspec.json.decode(sys.stdin.buffer.read(), type=plan_type), Path(folder))
    sys.stdout.buffer.write(msgspec.json.encode(trial))


if __name__ == "__main__":
    trial_process(TrialPlan, run_trial)
