"""Deliver events and record their outcomes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from trueup.conformance.client.clock import Clock
from trueup.conformance.client.recorder import Recorder, stamp
from trueup.conformance.datasets.operations import Deliver
from trueup.conformance.errors import TargetLost
from trueup.conformance.model import UNREPORTED, Event
from trueup.conformance.observed.responses import ranges
from trueup.conformance.ports import Ingest
from trueup.conformance.target.model import Target
from trueup.reports.errors import JournalWriteError
from trueup.reports.journal.records import Delivered, OutcomeRange
from trueup.reports.results import EventOutcome, Outcome
from trueup.reports.transport.lost import LostDeliveries

__all__ = ["EventInjector", "injector_of"]

SPLITS_MOST: Final = 200
"""Deliveries of one run that are made only because a whole delivery was refused."""
_UNREPORTED: Final = EventOutcome(Outcome.UNKNOWN, UNREPORTED)
_INTERRUPTED: Final = EventOutcome(Outcome.UNKNOWN, "interrupted before the response")


class EventInjector:
    """Hands events over through the target's ingestion endpoint, and records each delivery."""

    def __init__(
        self, ingest: Ingest, recorder: Recorder, clock: Clock, *, reports_refusals: bool = True
    ) -> None:
        """`reports_refusals`: whether an event that comes back as accepted was accepted by the
        target itself. Otherwise those that a target may refuse are recorded as unknown.
        """
        self._reports_refusals = reports_refusals
        self._ingest = ingest
        self._recorder = recorder
        self._clock = clock
        self._splits = 0
        self._lost = LostDeliveries()
        self.accepted = 0
        """Events of all deliveries that were accepted."""

    async def inject(self, delivery: Deliver, stage: str) -> None:
        """Make a delivery; where it is refused as a whole, deliver its possible events again.

        They are halved until the cause of the refusal stands alone: a target that takes a delivery
        whole or not at all has then been given everything that it can take.
        """
        outcome = await self._deliver(delivery, stage)
        if outcome is not Outcome.REFUSED or len(delivery.events) == 1:
            return
        possible = [event for n, event in enumerate(delivery.events) if n not in delivery.refusable]
        if len(possible) < len(delivery.events):
            await self._again(delivery.dataset, possible, stage)
        else:
            middle = len(possible) // 2
            await self._again(delivery.dataset, possible[:middle], stage)
            await self._again(delivery.dataset, possible[middle:], stage)

    async def _again(self, dataset: str, events: Sequence[Event], stage: str) -> None:
        if events and self._splits < SPLITS_MOST:
            self._splits += 1
            await self.inject(Deliver(dataset=dataset, events=tuple(events)), stage)

    async def _deliver(self, delivery: Deliver, stage: str) -> Outcome | None:
        """Make a delivery once. Returns the outcome that all of its events share, else None.

        Raises TargetLost once several deliveries in a row got nowhere.
        """
        started = self._clock.monotonic()
        try:
            outcomes = await self._ingest.send(delivery.events)
        except BaseException:
            with contextlib.suppress(JournalWriteError):
                self._record(delivery, [_INTERRUPTED] * len(delivery.events), stage, started)
            raise
        if not self._reports_refusals:
            outcomes = [
                _UNREPORTED if n in delivery.refusable and one.outcome is Outcome.ACCEPTED else one
                for n, one in enumerate(outcomes)
            ]
        found = self._record(delivery, outcomes, stage, started)
        if why := self._lost.add(outcomes, self._clock.monotonic() - started):
            raise TargetLost(
                f"the ingestion endpoint takes no events: {why}\n  expected: an endpoint that "
                "responds; check [ingest] in the target file, and the target's own log"
            )
        self.accepted += sum(each.count for each in found if each.outcome is Outcome.ACCEPTED)
        shared = {each.outcome for each in found}
        return found[0].outcome if len(shared) == 1 else None

    def _record(
        self, delivery: Deliver, outcomes: Sequence[EventOutcome], stage: str, started: float
    ) -> tuple[OutcomeRange, ...]:
        """Record a delivery, and return its outcomes as ranges."""
        events = self._recorder.strike([dict(event) for event in delivery.events])
        assert isinstance(events, list)
        found = ranges(outcomes, len(delivery.events))
        self._recorder.write(
            Delivered(
                source="probe",
                outcomes=found,
                at=stamp(self._clock.now()),
                check=delivery.dataset,
                stage=stage,
                events=tuple(event for event in events if isinstance(event, dict)),
                elapsed_ms=round((self._clock.monotonic() - started) * 1000, 3),
            )
        )
        return found


def injector_of(target: Target, ingest: Ingest, recorder: Recorder, clock: Clock) -> EventInjector:
    """Return the injector of a target that has an ingestion endpoint."""
    reports = target.ingest is None or target.ingest.reports_refusals
    return EventInjector(ingest, recorder, clock, reports_refusals=reports)
