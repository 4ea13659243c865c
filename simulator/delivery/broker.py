"""Deliver events as messages of a broker, and retry those that it did not acknowledge.

An event is accepted when the broker has acknowledged its message, refused when the broker states
that it did not take it, and otherwise unknown. What the target makes of a message that the broker
has is for the reconciliation to show.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from trueup.reports.event_format import EventFormat, Framing
from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import Json, Outcome
from trueup.simulator.delivery.forms import events_of
from trueup.simulator.delivery.outcomes import BatchOutcome, merge_ranges
from trueup.simulator.delivery.retry import RetryPolicy

__all__ = ["Acknowledgement", "Broker", "BrokerTransport", "Message", "messages_of"]


class Message(NamedTuple):
    """One message: some of a batch's events."""

    payload: bytes
    key: bytes | None
    first: int
    """Number of its first event within the batch."""
    events: int


class Acknowledgement(NamedTuple):
    """What is known of one message after an attempt to publish it."""

    outcome: Outcome
    reason: str = ""
    """Why it was not acknowledged; empty if it was."""
    again: bool = False
    """Whether another attempt makes sense."""


class Broker(Protocol):
    """A client of one message broker. Its calls come from one event loop."""

    async def open(self) -> None:
        """Connect, and establish that messages can be published. May be called again.

        Raises TransportUnreachable with what was tried, what came back and what to do.
        """
        ...

    async def publish(self, messages: Sequence[Message]) -> Sequence[Acknowledgement]:
        """Publish messages once and wait for the broker; one result each, in order.

        Raises TransportUnreachable only where it never connected.
        """
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


class BrokerTransport:
    """Implement `Transport` over a broker."""

    def __init__(
        self,
        broker: Broker,
        *,
        format: EventFormat,
        key: str = "",
        retry: RetryPolicy | None = None,
    ) -> None:
        """`format` with one event a body: a message for each event; else one for a whole batch.
        `key`: field of an event whose value becomes the message's key; empty: no key.
        """
        self._broker, self._format, self._key = broker, format, key
        self._retry = retry or RetryPolicy()

    async def check(self) -> None:
        """Connect. Raises TransportUnreachable."""
        await self._broker.open()

    async def close(self) -> None:
        """Disconnect."""
        await self._broker.close()

    async def send_ndjson(self, body: bytes, count: int) -> BatchOutcome:
        """Deliver `count` events, one JSON object a line of `body`; returns their outcomes."""
        started = time.perf_counter()
        messages = list(messages_of(self._format, body, key=self._key))
        settled: list[OutcomeRange | None] = [None] * len(messages)
        maybe_stored = [False] * len(messages)
        still_open = list(range(len(messages)))
        attempt = 0
        while still_open:
            attempt += 1
            found = await self._broker.publish([messages[n] for n in still_open])
            for n, result in zip(still_open, found, strict=True):
                maybe_stored[n] = maybe_stored[n] or result.outcome is Outcome.UNKNOWN
                settled[n] = _outcome(messages[n], result, maybe_stored=maybe_stored[n])
            still_open = [n for n, one in zip(still_open, found, strict=True) if one.again]
            pause_s = self._retry.pause_s(attempt)
            if self._retry.is_exhausted(attempt, time.perf_counter() - started, pause_s):
                break
            if still_open:
                await asyncio.sleep(pause_s)
        return BatchOutcome(
            count=count,
            ranges=merge_ranges(part for part in settled if part is not None),
            attempts=attempt,
            elapsed_ms=(time.perf_counter() - started) * 1e3,
        )


def messages_of(format: EventFormat, body: bytes, *, key: str = "") -> Iterator[Message]:
    """Yield the messages of a batch of NDJSON lines; a message of several events has the key of the
    first.
    """
    lines = body.splitlines()
    rows = events_of(body) if key or not format.is_plain else []
    keys = [_key(row.get(key)) for row in rows] if key else [None] * len(lines)
    texts = lines if format.is_plain else [format.text(row) for row in rows]
    if format.framing is Framing.SINGLE:
        for first, text in enumerate(texts):
            yield Message(text, keys[first], first, 1)
    elif texts:
        before, between, after = format.frame()
        yield Message(before + between.join(texts) + after, keys[0], 0, len(texts))


def _key(value: Json) -> bytes | None:
    return None if value is None else str(value).encode()


def _outcome(message: Message, result: Acknowledgement, *, maybe_stored: bool) -> OutcomeRange:
    """Return the outcome of a message's events if there is no further attempt.

    A refusal after an attempt that may have succeeded leaves that one open.
    """
    open_still = result.outcome is Outcome.REFUSED and maybe_stored
    return OutcomeRange(
        first=message.first,
        count=message.events,
        outcome=Outcome.UNKNOWN if open_still else result.outcome,
        reason=result.reason,
    )
