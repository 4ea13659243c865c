"""The events of a replayed log as numbered events, read again whenever they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trueup.conformance.ports import Slice
from trueup.reports.results import Outcome
from trueup.scenarios.run.delivered import EventSums
from trueup.scenarios.run.outcome_ranges import Span, unix_second
from trueup.simulator.replay import ReplayTraffic

__all__ = ["ReplayEvents"]


class ReplayEvents:
    """Implements `NumberedEvents` for a replay."""

    def __init__(self, traffic: ReplayTraffic) -> None:
        self._traffic = traffic
        self.customers = traffic.customers
        self.position = traffic.position
        self.rows = traffic.rows

    def log_id(self, position: int) -> str:
        """Return the id of one event."""
        return self._traffic.log_ids(position, 1)[0]

    def totals(self, ranges: Sequence[tuple[int, int]]) -> EventSums:
        """Return the sums of events first … first+count-1 of each (first, count)."""
        return EventSums(*self._traffic.totals(ranges))

    def select(self, spans: Sequence[Span], slices: Sequence[Slice]) -> list[Mapping[str, Outcome]]:
        """Return, for each slice, the ids of its events in the spans, with their outcomes."""
        return [self._ids_in(spans, each) for each in slices]

    def _ids_in(self, spans: Sequence[Span], slice_: Slice) -> Mapping[str, Outcome]:
        customer, first, last, network, user, host = slice_
        found: dict[str, Outcome] = {}
        for start, stop, outcome in spans:
            ids = self._traffic.select(
                start,
                stop,
                customer=customer,
                begin=unix_second(first),
                end=unix_second(last),
                network=network,
                user=user,
                host=host,
            )
            found |= dict.fromkeys(ids, outcome)
        return found
