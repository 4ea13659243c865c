"""Traffic as the checks see it: what a run's records say was delivered, with exact totals.

The few events that a load's freshness probe injects beside its fleet are kept whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, assert_never

from trueup.conformance.ports import SentTraffic, Slice
from trueup.reports.journal.records import (
    Delivered,
    FleetDeclared,
    JudgePlan,
    OutcomeRange,
    ProxiedDeclared,
    Record,
    ReplayDeclared,
)
from trueup.reports.journal.storage import Journal
from trueup.reports.results import CellKey, Counts, HourKey, Json, Outcome
from trueup.scenarios.run.delivered import DeliveredTraffic, NumberedEvents, is_inside
from trueup.scenarios.run.fleet_events import FleetEvents
from trueup.scenarios.run.replay_events import ReplayEvents
from trueup.scenarios.run.usage_events import UsageEvents
from trueup.simulator.fleet import Fleet
from trueup.simulator.replay import ReplayRecording, ReplayTraffic
from trueup.simulator.totals import add_row

Declared: TypeAlias = FleetDeclared | ReplayDeclared | ProxiedDeclared
"""The record of traffic whose events have numbers."""
Traffic: TypeAlias = Fleet | ReplayTraffic | UsageEvents
"""Such traffic itself."""

__all__ = ["DeliveredEvents", "beside", "delivered", "traffic_of"]


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
                if became is not Outcome.REFUSED and is_inside(event, each)
            }
            for each in slices
        ]


def traffic_of(journal: Journal) -> dict[str, SentTraffic]:
    """Return all traffic that a journal declares, with what was delivered of it, drawn or read
    again.

    Beside each stands what the run had sent by the time at which it was reconciled. Raises
    AccessLogError for a replay whose recording is not beside the journal, UsageProblem for usage
    events that are not.
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
    known: Mapping[str, Traffic] | None = None,
) -> tuple[SentTraffic, ...]:
    """Return all that records say was sent but for a part's own: other fleets, and probes.

    `folder` is the run's. `known` is traffic that need not be built again.
    """
    records, known = tuple(records), known or {}
    others = [
        delivered(known.get(name) or _known(identity, folder), ranges)
        for name, (identity, ranges) in _declared(records).items()
        if name != part
    ]
    probes = [
        DeliveredEvents(record.events, record.outcomes)
        for record in records
        if isinstance(record, Delivered) and record.events and record.source == "load"
    ]
    return (*others, *probes)


def _known(identity: Declared, folder: Path) -> Traffic:
    """Return the traffic that a record declares."""
    match identity:
        case FleetDeclared():
            return Fleet.from_identity(identity)
        case ReplayDeclared():
            return ReplayTraffic(ReplayRecording.open(folder), identity)
        case ProxiedDeclared():
            return UsageEvents.open(folder, identity)
        case _:
            assert_never(identity)


def delivered(
    traffic: Traffic,
    ranges: Iterable[OutcomeRange],
    besides: Sequence[SentTraffic] = (),
) -> SentTraffic:
    """Return what was delivered of numbered events, as the checks see it."""
    events: NumberedEvents
    match traffic:
        case Fleet():
            events = FleetEvents(traffic)
        case ReplayTraffic():
            events = ReplayEvents(traffic)
        case UsageEvents():
            events = traffic
        case _:
            assert_never(traffic)
    return DeliveredTraffic(events, ranges, besides)


def _declared(
    records: Iterable[Record],
) -> dict[str, tuple[Declared, list[OutcomeRange]]]:
    """Return traffic by name, each with what became of its numbers."""
    found: dict[str, tuple[Declared, list[OutcomeRange]]] = {}
    for record in records:
        if isinstance(record, FleetDeclared | ReplayDeclared | ProxiedDeclared):
            found[record.fleet] = (record, [])
        elif isinstance(record, Delivered) and record.fleet:
            found[record.fleet][1].extend(record.outcomes)
    return found
