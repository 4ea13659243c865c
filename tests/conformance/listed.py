"""Traffic that is a plain list of events: a `SentTraffic` small enough to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from trueup.conformance.ports import SentTraffic, Slice
from trueup.reports.results import CellKey, Counts, HourKey, Json, Outcome

Event = Mapping[str, Json]


@dataclass(frozen=True)
class ListedTraffic:
    """Events with their outcomes; all accepted unless `outcomes` says otherwise."""

    events: Sequence[Event]
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    beside: Sequence[SentTraffic] = ()

    @property
    def customers(self) -> tuple[int, ...]:
        return tuple(sorted({int(str(event["customer_id"])) for event in self.events}))

    def _of(self, outcome: Outcome) -> list[Event]:
        return [e for e in self.events if self.outcome(str(e["log_id"])) is outcome]

    def _cells(self, outcome: Outcome) -> dict[CellKey, Counts]:
        cells: dict[CellKey, Counts] = {}
        for event in self._of(outcome):
            key = CellKey(
                int(str(event["customer_id"])),
                str(event["proxy_user_id"]),
                str(event["log_network"]),
                str(event["log_hostname"]),
                str(event["log_request_datetime"])[:10],
            )
            cells[key] = _plus(cells.get(key), event)
        return cells

    def cells(self) -> Mapping[CellKey, Counts]:
        return self._cells(Outcome.ACCEPTED)

    def slack(self) -> Mapping[CellKey, Counts]:
        return self._cells(Outcome.UNKNOWN)

    def hours(self) -> Mapping[HourKey, Counts]:
        return self._hours(Outcome.ACCEPTED)

    def slack_hours(self) -> Mapping[HourKey, Counts]:
        return self._hours(Outcome.UNKNOWN)

    def _hours(self, outcome: Outcome) -> Mapping[HourKey, Counts]:
        hours: dict[HourKey, Counts] = {}
        for event in self._of(outcome):
            hour = str(event["log_request_datetime"])[:13]
            key = HourKey(int(str(event["customer_id"])), str(event["log_network"]), hour)
            hours[key] = _plus(hours.get(key), event)
        return hours

    @cached_property
    def _by_id(self) -> Mapping[str, Event]:
        return {str(event["log_id"]): event for event in self.events}

    def event(self, log_id: str) -> Event | None:
        return self._by_id.get(log_id)

    def outcome(self, log_id: str) -> Outcome | None:
        if self.event(log_id) is None:
            return None
        return self.outcomes.get(log_id, Outcome.ACCEPTED)

    def log_ids(self, limit: int) -> Sequence[str]:
        return [str(event["log_id"]) for event in self._of(Outcome.ACCEPTED)][:limit]

    def ids_in(self, slices: Sequence[Slice]) -> Sequence[Mapping[str, Outcome]]:
        return [self._ids(each) for each in slices]

    def _ids(self, wanted: Slice) -> dict[str, Outcome]:
        customer, first, last, network, user, host = wanted
        found: dict[str, Outcome] = {}
        for event in self.events:
            outcome = self.outcome(str(event["log_id"]))
            if (
                outcome not in (None, Outcome.REFUSED)
                and event["customer_id"] == customer
                and first <= str(event["log_request_datetime"]) <= last
                and network in ("", event["log_network"])
                and user in ("", event["proxy_user_id"])
                and host in ("", event["log_hostname"])
            ):
                assert outcome is not None
                found[str(event["log_id"])] = outcome
        return found


def _plus(have: Counts | None, event: Event) -> Counts:
    have = have or Counts(0, 0, 0, 0)
    return Counts(
        have.requests + 1,
        have.bytes + int(str(event["log_total_bytes"])),
        have.successful + 1,
        have.error,
    )
