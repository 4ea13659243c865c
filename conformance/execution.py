"""Execute one stage of a plan: act, wait until it is visible, request, and request again what lags.

The plan decides what is done and requested. This module holds I/O objects and the responses of the
current stage; all results are in the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, assert_never

from trueup.conformance.client.clock import Clock
from trueup.conformance.client.control import TargetControl
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.polling import poll_until
from trueup.conformance.client.session import Session
from trueup.conformance.contract.interpretation import freshness_s
from trueup.conformance.datasets.event_times import DISTANCE
from trueup.conformance.datasets.freshness_probe import (
    are_visible,
    probe_delivery,
    probe_requests,
)
from trueup.conformance.datasets.injector import EventInjector, injector_of
from trueup.conformance.datasets.operations import (
    ChangeUser,
    Deliver,
    Maintain,
    Operation,
    Pay,
    Read,
    Restart,
    Stage,
    Together,
)
from trueup.conformance.model import CheckContext
from trueup.conformance.ports import Ingest
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import Row, as_text, get_path, rows_of
from trueup.conformance.target.placeholders import money_values
from trueup.reports.journal.records import Exchange
from trueup.reports.results import Json

__all__ = ["Executor", "WrongExchanges", "executor_of"]

WrongExchanges = Callable[[], Mapping[str, Collection[int]]]
"""Name of each check that fails on what is recorded so far → the exchanges that show it."""

POLL_S: Final = 0.05
POLL_MOST_S: Final = 1.0
SIGHTS: Final = 4
"""Times in a row that the probe must be seen at first, so that lagging replicas have been met."""
MARGIN_S: Final = 0.02
"""How long after the freshness bound a request is made that must be right."""
STABLE_TRIES: Final = 4
"""Times that account figures are read until nothing moves between the first and the last."""


@dataclass(slots=True)
class _MadeRequest:
    """What the current stage has asked: the last responses, and how often it was asked."""

    request: ApiRequest
    exchanges: tuple[Exchange, ...] = ()
    attempt: int = 0

    @property
    def rows(self) -> list[Row]:
        served = [exchange for exchange in self.exchanges if exchange.status == 200]
        return [row for exchange in served for row in rows_of(exchange.body) or ()]


def executor_of(session: Session, ingest: Ingest | None, wrong: WrongExchanges) -> Executor:
    """Return what executes the stages of an open session; it delivers events through `ingest`."""
    target, recorder, clock = session.target, session.recorder, session.clock
    return Executor(
        client=session.client,
        control=session.control,
        injector=None if ingest is None else injector_of(target, ingest, recorder, clock),
        clock=clock,
        present=session.time.present,
        freshness_s=freshness_s(target.readings),
        wrong=wrong,
    )


@dataclass(kw_only=True, slots=True)
class Executor:
    """Executes stages. `present` tells the target's time."""

    client: ReadClient
    control: TargetControl
    injector: EventInjector | None
    clock: Clock
    present: Callable[[], datetime]
    freshness_s: float
    """Longest time until every view shows what was written."""
    wrong: WrongExchanges
    _asked: dict[str, _MadeRequest] = field(default_factory=dict)
    _stage: str = ""
    _written_at: float = 0.0
    _probed: int = 0
    _given_up: set[str] = field(default_factory=set)
    """Checks that failed until every view had to be current: waiting again is useless."""

    async def execute(self, stage: Stage, context: CheckContext) -> None:
        """Do a stage's operations, then make its requests until their responses are right."""
        self._begin(stage.name)
        if stage.at is not None:
            self._written_at = self.clock.monotonic()  # a move of the clock changes every view
        for operation in stage.operations:
            await self._operate(operation, context)
        if stage.writes:
            await self.wait_until_visible(context)
        await self.ask(stage.requests)
        await self.ask(
            each.source for each in stage.follow_ups if each.source.name not in self._asked
        )
        await self.ask(self._followed(stage))
        for snapshot in stage.snapshots:
            await self._snapshot(snapshot)
        await self._ask_again(stage.snapshots)

    def note_earlier_write(self, seconds: float) -> None:
        """Note that something was written so many seconds ago, by an earlier run."""
        self._written_at = self.clock.monotonic() - seconds

    def _begin(self, stage: str) -> None:
        self._stage = stage
        self._asked = {}

    # --- operations

    async def _operate(self, operation: Operation, context: CheckContext) -> None:
        match operation:
            case Read():
                await self.ask(operation.requests)
                await self._ask_again(())
                return
            case ChangeUser():
                await self.client.ask(operation.request, stage=self._stage)
            case Deliver():
                await self.deliver(operation)
            case Pay():
                await self._pay(operation, context)
            case Maintain():
                await self.control.call("maintenance", {}, stage=self._stage)
            case Restart():
                await self.control.call("restart", {}, stage=self._stage)
            case Together():
                async with asyncio.TaskGroup() as group:
                    for each in operation.operations:
                        group.create_task(self._operate(each, context))
            case _:
                assert_never(operation)
        self._written_at = self.clock.monotonic()

    async def deliver(self, delivery: Deliver) -> None:
        """Make a delivery, where the target has an ingestion endpoint."""
        if self.injector is not None:
            await self.injector.inject(delivery, self._stage)
            self._written_at = self.clock.monotonic()

    async def _pay(self, payment: Pay, context: CheckContext) -> None:
        number = context.customers.get(payment.tenant, 0)
        values = money_values(number, payment.network, payment.kind, payment.bytes, payment.key)
        await self.control.call("money", values, stage=self._stage)

    async def wait_until_visible(self, context: CheckContext) -> None:
        """Deliver the freshness probe and poll until logs and summaries show it, or time is up.

        The first time it must be seen several times in a row. A probe of which no event was
        accepted is not waited for.
        """
        if self.injector is None:
            return
        before = self.injector.accepted
        at = (self.present() - DISTANCE).replace(microsecond=0)
        probe = probe_delivery(context, self._stage, at)
        await self.deliver(probe)
        taken = self.injector.accepted - before
        if taken < len(probe.events):
            return
        wanted = SIGHTS if not self._probed else 1
        self._probed += taken
        ids = {str(event["log_id"]) for event in probe.events}
        requests = probe_requests(context)

        async def visible() -> bool:
            if self.client.stuck:  # nothing is sent any more, so there is nothing to wait for
                return True
            await self.ask(requests)
            logs, summaries = (self._asked[request.name].rows for request in requests)
            return are_visible(ids, self._probed, logs, summaries)

        await poll_until(
            visible,
            clock=self.clock,
            until=self.clock.monotonic() + self.freshness_s,
            pause_s=POLL_S,
            most_pause_s=POLL_MOST_S,
            sights=wanted,
        )

    # --- requests

    async def ask(self, requests: Iterable[ApiRequest]) -> None:
        """Make requests side by side; one that this stage has made before is a new attempt."""
        async with asyncio.TaskGroup() as group:
            for request in dict.fromkeys(requests):
                group.create_task(self._ask(request))

    async def _ask(self, request: ApiRequest) -> None:
        asked = self._asked.setdefault(request.name, _MadeRequest(request=request))
        asked.attempt += 1
        asked.exchanges = await self.client.ask(request, stage=self._stage, attempt=asked.attempt)

    def _followed(self, stage: Stage) -> list[ApiRequest]:
        """The requests that the responses of this stage give rise to."""
        found: list[ApiRequest] = []
        for each in stage.follow_ups:
            asked = self._asked.get(each.source.name)
            values = [as_text(row.get(each.field)) for row in (asked.rows if asked else ())]
            known = list(dict.fromkeys(value for value in values if value))
            places = [n for n in each.places if -len(known) <= n < len(known)]
            found += [each.fill(known[n]) for n in places]
        return list(dict.fromkeys(found))

    async def _snapshot(self, snapshot: Sequence[ApiRequest]) -> None:
        """Make requests one after the other, again while what they are about moves meanwhile."""
        pause = POLL_S
        for _ in range(STABLE_TRIES):
            for request in snapshot:
                await self._ask(request)
            if self._is_stable(snapshot):
                return
            await self.clock.sleep(pause)
            pause *= 2

    def _is_stable(self, snapshot: Sequence[ApiRequest]) -> bool:
        """Whether requests that a snapshot makes twice have equal responses."""
        seen: dict[tuple[str, tuple[tuple[str, str], ...]], Json] = {}
        for request in snapshot:
            exchanges = self._asked[request.name].exchanges
            bodies: Json = [get_path(exchange.body, "data") for exchange in exchanges]
            if seen.setdefault((request.path, request.query), bodies) != bodies:
                return False
        return True

    async def _ask_again(self, snapshots: Sequence[Sequence[ApiRequest]]) -> None:
        """Ask again what is wrong until it is right, or until nothing that was written may lag.

        As long as nothing comes right, one request for each failing check is asked again, and the
        others only at the end: a target that stays wrong must not use up the budget of the run.
        A check that fails for all of that time is not waited for at later stages.
        """
        deadline = self._written_at + self.freshness_s
        pause = POLL_S
        last = False
        before: list[str] = []
        while True:
            failing = {
                check: set(numbers)
                for check, numbers in self.wrong().items()
                if check not in self._given_up
            }
            wrong = self._wrong_requests(set().union(*failing.values()) if failing else set())
            if not wrong or self.client.stuck:
                return
            if last:
                self._given_up |= set(failing)
                return
            left = deadline - self.clock.monotonic()
            await self.clock.sleep(max(0.0, min(pause, left)) + MARGIN_S)
            pause = min(pause * 2, POLL_MOST_S)
            last = self.clock.monotonic() >= deadline
            again = set(wrong)
            if wrong == before and not last:
                again = {n for each in failing.values() for n in self._wrong_requests(each)[:1]}
            before = wrong
            whole = [snapshot for snapshot in snapshots if again & {each.name for each in snapshot}]
            inside = {each.name for snapshot in whole for each in snapshot}
            await self.ask(self._asked[name].request for name in wrong if name in again - inside)
            for snapshot in whole:
                await self._snapshot(snapshot)

    def _wrong_requests(self, numbers: Collection[int]) -> list[str]:
        """Names of this stage's requests whose last responses are among the exchanges."""
        return [
            name
            for name, asked in self._asked.items()
            if any(exchange.n in numbers for exchange in asked.exchanges)
        ]
