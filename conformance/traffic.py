"""Reads what a target reports of fleet or load traffic, and has it judged: one thin shell.

Called once the traffic is sent. Polls until the graph shows as many requests as were sent, or the
declared freshness is over; then reads each view once, and whatever differs once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from conformance.client import ReadClient
from conformance.errors import one_error
from conformance.facts import Facts
from conformance.model import Ask
from conformance.ports import SentTraffic
from conformance.reconcile import Expected, judge_traffic
from conformance.recorder import Recorder
from conformance.rows import time_text
from conformance.target_values import Target
from conformance.traffic_asks import (
    fence_asks,
    graph_asks,
    log_id_asks,
    log_walk_asks,
    stage_of,
    summary_asks,
)
from conformance.verdicts import exit_status
from conformance.wall_clock import OurClock, WallClock
from reports.facts import CheckResult, ExitStatus, Reading, TieOut, Verdict
from reports.journal import JournalWriter
from reports.records import JudgePlan, ReadingSeen, Result, TieOutSeen

__all__ = ["TrafficOutcome", "reconcile_traffic"]

UNDECLARED_FRESHNESS_S: Final = 35.0
POLL_S: Final = 0.1
POLL_MOST_S: Final = 2.0


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
    clock: OurClock | None = None,
) -> TrafficOutcome:
    """Hold the target to traffic that was sent; records the exchanges, verdicts and tie-out rows.

    `part` is `fleet` or `load`; the names of its checks, for the header, come from
    `conformance.reconcile.traffic_checks`. Raises BudgetExhausted where the target file's
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
            now=time_text(clock.now()),
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
        )
    )
    with one_error():
        return await _reconciled(target, recorder, clock, sent, part)


async def _reconciled(
    target: Target, recorder: Recorder, clock: OurClock, sent: SentTraffic, part: str
) -> TrafficOutcome:
    expected = Expected(sent)
    async with ReadClient(target, recorder, clock) as client:
        shell = _Shell(client, recorder, clock, expected, part)
        await shell.settle(
            Expected.as_read(sent, target.readings),
            float(target.readings.get("freshness-s", UNDECLARED_FRESHNESS_S)),
        )
        results, rows = await shell.read(1)
        if any(result.verdict is Verdict.FAIL for result in results):
            await clock.sleep(0.5)
            results, rows = await shell.read(2)
        for row in rows:
            recorder.write(TieOutSeen(part=part, row=row))
        for result in results:
            recorder.write(Result(result=result))
        return TrafficOutcome(
            results=tuple(results),
            tie_outs=tuple(rows),
            exit_status=exit_status(results),
            requests=client.pacer.made,
        )


class _Shell:
    """Asks, in the order that the judges rely on."""

    def __init__(
        self,
        client: ReadClient,
        recorder: Recorder,
        clock: OurClock,
        expected: Expected,
        part: str,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._expected = expected
        self._part = part

    @property
    def _facts(self) -> Facts:
        return Facts(self._recorder.records, part=self._part)

    async def settle(self, expected: Expected, limit_s: float) -> None:
        """Poll the graphs until they show what was sent, three times in a row."""
        cells, slack = self._expected.cells, self._expected.slack
        started = self._clock.monotonic()
        pause, sights, attempt = POLL_S, 0, 0
        while sights < 3 and self._clock.monotonic() - started < limit_s:
            attempt += 1
            questions = graph_asks(self._facts, cells, slack, 9)
            await self._ask([ask for ask, _ in questions], f"{stage_of(self._part)} wait", attempt)
            sights = sights + 1 if self._all_there(expected, questions) else 0
            if not sights:
                await self._clock.sleep(pause)
                pause = min(pause * 1.5, POLL_MOST_S)

    def _all_there(self, expected: Expected, questions: Sequence[tuple[Ask, str]]) -> bool:
        facts = self._facts
        for ask, network in questions:
            points, _, _ = facts.points(f"{stage_of(self._part)} wait", ask)
            customer = facts.scene.customers[ask.tenant]
            sent = sum(
                sure.requests
                for (number, lane, _), (sure, _) in expected.days.items()
                if (number, lane) == (customer, network)
            )
            if sum(point.requests for point in points) < sent:
                return False
        return True

    async def read(self, attempt: int) -> tuple[list[CheckResult], list[TieOut]]:
        """Read every view once and judge."""
        cells, slack = self._expected.cells, self._expected.slack
        facts, stage = self._facts, stage_of(self._part)
        await self._ask(fence_asks(facts, cells, slack, 1), stage, attempt)
        await self._ask(summary_asks(facts, cells, slack), stage, attempt)
        await self._ask(fence_asks(facts, cells, slack, 2), stage, attempt)
        await self._ask(log_walk_asks(facts, cells, slack), stage, attempt)
        await self._ask(log_id_asks(facts, self._expected.sent), stage, attempt)
        return judge_traffic(self._recorder.records, self._expected.sent, self._part)

    async def _ask(self, questions: Sequence[Ask], stage: str, attempt: int) -> None:
        async with asyncio.TaskGroup() as group:
            for ask in dict.fromkeys(questions):
                group.create_task(self._client.ask(ask, stage=stage, attempt=attempt))
