"""Run the checks against a target: execute a plan, record everything, then evaluate the records.

`datasets.plan` decides what is done and requested, and the contract what is right; both are pure.
This module opens the session, probes the interpretations, executes the stages and returns the
results. `trueup judge` computes the same results from the journal alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Protocol

from trueup.conformance.checks.check import Check
from trueup.conformance.client.clock import Clock, WallClock, fresh_prefix
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.recorder import Recorder, stamp
from trueup.conformance.client.session import Session, open_session
from trueup.conformance.contract.evaluation import Evaluation, evaluate
from trueup.conformance.contract.interpretation import Interpretation
from trueup.conformance.contract.proxied import MAY_LAG, judge_proxied, probed_counting
from trueup.conformance.contract.proxied import PART as LEVEL_1
from trueup.conformance.contract.target_time import TargetClock
from trueup.conformance.datasets.coverage import coverage
from trueup.conformance.datasets.depth import Depth
from trueup.conformance.datasets.freshness_probe import probe_requests
from trueup.conformance.datasets.interpretation_probes import (
    edge_requests,
    interpretation_requests,
    late_deliveries,
    readings_now,
    unauthorised_requests,
)
from trueup.conformance.datasets.operations import Plan, Stage
from trueup.conformance.datasets.plan import plan
from trueup.conformance.datasets.proxied_traffic import ProxiedSender, send_proxied
from trueup.conformance.datasets.stage_reads import snapshots
from trueup.conformance.errors import unwrap_group
from trueup.conformance.execution import executor_of
from trueup.conformance.judge import judge_records
from trueup.conformance.model import POOLS, CheckContext
from trueup.conformance.observed.observations import Observations
from trueup.conformance.ports import Ingest
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import parse_time
from trueup.conformance.selection import checks_for
from trueup.conformance.target.model import HttpHook, Target
from trueup.conformance.target.placeholders import clock_values, money_values
from trueup.reports.journal.records import (
    CoverageSeen,
    Delivered,
    Phase,
    ReadingSeen,
    Record,
    Result,
)
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import CheckResult, ExitStatus, Json, Reading
from trueup.reports.verdicts import overall

__all__ = [
    "LEVEL_OF_INJECTION",
    "Planner",
    "ProgressEvent",
    "RunOutcome",
    "probe_readings",
    "read_on",
    "run_checks",
]

LEVEL_OF_INJECTION: Final = 2
"""Level of a run that injects events and does nothing else to a target."""

LOCKED_HOOKS: Final = MappingProxyType({"clock": 2, "maintenance": 2, "money": 2, "restart": 4})
"""Hooks that a customer's keys must not open → level from which they are tried."""
REPEATED_READS: Final = 4
BURST: Final = 30
"""Requests at once: three times the documented limit of a second."""


class Planner(Protocol):
    """Decides what a run does and asks after its baseline."""

    def __call__(
        self, context: CheckContext, depth: Depth, seed: int, *, requests: int | None = None
    ) -> Plan:
        """Return the plan. `requests`: the most that the run may make; None: any number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressEvent:
    """Where a run is: stage `done` of `total`."""

    stage: str
    what: str
    done: int
    total: int
    requests: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """What a run found."""

    results: tuple[CheckResult, ...]
    readings: tuple[Reading, ...]
    exit_status: ExitStatus
    requests: int


def _small_change(name: str, context: CheckContext, now: datetime) -> dict[str, Json] | None:
    """The values for a hook's least change that can be seen; None where there is none."""
    match name:
        case "clock":
            return clock_values(now + timedelta(seconds=2), 2)
        case "money":
            pool = next((pool for pool in POOLS if pool in context.claims), None)
            if pool is None or "a" not in context.customers:
                return None
            customer = context.customers["a"]
            return money_values(customer, pool, "top_up", 1, f"{context.prefix}-locked")
        case _:
            return {}


def _no_progress(_event: ProgressEvent) -> None:
    pass


async def run_checks(
    target: Target,
    *,
    writer: JournalWriter,
    ingest: Ingest | None,
    proxies: ProxiedSender | None = None,
    seed: int = 0,
    level: int = 4,
    depth: Depth = Depth.STANDARD,
    only: Sequence[str] = (),
    progress: Callable[[ProgressEvent], None] = _no_progress,
    clock: Clock | None = None,
    prefix: str | None = None,
    planner: Planner = plan,
) -> RunOutcome:
    """Run every check of a level, or those named in `only`, and return their results.

    `proxies` sends requests through the target's own proxies, where it has any. The caller has
    written the header, with the names of `checks_for`, and writes the footer.
    `prefix` begins every injected name and must be fresh; drawn by chance where left out. Raises
    TargetTrouble, BudgetExhausted (exit status 2): what was recorded so far stays.
    """
    level = level if ingest is not None else min(level, 1 if target.proxies is not None else 0)
    checks = checks_for(target, level=level, only=only)
    recorder = Recorder(writer, secrets=target.secrets)
    clock = clock or WallClock()
    with unwrap_group():
        async with ReadClient(target, recorder, clock) as client:
            session = await open_session(
                target,
                recorder,
                client,
                clock,
                prefix=prefix or fresh_prefix(),
                level=min(level, max((c.level for c in checks), default=0)),
            )
            run = _Run(session, ingest, checks, progress)
            if proxies is not None:
                await run.proxied(proxies)
            await run.baseline()
            await run.execute(depth, seed, planner)
            await run.burst()
            return _judged(recorder, checks, client.pacer.made)


def _judged(recorder: Recorder, checks: Sequence[Check], requests: int) -> RunOutcome:
    """Evaluate what was recorded, record the results and return them."""
    results = judge_records(recorder.records, checks)
    for result in results:
        recorder.write(Result(result=result))
    return RunOutcome(
        results=tuple(results),
        readings=tuple(Observations(recorder.records).readings.values()),
        exit_status=overall(results),
        requests=requests,
    )


async def read_on(
    target: Target,
    *,
    writer: JournalWriter,
    before: Sequence[Record],
    prefix: str,
    checks: Sequence[Check],
    stage_of: Callable[[CheckContext], Stage],
    progress: Callable[[ProgressEvent], None] = _no_progress,
    clock: Clock | None = None,
) -> RunOutcome:
    """Make one stage of requests about what an earlier run has sent, and return the results.

    `before`: the records of that run, with which this one's evaluation begins; `prefix` begins the
    names that it sent. `stage_of` returns the stage, which only reads. The caller has written the
    header and writes the footer. Raises TargetTrouble, BudgetExhausted, and what `stage_of` raises.
    """
    recorder = Recorder(writer, secrets=target.secrets)
    clock = clock or WallClock()
    with unwrap_group():
        async with ReadClient(target, recorder, clock) as client:
            for record in before:
                recorder.write(record)
            session = await open_session(
                target, recorder, client, clock, prefix=prefix, level=LEVEL_OF_INJECTION
            )
            run = _Run(session, None, checks, progress)
            await run.read(stage_of(session.context))
            return _judged(recorder, checks, client.pacer.made)


async def probe_readings(target: Target, *, writer: JournalWriter) -> tuple[Reading, ...]:
    """Return the readings that can be probed in seconds by reading alone; nothing is injected.

    Raises TargetTrouble where the target does not respond, or not as this API.
    """
    recorder = Recorder(writer, secrets=target.secrets)
    clock = WallClock()
    with unwrap_group():
        async with ReadClient(target, recorder, clock) as client:
            session = await open_session(
                target, recorder, client, clock, prefix=fresh_prefix(), level=0
            )
            await _Run(session, None, (), _no_progress).baseline()
            return tuple(Observations(recorder.records).readings.values())


def _repeated_reads(context: CheckContext) -> tuple[ApiRequest, ...]:
    """The probe's logs and summaries, several times in a row: reads must not go backwards."""
    return tuple(
        replace(request, again=number)
        for number in range(1, REPEATED_READS + 1)
        for request in probe_requests(context)
    )


class _Run:
    """Run the stages of one check run. Holds I/O objects only; all results are in the journal."""

    def __init__(
        self,
        session: Session,
        ingest: Ingest | None,
        checks: Sequence[Check],
        progress: Callable[[ProgressEvent], None],
    ) -> None:
        self._session = session
        self._target = session.target
        self._recorder = session.recorder
        self._client = session.client
        self._time = session.time
        self._checks = checks
        self._progress = progress
        self._executor = executor_of(session, ingest, self._wrong)
        self._evaluation: Evaluation | None = None
        self._doubtful: Mapping[str, Collection[int]] = {}
        """What `_wrong` returned last: after a stage, what is still wrong."""

    async def baseline(self) -> None:
        """Find out how the target reads what the contract leaves open; try the locks of hooks."""
        context = self._session.context
        deliveries = late_deliveries(context) if self._injects(context) else ()
        stage = Stage(
            name="baseline",
            what="reading what is there",
            operations=deliveries,
            requests=(*interpretation_requests(context), *unauthorised_requests(context)),
            snapshots=snapshots(context, context.now) if self._checks else (),
        )
        await self._stage(stage, context, 0, 1)
        if context.level >= 2:
            await self._try_locks()

    async def proxied(self, client: ProxiedSender) -> None:
        """Send requests through the target's own proxies, if a check needs them: before anything
        else, as their time is the present, and the target's clock is moved later.
        """
        proxies = self._target.proxies
        if proxies is None or not any(check.level == 1 for check in self._checks):
            return
        self._phase(LEVEL_1, "begin")
        self._progress(
            ProgressEvent(
                stage=LEVEL_1,
                what="requests through its proxies",
                done=0,
                total=1,
                requests=self._client.pacer.made,
            )
        )
        await send_proxied(self._session, proxies, client, self._proxied_is_right)
        value = self._proxied_counting()
        if value is not None:
            reading = Reading(name="proxied-bytes", value=value, how="probed")
            self._recorder.write(ReadingSeen(reading=reading))
        self._phase(LEVEL_1, "end")

    def _proxied_is_right(self) -> bool:
        """Whether nothing is missing that may still arrive."""
        records, reading, clock = self._recorded()
        return not any(
            any(finding.unusable.values())
            or any(each.check in MAY_LAG for each in finding.deviations)
            for finding in judge_proxied(records, reading, clock)
        )

    def _proxied_counting(self) -> str | None:
        if "proxied-bytes" in self._target.readings:
            return None
        return probed_counting(*self._recorded())

    def _recorded(self) -> tuple[Sequence[Record], Interpretation, TargetClock]:
        records = self._recorder.records
        readings = Observations(records).readings
        reading = Interpretation.of(readings, frozenset(self._session.context.claims))
        return records, reading, TargetClock.from_records(records, "")

    def _injects(self, context: CheckContext) -> bool:
        """Whether the run may inject events: at level 2, where a customer's number is known."""
        return context.level >= 2 and "a" in context.customers

    async def read(self, stage: Stage) -> None:
        """Make the requests of a stage that only reads, about what an earlier run has sent."""
        sent = [parse_time(r.at) for r in self._recorder.records if isinstance(r, Delivered)]
        times = [at for at in sent if at is not None]
        if times:
            self._executor.note_earlier_write(
                (self._session.clock.now() - max(times)).total_seconds()
            )
        await self._stage(stage, self._session.context, 1, 1)

    async def execute(self, depth: Depth, seed: int, planner: Planner) -> None:
        """Execute the plan of the run, and record which classes of the contract it reached.

        Where the clock cannot be moved, the stages from there on are not reached.
        """
        context = replace(self._session.context, now=self._time.present().replace(microsecond=0))
        made = planner(context, depth, seed, requests=self._client.pacer.left)
        finished: list[str] = []
        try:
            await self._stages(made, context, finished)
        finally:
            if any(stage.classes for stage in made.stages):
                self._recorder.write(CoverageSeen(rows=coverage(made, context, finished)))

    async def _stages(self, made: Plan, context: CheckContext, finished: list[str]) -> None:
        """Execute the stages in order; names of those that are done are added to `finished`."""
        for number, stage in enumerate(made.stages, 1):
            if stage.at is not None and not await self._time.move(stage.at, stage.name):
                break
            if stage.name == "inject":
                stage = replace(
                    stage,
                    requests=(*stage.requests, *edge_requests(self._session.context)),
                    snapshots=(*stage.snapshots, _repeated_reads(context)),
                )
            await self._stage(
                stage,
                context,
                number,
                len(made.stages) + 1,
            )
            finished.append(stage.name)

    async def _stage(self, stage: Stage, context: CheckContext, done: int, total: int) -> None:
        self._phase(stage.name, "begin")
        self._progress(
            ProgressEvent(
                stage=stage.name,
                what=stage.what,
                done=done,
                total=total,
                requests=self._client.pacer.made,
            )
        )
        try:
            await self._executor.execute(stage, context)
            if self._doubtful:
                await self._time.check_unmoved(stage.name)
        except BaseException:
            self._phase(stage.name, "interrupted")
            raise
        for reading in readings_now(Observations(self._recorder.records)):
            self._recorder.write(ReadingSeen(reading=reading))
        self._phase(stage.name, "end")

    def _phase(self, name: str, state: str) -> None:
        at = stamp(self._session.clock.now())
        self._recorder.write(Phase(name=f"judge {name}", state=state, at=at))

    def _wrong(self) -> Mapping[str, Collection[int]]:
        """Checks that are in doubt on what is recorded so far, with the responses to ask again.

        Readings that can be probed by now count, although they are recorded only when the stage
        ends: its last responses decide.
        """
        if not self._checks:
            return {}
        records = self._recorder.records
        probed = [ReadingSeen(reading=each) for each in readings_now(Observations(records))]
        self._evaluation = evaluate((*records, *probed), before=self._evaluation)
        names = {check.name for check in self._checks}
        doubtful = self._evaluation.doubtful()
        self._doubtful = {check: numbers for check, numbers in doubtful.items() if check in names}
        return self._doubtful

    async def _try_locks(self) -> None:
        """Call every hook that has keys of its own with a customer's keys instead.

        The values are such that the call would succeed and change something, however little.
        """
        if not any(check.law == "SAFETY" for check in self._checks):
            return
        context = self._session.context
        own = self._target.tenants["a"]
        keys = {"X-API-Public-Key": own.public_key, "X-API-Private-Key": own.private_key}
        for name, level in LOCKED_HOOKS.items():
            form = getattr(self._target, name)
            if context.level >= level and isinstance(form, HttpHook) and form.headers:
                values = _small_change(name, context, self._time.present())
                if values is not None:
                    await self._session.control.call(
                        name, values, stage="baseline", check="safety", headers=keys
                    )

    async def burst(self) -> None:
        """At the very end, ask more at once than the limit that the target claims."""
        wanted = any(check.law == "RATE" for check in self._checks)
        if not wanted or "rate-limit" not in self._session.context.claims:
            return
        one = ApiRequest(path="log_summary/search", query=(("per_page", "1"),))
        many = [replace(one, again=n) for n in range(1, BURST + 1)]
        if "b" in self._target.tenants:
            many.append(replace(one, tenant="b"))
        await self._client.burst(many, stage="rate")
        for tenant in self._target.tenants:
            await self._client.ask(replace(one, tenant=tenant), stage="after-rate")
