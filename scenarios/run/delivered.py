"""What was delivered of events that have numbers, as the checks see it.

It keeps ranges of event numbers and their outcomes, never events: totals and rows are made again
when they are asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Final, NamedTuple, Protocol

from trueup.conformance.ports import SentTraffic, Slice
from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import CellKey, Counts, HourKey, Json, Outcome
from trueup.scenarios.run.outcome_ranges import Span, settle, spread

__all__ = ["DeliveredTraffic", "EventSums", "NumberedEvents", "Sums", "is_inside"]

_BLOCK: Final = 64
"""Events made together when one is asked for: its neighbours are usually asked for next."""
_BLOCKS: Final = 512


class Sums(Protocol):
    """What events add up to. Both mappings have the same requests and bytes in all."""

    @property
    def cells(self) -> Mapping[CellKey, Counts]:
        """Return counts by tenant, user, network, hostname and day."""

    @property
    def hours(self) -> Mapping[HourKey, Counts]:
        """Return counts by tenant, network and hour."""


class EventSums(NamedTuple):
    """`Sums` of events that were added up one by one."""

    cells: Mapping[CellKey, Counts]
    hours: Mapping[HourKey, Counts]


class NumberedEvents(Protocol):
    """The events of a fleet or a replay, by number; made again whenever they are asked for."""

    @property
    def customers(self) -> tuple[int, ...]:
        """Tenants that the events belong to."""

    def position(self, log_id: str) -> int | None:
        """Return the number of the event with this id; None if the id is of no such event."""

    def log_id(self, position: int) -> str:
        """Return the id of one event."""

    def rows(self, first: int, count: int) -> list[dict[str, Json]]:
        """Return events first … first+count-1 in full."""

    def totals(self, ranges: Sequence[tuple[int, int]]) -> Sums:
        """Return the sums of events first … first+count-1 of each (first, count)."""

    def select(
        self, spans: Sequence[Span], slices: Sequence[Slice]
    ) -> Sequence[Mapping[str, Outcome]]:
        """Return, for each slice, the ids of its events in the spans, with their outcomes."""


class DeliveredTraffic:
    """Delivered ranges of numbered events; fills the judge's `SentTraffic`.

    A number that was delivered more than once has the strongest of its outcomes: an accepted event
    does not become unsent by a failed repetition, and a refusal does not settle what became of an
    earlier attempt whose response was lost.
    """

    def __init__(
        self,
        events: NumberedEvents,
        ranges: Iterable[OutcomeRange],
        beside: Sequence[SentTraffic] = (),
    ) -> None:
        """`beside` is what else the run has sent by the time at which this is reconciled."""
        self._events = events
        self.beside = tuple(beside)
        self._spans = settle(ranges)
        self._starts = [first for first, _, _ in self._spans]
        self._rows = lru_cache(_BLOCKS)(self._block_rows)
        self._found: dict[Slice, Mapping[str, Outcome]] = {}

    @property
    def customers(self) -> tuple[int, ...]:
        return self._events.customers

    def _ranges(self, outcome: Outcome) -> list[tuple[int, int]]:
        return [(first, stop - first) for first, stop, kind in self._spans if kind is outcome]

    @cached_property
    def _accepted(self) -> Sums:
        return self._events.totals(self._ranges(Outcome.ACCEPTED))

    @cached_property
    def _unknown(self) -> Sums:
        return self._events.totals(self._ranges(Outcome.UNKNOWN))

    def cells(self) -> Mapping[CellKey, Counts]:
        """Return accepted events by cell."""
        return self._accepted.cells

    def slack(self) -> Mapping[CellKey, Counts]:
        """Return events whose outcome is unknown, by cell: each may or may not be there."""
        return self._unknown.cells

    def hours(self) -> Mapping[HourKey, Counts]:
        """Return accepted events by tenant, network and hour."""
        return self._accepted.hours

    def slack_hours(self) -> Mapping[HourKey, Counts]:
        """Return events whose outcome is unknown, by tenant, network and hour."""
        return self._unknown.hours

    def event(self, log_id: str) -> Mapping[str, Json] | None:
        """Return the whole event of an id; None if there is no such event."""
        position = self._events.position(log_id)
        if position is None:
            return None
        return self._rows(position // _BLOCK)[position % _BLOCK]

    def _block_rows(self, block: int) -> list[dict[str, Json]]:
        return self._events.rows(block * _BLOCK, _BLOCK)

    def outcome(self, log_id: str) -> Outcome | None:
        """Return the outcome of the event of an id; None if it was never delivered."""
        position = self._events.position(log_id)
        if position is None:
            return None
        at = bisect_right(self._starts, position) - 1
        if at < 0 or position >= self._spans[at][1]:
            return None
        return self._spans[at][2]

    def log_ids(self, limit: int) -> Sequence[str]:
        """Return at most `limit` ids of accepted events, spread evenly over all of them."""
        return [self._events.log_id(n) for n in spread(self._ranges(Outcome.ACCEPTED), limit)]

    def ids_in(self, slices: Sequence[Slice]) -> Sequence[Mapping[str, Outcome]]:
        """Return the ids of the accepted or unknown events of each slice; found once a slice."""
        wanted = [each for each in dict.fromkeys(slices) if each not in self._found]
        if wanted:
            sent = [span for span in self._spans if span[2] is not Outcome.REFUSED]
            self._found |= zip(wanted, self._events.select(sent, wanted), strict=True)
        return [self._found[each] for each in slices]


def is_inside(row: Mapping[str, Json], slice_: Slice) -> bool:
    """Return whether an event belongs to a slice."""
    customer, first, last, network, user, host = slice_
    return (
        row["customer_id"] == customer
        and first <= str(row["log_request_datetime"])[:19] <= last
        and network in ("", row["log_network"])
        and user in ("", row["proxy_user_id"])
        and host in ("", row["log_hostname"])
    )
