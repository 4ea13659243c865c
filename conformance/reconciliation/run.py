"""Reads what a target reports of fleet or load traffic, and evaluates it.

Called when the traffic was sent. Polls until the graph shows as many requests as were sent, or the
declared freshness has passed; then reads each view once. Differences are read again until the
declared freshness has passed, because views may be late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, TypeAlias

from trueup.conformance.client.clock import Clock, WallClock
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.polling import poll_until
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.client.session import declare_readings, judge_plan
from trueup.conformance.contract.interpretation import freshness_s
from trueup.conformance.errors import unwrap_group
from trueup.conformance.observed.observations import Observations
from trueup.conformance.ports import SentTraffic
from trueup.conformance.reconciliation.case import Case
from trueup.conformance.reconciliation.evaluate import inspections, judge_case, requests_to_repeat
from trueup.conformance.reconciliation.plan import (
    baseline_requests,
    baseline_stage_of,
    graph_requests,
    snapshot_requests,
    stage_of,
)
from trueup.conformance.requests import ApiRequest
from trueup.conformance.target.model import Target
from trueup.reports.journal.records import Record, Result, TieOutSeen
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import CheckResult, ExitStatus, TieOut, Verdict
from trueup.reports.verdicts import overall

__all__ = ["TrafficOutcome", "read_baseline", "reconcile_traffic"]

POLL_S: Final = 0.1
POLL_MOST_S: Final = 2.0
CONSECUTIVE_READS: Final = 3
"""Times in a row that the graphs must show the traffic, so that late replicas are noticed."""
FIRST_PAUSE_S: Final = 0.5
"""First pause before differences are read again, in seconds; each is twice the one before."""
SPARE_READS: Final = 4
"""Reads that the budget must still allow for another one before the freshness has passed."""

_Judged: TypeAlias = tuple[list[CheckResult], list[TieOut]]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrafficOutcome:
    """The result of a reconciliation."""

    results: tuple[CheckResult, ...]
    tie_outs: tuple[TieOut, ...]
    exit_status: ExitStatus
    requests: int


async def reconcile_traffic(
    target: Target,
    *,
    writer: JournalWriter,
    sent: SentTraffic,
    part: str,
    clock: Clock | None = None,
    baseline: Sequence[Record] = (),
) -> TrafficOutcome:
    """Reconcile traffic that was sent with the target; record exchanges, verdicts and tie-out rows.

    `part` is one of `PARTS`; `trueup.conformance.reconciliation.evaluate.traffic_checks` returns
    the names of its checks. `baseline` is what `read_baseline` returned before the traffic.

    Raises:
        BudgetExhausted: the requests that the target file allows do not suffice.
    """
    clock = clock or WallClock()
    recorder = Recorder(writer, secrets=target.secrets)
    customers = {
        letter: tenant.customer_id
        for letter, tenant in target.tenants.items()
        if tenant.customer_id in sent.customers and tenant.customer_id is not None
    }
    declare_readings(target, recorder)
    recorder.write(
        judge_plan(
            target,
            now=clock.now(),
            customers=customers,
            part=part,
            requests=target.budget.requests,
        )
    )
    with unwrap_group():
        return await _reconciled(target, recorder, clock, sent, part, baseline)


async def read_baseline(
    target: Target, *, writer: JournalWriter, part: str, clock: Clock | None = None
) -> Sequence[Record]:
    """Read accounts and ledgers before a part's traffic is sent, so that the accounts tie out too.

    Returns what was recorded. Raises BudgetExhausted as `reconcile_traffic` does.
    """
    recorder = Recorder(writer, secrets=target.secrets)
    questions = baseline_requests(target.claims, target.tenants)
    with unwrap_group():
        async with (
            ReadClient(target, recorder, clock or WallClock()) as client,
            asyncio.TaskGroup() as group,
        ):
            for request in questions:
                group.create_task(client.ask(request, stage=baseline_stage_of(part)))
    return tuple(recorder.records)


async def _reconciled(
    target: Target,
    recorder: Recorder,
    clock: Clock,
    sent: SentTraffic,
    part: str,
    baseline: Sequence[Record],
) -> TrafficOutcome:
    limit_s = freshness_s(target.readings)
    async with ReadClient(target, recorder, clock, sent=sent) as client:
        shell = _Shell(client, recorder, clock, sent, part, limit_s, baseline)
        await shell.settle()
        results, rows = await shell.read()
        while shell.may_be_late(results):
            results, rows = await shell.read_again(results)
        for row in rows:
            recorder.write(TieOutSeen(part=part, row=row))
        for result in results:
            recorder.write(Result(result=result))
        return TrafficOutcome(
            results=tuple(results),
            tie_outs=tuple(rows),
            exit_status=overall(results),
            requests=client.pacer.made,
        )


class _Shell:
    """Sends the requests in the order on which the evaluation relies."""

    def __init__(
        self,
        client: ReadClient,
        recorder: Recorder,
        clock: Clock,
        sent: SentTraffic,
        part: str,
        limit_s: float,
        baseline: Sequence[Record],
    ) -> None:
        """`limit_s` is how late a view may be after the traffic was sent, which is now."""
        self._baseline = baseline
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._part = part
        self._until = clock.monotonic() + limit_s
        self._attempt = 0
        self._late = False
        self._pause = FIRST_PAUSE_S
        self._cost = 0
        self._first = Case.of(self._observations, sent, part)

    @property
    def _observations(self) -> Observations:
        return Observations((*self._baseline, *self._recorder.records), part=self._part)

    @property
    def _case(self) -> Case:
        """The case, from everything that was recorded so far."""
        return self._first.anew(self._observations)

    async def settle(self) -> None:
        """Poll the graphs until they show what was sent, three times in a row."""
        stage = f"{stage_of(self._part)} wait"
        questions = graph_requests(self._observations, self._first.events, 9)
        attempts = count(1)

        async def shown() -> bool:
            await self._ask((request for request, _ in questions), stage, next(attempts))
            return self._all_there(questions, stage)

        await poll_until(
            shown,
            clock=self._clock,
            until=self._until,
            pause_s=POLL_S,
            most_pause_s=POLL_MOST_S,
            sights=CONSECUTIVE_READS,
        )

    def _all_there(self, questions: Sequence[tuple[ApiRequest, str]], stage: str) -> bool:
        """Return whether the graphs show all of the traffic and the other traffic of this run."""
        observations, expected = self._observations, self._first.sums
        for request, network in questions:
            points, _, _ = observations.points(stage, request)
            customer = observations.context.customers[request.tenant]
            sent = sum(
                span.certain.requests
                + expected.background_of(network_day, own_users=False).certain.requests
                for network_day, span in expected.days.items()
                if network_day[:2] == (customer, network)
            )
            if sum(point.requests for point in points) < sent:
                return False
        return True

    async def read(self) -> _Judged:
        """Read every view once and return the evaluation."""
        return await self._read([search.request for search in self._case.searches], None)

    async def _read(
        self, searches: Sequence[ApiRequest], logs: Sequence[ApiRequest] | None
    ) -> _Judged:
        """Read and evaluate. Of the logs read what is missing, and `logs`; None: all."""
        self._attempt += 1
        before = self._client.pacer.made
        expected = self._first.events
        await self._now(snapshot_requests(self._observations, expected, 1))
        await self._now(searches)
        await self._now(snapshot_requests(self._observations, expected, 2))
        case = self._case
        every = case.log_requests
        missing = (r for r in every if case.observations.response(case.stage, r) is None)
        await self._now([*(every if logs is None else logs), *missing])
        case = self._case
        places = inspections(case)
        if places:
            await self._now(inspection.request for inspection in places)
            case = self._case
        self._cost = self._client.pacer.made - before
        return judge_case(case)

    def may_be_late(self, results: Sequence[CheckResult]) -> bool:
        """Return whether something differs that may only be late: each is read twice at least."""
        return not self._late and any(result.verdict is Verdict.FAIL for result in results)

    async def read_again(self, results: Sequence[CheckResult]) -> _Judged:
        """Wait, and read again what differs; for the last time when the freshness has passed."""
        left = self._until - self._clock.monotonic()
        if self._client.pacer.left < SPARE_READS * self._cost:
            self._pause = max(left, FIRST_PAUSE_S)
        await self._clock.sleep(max(FIRST_PAUSE_S, min(self._pause, left)))
        self._pause *= 2
        self._late = self._clock.monotonic() >= self._until
        failed = {result.check for result in results if result.verdict is Verdict.FAIL}
        return await self._read(*requests_to_repeat(self._case, failed))

    async def _now(self, questions: Iterable[ApiRequest]) -> None:
        await self._ask(questions, stage_of(self._part), self._attempt)

    async def _ask(self, questions: Iterable[ApiRequest], stage: str, attempt: int) -> None:
        async with asyncio.TaskGroup() as group:
            for request in dict.fromkeys(questions):
                group.create_task(self._client.ask(request, stage=stage, attempt=attempt))
