"""What was sent, as the sums that the views of a target are compared with. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import NamedTuple, TypeVar

from trueup.conformance.contract.sums import NOTHING, add
from trueup.conformance.ports import SentTraffic, Slice
from trueup.reports.results import CellKey, Counts, HourKey

__all__ = [
    "Bounds",
    "Expected",
    "NetworkDay",
    "bounds_by_key",
    "minus",
    "total_of",
    "within",
]

K = TypeVar("K")


class NetworkDay(NamedTuple):
    """A day of one network of a tenant, as in ledgers and graph."""

    customer_id: int
    network: str
    day: str


class Bounds(NamedTuple):
    """What must be there, and what may be there in addition: deliveries of unknown outcome."""

    certain: Counts = NOTHING
    possible: Counts = NOTHING

    def plus(self, other: Bounds) -> Bounds:
        """Return the bounds of both together."""
        return Bounds(add(self.certain, other.certain), add(self.possible, other.possible))


def total_of(spans: Iterable[Bounds]) -> Bounds:
    """Return the bounds of all together."""
    return reduce(Bounds.plus, spans, Bounds())


def bounds_by_key(pairs: Iterable[tuple[K, Bounds]]) -> dict[K, Bounds]:
    """Return the bounds of each key together."""
    found: dict[K, Bounds] = {}
    for key, span in pairs:
        found[key] = found[key].plus(span) if key in found else span
    return found


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

    def span(self, key: CellKey) -> Bounds:
        """Return what must and may be counted in a cell."""
        return Bounds(self.cells.get(key, NOTHING), self.slack.get(key, NOTHING))

    def _spans(self) -> Iterator[tuple[CellKey, Bounds]]:
        return ((key, self.span(key)) for key in dict.fromkeys((*self.cells, *self.slack)))

    @cached_property
    def users(self) -> frozenset[tuple[int, str]]:
        """(customer number, proxy user) pairs of the traffic."""
        return frozenset((key.customer_id, key.proxy_user_id) for key in self.keys)

    @cached_property
    def days(self) -> Mapping[NetworkDay, Bounds]:
        """What was sent by day, network and tenant."""
        return bounds_by_key((network_day_of(key), span) for key, span in self._spans())

    @cached_property
    def by_user(self) -> Mapping[tuple[int, str], Bounds]:
        """What was sent by tenant and proxy user."""
        return bounds_by_key((key[:2], span) for key, span in self._spans())

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
        if user:
            days = self._user_days.get((customer, user), {})
            return total_of(span for day, span in days.items() if first[:10] <= day <= last[:10])
        return total_of(
            span
            for key, span in self.by_hour.items()
            if key[:2] == (customer, network) and first[:13] <= key.hour <= last[:13]
        )

    @cached_property
    def _user_days(self) -> Mapping[tuple[int, str], Mapping[str, Bounds]]:
        days: dict[tuple[int, str], dict[str, Bounds]] = defaultdict(dict)
        sums = bounds_by_key(((key[:2], key.day), span) for key, span in self._spans())
        for (user, day), span in sums.items():
            days[user][day] = span
        return dict(days)

    def total(self, customer: int) -> Bounds:
        """Return a tenant's accepted events, and those of unknown outcome."""
        return total_of(span for day, span in self.days.items() if day.customer_id == customer)

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
        return bounds_by_key(pair for other in self.beside for pair in other._spans())

    def background_of(self, network_day: NetworkDay, *, own_users: bool) -> Bounds:
        """Return the other traffic of a day; with `own_users` only that of this traffic's users."""
        cells = self._background_by_day.get(network_day, {})
        return total_of(
            span for key, span in cells.items() if not own_users or key[:2] in self.users
        )

    @cached_property
    def _background_by_day(self) -> Mapping[NetworkDay, Mapping[CellKey, Bounds]]:
        network_days: dict[NetworkDay, dict[CellKey, Bounds]] = defaultdict(dict)
        for key, span in self.beside_cells.items():
            network_days[network_day_of(key)][key] = span
        return dict(network_days)

    def is_beside(self, log_id: str) -> bool:
        """Return whether an id belongs to the other traffic."""
        return any(other.sent.event(log_id) is not None for other in self.beside)
