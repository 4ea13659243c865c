"""The parts of a run: the fleet's traffic, the judge's checks, the load. Each writes what it saw.

A part composes two rooms that do not know each other: what the fleet sent reaches the judge as
plain values, by way of the journal's records.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from conformance.runner import ProgressEvent, run_checks
from conformance.target_values import Target
from reports.journal import JournalWriter
from reports.records import Phase
from scenarios.drivers import driver_of
from scenarios.scenario import ChecksPart
from scenarios.watch import Watch

__all__ = ["Bench", "run_checks_part"]

FLEET_NAME: Final = "fleet"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What every part of one run works with."""

    target: Target
    writer: JournalWriter
    folder: Path
    seed: int
    watch: Watch
    restart: Callable[[], None] | None = None
    """Kills and restarts the target, where this run can."""

    def phase(self, name: str, state: str) -> None:
        self.writer.write(Phase(name=name, state=state, at=_stamp()))


def _stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def run_checks_part(bench: Bench, part: ChecksPart) -> None:
    """Hold the target to the laws."""
    bench.watch.begin("conformance", None)
    driver = driver_of(bench.target) if bench.target.ingest is not None else None
    last = ""

    def progress(event: ProgressEvent) -> None:
        nonlocal last
        last = f"{event.requests} requests"
        bench.watch.step(event.done, f"{event.what}; {last}")

    try:
        outcome = await run_checks(
            bench.target,
            writer=bench.writer,
            ingest=driver,
            seed=bench.seed,
            level=part.level,
            only=part.only,
            progress=progress,
        )
    finally:
        if driver is not None:
            await driver.close()
    bench.watch.end(f"{len(outcome.results)} checks, {outcome.requests} requests")
