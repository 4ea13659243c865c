"""Outcomes of one delivery, event by event, and the protocol of drivers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import EventOutcome, Json, Outcome

__all__ = [
    "BatchOutcome",
    "Driver",
    "after_lost_response",
    "merge_ranges",
    "offset_ranges",
    "single_range",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """The outcome of a batch: ranges that cover events 0 … count-1 once, in order."""

    count: int
    ranges: tuple[OutcomeRange, ...]
    attempts: int = 1
    elapsed_ms: float = 0.0
    """From the first attempt to the last one's response or failure."""

    @classmethod
    def of(cls, count: int, outcome: Outcome, reason: str = "") -> Self:
        """Return the outcome of a batch whose events all have one."""
        return cls(count=count, ranges=single_range(count, outcome, reason))

    def events(self) -> list[EventOutcome]:
        """Return one outcome per event, in order."""
        return [
            outcome
            for part in self.ranges
            for outcome in [EventOutcome(part.outcome, part.reason)] * part.count
        ]

    def shifted(self, first: int) -> Iterator[OutcomeRange]:
        """Return the ranges, numbered as events of a fleet that begin at `first`."""
        return offset_ranges(self.ranges, first)


def offset_ranges(ranges: Iterable[OutcomeRange], first: int) -> Iterator[OutcomeRange]:
    """Yield ranges of a batch's lines, numbered as events of a fleet that begin at `first`."""
    for part in ranges:
        yield OutcomeRange(
            first=first + part.first, count=part.count, outcome=part.outcome, reason=part.reason
        )


def single_range(count: int, outcome: Outcome, reason: str = "") -> tuple[OutcomeRange, ...]:
    """Return one range over all events of a batch; none if the batch is empty."""
    if count == 0:
        return ()
    return (OutcomeRange(first=0, count=count, outcome=outcome, reason=reason),)


def merge_ranges(ranges: Iterable[OutcomeRange]) -> tuple[OutcomeRange, ...]:
    """Return disjoint ranges in order, adjacent ones with one outcome and reason merged."""
    merged: list[OutcomeRange] = []
    for part in sorted(ranges, key=lambda one: one.first):
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.first + last.count == part.first
            and (last.outcome, last.reason) == (part.outcome, part.reason)
        ):
            merged[-1] = OutcomeRange(
                first=last.first,
                count=last.count + part.count,
                outcome=part.outcome,
                reason=part.reason,
            )
        else:
            merged.append(part)
    return tuple(merged)


def after_lost_response(ranges: tuple[OutcomeRange, ...]) -> tuple[OutcomeRange, ...]:
    """Return the outcomes after an earlier attempt without a response.

    A refusal becomes unknown: the earlier attempt may have been stored.
    """
    return tuple(
        part
        if part.outcome is not Outcome.REFUSED
        else OutcomeRange(
            first=part.first,
            count=part.count,
            outcome=Outcome.UNKNOWN,
            reason=f"refused ({part.reason}) after an attempt without a response",
        )
        for part in ranges
    )


class Driver(Protocol):
    """Delivers events to a target. Never raises because of a response, or because there is none."""

    async def send(self, events: Sequence[Mapping[str, Json]]) -> Sequence[EventOutcome]:
        """Deliver events; returns one outcome per event, in order."""
        ...

    async def send_ndjson(self, body: bytes, count: int) -> BatchOutcome:
        """Deliver `count` events, one JSON object a line of `body`; returns their outcomes."""
        ...

    async def close(self) -> None:
        """Release connections; a closed driver must not send again."""
        ...
