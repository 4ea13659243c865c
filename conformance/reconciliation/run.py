"""Reads what a target reports of fleet or load traffic, and has it judged: one thin shell.

Called once the traffic is sent. Polls until the graph shows as many requests as were sent, or the
declared freshness is over; then reads each view once. Whatever differs is read again until the
declared freshness is over: only then is a target convicted that may have been late.
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
from trueup.conformance.errors import unwrap_group
from trueup.conformance.observed.observations import Observations
from trueup.conformance.ports import SentTraffic
from trueup.conformance.reconciliation.case import Case
from trueup.conformance.reconciliation.evaluate import judge_case, looks, to_ask_again
from trueup.conformance.reconciliation.plan import fence_asks, graph_asks, log_asks, stage_of
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import format_time
from trueup.conformance.target.model import Target
from trueup.reports.journal.records import JudgePlan, ReadingSeen, Result, TieOutSeen
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import CheckResult, ExitStatus, Reading, TieOut, Verdict
from trueup.reports.verdicts import overall

__all__ = ["TrafficOutcome", "reconcile_traffic"]

UNDECLARED_FRESHNESS_S: Final = 35.0
POLL_S: Final = 0.1
POLL_MOST_S: Final = 2.0
SIGHTS: Final = 3
"""Times in a row that the graphs must show the traffic, so that lagging replicas are met."""
AGAIN_S: Final = 0.5
"""First pause before what differs is read again; each is twice the one before."""
SPARE_READS: Final = 4
"""Reads that the budget must still allow for one to be made before the freshness is over."""

_Judged: TypeAlias = tuple[list[CheckResult], list[TieOut]]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrafficOutcome:
    """What a reconciliation found."""

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
) -> TrafficOutcome:
    """Hold the target to traffic that was sent; records the exchanges, verdicts and tie-out rows.

    `part` is `fleet` or `load`; the names of its checks, for the header, come from
    `trueup.conformance.reconciliation.evaluate.traffic_checks`. Raises BudgetExhausted where the
    target file's
    requests do not suffice.
    """
    clock = clock or WallClock()
    recorder = Recorder(writer, secrets=target.secrets)
    customers = {
        letter: tenant.customer_id
        for letter, tenant in target.tenants.items()
        if tenant.customer_id in sent.customers and tenant.customer_id is not None
    }
    shape = target.graph
    for name, value in target.readings.items():
        recorder.write(ReadingSeen(reading=Reading(name=name, value=value, how="declared")))
    recorder.write(
        JudgePlan(
            prefix="",
            now=format_time(clock.now()),
            level=0,
            customers=customers,
            claims=tuple(sorted(target.claims)),
            graph={
                "points": shape.points,
                "time": shape.time,
                "requests": shape.requests,
                "bytes": shape.bytes,
            },
            part=part,
            requests=target.budget.requests,
        )
    )
    with unwrap_group():
        return await _reconciled(target, recorder, clock, sent, part)


async def _reconciled(
    target: Target, recorder: Recorder, clock: Clock, sent: SentTraffic, part: str
) -> TrafficOutcome:
    limit_s = float(target.readings.get("freshness-s", UNDECLARED_FRESHNESS_S))
    async with ReadClient(target, recorder, clock) as client:
        shell = _Shell(client, recorder, clock, sent, part, limit_s)
        await shell.settle()
        results, rows = await shell.read()
        while shell.in_doubt(results):
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
    """Asks, in the order that the judges rely on."""

    def __init__(
        self,
        client: ReadClient,
        recorder: Recorder,
        clock: Clock,
        sent: SentTraffic,
        part: str,
        limit_s: float,
    ) -> None:
        """`limit_s` is how late a view may be after the traffic was sent, which is now."""
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._part = part
        self._until = clock.monotonic() + limit_s
        self._attempt = 0
        self._late = False
        self._pause = AGAIN_S
        self._cost = 0
        self._first = Case.of(self._facts, sent, part)

    @property
    def _facts(self) -> Observations:
        return Observations(self._recorder.records, part=self._part)

    @property
    def _case(self) -> Case:
        """The case as it stands, from everything that was recorded so far."""
        return self._first.anew(self._facts)

    async def settle(self) -> None:
        """Poll the graphs until they show what was sent, three times in a row."""
        stage = f"{stage_of(self._part)} wait"
        questions = graph_asks(self._facts, self._first.events, 9)
        attempts = count(1)

        async def shown() -> bool:
            await self._ask((ask for ask, _ in questions), stage, next(attempts))
            return self._all_there(questions, stage)

        await poll_until(
            shown,
            clock=self._clock,
            until=self._until,
            pause_s=POLL_S,
            most_pause_s=POLL_MOST_S,
            sights=SIGHTS,
        )

    def _all_there(self, questions: Sequence[tuple[ApiRequest, str]], stage: str) -> bool:
        """Whether the graphs show all of the traffic beside what is known to be there besides."""
        observations, expected = self._facts, self._first.sums
        for ask, network in questions:
            points, _, _ = observations.points(stage, ask)
            customer = observations.context.customers[ask.tenant]
            sent = sum(
                span.certain.requests + expected.beside_lane(lane, own_users=False).certain.requests
                for lane, span in expected.days.items()
                if lane[:2] == (customer, network)
            )
            if sum(point.requests for point in points) < sent:
                return False
        return True

    async def read(self) -> _Judged:
        """Read every view once and judge."""
        return await self._read([walk.ask for walk in self._case.walks], None)

    async def _read(
        self, walks: Sequence[ApiRequest], logs: Sequence[ApiRequest] | None
    ) -> _Judged:
        """Read and judge. Of the logs, what was never asked, and `logs`; None: all of it."""
        self._attempt += 1
        before = self._client.pacer.made
        expected, stage = self._first.events, self._first.stage
        await self._now(fence_asks(self._facts, expected, 1))
        await self._now(walks)
        await self._now(fence_asks(self._facts, expected, 2))
        observations = self._facts
        every = log_asks(observations, expected, stage)
        again = every if logs is None else logs
        await self._now(
            [*again, *(ask for ask in every if observations.answer(stage, ask) is None)]
        )
        case = self._case
        places = looks(case)
        if places:
            await self._now(look.ask for look in places)
            case = self._case
        self._cost = self._client.pacer.made - before
        return judge_case(case)

    def in_doubt(self, results: Sequence[CheckResult]) -> bool:
        """Whether something differs that may only be late: each is read twice at least."""
        return not self._late and any(result.verdict is Verdict.FAIL for result in results)

    async def read_again(self, results: Sequence[CheckResult]) -> _Judged:
        """Wait, and read again what differs; for the last time when the freshness is over."""
        left = self._until - self._clock.monotonic()
        if self._client.pacer.left < SPARE_READS * self._cost:
            self._pause = max(left, AGAIN_S)
        await self._clock.sleep(max(AGAIN_S, min(self._pause, left)))
        self._pause *= 2
        self._late = self._clock.monotonic() >= self._until
        failed = {result.check for result in results if result.verdict is Verdict.FAIL}
        return await self._read(*to_ask_again(self._case, failed))

    async def _now(self, questions: Iterable[ApiRequest]) -> None:
        await self._ask(questions, stage_of(self._part), self._attempt)

    async def _ask(self, questions: Iterable[ApiRequest], stage: str, attempt: int) -> None:
        async with asyncio.TaskGroup() as group:
            for ask in dict.fromkeys(questions):
                group.create_task(self._client.ask(ask, stage=stage, attempt=attempt))
