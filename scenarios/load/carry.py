"""A load order carried out: calibrate first where asked, then one run or a search for the limit.

It repeats `run_load` and decides with pure functions what comes next; it writes no journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from reports.records import FleetDeclared, LoadResult, OutcomeRange
from scenarios.errors import CouldNotTell
from scenarios.load.freshness import Marker
from scenarios.load.limit import RESOLUTION, Knee, Seen, Step, knee, next_rate
from scenarios.load.nullsink import null_sink
from scenarios.load.plan import LoadPlan, with_changes
from scenarios.load.run import Locust, Progress, ReadsFrom, run_load
from simulator.delivery import AnswerRule, HttpForm
from simulator.reactor import AS_FAST_AS_POSSIBLE, merge_ranges

__all__ = ["Errand", "calibrate", "carry_out", "closed"]

CALIBRATE_S: Final = 4.0
LIMIT_STEP_S: Final = 6.0

Kept = Callable[[LoadResult, tuple[OutcomeRange, ...]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Everything that a load run needs from whoever composes it."""

    plan: LoadPlan
    ingest: HttpForm
    fleet: FleetDeclared
    out_dir: Path
    reads: ReadsFrom | None = None
    levers: Mapping[str, Callable[[], object]] | None = None
    marker: Marker | None = None
    locust: Locust = field(default_factory=Locust)
    progress: Callable[[Progress], None] | None = None
    resolution: float = RESOLUTION
    """Relative width of the interval at which a search for the limit ends."""
    say: Callable[[str], None] = lambda words: None
    """Told in words what is done next."""


def closed(plan: LoadPlan, duration_s: float) -> LoadPlan:
    """The plan as fast as possible, without faults, reads or thresholds."""
    plain = msgspec.structs.replace(plan, thresholds={})
    return with_changes(
        plain,
        duration_s=duration_s,
        shape={"kind": AS_FAST_AS_POSSIBLE, "options": {}, "arrivals": "even"},
        reads={"share": 0.0, "paths": []},
        faults={"restart_at_share": [], "maintenance_at_share": []},
        requests={"twin_every": 0, "poison_every": 0},
    )


async def calibrate(errand: Errand) -> float:
    """Requests per second of this generator, with this plan's batches, into a null sink.

    The events are drawn and encoded as in the run itself. Raises CouldNotTell when nothing was
    answered.
    """
    errand.say("measuring the null sink of this machine")
    folder = errand.out_dir / "calibration"
    folder.mkdir(exist_ok=True)
    with null_sink() as sink:
        result, _ = await run_load(
            closed(errand.plan, CALIBRATE_S),
            ingest=_into(errand.ingest, sink.url),
            fleet=errand.fleet,
            out_dir=folder,
            locust=Locust(processes=errand.locust.processes),
            canary=False,
        )
    counted = [row["requests"] for row in result.seconds if row["t"] + 1 <= CALIBRATE_S]
    if not counted:
        raise CouldNotTell("the null sink answered nothing; calibration is not possible here")
    return sum(counted) / len(counted)


def _into(form: HttpForm, url: str) -> HttpForm:
    """The same bodies to another address, whose answers say nothing of events."""
    return replace(form, url=url, headers={}, answer=AnswerRule(refused=""))


async def carry_out(
    errand: Errand, *, calibrated: bool, find_limit: bool, keep: Kept
) -> tuple[LoadResult, tuple[OutcomeRange, ...]]:
    """One load run, or a search of many. `keep` is told what is known if it is cut short."""
    null_rps = await calibrate(errand) if calibrated else None
    if find_limit:
        return await _search(errand, null_rps, keep)
    return await _once(errand, errand.plan, null_rps, keep)


async def _once(
    errand: Errand, plan: LoadPlan, null_rps: float | None, keep: Kept, first_event: int = 0
) -> tuple[LoadResult, tuple[OutcomeRange, ...]]:
    return await run_load(
        plan,
        ingest=errand.ingest,
        fleet=errand.fleet,
        out_dir=errand.out_dir,
        progress=errand.progress,
        reads=errand.reads,
        locust=errand.locust,
        first_event=first_event,
        null_sink_rps=null_rps,
        marker=errand.marker,
        levers=errand.levers,
        keep=keep,
    )


async def _search(
    errand: Errand, null_rps: float | None, keep: Kept
) -> tuple[LoadResult, tuple[OutcomeRange, ...]]:
    """Measure rate after rate; the result of the highest kept one, and the events of all."""
    plain = with_changes(
        errand.plan,
        duration_s=min(LIMIT_STEP_S, errand.plan.shape.duration_s),
        shape={"kind": "constant", "options": {}, "arrivals": "even"},
        faults={"restart_at_share": [], "maintenance_at_share": []},
    )
    start = plain.shape.rate
    steps: list[Step] = []
    ranges: list[OutcomeRange] = []
    best: LoadResult | None = None
    last: LoadResult | None = None

    def keep_all(result: LoadResult, found: tuple[OutcomeRange, ...]) -> None:
        keep(result, merge_ranges([*ranges, *found]))

    while (rate := next_rate(steps, start=start, resolution=errand.resolution)) is not None:
        errand.say(f"step {len(steps) + 1}: {rate:.4g} requests/s")
        first = max((part.first + part.count for part in ranges), default=0)
        result, found = await _once(
            errand, with_changes(plain, rate=rate), null_rps, keep_all, first_event=first
        )
        ranges += found
        steps.append(Step(rate=rate, seen=seen(result)))
        last = result
        if steps[-1].seen is Seen.KEPT and (best is None or rate >= (best.planned_rps or 0)):
            best = result
    chosen = best or last
    assert chosen is not None
    return _with_knee(chosen, knee(steps)), merge_ranges(ranges)


def seen(result: LoadResult) -> Seen:
    """What one measurement says of its rate."""
    if result.generator_limited:
        return Seen.LIMITED
    fine = all(row.ok for row in result.thresholds) and not result.unsent and not result.stopped_by
    if fine and result.events_accepted:
        return Seen.KEPT
    return Seen.DISTURBED if result.machine_noisy else Seen.MISSED


def _with_knee(result: LoadResult, found: Knee) -> LoadResult:
    """The result of the highest rate that was kept, with the knee."""
    return msgspec.structs.replace(
        result, knee_low_rps=found.low, knee_high_rps=found.high, knee_why=found.why
    )
