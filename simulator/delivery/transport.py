"""Drivers over a transport: a small protocol for message brokers and for code of other packages.

A transport only hands on batches of events that are already in the target's form. What every way of
ingestion shares is done here: field mapping, the size of a batch, and outcomes that account for
every event even where a transport does not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from trueup.reports.event_format import EventFormat
from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import EventOutcome, Json, Outcome
from trueup.reports.transport.foreign_text import foreign_text
from trueup.simulator.delivery.forms import events_of
from trueup.simulator.delivery.outcomes import BatchOutcome, single_range
from trueup.simulator.errors import TransportUnreachable

__all__ = ["Transport", "TransportDriver"]


class Transport(Protocol):
    """Hands batches of events to a target. All its calls come from one event loop."""

    async def check(self) -> None:
        """Establish that events can be sent; called once, before the first batch.

        Raises TransportUnreachable with what was tried, what came back and what to do.
        """
        ...

    async def send_ndjson(self, body: bytes, count: int) -> BatchOutcome:
        """Deliver `count` events, one JSON object a line of `body`; returns their outcomes.

        Several calls may run at the same time. Raises TransportUnreachable only where nothing was
        sent; after another exception the events are unknown.
        """
        ...

    async def close(self) -> None:
        """Release connections; a closed transport is not used again."""
        ...


class TransportDriver:
    """Implement `Driver` over a transport."""

    def __init__(
        self, transport: Transport, *, max_events: int, format: EventFormat | None = None
    ) -> None:
        """`max_events`: most events in one call of the transport; `format`: one of lines."""
        self._transport, self._max_events = transport, max_events
        self._format = format or EventFormat()

    async def check(self) -> None:
        """Establish that events can be sent. Raises TransportUnreachable."""
        await self._transport.check()

    async def send(self, events: Sequence[Mapping[str, Json]]) -> Sequence[EventOutcome]:
        """Deliver events; returns one outcome per event, in order."""
        return (
            await self._deliver([self._format.text(event) + b"\n" for event in events])
        ).events()

    async def send_ndjson(self, body: bytes, count: int) -> BatchOutcome:
        """Deliver `count` events, one JSON object a line of `body`; returns their outcomes."""
        if self._format.is_plain and count <= self._max_events:
            return await self._hand_on(body, count)
        lines = body.splitlines(keepends=True)
        if not self._format.is_plain:
            lines = [self._format.text(event) + b"\n" for event in events_of(body)]
        return await self._deliver(lines)

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.close()

    async def _deliver(self, lines: Sequence[bytes]) -> BatchOutcome:
        """Deliver events that are already in the target's form, in batches one after the other."""
        started = time.perf_counter()
        ranges: list[OutcomeRange] = []
        attempts = 1
        for first in range(0, len(lines), self._max_events):
            part = lines[first : first + self._max_events]
            outcome = await self._hand_on(b"".join(part), len(part))
            ranges += outcome.shifted(first)
            attempts = max(attempts, outcome.attempts)
        return BatchOutcome(
            count=len(lines),
            ranges=tuple(ranges),
            attempts=attempts,
            elapsed_ms=(time.perf_counter() - started) * 1e3,
        )

    async def _hand_on(self, body: bytes, count: int) -> BatchOutcome:
        """Return the outcome of one batch; unknown where the transport does not tell it."""
        started = time.perf_counter()
        kind = Outcome.UNKNOWN
        try:
            outcome = await self._transport.send_ndjson(body, count)
        except TransportUnreachable as error:
            kind, why = Outcome.REFUSED, f"not delivered: {foreign_text(str(error))}"
        except Exception as error:
            why = f"the transport raised {type(error).__name__}: {foreign_text(str(error))}"
        else:
            if _covers(outcome, count):
                return outcome
            told = sum(part.count for part in outcome.ranges)
            why = f"the transport accounts for {told} of {count} events, or not in their order"
        return BatchOutcome(
            count=count,
            ranges=single_range(count, kind, why),
            elapsed_ms=(time.perf_counter() - started) * 1e3,
        )


def _covers(outcome: BatchOutcome, count: int) -> bool:
    """Return whether the ranges cover events 0 … count-1 once, in order."""
    at = 0
    for part in outcome.ranges:
        if part.first != at or part.count < 1:
            return False
        at += part.count
    return at == count
