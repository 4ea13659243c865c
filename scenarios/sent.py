"""Fleet traffic as the judge sees it: what was delivered, known to the last byte.

It keeps ranges of event numbers and their outcomes, never events: totals and rows are drawn again
from the fleet when they are asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

from reports.facts import CellKey, Counts, HourKey, Json, Outcome
from reports.journal import Journal
from reports.records import Delivered, FleetDeclared, OutcomeRange
from simulator.fleet import Fleet
from simulator.totals import Totals, totals

__all__ = ["FleetTraffic", "traffic_of"]

_STRIDE: Final = 0x9E3779B97F4A7C15
"""2^64 divided by the golden ratio, odd: multiples of it spread evenly over any range
(Knuth, The Art of Computer Programming, vol. 3, 6.4)."""


_STRENGTH: Final = (Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.REFUSED)


class FleetTraffic:
    """Delivered ranges of one fleet; fills the judge's `SentTraffic`.

    A number that was delivered more than once has the strongest of its outcomes: an accepted event
    does not become unsent by a failed repetition, and a refusal does not settle what became of an
    earlier try whose answer was lost.
    """

    def __init__(self, fleet: Fleet, ranges: Iterable[OutcomeRange]) -> None:
        self.fleet = fleet
        self._spans = _settle(ranges)
        self._starts = [first for first, _, _ in self._spans]

    @property
    def customers(self) -> tuple[int, ...]:
        return self.fleet.customers

    def _ranges(self, outcome: Outcome) -> list[tuple[int, int]]:
        return [(first, stop - first) for first, stop, kind in self._spans if kind is outcome]

    @cached_property
    def _accepted(self) -> Totals:
        return totals(self.fleet, self._ranges(Outcome.ACCEPTED))

    @cached_property
    def _unknown(self) -> Totals:
        return totals(self.fleet, self._ranges(Outcome.UNKNOWN))

    def cells(self) -> Mapping[CellKey, Counts]:
        """Accepted events by cell."""
        return self._accepted.cells

    def slack(self) -> Mapping[CellKey, Counts]:
        """Events whose outcome is unknown, by cell: each may or may not be there."""
        return self._unknown.cells

    def hours(self) -> Mapping[HourKey, Counts]:
        """Accepted events by tenant, network and hour."""
        return self._accepted.hours

    def event(self, log_id: str) -> Mapping[str, Json] | None:
        """The whole event behind an id; None where this fleet never made the id."""
        position = self.fleet.position(log_id)
        return None if position is None else self.fleet.row(position)

    def outcome(self, log_id: str) -> Outcome | None:
        """What became of the event behind an id; None where it was never delivered."""
        position = self.fleet.position(log_id)
        if position is None:
            return None
        at = bisect_right(self._starts, position) - 1
        if at < 0 or position >= self._spans[at][1]:
            return None
        return self._spans[at][2]

    def log_ids(self, limit: int) -> Sequence[str]:
        """At most `limit` ids of accepted events, spread evenly over all of them."""
        ranges = self._ranges(Outcome.ACCEPTED)
        total = sum(count for _, count in ranges)
        wanted = range(total) if total <= limit else _spread(total, limit)
        ends: list[int] = []
        for _, count in ranges:
            ends.append((ends[-1] if ends else 0) + count)
        ids: list[str] = []
        for nth in wanted:
            at = bisect_right(ends, nth)
            first, count = ranges[at]
            ids.append(self.fleet.batch(first + nth - (ends[at] - count), 1).log_ids()[0])
        return ids


def _spread(total: int, limit: int) -> list[int]:
    return sorted({(k * _STRIDE % 2**64) * total >> 64 for k in range(1, limit + 1)})


def _settle(ranges: Iterable[OutcomeRange]) -> list[tuple[int, int, Outcome]]:
    """Disjoint spans (first, stop, outcome) in order; the strongest outcome of a number counts."""
    edges: dict[int, Counter[Outcome]] = defaultdict(Counter)
    for given in ranges:
        if given.count > 0:
            edges[given.first][given.outcome] += 1
            edges[given.first + given.count][given.outcome] -= 1
    spans: list[tuple[int, int, Outcome]] = []
    open_now: Counter[Outcome] = Counter()
    last = 0
    for edge in sorted(edges):
        strongest = next((kind for kind in _STRENGTH if open_now[kind] > 0), None)
        if strongest is not None:
            if spans and spans[-1][1:] == (last, strongest):
                spans[-1] = (spans[-1][0], edge, strongest)
            else:
                spans.append((last, edge, strongest))
        open_now.update(edges[edge])
        last = edge
    return spans


def traffic_of(journal: Journal) -> dict[str, FleetTraffic]:
    """Every fleet that a journal declares, with what was delivered of it; drawn anew."""
    fleets: dict[str, Fleet] = {}
    ranges: dict[str, list[OutcomeRange]] = {}
    for record in journal.records:
        if isinstance(record, FleetDeclared):
            fleets[record.fleet] = Fleet.from_identity(record)
            ranges[record.fleet] = []
        elif isinstance(record, Delivered) and record.fleet:
            ranges[record.fleet] += record.outcomes
    return {name: FleetTraffic(fleet, ranges[name]) for name, fleet in fleets.items()}
