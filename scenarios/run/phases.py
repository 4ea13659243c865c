"""The parts of a run: the fleet's traffic, the judge's checks, the load. Each writes what it saw.

A part composes two packages that do not import each other: what the fleet sent reaches the checks
as plain values, by way of the journal's records.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from trueup.conformance.client.clock import Clock, WallClock
from trueup.conformance.client.control import TargetControl
from trueup.conformance.client.recorder import Recorder, stamp
from trueup.conformance.ports import SentTraffic
from trueup.conformance.reconciliation.run import TrafficOutcome, reconcile_traffic
from trueup.conformance.runner import ProgressEvent, run_checks
from trueup.conformance.target.model import Target
from trueup.reports.journal.records import (
    Delivered,
    EventCounts,
    FleetDeclared,
    LoadResult,
    OutcomeRange,
    Phase,
    Record,
    ReplayDeclared,
)
from trueup.reports.journal.storage import JournalWriter, read_journal
from trueup.reports.results import EventOutcome, ExitStatus
from trueup.reports.transport.lost import LostDeliveries
from trueup.scenarios.drivers import driver_of, load_ingest, open_driver
from trueup.scenarios.errors import CouldNotTell
from trueup.scenarios.load.execute import as_fast_as_possible, execute_load
from trueup.scenarios.load.job import LoadJob, Locust, Progress
from trueup.scenarios.load.messages import ReadsFrom
from trueup.scenarios.load.plan import LoadPlan
from trueup.scenarios.load.replay import prepare_replay
from trueup.scenarios.load.traffic import LOAD_FLEET, load_fleet
from trueup.scenarios.load.verdict import judged
from trueup.scenarios.progress import ProgressReporter
from trueup.scenarios.proxied.clients import ProxiedForm
from trueup.scenarios.run.clock import ShiftedClock, our_stamp, target_now
from trueup.scenarios.run.freshness_probe import SummaryProbe
from trueup.scenarios.run.preconditions import customers_of, load_hooks, plan_of
from trueup.scenarios.run.proxied_client import exact_client
from trueup.scenarios.run.traffic import beside, delivered
from trueup.scenarios.scenario import ChecksPart, FleetPart, LoadPart
from trueup.simulator.delivery import Driver, HttpForm, TransportForm
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.profile import load_profile
from trueup.simulator.replay import ReplayTraffic

__all__ = [
    "LoadedTraffic",
    "MeasuredLoad",
    "RunContext",
    "conclude_load",
    "measure_load",
    "reconcile",
    "run_checks_part",
    "run_fleet_part",
    "run_load_part",
]

FLEET_NAME: Final = "fleet"
SEARCH_S: Final = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RunContext:
    """What every part of one run works with."""

    target: Target
    writer: JournalWriter
    folder: Path
    seed: int
    reporter: ProgressReporter
    ahead: timedelta = timedelta(0)
    """How far the target's clock was ahead of ours when the run began."""
    prefix: str = ""
    """Begins the names of the events that checks inject; empty: drawn for this run."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The target's keys, where the variables of this process do not have them."""

    def phase(self, name: str, state: str) -> None:
        self.writer.write(Phase(name=name, state=state, at=our_stamp()))


async def run_fleet_part(context: RunContext, part: FleetPart) -> None:
    """Send the fleet's traffic of the last days, and reconcile every view with what was sent.

    Raises CouldNotTell once several deliveries in a row got nowhere.
    """
    clock = ShiftedClock(target_now(context.writer, context.ahead))
    customers = customers_of(context.target)
    events_per_s = part.events / (part.days * 86_400)
    fleet = Fleet(
        load_profile(part.profile),
        seed=context.seed,
        start=clock.now() - timedelta(days=part.days),
        customers=customers,
        events_per_s=events_per_s,
        namespace=context.folder.name,
    )
    context.writer.write(fleet.identity(FLEET_NAME))
    context.phase(FLEET_NAME, "begin")
    context.reporter.start("fleet traffic", part.events)
    ranges: list[OutcomeRange] = []
    lost = LostDeliveries()
    async with open_driver(context.target) as driver:
        for first in range(0, part.events, part.batch):
            count = min(part.batch, part.events - first)
            began_s = clock.monotonic()
            sent = await _send(context, driver, fleet, first, count)
            ranges += sent
            if why := lost.add(
                [EventOutcome(one.outcome, one.reason) for one in sent], clock.monotonic() - began_s
            ):
                raise CouldNotTell(
                    f"{context.target.path}: the ingestion endpoint takes no events: {why}. "
                    "Check [ingest], and the target's own log."
                )
            context.reporter.update(first + count)
    context.reporter.finish(_outcomes(ranges))
    await reconcile(context, delivered(fleet, ranges), FLEET_NAME, clock)
    context.phase(FLEET_NAME, "end")


async def reconcile(
    context: RunContext,
    sent: SentTraffic,
    part: str,
    clock: Clock,
    baseline: Sequence[Record] = (),
) -> TrafficOutcome:
    """Reconcile every view of the target with what was sent; return what was found.

    `baseline` is what was read of the accounts before.
    """
    context.reporter.start(f"{part} reconciliation")
    outcome = await reconcile_traffic(
        context.target,
        writer=context.writer,
        sent=sent,
        part=part,
        clock=clock,
        baseline=baseline,
    )
    verdicts = Counter(str(result.verdict) for result in outcome.results)
    said = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    context.reporter.finish(f"{said}; {outcome.requests} requests")
    return outcome


async def _send(
    context: RunContext, driver: Driver, fleet: Fleet, first: int, count: int
) -> list[OutcomeRange]:
    outcome = await driver.send_ndjson(fleet.batch(first, count).ndjson(), count)
    ranges = list(outcome.shifted(first))
    context.writer.write(
        Delivered(
            source="fleet",
            fleet=FLEET_NAME,
            outcomes=tuple(ranges),
            at=our_stamp(),
            attempts=outcome.attempts,
            elapsed_ms=round(outcome.elapsed_ms, 3),
        )
    )
    return ranges


def _outcomes(ranges: Iterable[OutcomeRange]) -> str:
    counts = Counter[str]()
    for each in ranges:
        counts[each.outcome] += each.count
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


async def run_load_part(context: RunContext, part: LoadPart) -> None:
    """Load the ingestion endpoint through Locust, then reconcile every accepted event."""
    # The load does not move the target's clock, so that it is read from the journal once.
    clock = ShiftedClock(target_now(context.writer, context.ahead))
    plan, traffic, declared = _load_traffic(context, part, clock.now())
    context.writer.write(declared)
    context.phase(LOAD_FLEET, "begin")

    def sent(ranges: tuple[OutcomeRange, ...]) -> None:
        context.writer.write(
            Delivered(source="load", fleet=LOAD_FLEET, outcomes=ranges, at=our_stamp())
        )

    loaded = LoadedTraffic(
        plan=plan,
        ingest=load_ingest(context.target),
        fleet=declared if isinstance(declared, FleetDeclared) else None,
        replay=declared if isinstance(declared, ReplayDeclared) else None,
        sent=sent,
    )
    measured = await measure_load(context, part, loaded, clock)
    since = time.monotonic()
    records = read_journal(context.writer.path).records
    besides = beside(records, LOAD_FLEET, folder=context.folder)
    reconciled = delivered(traffic, measured.ranges, besides)
    outcome = await reconcile(context, reconciled, LOAD_FLEET, clock)
    conclude_load(context, measured, outcome, reconcile_s=time.monotonic() - since)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedTraffic:
    """What a load sends, and where."""

    plan: LoadPlan
    ingest: HttpForm | TransportForm | ProxiedForm
    fleet: FleetDeclared | None = None
    replay: ReplayDeclared | None = None
    first_event: int = 0
    hooks: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    """What can be done while it is loaded, besides the target's own control hooks."""
    sent: Callable[[tuple[OutcomeRange, ...]], None] = lambda ranges: None
    """Called with the outcomes of the events at the end of each run of Locust."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredLoad:
    """A load that is over and not reconciled yet."""

    plan: LoadPlan
    result: LoadResult
    ranges: tuple[OutcomeRange, ...]
    began: datetime | None


async def measure_load(
    context: RunContext, part: LoadPart, loaded: LoadedTraffic, clock: Clock
) -> MeasuredLoad:
    """Load a target through Locust; `clock` is the target's."""
    context.reporter.start("load", round(loaded.plan.shape.duration_s))
    began: list[datetime] = []

    def progress(now: Progress) -> None:
        # A report lags behind its second: the earliest start that one tells is the nearest.
        begin = datetime.now(UTC) - timedelta(seconds=now.t_s)
        began[:] = [min([begin, *began])]
        context.reporter.update(round(now.t_s), f"{now.events} events, {now.errors} errors")

    tenant = context.target.tenants["a"]
    reads = ReadsFrom(
        url=context.target.base_url + context.target.prefix,
        headers={"X-API-Public-Key": tenant.public_key, "X-API-Private-Key": tenant.private_key},
        unix_socket=context.target.unix_socket,
        credentials=tenant.credentials,
    )
    driver = driver_of(context.target)
    recorder = Recorder(context.writer, secrets=context.target.secrets)
    probe = SummaryProbe(context.target, driver, recorder, run=context.folder.name, now=clock.now)
    job = LoadJob(
        plan=loaded.plan,
        ingest=loaded.ingest,
        fleet=loaded.fleet,
        replay=loaded.replay,
        first_event=loaded.first_event,
        out_dir=context.folder,
        progress=progress,
        reads=reads,
        hooks={**_hooks(context, recorder), **loaded.hooks},
        probe=probe,
        sent=loaded.sent,
        say=context.reporter.info,
        tell=context.reporter.notice,
        locust=Locust(
            processes=part.processes,
            web_port=part.web_port,
            master_bind=part.master_bind,
            workers=part.workers,
            locustfile=Path(part.locustfile) if part.locustfile else None,
        ),
    )
    try:
        async with probe:
            result, ranges = await execute_load(
                job,
                calibrated=part.calibrate,
                find_limit=part.find_limit,
                keep=context.writer.write,
            )
    finally:
        await driver.close()
        context.writer.write(probe.delivered(at=our_stamp()))
    context.reporter.finish(_outcomes(ranges))
    return MeasuredLoad(
        plan=loaded.plan, result=result, ranges=ranges, began=began[0] if began else None
    )


def conclude_load(
    context: RunContext, measured: MeasuredLoad, outcome: TrafficOutcome, *, reconcile_s: float
) -> None:
    """Write down the result of a load that was reconciled, with its thresholds judged."""
    result, began = measured.result, measured.began
    context.writer.write(
        judged(
            replace(
                result,
                events=replace(result.events, correct=_correct(result.events, outcome)),
                reconcile_s=round(reconcile_s, 3),
                timeline=replace(result.timeline, began_at=stamp(began) if began else ""),
            ),
            measured.plan.thresholds,
        )
    )
    context.phase(LOAD_FLEET, "end")


def _load_traffic(
    context: RunContext, part: LoadPart, now: datetime
) -> tuple[LoadPlan, Fleet | ReplayTraffic, FleetDeclared | ReplayDeclared]:
    """Return a load's plan, the traffic that it sends, and the record of that traffic.

    `now` is the target's time. The times of a replay are planned when its log was read.
    """
    plan, customers = plan_of(part, seed=context.seed), customers_of(context.target)
    if part.replay is not None:
        prepared = prepare_replay(
            part.replay,
            plan,
            folder=context.folder,
            customers=customers,
            now=now,
            namespace=context.folder.name,
            duration_s=part.duration_s,
            form=load_ingest(context.target).format,
            say=context.reporter.info,
        )
        return prepared.plan, prepared.traffic, prepared.declared
    fleet = load_fleet(
        # The rates of a search are not known yet: it gets as many events as the fastest run.
        as_fast_as_possible(plan, SEARCH_S) if part.find_limit else plan,
        customers=customers,
        now=now,
        namespace=context.folder.name,
    )
    return plan, fleet, fleet.identity(LOAD_FLEET)


def _correct(events: EventCounts, outcome: TrafficOutcome) -> int | None:
    """Accepted events, if every view ties out; 0 if any does not; None if it is unknown.

    Throughput that loses or doubles events is not throughput: there is no partial credit.
    """
    if outcome.exit_status is ExitStatus.CONFORMS:
        return events.accepted
    return 0 if outcome.exit_status is ExitStatus.VIOLATES else None


def _hooks(context: RunContext, recorder: Recorder) -> dict[str, Callable[[], object]]:
    """Return what can be done to the target while it is loaded; each call is recorded."""
    control = TargetControl(context.target, recorder, WallClock())

    def hook(name: str) -> Callable[[], object]:
        return lambda: control.call(name, {}, stage=LOAD_FLEET)

    return {name: hook(name) for name in load_hooks(context.target)}


async def run_checks_part(context: RunContext, part: ChecksPart) -> None:
    """Run the checks against the target."""
    context.reporter.start("conformance", None)
    driver = driver_of(context.target) if context.target.ingest is not None else None

    def progress(event: ProgressEvent) -> None:
        note = f"{event.what} ({event.requests:,} requests so far)"
        context.reporter.update(event.done, note, total=event.total)

    proxies = context.target.proxies
    client = exact_client(proxies) if proxies is not None else contextlib.nullcontext()
    try:
        async with client as through_proxies:
            outcome = await run_checks(
                context.target,
                writer=context.writer,
                ingest=driver,
                proxies=through_proxies,
                seed=context.seed,
                level=part.level,
                depth=part.depth,
                only=part.only,
                progress=progress,
                prefix=context.prefix or None,
            )
    finally:
        if driver is not None:
            await driver.close()
    context.reporter.finish(f"{len(outcome.results)} checks, {outcome.requests} requests")
