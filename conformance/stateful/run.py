"""Random histories: drawn by Hypothesis, acted out on a target, judged, and shrunk if they fail.

The target only ever accumulates, so each history has names of its own and starts at the target's
present; what is left of the shrinking is a short history that fails again under fresh names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import NAMESPACE_URL, uuid5

import msgspec
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import Flaky, NoSuchExample

from trueup.conformance import requests
from trueup.conformance.client.clock import Clock, WallClock, fresh_prefix
from trueup.conformance.client.control import TargetControl
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.recorder import Recorder, stamp
from trueup.conformance.client.session import Session
from trueup.conformance.datasets.injector import EventInjector
from trueup.conformance.errors import unwrap_group
from trueup.conformance.model import Event, EventBatch
from trueup.conformance.observed.observations import Observations
from trueup.conformance.ports import Ingest as WayIn
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import format_time
from trueup.conformance.stateful.evaluate import (
    BEGUN,
    CHECK,
    LAW,
    TITLE,
    evaluate_history,
    stage_of_history,
)
from trueup.conformance.stateful.steps import (
    Advance,
    Deliver,
    History,
    Maintain,
    Observe,
    Pay,
    Redeliver,
    histories,
)
from trueup.conformance.target.model import Target
from trueup.reports.journal.records import Delivered, Hook, Result
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import CheckResult, Counterexample, Difference, Impact, Json, Verdict

__all__ = ["CHECK", "HistoryOutcome", "explore", "replay"]

LOOKS: Final = 4
"""Times that a look is taken again, after a pause that doubles, because views may lag."""
LOOKS_SHRINKING: Final = 2
"""The same once a failure outlived all pauses: what is left is to make it shorter."""
PAUSE_S: Final = 0.1
EVENT_LEAD: Final = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryOutcome:
    """What was found: the shortest failing history, or None."""

    result: CheckResult
    shortest: History | None
    examples: int
    requests: int


def explore(
    target: Target,
    *,
    writer: JournalWriter,
    way_in: Callable[[], AbstractAsyncContextManager[WayIn]],
    seed: int,
    examples: int = 30,
    clock: Clock | None = None,
) -> HistoryOutcome:
    """Draw, act out and judge histories until one fails or `examples` have passed.

    Starts an event loop of its own: call it where none runs. The same seed draws the same
    histories. Raises TargetTrouble and BudgetExhausted as `run_checks` does.
    """
    with unwrap_group(), asyncio.Runner() as runner:
        stage = _Stage(target, writer, way_in, clock or WallClock())
        runner.run(stage.open())
        try:
            shortest = _shortest(stage, runner, seed, examples)
        finally:
            runner.run(stage.close())
        result = stage.result(shortest)
        stage.recorder.write(Result(result=result))
        return HistoryOutcome(
            result=result, shortest=shortest, examples=stage.number, requests=stage.requests
        )


def replay(
    target: Target,
    history: History,
    *,
    writer: JournalWriter,
    way_in: Callable[[], AbstractAsyncContextManager[WayIn]],
    clock: Clock | None = None,
) -> HistoryOutcome:
    """Act one history out again, under fresh names."""
    with unwrap_group(), asyncio.Runner() as runner:
        stage = _Stage(target, writer, way_in, clock or WallClock())
        runner.run(stage.open())
        try:
            failed = runner.run(stage.fails(history))
        finally:
            runner.run(stage.close())
        result = stage.result(history if failed else None)
        stage.recorder.write(Result(result=result))
        return HistoryOutcome(
            result=result,
            shortest=history if failed else None,
            examples=1,
            requests=stage.requests,
        )


def _shortest(stage: _Stage, runner: asyncio.Runner, seed: int, examples: int) -> History | None:
    options = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    try:
        return find(
            histories(stage.hooks),
            lambda history: runner.run(stage.fails(history)),
            settings=options,
            random=Random(seed),  # noqa: S311
        )
    except NoSuchExample:
        return None
    except Flaky:
        return stage.last_failed


class _Stage:
    """Acts histories out. Holds ends of pipes, and the number of the history."""

    def __init__(
        self,
        target: Target,
        writer: JournalWriter,
        way_in: Callable[[], AbstractAsyncContextManager[WayIn]],
        clock: Clock,
    ) -> None:
        self._target = target
        self._clock = clock
        self._door = way_in()
        self.recorder = Recorder(writer, secrets=target.secrets)
        self._client = ReadClient(target, self.recorder, clock)
        self._pull = TargetControl(target, self.recorder, clock)
        self.number = 0
        self.hooks: frozenset[str] = frozenset()
        self.last_failed: History | None = None
        self._found: tuple[list[Difference], list[int]] = ([], [])
        self._looks = 0
        self._events: tuple[Event, ...] = ()

    @property
    def requests(self) -> int:
        return self._client.pacer.made

    async def open(self) -> None:
        await self._client.__aenter__()
        self._way = await self._door.__aenter__()
        meeting = Session(
            target=self._target,
            recorder=self.recorder,
            client=self._client,
            hooks=self._pull,
            clock=self._clock,
        )
        await meeting.open(fresh_prefix(), 3 if self._target.clock is not None else 2)
        context = Observations(self.recorder.records).context
        self.hooks = context.hooks
        self._customer = context.customers["a"]
        self._now = context.now
        self._since = self._clock.monotonic()

    async def close(self) -> None:
        await self._door.__aexit__(None, None, None)
        await self._client.__aexit__(None, None, None)

    def _present(self) -> datetime:
        ticked = timedelta(seconds=int(self._clock.monotonic() - self._since))
        return self._now + ticked

    async def fails(self, history: History) -> bool:
        """Act a history out and say whether any look differs from the oracle."""
        self.number += 1
        prefix = fresh_prefix()
        stage = stage_of_history(self.number)
        begun = self._present()
        mark = len(self.recorder.records)
        self.recorder.write(
            Hook(
                hook=BEGUN,
                at=stamp(self._clock.now()),
                request={"now": format_time(begun)},
                stage=stage,
                check="history",
            )
        )
        planter = EventInjector(self._way, self.recorder, self._clock)
        sent: list[Event] = []
        looks = 0
        for n, step in enumerate((*history, Observe())):
            match step:
                case Deliver():
                    events = self._events_of(step, prefix, len(sent))
                    sent += events
                    await planter.deliver("history", stage, EventBatch(events=tuple(events)))
                case Redeliver():
                    if sent:
                        one = sent[step.nth % len(sent)]
                        await planter.deliver("history", stage, EventBatch(events=(one,)))
                case Advance():
                    await self._advance(step.hours, stage)
                case Maintain():
                    await self._pull.call("maintenance", {}, stage=stage, check="history")
                case Pay():
                    await self._pay(step, n, prefix, stage)
                case Observe():
                    looks += 1
                    await self._look(prefix, stage, looks, mark, begun)
        differences, exchanges, seen = evaluate_history(self.recorder.records[mark:], stage, begun)
        self._looks += seen
        if differences:
            self.last_failed = history
            self._found = (differences, exchanges)
            self._events = tuple(
                event
                for record in self.recorder.records[mark:]
                if isinstance(record, Delivered)
                for event in record.events
            )
        return bool(differences)

    def _events_of(self, step: Deliver, prefix: str, first: int) -> list[Event]:
        made: list[Event] = []
        for n, drawn in enumerate(step.events, first):
            at = self._present() - EVENT_LEAD - timedelta(hours=drawn.hours_old)
            made.append(
                {
                    "log_id": str(uuid5(NAMESPACE_URL, f"{prefix}/history/{n}")),
                    "customer_id": self._customer,
                    "proxy_user_id": f"{prefix}-history-{drawn.user}",
                    "log_network": drawn.network,
                    "log_protocol": "http",
                    "log_hostname": f"h{drawn.host}.{prefix}.conformance.test",
                    "log_client_ip_address": "198.51.100.7",
                    "log_total_bytes": drawn.bytes,
                    "log_request_datetime": format_time(at),
                    "log_authentication_type": 1,
                    "country_id": "us",
                    "city_alias": "dallas",
                    "asn_id": 7018,
                    "log_status_code": drawn.status,
                }
            )
        return made

    async def _advance(self, hours: int, stage: str) -> None:
        goal = self._present() + timedelta(hours=hours)
        values: dict[str, Json] = {"now": format_time(goal), "advance_s": hours * 3600}
        hook = await self._pull.call("clock", values, stage=stage, check="history")
        if hook.ok:
            self._now, self._since = goal, self._clock.monotonic()

    async def _pay(self, step: Pay, n: int, prefix: str, stage: str) -> None:
        mark = int(prefix[2:8], 16) * 64 + n
        sign = -1 if step.kind == "refund" else 1
        values: dict[str, Json] = {
            "customer_id": self._customer,
            "network": step.pool,
            "kind": step.kind,
            "bytes": sign * (2**32 + mark),
            "idempotency_key": f"{prefix}-{n}",
            "service_id": "",
        }
        for _ in range(step.times if "idempotent-money" in self._target.claims else 1):
            await self._pull.call("money", values, stage=stage, check="history")

    async def _look(self, prefix: str, stage: str, look: int, mark: int, begun: datetime) -> None:
        users = [f"{prefix}-history-{n}" for n in range(2)]
        questions: Sequence[ApiRequest] = [
            ask for user in users for ask in (requests.logs(user), requests.summaries(user))
        ]
        if "money" in self.hooks:
            questions = [
                *questions,
                *(ApiRequest(path=f"{p}_ledger/search") for p in requests.POOLS),
            ]
        pause = PAUSE_S
        patience = LOOKS if self.last_failed is None else LOOKS_SHRINKING
        for again in range(patience):
            for ask in questions:
                one = ApiRequest(path=ask.path, query=(*ask.query, ("per_page", "100")))
                await self._client.ask(one, stage=stage, attempt=look * 100 + again)
            found, _, _ = evaluate_history(self.recorder.records[mark:], stage, begun)
            if not found:
                return
            await self._clock.sleep(pause)
            pause *= 2

    def result(self, shortest: History | None) -> CheckResult:
        """The verdict on all histories that were acted out."""
        differences, exchanges = self._found if shortest is not None else ([], [])
        spoken = "" if shortest is None else msgspec.json.encode(shortest).decode()
        reason = (
            f"{self.number} histories agree with the oracle"
            if shortest is None
            else f"a history of {len(shortest)} steps does not: {spoken}"
        )
        return CheckResult(
            check=CHECK,
            law=LAW,
            title=TITLE,
            verdict=Verdict.PASS if shortest is None else Verdict.FAIL,
            reason=reason,
            level=2,
            impact=Impact.UNDER_CHARGE,
            evidence=self._looks,
            expected=differences[0].expected if differences else "",
            seen=differences[0].seen if differences else "",
            counterexample=Counterexample(
                differences=tuple(differences[:5]),
                events=self._events[:12],
                exchanges=tuple(exchanges[:8]),
            )
            if differences
            else None,
        )
