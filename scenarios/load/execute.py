"""Execute a load job: calibrate first where asked, then one run or a search for the limit.

It repeats `run_load` and decides with pure functions what comes next. It writes no journal: it
calls back with the outcomes of the events of each run as soon as that run is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.polling import poll_until
from trueup.reports.formatting import figure, milliseconds, plural
from trueup.reports.formatting import rate as rate_text
from trueup.reports.journal.records import KneeInterval, KneeStep, LoadResult, OutcomeRange
from trueup.reports.metrics.measurement_window import per_second
from trueup.reports.renderers.load_summary import threshold_text
from trueup.scenarios.errors import CouldNotTell
from trueup.scenarios.load.capacity_search import (
    Knee,
    Step,
    StepResult,
    knee,
    next_rate,
)
from trueup.scenarios.load.job import WORKERS_S, LoadJob, Locust, Ranges
from trueup.scenarios.load.nullsink import null_sink
from trueup.scenarios.load.plan import LoadPlan, with_changes
from trueup.scenarios.load.run import run_load
from trueup.scenarios.load.thresholds import percentile_ms
from trueup.simulator.delivery import HttpForm, ResponseRule, merge_ranges
from trueup.simulator.reactor import AS_FAST_AS_POSSIBLE

__all__ = [
    "CapacityStep",
    "as_fast_as_possible",
    "at_knee",
    "calibrate",
    "execute_load",
    "seen",
]

CALIBRATE_S: Final = 4.0
LIMIT_STEP_S: Final = 6.0
_LOOK_S: Final = 0.2


def as_fast_as_possible(plan: LoadPlan, duration_s: float) -> LoadPlan:
    """Return the plan as fast as possible, without faults, reads or thresholds."""
    plain = msgspec.structs.replace(plan, thresholds={})
    return with_changes(
        plain,
        duration_s=duration_s,
        shape={"kind": AS_FAST_AS_POSSIBLE, "options": {}, "arrivals": "even"},
        reads={"share": 0.0, "paths": []},
        faults={"restart_at_share": [], "maintenance_at_share": []},
        requests={"duplicate_every": 0, "malformed_every": 0},
    )


async def calibrate(job: LoadJob) -> float:
    """Requests per second of this generator, with this plan's batches, into a null sink.

    The events are drawn and encoded as in the run itself. Raises CouldNotTell when nothing was
    received in return.
    """
    batch = plural(job.plan.requests.batch, "event")
    job.say(f"measuring the null sink of this machine: {CALIBRATE_S:g} s, requests of {batch} …")
    assert isinstance(job.ingest, HttpForm), "a transport has no null sink"
    folder = job.out_dir / "calibration"
    folder.mkdir(exist_ok=True)
    with null_sink() as sink:
        result, _ = await run_load(
            LoadJob(
                plan=as_fast_as_possible(job.plan, CALIBRATE_S),
                ingest=_into(job.ingest, sink.url),
                fleet=job.fleet,
                out_dir=folder,
                locust=Locust(processes=job.locust.processes),
                canary=False,
            )
        )
    answered = per_second(result, "requests")
    if not answered:
        raise CouldNotTell("the null sink sent no response; calibration is not possible here")
    job.say(f"null sink: {rate_text(answered)} requests/s of {batch}")
    return answered


def _into(form: HttpForm, url: str) -> HttpForm:
    """Return the same form to another address, whose responses say nothing of events."""
    rule = ResponseRule(refused="")
    return replace(form, url=url, headers={}, credentials=None, unix_socket="", response_rule=rule)


async def execute_load(
    job: LoadJob, *, calibrated: bool, find_limit: bool, keep: Callable[[LoadResult], None]
) -> tuple[LoadResult, Ranges]:
    """Run a load once, or search for the limit, and return the result.

    `keep` is called with what is known where it is cut short or fails, before the error is raised.
    """
    if calibrated:
        job = replace(job, null_sink_rps=await calibrate(job))
    async with _announced(job):
        if find_limit:
            return await _search(job, keep)

        def cut(result: LoadResult, ranges: Ranges) -> None:
            job.sent(ranges)
            keep(result)

        result, ranges = await run_load(job, keep=cut)
        job.sent(ranges)
        return result, ranges


@contextlib.asynccontextmanager
async def _announced(job: LoadJob) -> AsyncIterator[None]:
    """Tell what people have to do, or can look at, while Locust runs."""
    locust = job.locust
    if locust.master_bind is not None:
        job.tell(workers_text(locust))
    if locust.web_port is None:
        yield
        return
    page = asyncio.create_task(_page_is_up(locust.web_port, job.tell))
    try:
        yield
    finally:
        page.cancel()


async def _page_is_up(port: int, tell: Callable[[str], None]) -> None:
    """Show the address of Locust's page as soon as the port is open."""

    async def is_open() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await poll_until(
        is_open, clock=WallClock(), until=math.inf, pause_s=_LOOK_S, most_pause_s=_LOOK_S
    )
    tell(f"Locust's web page: http://127.0.0.1:{port}")


def workers_text(locust: Locust) -> str:
    """Return what to do on other hosts so that workers connect to a master."""
    anywhere = locust.master_bind in ("*", "0.0.0.0", "::")  # noqa: S104
    host = "ADDRESS-OF-THIS-MACHINE" if anywhere else locust.master_bind
    workers = "1 worker" if locust.workers == 1 else f"{locust.workers} workers"
    return (
        f"waiting {WORKERS_S:.0f} s for {workers}; on each of their hosts, in trueup's folder, "
        f"start\n  locust -f scenarios/locustfiles/reactor.py --worker --master-host {host}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityStep:
    """One step of a search and what it measured."""

    step: Step
    result: LoadResult


async def _search(job: LoadJob, keep: Callable[[LoadResult], None]) -> tuple[LoadResult, Ranges]:
    """Measure rate after rate; the result at the low end of the knee, and the events of all."""
    plain = _step_plan(job)
    measured: list[CapacityStep] = []
    ranges: list[OutcomeRange] = []
    unfinished: list[LoadResult] = []

    def cut(result: LoadResult, found: Ranges) -> None:
        job.sent(found)
        unfinished.append(result)

    def steps() -> list[Step]:
        return [one.step for one in measured]

    while (
        rate := next_rate(steps(), start=plain.shape.rate, resolution=job.resolution)
    ) is not None:
        job.say(f"step {len(measured) + 1}: {figure(rate)} requests/s …")
        first = max((part.first + part.count for part in ranges), default=0)
        try:
            step = replace(job, plan=with_changes(plain, rate=rate), first_event=first)
            result, found = await run_load(step, keep=cut)
        except BaseException:
            if measured:
                keep(_unended(measured))
            elif unfinished:
                keep(unfinished[0])
            raise
        job.sent(found)
        ranges += found
        measured.append(CapacityStep(step=Step(rate=rate, seen=seen(result)), result=result))
        job.say(_step_text(len(measured), measured[-1]))
    return _with_knee(measured, knee(steps())), merge_ranges(ranges)


def _step_text(number: int, found: CapacityStep) -> str:
    """A step of a search and what it measured, in a line."""
    result, requests = found.result, found.result.requests
    facts = [
        f"{rate_text(per_second(result, 'events'))} events/s accepted",
        f"p99 {milliseconds(percentile_ms(result.latency.response_ns, 0.99))}",
        *([plural(requests.failed, "error")] if requests.errors else []),
        *(threshold_text(one, result) for one in result.thresholds if not one.ok),
    ]
    return f"step {number}: {figure(found.step.rate)} requests/s {found.step.seen}: " + ", ".join(
        facts
    )


def _step_plan(job: LoadJob) -> LoadPlan:
    """The plan of one step, with those limits alone that a step can be held to.

    Whether events are correct shows only when those of all steps are reconciled. A limit on what
    nothing in this run measures would make each step a miss; it stays in the plan itself, and
    leaves the run as a whole inconclusive.
    """
    plan = with_changes(
        job.plan,
        duration_s=min(LIMIT_STEP_S, job.plan.shape.duration_s),
        shape={"kind": "constant", "options": {}, "arrivals": "even"},
        faults={"restart_at_share": [], "maintenance_at_share": []},
    )
    blind = {"correct_share"}
    blind |= {"freshness_p99_ms"} if job.probe is None else set()
    blind |= set() if plan.reads.share else {"read_p99_ms"}
    limits = {name: limit for name, limit in plan.thresholds.items() if name not in blind}
    return msgspec.structs.replace(plan, thresholds=limits)


def seen(result: LoadResult) -> StepResult:
    """Return what one measurement shows of its rate.

    Noise excuses what it can have made worse: times and rates, requests that were not sent, a run
    that stopped early. A limit on anything else is missed, whatever the machine did.
    """
    if result.generator.limited:
        return StepResult.LIMITED
    missed = [row for row in result.thresholds if not row.ok]
    cut = result.requests.unsent or result.timeline.stopped_by or not result.events.accepted
    if not missed and not cut:
        return StepResult.MET
    certain = any(row.value is not None and not row.timed for row in missed)
    return StepResult.DISTURBED if result.machine.noisy and not certain else StepResult.MISSED


def at_knee(measured: Sequence[CapacityStep]) -> LoadResult:
    """Return the latest result that met the thresholds at the lower end of the knee.

    A rate that was kept once and missed twice is not kept, however high it is. Where no rate was
    kept, the latest result that kept nothing.
    """
    low = knee([one.step for one in measured]).low
    kept = [one for one in measured if one.step.seen is StepResult.MET]
    at_low = [one for one in kept if one.step.rate == low]
    others = [one for one in measured if one.step.seen is not StepResult.MET]
    return (at_low or others or kept)[-1].result


def _unended(measured: Sequence[CapacityStep]) -> LoadResult:
    """What is known of a search that was cut short."""
    found = knee([one.step for one in measured])
    why = "the search was cut short; nothing more is known of either end"
    return _with_knee(measured, replace(found, why=why, verified=False))


def _with_knee(measured: Sequence[CapacityStep], found: Knee) -> LoadResult:
    """The result at the lower end of the knee, with the interval and every step."""
    steps = tuple(_recorded(one) for one in measured)
    interval = KneeInterval(low_rps=found.low, high_rps=found.high, why=found.why, steps=steps)
    return msgspec.structs.replace(at_knee(measured), knee=interval)


def _recorded(found: CapacityStep) -> KneeStep:
    """A step of a search as the journal keeps it."""
    result = found.result
    return KneeStep(
        rate_rps=found.step.rate,
        seen=str(found.step.seen),
        events_per_s=per_second(result, "events"),
        p99_ms=percentile_ms(result.latency.response_ns, 0.99),
        failed=result.requests.failed,
        unsent=result.requests.unsent,
        missed=tuple(one for one in result.thresholds if not one.ok),
    )
