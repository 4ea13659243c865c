"""Traffic as the checks see it: what was delivered, with exact totals.

Of a fleet it keeps ranges of event numbers and their outcomes, never events: totals and rows are
drawn again when they are asked for. The few events that a load's freshness probe
injects beside its fleet are kept whole.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from trueup.conformance.ports import SentTraffic, Slice
from trueup.reports.journal.records import (
    Delivered,
    FleetDeclared,
    JudgePlan,
    OutcomeRange,
    Record,
    ReplayDeclared,
)
from trueup.reports.journal.storage import Journal
from trueup.reports.results import CellKey, Counts, HourKey, Json, Outcome
from trueup.scenarios.run.outcome_ranges import settle, spread, unix_second
from trueup.scenarios.run.replayed import DeliveredReplay
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.draws import BillingColumns, draw_billing
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.replay import ReplayRecording, ReplayTraffic
from trueup.simulator.totals import Totals, add_row, totals

__all__ = ["DeliveredEvents", "DeliveredFleet", "beside", "delivered", "traffic_of"]

_BLOCK: Final = 64
"""Events drawn together when one is asked for: its neighbours are usually asked for next."""
_BLOCKS: Final = 512


class DeliveredFleet:
    """Delivered ranges of one fleet; fills the judge's `SentTraffic`.

    A number that was delivered more than once has the strongest of its outcomes: an accepted event
    does not become unsent by a failed repetition, and a refusal does not settle what became of an
    earlier attempt whose response was lost.
    """

    def __init__(
        self,
        fleet: Fleet,
        ranges: Iterable[OutcomeRange],
        beside: Sequence[SentTraffic] = (),
    ) -> None:
        """`beside` is what else the run has sent by the time at which this is reconciled."""
        self.fleet = fleet
        self.beside = tuple(beside)
        self._spans = settle(ranges)
        self._starts = [first for first, _, _ in self._spans]
        self._rows = lru_cache(_BLOCKS)(self._draw_rows)
        self._found: dict[Slice, Mapping[str, Outcome]] = {}

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
        """Return the whole event of an id; None if this fleet never made the id."""
        position = self.fleet.position(log_id)
        if position is None:
            return None
        return self._rows(position // _BLOCK)[position % _BLOCK]

    def _draw_rows(self, block: int) -> list[dict[str, Json]]:
        return self.fleet.batch(block * _BLOCK, _BLOCK).rows()

    def outcome(self, log_id: str) -> Outcome | None:
        """Return the outcome of the event of an id; None if it was never delivered."""
        position = self.fleet.position(log_id)
        if position is None:
            return None
        at = bisect_right(self._starts, position) - 1
        if at < 0 or position >= self._spans[at][1]:
            return None
        return self._spans[at][2]

    def log_ids(self, limit: int) -> Sequence[str]:
        """Return at most `limit` ids of accepted events, spread evenly over all of them."""
        numbers = spread(self._ranges(Outcome.ACCEPTED), limit)
        return [self.fleet.batch(number, 1).log_ids()[0] for number in numbers]

    def ids_in(self, slices: Sequence[Slice]) -> Sequence[Mapping[str, Outcome]]:
        """Return the ids of the accepted or unknown events of each slice; drawn once a slice."""
        wanted = [each for each in dict.fromkeys(slices) if each not in self._found]
        if wanted:
            selectors = [_Selector(self.fleet, each) for each in wanted]
            for first, stop, outcome in self._spans:
                if outcome is not Outcome.REFUSED:
                    for selector in selectors:
                        selector.outcome = outcome
                    self._select(first, stop, selectors)
            self._found |= {
                each: selector.found for each, selector in zip(wanted, selectors, strict=True)
            }
        return [self._found[each] for each in slices]

    def _select(self, first: int, stop: int, selectors: Sequence[_Selector]) -> None:
        covered = min(stop, self.fleet.model.coverage.count)
        if first < covered:
            for row in self.fleet.batch(first, covered - first).coverage_rows():
                for selector in selectors:
                    selector.take_row(row)
        first = max(first, covered)
        for start, size in self.fleet.model.arrivals.segments(first, stop - first):
            core = draw_billing(self.fleet.model, start, size)
            for selector in selectors:
                selector.take(core)


class _Selector:
    """Keeps the ids of the events that fall into a slice."""

    def __init__(self, fleet: Fleet, slice_: Slice) -> None:
        self._fleet, self._slice = fleet, slice_
        self.outcome = Outcome.ACCEPTED
        self.found: dict[str, Outcome] = {}
        model, senders = fleet.model, fleet.model.senders
        customer, _, _, network, user, host = slice_
        self._senders = np.array(model.customers, dtype=np.int64).take(senders.customer) == customer
        if network:
            code = NETWORKS.index(network) if network in NETWORKS else -1
            self._senders &= senders.network == code
        if user:
            self._senders &= np.array([senders.users[n] == user for n in senders.user.tolist()])
        self._hosts: npt.NDArray[np.bool_] | None = None
        if host:
            self._hosts = np.array([name == host for name in model.hosts.names])
        self._first, self._last = unix_second(slice_.first), unix_second(slice_.last)

    def take(self, core: BillingColumns) -> None:
        """Drawn events; numbers follow each other from `core.first`."""
        here = self._senders.take(core.sender)
        here &= (core.second >= self._first) & (core.second <= self._last)
        if self._hosts is not None:
            here &= self._hosts.take(core.host)
        numbers = (np.flatnonzero(here) + core.first).astype(np.uint64)
        self.found |= dict.fromkeys(self._fleet.model.ids.texts(numbers), self.outcome)

    def take_row(self, row: Mapping[str, Json]) -> None:
        """A whole event."""
        if _inside(row, self._slice):
            self.found[str(row["log_id"])] = self.outcome


def _inside(row: Mapping[str, Json], slice_: Slice) -> bool:
    customer, first, last, network, user, host = slice_
    return (
        row["customer_id"] == customer
        and first <= str(row["log_request_datetime"])[:19] <= last
        and network in ("", row["log_network"])
        and user in ("", row["proxy_user_id"])
        and host in ("", row["log_hostname"])
    )


@dataclass(frozen=True)
class DeliveredEvents:
    """A few events that are kept whole, such as those of a freshness probe; fills `SentTraffic`."""

    events: Sequence[Mapping[str, Json]]
    outcomes: Sequence[OutcomeRange]
    beside: Sequence[SentTraffic] = ()

    @property
    def customers(self) -> tuple[int, ...]:
        numbers = {event["customer_id"] for event in self.events}
        return tuple(sorted(number for number in numbers if isinstance(number, int)))

    @cached_property
    def _known(self) -> Mapping[str, tuple[Mapping[str, Json], Outcome]]:
        return {
            str(event["log_id"]): (event, each.outcome)
            for each in self.outcomes
            for event in self.events[each.first : each.first + each.count]
        }

    def _sums(self, outcome: Outcome) -> tuple[dict[CellKey, Counts], dict[HourKey, Counts]]:
        cells: dict[CellKey, Counts] = {}
        hours: dict[HourKey, Counts] = {}
        for event, became in self._known.values():
            if became is outcome:
                nulls: dict[str, Json] = {"log_error_code": None, "log_status_code": None}
                add_row(cells, hours, {**nulls, **event})
        return cells, hours

    def cells(self) -> Mapping[CellKey, Counts]:
        return self._sums(Outcome.ACCEPTED)[0]

    def slack(self) -> Mapping[CellKey, Counts]:
        return self._sums(Outcome.UNKNOWN)[0]

    def hours(self) -> Mapping[HourKey, Counts]:
        return self._sums(Outcome.ACCEPTED)[1]

    def slack_hours(self) -> Mapping[HourKey, Counts]:
        return self._sums(Outcome.UNKNOWN)[1]

    def event(self, log_id: str) -> Mapping[str, Json] | None:
        return self._known[log_id][0] if log_id in self._known else None

    def outcome(self, log_id: str) -> Outcome | None:
        return self._known[log_id][1] if log_id in self._known else None

    def log_ids(self, limit: int) -> Sequence[str]:
        kept = [log_id for log_id, (_, became) in self._known.items() if became is Outcome.ACCEPTED]
        return kept[:limit]

    def ids_in(self, slices: Sequence[Slice]) -> Sequence[Mapping[str, Outcome]]:
        return [
            {
                log_id: became
                for log_id, (event, became) in self._known.items()
                if became is not Outcome.REFUSED and _inside(event, each)
            }
            for each in slices
        ]


def traffic_of(journal: Journal) -> dict[str, SentTraffic]:
    """Return every fleet and replay that a journal declares, with what was delivered of it, drawn
    or read again.

    Beside each stands what the run had sent by the time at which it was reconciled. Raises
    AccessLogError for a replay whose recording is not beside the journal.
    """
    declared = _declared(journal.records)
    folder = journal.path.parent
    known = {name: _known(identity, folder) for name, (identity, _) in declared.items()}
    before: dict[str, tuple[Record, ...]] = {}
    for number, record in enumerate(journal.records):
        if isinstance(record, JudgePlan) and record.part:
            before[record.part] = tuple(journal.records[:number])
    return {
        name: delivered(
            known[name], ranges, beside(before.get(name, ()), name, folder=folder, known=known)
        )
        for name, (_, ranges) in declared.items()
    }


def beside(
    records: Iterable[Record],
    part: str,
    *,
    folder: Path,
    known: Mapping[str, Fleet | ReplayTraffic] | None = None,
) -> tuple[SentTraffic, ...]:
    """Return all that records say was sent but for a part's own: other fleets, and probes.

    `folder` is the run's. `known` are fleets and replays that need not be built again.
    """
    records, known = tuple(records), known or {}
    others = [
        delivered(known.get(name) or _known(identity, folder), ranges)
        for name, (identity, ranges) in _declared(records).items()
        if name != part
    ]
    planted = [
        DeliveredEvents(record.events, record.outcomes)
        for record in records
        if isinstance(record, Delivered) and record.events and record.source == "load"
    ]
    return (*others, *planted)


def _known(identity: FleetDeclared | ReplayDeclared, folder: Path) -> Fleet | ReplayTraffic:
    """Return the traffic that a record declares."""
    if isinstance(identity, FleetDeclared):
        return Fleet.from_identity(identity)
    return ReplayTraffic(ReplayRecording.open(folder), identity)


def delivered(
    traffic: Fleet | ReplayTraffic,
    ranges: Iterable[OutcomeRange],
    besides: Sequence[SentTraffic] = (),
) -> SentTraffic:
    """Return what was delivered of a fleet or a replay, as the checks see it."""
    if isinstance(traffic, Fleet):
        return DeliveredFleet(traffic, ranges, besides)
    return DeliveredReplay(traffic, ranges, besides)


def _declared(
    records: Iterable[Record],
) -> dict[str, tuple[FleetDeclared | ReplayDeclared, list[OutcomeRange]]]:
    """Fleets and replays by name, each with what became of its numbers."""
    found: dict[str, tuple[FleetDeclared | ReplayDeclared, list[OutcomeRange]]] = {}
    for record in records:
        if isinstance(record, FleetDeclared | ReplayDeclared):
            found[record.fleet] = (record, [])
        elif isinstance(record, Delivered) and record.fleet:
            found[record.fleet][1].extend(record.outcomes)
    return found
