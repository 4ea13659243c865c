"""What became of one delivery, event by event, and the one shape of every driver."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import EventOutcome, Json, Outcome

__all__ = ["BatchOutcome", "Driver", "after_lost_response", "offset_ranges", "single_range"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """The outcome of a batch: ranges that cover events 0 … count-1 once, in order."""

    count: int
    ranges: tuple[OutcomeRange, ...]
    attempts: int = 1
    elapsed_ms: float = 0.0
    """From the first attempt to the last word on it."""

    def events(self) -> list[EventOutcome]:
        """One outcome per event, in order."""
        return [
            outcome
            for part in self.ranges
            for outcome in [EventOutcome(part.outcome, part.reason)] * part.count
        ]

    def shifted(self, first: int) -> Iterator[OutcomeRange]:
        """The ranges, numbered as events of a fleet that begin at `first`."""
        return offset_ranges(self.ranges, first)


def offset_ranges(ranges: Iterable[OutcomeRange], first: int) -> Iterator[OutcomeRange]:
    """Ranges of a batch's lines, numbered as events of a fleet that begin at `first`."""
    for part in ranges:
        yield OutcomeRange(
            first=first + part.first, count=part.count, outcome=part.outcome, reason=part.reason
        )


def single_range(count: int, outcome: Outcome, reason: str = "") -> tuple[OutcomeRange, ...]:
    """One range over all events of a batch (none where the batch is empty)."""
    if count == 0:
        return ()
    return (OutcomeRange(first=0, count=count, outcome=outcome, reason=reason),)


def after_lost_response(ranges: tuple[OutcomeRange, ...]) -> tuple[OutcomeRange, ...]:
    """The outcomes after an earlier attempt was lost: a refusal now says nothing of then."""
    return tuple(
        part
        if part.outcome is not Outcome.REFUSED
        else OutcomeRange(
            first=part.first,
            count=part.count,
            outcome=Outcome.UNKNOWN,
            reason=f"refused ({part.reason}) after a lost answer",
        )
        for part in ranges
    )


class Driver(Protocol):
    """Hands events to a target. Never raises for a target's answer or for its silence."""

    async def send(self, events: Sequence[Mapping[str, Json]]) -> Sequence[EventOutcome]:
        """Deliver events; one outcome per event, in order."""
        ...

    async def send_ndjson(self, body: bytes, count: int) -> BatchOutcome:
        """Deliver `count` events that stand in `body`, one JSON object a line."""
        ...

    async def close(self) -> None:
        """Let go of connections; a closed driver may not send again."""
        ...
