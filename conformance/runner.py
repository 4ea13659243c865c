"""Runs checks against a target: plants, asks, moves the clock, records; then lets judges judge.

Everything that decides is elsewhere and pure; this shell acts and waits. It keeps no facts of its
own: what it needs to know it looks up in the records that it has written, as the offline judge
will. Checks never delete, and nothing is waited for by a fixed time: a marker is polled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.snapshots import SNAPSHOT_STAGES, is_stable, snapshot_requests
from trueup.conformance.client.clock import Clock, WallClock, fresh_prefix
from trueup.conformance.client.control import TargetControl
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.recorder import Recorder, stamp
from trueup.conformance.client.session import Session
from trueup.conformance.datasets.datasets import DATASETS
from trueup.conformance.datasets.freshness_probe import PROBE, is_visible, probe_requests, settled
from trueup.conformance.datasets.injector import EventInjector
from trueup.conformance.datasets.interpretation_probes import (
    LATE,
    interpretation_requests,
    readings_now,
)
from trueup.conformance.datasets.payments import payments
from trueup.conformance.datasets.stages import Stage, stages_for
from trueup.conformance.errors import TargetClockUnknown, unwrap_group
from trueup.conformance.judge import judge_records
from trueup.conformance.model import CheckContext
from trueup.conformance.observed.observations import Observations
from trueup.conformance.ports import Ingest
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import format_time
from trueup.conformance.selection import checks_for
from trueup.conformance.target.model import HttpHook, Target
from trueup.reports.journal.records import Phase, ReadingSeen, Result
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import CheckResult, ExitStatus, Json, Reading, Verdict
from trueup.reports.verdicts import overall

__all__ = ["ProgressEvent", "RunOutcome", "probe_readings", "run_checks"]

UNDECLARED_FRESHNESS_S: Final = 35.0
"""How long a marker is waited for where no freshness is declared."""
POLL_S: Final = 0.05
POLL_MOST_S: Final = 1.0
SIGHTS: Final = 4
"""Times in a row that the marker must be seen, so that lagging replicas have all been met."""
QUIET_TRIES: Final = 6
FENCE_PAUSE_MOST_S: Final = 0.4
"""Longest pause between two tries to read account figures while nobody moves them."""
LAG_MOST_S: Final = 4.0
"""Longest pause before a second look, however long the marker took; none where it never settled."""
LOOKS: Final = 2
"""Times that a failed check is looked at again after a pause, because views may lag."""
BURST: Final = 30
"""Requests at once: three times the documented limit of a second."""
FOLLOW_ROUNDS: Final = 4


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
    """What a run of the judge found."""

    results: tuple[CheckResult, ...]
    readings: tuple[Reading, ...]
    exit_status: ExitStatus
    requests: int


def _worth_a_look(check: Check, verdict: Verdict) -> bool:
    """Whether asking again may show more: a view may lag, and others may have been at work."""
    if check.needs_snapshot and verdict is Verdict.INCONCLUSIVE:
        return True
    return check.eventual and verdict in (Verdict.FAIL, Verdict.BLOCKED)


def _no_progress(_event: ProgressEvent) -> None:
    pass


async def run_checks(
    target: Target,
    *,
    writer: JournalWriter,
    ingest: Ingest | None,
    seed: int = 0,
    level: int = 4,
    only: Sequence[str] = (),
    progress: Callable[[ProgressEvent], None] = _no_progress,
    clock: Clock | None = None,
    prefix: str | None = None,
) -> RunOutcome:
    """Hold a target to every check of a level, or to those named in `only`.

    The caller has written the header, with the names of `checks_for`, and writes the footer.
    `prefix` begins every planted name and must be fresh; drawn by chance where left out. Raises
    TargetTrouble, BudgetExhausted (exit status 2): what was recorded so far stays.
    """
    checks = checks_for(target, level=level if ingest is not None else 0, only=only)
    return await _hold(
        target,
        checks,
        writer=writer,
        ingest=ingest,
        progress=progress,
        clock=clock or WallClock(),
        prefix=prefix or fresh_prefix(),
    )


async def _hold(
    target: Target,
    checks: Sequence[Check],
    *,
    writer: JournalWriter,
    ingest: Ingest | None,
    progress: Callable[[ProgressEvent], None],
    clock: Clock,
    prefix: str,
) -> RunOutcome:
    recorder = Recorder(writer, secrets=target.secrets)
    with unwrap_group():
        return await _held(target, checks, recorder, ingest, progress, clock, prefix)


async def _held(
    target: Target,
    checks: Sequence[Check],
    recorder: Recorder,
    ingest: Ingest | None,
    progress: Callable[[ProgressEvent], None],
    clock: Clock,
    prefix: str,
) -> RunOutcome:
    async with ReadClient(target, recorder, clock) as client:
        run = _Run(
            target=target,
            recorder=recorder,
            client=client,
            clock=clock,
            ingest=ingest,
            checks=checks,
            progress=progress,
        )
        top = max((check.level for check in checks), default=0)
        await run.open(prefix, top)
        await run.stages(stages_for(top, run.context.hooks))
        await run.burst()
        results = judge_records(recorder.records, checks)
        for result in results:
            recorder.write(Result(result=result))
        observations = Observations(recorder.records)
        return RunOutcome(
            results=tuple(results),
            readings=tuple(observations.readings.values()),
            exit_status=overall(results),
            requests=client.pacer.made,
        )


async def probe_readings(target: Target, *, writer: JournalWriter) -> tuple[Reading, ...]:
    """The readings that can be had in seconds by reading alone; plants nothing.

    Raises TargetTrouble where the target does not answer, or not as this API.
    """
    outcome = await _hold(
        target,
        (),
        writer=writer,
        ingest=None,
        progress=_no_progress,
        clock=WallClock(),
        prefix=fresh_prefix(),
    )
    return outcome.readings


class _Run:
    """One run in progress. Holds ends of pipes, not facts."""

    def __init__(
        self,
        *,
        target: Target,
        recorder: Recorder,
        client: ReadClient,
        clock: Clock,
        ingest: Ingest | None,
        checks: Sequence[Check],
        progress: Callable[[ProgressEvent], None],
    ) -> None:
        self._target = target
        self._recorder = recorder
        self._client = client
        self._clock = clock
        self._planter = None if ingest is None else EventInjector(ingest, recorder, clock)
        self._checks = checks
        self._progress = progress
        self._control = TargetControl(target, recorder, clock)
        self._lag_s = 0.0

    @property
    def observations(self) -> Observations:
        return Observations(self._recorder.records)

    @property
    def context(self) -> CheckContext:
        return self.observations.context

    async def open(self, prefix: str, level: int) -> None:
        """Meet the target and record the plan. Raises TargetTrouble."""
        meeting = Session(
            target=self._target,
            recorder=self._recorder,
            client=self._client,
            hooks=self._control,
            clock=self._clock,
        )
        await meeting.open(prefix, level)

    # --- stages

    async def stages(self, stages: Sequence[Stage]) -> None:
        for number, stage in enumerate(stages):
            self._phase(stage.name, "begin")
            self._progress(
                ProgressEvent(
                    stage=stage.name,
                    what=stage.what,
                    done=number,
                    total=len(stages),
                    requests=self._client.pacer.made,
                )
            )
            try:
                await self._stage(stage)
            except BaseException:
                self._phase(stage.name, "interrupted")
                raise
            self._phase(stage.name, "end")

    async def burst(self) -> None:
        """At the very end, ask more at once than the limit that the target claims."""
        wanted = any(check.law == "RATE" for check in self._checks)
        if not wanted or "rate-limit" not in self.context.claims:
            return
        one = ApiRequest(path="log_summary/search", query=(("per_page", "1"),))
        many = [replace(one, again=n) for n in range(1, BURST + 1)]
        if "b" in self._target.tenants:
            many.append(replace(one, tenant="b"))
        await self._client.burst(many, stage="rate")
        for tenant in self._target.tenants:
            await self._client.ask(replace(one, tenant=tenant), stage="after-rate")

    def _phase(self, name: str, state: str) -> None:
        at = stamp(self._clock.now())
        self._recorder.write(Phase(name=f"judge {name}", state=state, at=at))

    async def _stage(self, stage: Stage) -> None:
        if stage.at is not None:
            await self._move(stage.name, stage.at(self.context))
        for _ in range(stage.maintenance if "maintenance" in self.context.hooks else 0):
            await self._control.call("maintenance", {}, stage=stage.name)
        if stage.name == "baseline":
            await self._open_stage()
        if stage.name == "money":
            await self._pay(stage.name)
        await self._plant_all(stage.name)
        if stage.name == "restart":
            await self._control.call("restart", {}, stage=stage.name)
        if stage.name == "inject":
            await self._settle(stage.name)
        await self._ask_all(stage.name)
        self._note_readings(stage.name)
        await self._look_again(stage.name)

    async def _open_stage(self) -> None:
        await self._ask_once(interpretation_requests(self.context), "baseline")
        self._note_readings("baseline")
        if self.context.level >= 2:
            await self._try_locks("baseline")
        if self._planter is not None and self.context.level >= 2:
            await self._ask_once(probe_requests(self.context), "baseline")
            await self._planter.plant(LATE, "baseline", self.context)
            self._note_readings("baseline")

    async def _try_locks(self, stage: str) -> None:
        """Pull the harmless hooks with a customer's keys in place of their own."""
        if not any(check.law == "SAFETY" for check in self._checks):
            return
        own = self._target.tenants["a"]
        keys = {"X-API-Public-Key": own.public_key, "X-API-Private-Key": own.private_key}
        for name in ("clock", "maintenance"):
            form = getattr(self._target, name)
            if isinstance(form, HttpHook) and form.headers:
                values: dict[str, Json] = {
                    "now": format_time(self.observations.now(stage)),
                    "advance_s": 0,
                }
                await self._control.call(name, values, stage=stage, check="safety", headers=keys)

    async def _move(self, stage: str, to: datetime) -> None:
        now = self.observations.now(stage)
        values: dict[str, Json] = {
            "now": format_time(to),
            "advance_s": max(0, int((to - now).total_seconds())),
        }
        hook = await self._control.call("clock", values, stage=stage)
        if not hook.ok:
            raise TargetClockUnknown(
                f"the target's clock could not be moved to {format_time(to)}: {hook.error}\n"
                f"  check [clock] in {self._target.path}, or run with --level 2"
            )

    async def _pay(self, stage: str) -> None:
        if not any(check.needs_hook == "money" for check in self._checks):
            return
        context = self.context
        for payment in payments(context):
            values: dict[str, Json] = {
                "customer_id": context.customers.get("a", 0),
                "network": payment.network,
                "kind": payment.kind,
                "bytes": payment.bytes,
                "idempotency_key": payment.key,
                "service_id": "",
            }
            await self._control.call("money", values, stage=stage)

    # --- waiting

    async def _plant_all(self, stage: str) -> None:
        wanted = {dataset for check in self._checks for dataset in check.datasets}
        here = [
            dataset for dataset in DATASETS if dataset.name in wanted and dataset.stage == stage
        ]
        marked = stage == "inject" and bool(wanted)
        if self._planter is None or not (here or marked):
            return
        context = self.context
        if stage != "inject":
            context = replace(context, now=self.observations.now(stage))
        await self._planter.plant_all(here, stage, context)
        if marked:
            await self._planter.plant(PROBE, stage, context)

    async def _settle(self, stage: str) -> None:
        """Poll the marker until every view shows it, several times in a row, or time is up.

        A marker that was refused is not waited for.
        """
        if self.observations.refusal(PROBE.name):
            return
        declared = self._target.readings.get("freshness-s")
        limit = float(declared) if declared is not None else UNDECLARED_FRESHNESS_S
        started = self._clock.monotonic()
        sights, attempt, pause = 0, 1, POLL_S
        while True:
            await self._ask_once(probe_requests(self.context), "fresh", attempt)
            waited = self._clock.monotonic() - started
            sights = sights + 1 if is_visible(self.observations, "fresh") else 0
            if sights == 1:
                self._lag_s = waited
            if settled(sights, SIGHTS, waited, limit) or self._client.stuck:
                self._lag_s = min(self._lag_s, LAG_MOST_S) if sights >= SIGHTS else 0.0
                return
            attempt += 1
            if not sights:
                await self._clock.sleep(pause)
                pause = min(pause * 1.5, POLL_MOST_S)

    # --- asking

    async def _ask_all(self, stage: str) -> None:
        context = self.context
        await self._ask_once(
            [ask for c in self._checks for ask in c.requests(context, stage)], stage
        )
        await self._follow(stage)
        if stage == "inject":
            taken = [c for c in self._checks if not c.claim or c.claim in context.claims]
            steps = [step for check in taken for step in check.sequence(context)]
            for step in dict.fromkeys(steps):
                await self._client.ask(step, stage="sequence")
        if stage in SNAPSHOT_STAGES and any(check.needs_snapshot for check in self._checks):
            for pool in requests.POOLS:
                if pool in context.claims:
                    await self._fence(stage, pool)

    async def _follow(self, stage: str) -> None:
        """Ask what the answers raise, and what the answers to that raise, a few times over."""
        for _ in range(FOLLOW_ROUNDS):
            observations = self.observations
            wanted = [
                ask for check in self._checks for ask in check.follow_ups(observations, stage)
            ]
            fresh = [ask for ask in wanted if observations.answer(stage, ask) is None]
            if not fresh:
                return
            await self._ask_once(fresh, stage)

    async def _ask_once(self, wanted: Sequence[ApiRequest], stage: str, attempt: int = 1) -> None:
        async with asyncio.TaskGroup() as group:
            for ask in dict.fromkeys(wanted):
                if ask.tenant in self._target.tenants:
                    group.create_task(self._client.ask(ask, stage=stage, attempt=attempt))

    async def _fence(self, stage: str, pool: str, since: int = 0) -> None:
        for attempt in range(since + 1, since + QUIET_TRIES + 1):
            for ask in snapshot_requests(self.observations, pool):
                await self._client.ask(ask, stage=stage, attempt=attempt)
            if is_stable(self.observations, stage, pool):
                return
            await self._clock.sleep(min(POLL_S * 2 ** (attempt - since - 1), FENCE_PAUSE_MOST_S))

    async def _look_again(self, stage: str) -> None:
        """Ask again what failed, after a pause: what only lagged is then in order."""
        if stage == "baseline" or self._client.stuck:
            return
        for look in range(1, LOOKS + 1):
            observations = self.observations
            failed = [
                check
                for check, result in zip(
                    self._checks, judge_records(self._recorder.records, self._checks), strict=True
                )
                if _worth_a_look(check, result.verdict)
            ]
            again = [ask for c in failed for ask in c.requests(observations.context, stage)]
            again += [ask for c in failed for ask in c.follow_ups(observations, stage)]
            fenced = stage in SNAPSHOT_STAGES and any(check.needs_snapshot for check in failed)
            if not again and not fenced:
                return
            if look > 1 and self._lag_s < POLL_MOST_S:
                return
            await self._clock.sleep(max(0.2, self._lag_s))
            await self._ask_once(again, stage, look + 1)
            for pool in requests.POOLS if fenced else ():
                if pool in observations.context.claims:
                    await self._fence(stage, pool, look * QUIET_TRIES)

    def _note_readings(self, stage: str) -> None:
        for reading in readings_now(self.observations, stage):
            self._read(reading)

    def _read(self, reading: Reading) -> None:
        self._recorder.write(ReadingSeen(reading=reading))
