"""Helpers of all parts: plans, one measured run, and processes pinned to a core."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from trueup.reports.journal.records import LoadResult, OutcomeRange
from trueup.reports.metrics.measurement_window import per_second
from trueup.scenarios.load.job import LoadJob, Locust
from trueup.scenarios.load.plan import LoadPlan, load_plan, with_changes
from trueup.scenarios.load.run import run_load
from trueup.scenarios.load.traffic import load_fleet
from trueup.simulator.delivery import HttpForm, ResponseRule
from trueup.simulator.fleet import Fleet
from trueup.simulator.reactor import AS_FAST_AS_POSSIBLE

ROOT = Path(__file__).parents[2]
ONE_EVENT, HUNDRED = 280, 28_000
"""Bytes of a ready body: one event, and a hundred."""
PIN = shutil.which("taskset") is not None


def plan_of(batch: int, *, rate: float = 0, seconds: float, connections: int = 50) -> LoadPlan:
    shape: dict[str, Any] = {"warmup_s": 1.0}
    if not rate:
        shape["kind"] = AS_FAST_AS_POSSIBLE
    plan = with_changes(
        load_plan("steady"),
        rate=rate or None,
        duration_s=seconds,
        shape=shape,
        requests={"batch": batch, "connections": connections},
    )
    return msgspec.structs.replace(plan, thresholds={})


def load(
    plan: LoadPlan,
    url: str,
    *,
    fleet: Fleet | None = None,
    locust: Locust | None = None,
    hooks: dict[str, Callable[[], None]] | None = None,
    rule: ResponseRule | None = None,
) -> tuple[LoadResult, tuple[OutcomeRange, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(
            run_load(
                LoadJob(
                    plan=plan,
                    ingest=HttpForm(url=url, response_rule=rule or ResponseRule(refused="")),
                    fleet=fleet.identity("load") if fleet else None,
                    out_dir=Path(folder),
                    locust=locust or Locust(cpu=0),
                    hooks=hooks or {},
                    canary=False,
                ),
            )
        )


def per_s(result: LoadResult, name: str = "requests") -> float:
    """Return a count per second over the whole seconds after the warm-up."""
    return per_second(result, name) or 0.0


def pinned(command: list[str]) -> list[str]:
    """Return the command on core 0, if cores can be chosen."""
    return ["taskset", "-c", "0", *command] if PIN else command


def fleet_for(plan: LoadPlan) -> Fleet:
    return load_fleet(plan, customers=(1001, 1002), now=datetime.now(UTC))


def ratio(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """Return the ratio of medians, and the lowest and highest of the pairs measured in turn."""
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "ratio": statistics.median(ours) / statistics.median(theirs),
        "lowest_pair": min(pairs),
        "highest_pair": max(pairs),
    }
