"""What was sent, as the sums that the views of a target are compared with. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from trueup.conformance.contract.sums import NOTHING, add
from trueup.conformance.ports import SentTraffic, Slice
from trueup.reports.results import CellKey, Counts, HourKey

__all__ = ["Bounds", "Expected", "NetworkDay", "minus", "within"]


class NetworkDay(NamedTuple):
    """A day of one network of a tenant, as in ledgers and graph."""

    customer_id: int
    network: str
    day: str


class Bounds(NamedTuple):
    """What must be there, and what may be there in addition: deliveries of unknown outcome."""

    certain: Counts = NOTHING
    possible: Counts = NOTHING


def minus(one: Counts, other: Counts) -> Counts:
    """Return the difference of two counts."""
    a, b, c, d = one
    return Counts(a - other[0], b - other[1], c - other[2], d - other[3])


def within(seen: int, certain: int, possible: int) -> bool:
    """Return whether a figure is a possible sum."""
    return certain <= seen <= certain + possible


def network_day_of(key: CellKey) -> NetworkDay:
    """Return the day and network of a cell."""
    return NetworkDay(key.customer_id, key.network, key.day)


@dataclass(frozen=True)
class Expected:
    """What was sent, as the sums that views are compared with. Computed once.

    If the target reads failed or empty requests as not counted, only what every reading counts is
    certain, and the rest is possible: sums do not show which bytes belong to which request.
    """

    sent: SentTraffic
    failed_count: bool = True
    empty_count: bool = True

    @classmethod
    def as_read(cls, sent: SentTraffic, readings: Mapping[str, str]) -> Expected:
        """Return what summaries, ledgers and graph must show under a target's readings."""
        return cls(
            sent,
            failed_count=readings.get("failed-requests", "counted") == "counted",
            empty_count=readings.get("zero-byte-requests", "counted") == "counted",
        )

    @cached_property
    def cells(self) -> Mapping[CellKey, Counts]:
        """What must be counted, by cell."""
        if self.failed_count and self.empty_count:
            return self.sent.cells()
        return {key: self._split(counts)[0] for key, counts in self.sent.cells().items()}

    @cached_property
    def slack(self) -> Mapping[CellKey, Counts]:
        """What may be counted beyond `cells`, by cell."""
        if self.failed_count and self.empty_count:
            return self.sent.slack()
        slack = dict(self.sent.slack())
        for key, counts in self.sent.cells().items():
            slack[key] = add(slack.get(key, NOTHING), self._split(counts)[1])
        return slack

    def _split(self, counts: Counts) -> tuple[Counts, Counts]:
        """Return what must be counted, and what may be."""
        most = counts.requests if self.failed_count else counts.successful
        least = most if self.empty_count else 0
        free = counts.bytes if counts.error and not self.failed_count else 0
        certain = counts._replace(requests=least, bytes=counts.bytes - free)
        return certain, Counts(most - least, free, 0, 0)

    @cached_property
    def keys(self) -> frozenset[CellKey]:
        """Every cell that the traffic may have."""
        return frozenset((*self.cells, *self.slack))

    @cached_property
    def users(self) -> frozenset[tuple[int, str]]:
        """(customer number, proxy user) pairs of the traffic."""
        return frozenset((key.customer_id, key.proxy_user_id) for key in self.keys)

    @cached_property
    def days(self) -> Mapping[NetworkDay, Bounds]:
        """What was sent by day, network and tenant."""
        sums: dict[NetworkDay, Bounds] = defaultdict(Bounds)
        for key, counts in self.cells.items():
            certain, possible = sums[network_day_of(key)]
            sums[network_day_of(key)] = Bounds(add(certain, counts), possible)
        for key, counts in self.slack.items():
            certain, possible = sums[network_day_of(key)]
            sums[network_day_of(key)] = Bounds(certain, add(possible, counts))
        return dict(sums)

    @cached_property
    def by_user(self) -> Mapping[tuple[int, str], Bounds]:
        """What was sent by tenant and proxy user."""
        sums: dict[tuple[int, str], Bounds] = defaultdict(Bounds)
        for key, counts in self.cells.items():
            certain, possible = sums[key[:2]]
            sums[key[:2]] = Bounds(add(certain, counts), possible)
        for key, counts in self.slack.items():
            certain, possible = sums[key[:2]]
            sums[key[:2]] = Bounds(certain, add(possible, counts))
        return dict(sums)

    @cached_property
    def by_hour(self) -> Mapping[HourKey, Bounds]:
        """What was sent by tenant, network and hour. Logs show all of it."""
        certain, possible = self.sent.hours(), self.sent.slack_hours()
        return {
            key: Bounds(certain.get(key, NOTHING), possible.get(key, NOTHING))
            for key in {*certain, *possible}
        }

    def inside(self, slice_: Slice) -> Bounds:
        """Return what was sent in whole hours of a network, or whole days of a proxy user."""
        customer, first, last, network, user, _ = slice_
        certain, possible = NOTHING, NOTHING
        if user:
            for day, span in self._user_days.get((customer, user), {}).items():
                if first[:10] <= day <= last[:10]:
                    certain, possible = add(certain, span.certain), add(possible, span.possible)
            return Bounds(certain, possible)
        for key, span in self.by_hour.items():
            if key[:2] == (customer, network) and first[:13] <= key.hour <= last[:13]:
                certain, possible = add(certain, span.certain), add(possible, span.possible)
        return Bounds(certain, possible)

    @cached_property
    def _user_days(self) -> Mapping[tuple[int, str], Mapping[str, Bounds]]:
        sums: dict[tuple[int, str], dict[str, Bounds]] = defaultdict(dict)
        for key in self.keys:
            certain, possible = sums[key[:2]].get(key.day, Bounds())
            sums[key[:2]][key.day] = Bounds(
                add(certain, self.cells.get(key, NOTHING)),
                add(possible, self.slack.get(key, NOTHING)),
            )
        return dict(sums)

    def total(self, customer: int) -> Bounds:
        """Return a tenant's accepted events, and those of unknown outcome."""
        accepted, unknown = NOTHING, NOTHING
        for network_day, (certain, possible) in self.days.items():
            if network_day.customer_id == customer:
                accepted, unknown = add(accepted, certain), add(unknown, possible)
        return Bounds(accepted, unknown)

    # --- other traffic of this run

    @cached_property
    def beside(self) -> tuple[Expected, ...]:
        """Other traffic of this run, under the same readings."""
        return tuple(
            Expected(each, failed_count=self.failed_count, empty_count=self.empty_count)
            for each in self.sent.beside
        )

    @cached_property
    def beside_cells(self) -> Mapping[CellKey, Bounds]:
        """What the other traffic has in each cell."""
        sums: dict[CellKey, Bounds] = defaultdict(Bounds)
        for other in self.beside:
            for key in other.keys:
                certain, possible = sums[key]
                sums[key] = Bounds(
                    add(certain, other.cells.get(key, NOTHING)),
                    add(possible, other.slack.get(key, NOTHING)),
                )
        return dict(sums)

    def background_of(self, network_day: NetworkDay, *, own_users: bool) -> Bounds:
        """Return the other traffic of a day; with `own_users` only that of this traffic's users."""
        certain, possible = NOTHING, NOTHING
        for key, span in self._background_by_day.get(network_day, {}).items():
            if not own_users or key[:2] in self.users:
                certain, possible = add(certain, span.certain), add(possible, span.possible)
        return Bounds(certain, possible)

    @cached_property
    def _background_by_day(self) -> Mapping[NetworkDay, Mapping[CellKey, Bounds]]:
        network_days: dict[NetworkDay, dict[CellKey, Bounds]] = defaultdict(dict)
        for key, span in self.beside_cells.items():
            network_days[network_day_of(key)][key] = span
        return dict(network_days)

    def is_beside(self, log_id: str) -> bool:
        """Return whether an id belongs to the other traffic."""
        return any(other.sent.event(log_id) is not None for other in self.beside)
