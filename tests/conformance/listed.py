"""Traffic that is a plain list of events: a `SentTraffic` small enough to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reports.facts import CellKey, Counts, HourKey, Json, Outcome

Event = Mapping[str, Json]


@dataclass(frozen=True)
class ListedTraffic:
    """Events with their outcomes; all accepted unless `outcomes` says otherwise."""

    events: Sequence[Event]
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

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
        hours: dict[HourKey, Counts] = {}
        for event in self._of(Outcome.ACCEPTED):
            hour = str(event["log_request_datetime"])[:13]
            key = HourKey(int(str(event["customer_id"])), str(event["log_network"]), hour)
            hours[key] = _plus(hours.get(key), event)
        return hours

    def event(self, log_id: str) -> Event | None:
        return next((e for e in self.events if e["log_id"] == log_id), None)

    def outcome(self, log_id: str) -> Outcome | None:
        if self.event(log_id) is None:
            return None
        return self.outcomes.get(log_id, Outcome.ACCEPTED)

    def log_ids(self, limit: int) -> Sequence[str]:
        return [str(event["log_id"]) for event in self._of(Outcome.ACCEPTED)][:limit]


def _plus(have: Counts | None, event: Event) -> Counts:
    have = have or Counts(0, 0, 0, 0)
    return Counts(
        have.requests + 1,
        have.bytes + int(str(event["log_total_bytes"])),
        have.successful + 1,
        have.error,
    )
