"""Protocols that the caller of conformance implements: how events are sent, and what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from trueup.reports.results import CellKey, Counts, EventOutcome, HourKey, Json, Outcome

__all__ = ["Ingest", "SentTraffic", "Slice"]


class Slice(NamedTuple):
    """Some events of a tenant: those of a time, and of a network, user or hostname if given."""

    customer_id: int
    first: str
    """UTC, `YYYY-MM-DD HH:MM:SS`; both ends are included."""
    last: str
    network: str = ""
    proxy_user_id: str = ""
    hostname: str = ""


class Ingest(Protocol):
    """The ingestion endpoint of a target."""

    async def send(self, events: Sequence[Mapping[str, Json]]) -> Sequence[EventOutcome]:
        """Send events in one delivery and return one outcome for each, in order.

        Raises nothing for what a target responds; a lost response is `Outcome.UNKNOWN`.
        """


class SentTraffic(Protocol):
    """Fleet or load traffic whose every event is known. All figures exclude refused events."""

    @property
    def customers(self) -> tuple[int, ...]:
        """Tenants for which traffic was sent."""

    @property
    def beside(self) -> Sequence[SentTraffic]:
        """Other traffic of this run (freshness probes, an earlier part), which is not evaluated."""

    def cells(self) -> Mapping[CellKey, Counts]:
        """Return accepted requests and bytes by summary cell."""

    def slack(self) -> Mapping[CellKey, Counts]:
        """Return requests and bytes of unknown outcome by summary cell."""

    def hours(self) -> Mapping[HourKey, Counts]:
        """Return accepted requests and bytes by hour, network and tenant."""

    def slack_hours(self) -> Mapping[HourKey, Counts]:
        """Return requests and bytes of unknown outcome by hour, network and tenant."""

    def event(self, log_id: str) -> Mapping[str, Json] | None:
        """Return the event of an id, or None if the traffic has no such event."""

    def outcome(self, log_id: str) -> Outcome | None:
        """Return the outcome of an id, or None if the traffic has no such event."""

    def log_ids(self, limit: int) -> Sequence[str]:
        """Return at most `limit` ids of accepted events, a sample that the seed determines."""

    def ids_in(self, slices: Sequence[Slice]) -> Sequence[Mapping[str, Outcome]]:
        """Return, for each slice, the ids of its events that are accepted or unknown."""
