"""The freshness probe of a load run: events of a user of their own, looked for in the summaries.

Only the probe has its user and hostname, so a count of them is a count of probe events. The
user belongs to one run: a target that outlives a run would refuse an id that it already knows with
another time, and would count the events of an earlier run as these. Reads go through the read
client of the conformance checks: `[budget]` paces them, and each is in the journal.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from trueup.conformance.client.clock import Clock, WallClock
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.requests import ApiRequest
from trueup.conformance.target.model import Target
from trueup.reports.journal.records import Delivered, OutcomeRange
from trueup.reports.results import EventOutcome, Json, Outcome
from trueup.scenarios.run.probe_events import probe_event
from trueup.simulator.delivery import Driver

__all__ = ["STAGE", "SummaryProbe"]

STAGE: Final = "traffic freshness"
"""Stage of the probe's exchanges in the journal: no check and no reconciliation reads them."""
_HOST: Final = "freshness.probe.example"


class SummaryProbe:
    """A `trueup.scenarios.load.freshness.FreshnessProbe`: a driver injects, a search looks.

    An async context manager: it holds the read client.
    """

    def __init__(
        self,
        target: Target,
        driver: Driver,
        recorder: Recorder,
        *,
        run: str,
        now: Callable[[], datetime],
        clock: Clock | None = None,
    ) -> None:
        """`run` is the run's name, which makes the ids of its events unique; `now` returns the
        target's time. Tenant `a` must have its customer id."""
        customer = target.tenants["a"].customer_id
        assert customer is not None
        self._customer = customer
        self._driver, self._now = driver, now
        self._user = f"trueup-freshness-{uuid.uuid5(uuid.NAMESPACE_URL, run).hex[:16]}"
        self._client = ReadClient(target, recorder, clock or WallClock(), ends_when_lost=False)
        self._search = ApiRequest(
            path="log_summary/search",
            query=(("proxy_user_id", self._user), ("per_page", "100")),
        )
        self._acknowledged = self._reads = 0
        self.events: list[dict[str, Json]] = []
        """Every injected event, in order."""
        self.outcomes: list[OutcomeRange] = []

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    def _event(self, number: int) -> dict[str, Json]:
        return probe_event(
            str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._user}/{number}")),
            customer=self._customer,
            user=self._user,
            hostname=_HOST,
            at=self._now(),
        )

    async def inject(self) -> bool:
        """Deliver the next probe event; returns whether it was acknowledged."""
        number = len(self.events)
        event = self._event(number)
        try:
            (found,) = await self._driver.send([event])
        except asyncio.CancelledError:
            self._record(
                number, event, EventOutcome(Outcome.UNKNOWN, "the run ended before a response")
            )
            raise
        self._record(number, event, found)
        accepted = found.outcome is Outcome.ACCEPTED
        self._acknowledged += accepted
        return accepted

    def _record(self, number: int, event: dict[str, Json], found: EventOutcome) -> None:
        self.outcomes.append(
            OutcomeRange(first=number, count=1, outcome=found.outcome, reason=found.reason)
        )
        self.events.append(event)

    async def visible(self) -> bool:
        """Return whether the summaries of the probe's user count every acknowledged event.

        A target that does not respond shows nothing; the load itself reports why. Raises
        BudgetExhausted once `[budget]` allows no further request.
        """
        self._reads += 1
        *_, exchange = await self._client.ask(self._search, stage=STAGE, attempt=self._reads)
        return _requests(exchange.body) >= self._acknowledged

    def delivered(self, *, at: str) -> Delivered:
        """Return everything that was injected, as a record of the journal."""
        return Delivered(
            source="load",
            stage="freshness",
            events=tuple(self.events),
            outcomes=tuple(self.outcomes),
            at=at,
        )


def _requests(body: Json) -> int:
    """Requests counted by the rows of a summary search; 0 where the body is none."""
    rows = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(rows, list):
        return 0
    counts = (row.get("log_summary_requests") for row in rows if isinstance(row, Mapping))
    return sum(count for count in counts if isinstance(count, int))
