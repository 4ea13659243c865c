"""What the judge needs from whoever composes a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from trueup.reports.results import CellKey, Counts, EventOutcome, HourKey, Json, Outcome

__all__ = ["Ingest", "SentTraffic", "Slice"]


class Slice(NamedTuple):
    """Some events of a tenant: those of a time, and of a network, user or hostname if named."""

    customer_id: int
    first: str
    """UTC, `YYYY-MM-DD HH:MM:SS`; both ends belong to the slice."""
    last: str
    network: str = ""
    proxy_user_id: str = ""
    hostname: str = ""


class Ingest(Protocol):
    """The way into the target."""

    async def send(self, events: Sequence[Mapping[str, Json]]) -> Sequence[EventOutcome]:
        """Hand events over in one delivery; one outcome per event, in order.

        Never raises for what a target answers; a lost answer is `Outcome.UNKNOWN`.
        """


class SentTraffic(Protocol):
    """Fleet or load traffic, known to the last byte. All figures exclude what was refused."""

    @property
    def customers(self) -> tuple[int, ...]:
        """Tenants that the traffic was sent for."""

    @property
    def beside(self) -> Sequence[SentTraffic]:
        """What else this run had sent by then (markers, an earlier part): known, not judged."""

    def cells(self) -> Mapping[CellKey, Counts]:
        """What was accepted, by summary cell."""

    def slack(self) -> Mapping[CellKey, Counts]:
        """What may or may not have arrived, by summary cell."""

    def hours(self) -> Mapping[HourKey, Counts]:
        """What was accepted, by hour, network and tenant."""

    def slack_hours(self) -> Mapping[HourKey, Counts]:
        """What may or may not have arrived, by hour, network and tenant."""

    def event(self, log_id: str) -> Mapping[str, Json] | None:
        """The event of an id; None where the traffic has no such event."""

    def outcome(self, log_id: str) -> Outcome | None:
        """What became of the event of an id; None where the traffic has no such event."""

    def log_ids(self, limit: int) -> Sequence[str]:
        """At most `limit` ids of accepted events, a sample that the seed decides."""

    def ids_in(self, slices: Sequence[Slice]) -> Sequence[Mapping[str, Outcome]]:
        """For each slice, the ids of all its events that are accepted or unknown."""
