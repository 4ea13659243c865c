"""What was sent, in the sums that a target's views are compared with. Pure; computed once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from trueup.conformance.observed.cells import NOTHING
from trueup.conformance.ports import SentTraffic, Slice
from trueup.reports.results import CellKey, Counts, HourKey

__all__ = ["Expected", "Lane", "Span", "add", "minus", "within"]


class Lane(NamedTuple):
    """A day of one network of a tenant: what ledgers and graph show, and others share."""

    customer_id: int
    network: str
    day: str


class Span(NamedTuple):
    """What must be there, and what may be there besides: deliveries of unknown outcome."""

    sure: Counts = NOTHING
    maybe: Counts = NOTHING


def add(one: Counts, other: Counts) -> Counts:
    """The sum of two counts."""
    a, b, c, d = one
    return Counts(a + other[0], b + other[1], c + other[2], d + other[3])


def minus(one: Counts, other: Counts) -> Counts:
    """The difference of two counts."""
    a, b, c, d = one
    return Counts(a - other[0], b - other[1], c - other[2], d - other[3])


def within(seen: int, sure: int, maybe: int) -> bool:
    """Whether a figure is one that the traffic can have led to."""
    return sure <= seen <= sure + maybe


def lane_of(key: CellKey) -> Lane:
    return Lane(key.customer_id, key.network, key.day)


@dataclass(frozen=True)
class Expected:
    """What was sent, in the sums that the views are compared with. Computed once.

    Where the target reads failed or empty requests as not counted, what is certain shrinks to what
    counts in any case, and the slack takes the rest: sums do not tell which bytes were whose.
    """

    sent: SentTraffic
    failed_count: bool = True
    empty_count: bool = True

    @classmethod
    def as_read(cls, sent: SentTraffic, readings: Mapping[str, str]) -> Expected:
        """What summaries, ledgers and graph must show under a target's readings."""
        return cls(
            sent,
            failed_count=readings.get("failed-requests", "counted") == "counted",
            empty_count=readings.get("zero-byte-requests", "counted") == "counted",
        )

    @cached_property
    def cells(self) -> Mapping[CellKey, Counts]:
        if self.failed_count and self.empty_count:
            return self.sent.cells()
        return {key: self._split(counts)[0] for key, counts in self.sent.cells().items()}

    @cached_property
    def slack(self) -> Mapping[CellKey, Counts]:
        if self.failed_count and self.empty_count:
            return self.sent.slack()
        slack = dict(self.sent.slack())
        for key, counts in self.sent.cells().items():
            slack[key] = add(slack.get(key, NOTHING), self._split(counts)[1])
        return slack

    def _split(self, counts: Counts) -> tuple[Counts, Counts]:
        """What must be counted, and what may be."""
        most = counts.requests if self.failed_count else counts.successful
        least = most if self.empty_count else 0
        free = counts.bytes if counts.error and not self.failed_count else 0
        sure = counts._replace(requests=least, bytes=counts.bytes - free)
        return sure, Counts(most - least, free, 0, 0)

    @cached_property
    def keys(self) -> frozenset[CellKey]:
        """Every cell that the traffic may have."""
        return frozenset((*self.cells, *self.slack))

    @cached_property
    def users(self) -> frozenset[tuple[int, str]]:
        return frozenset((key.customer_id, key.proxy_user_id) for key in self.keys)

    @cached_property
    def days(self) -> Mapping[Lane, Span]:
        """What was sent by day, network and tenant."""
        sums: dict[Lane, Span] = defaultdict(Span)
        for key, counts in self.cells.items():
            sure, maybe = sums[lane_of(key)]
            sums[lane_of(key)] = Span(add(sure, counts), maybe)
        for key, counts in self.slack.items():
            sure, maybe = sums[lane_of(key)]
            sums[lane_of(key)] = Span(sure, add(maybe, counts))
        return dict(sums)

    @cached_property
    def by_user(self) -> Mapping[tuple[int, str], Span]:
        """What was sent by tenant and proxy user."""
        sums: dict[tuple[int, str], Span] = defaultdict(Span)
        for key, counts in self.cells.items():
            sure, maybe = sums[key[:2]]
            sums[key[:2]] = Span(add(sure, counts), maybe)
        for key, counts in self.slack.items():
            sure, maybe = sums[key[:2]]
            sums[key[:2]] = Span(sure, add(maybe, counts))
        return dict(sums)

    @cached_property
    def by_hour(self) -> Mapping[HourKey, Span]:
        """What was sent by tenant, network and hour; of logs, so that all of it counts."""
        sure, maybe = self.sent.hours(), self.sent.slack_hours()
        return {
            key: Span(sure.get(key, NOTHING), maybe.get(key, NOTHING)) for key in {*sure, *maybe}
        }

    def inside(self, slice_: Slice) -> Span:
        """What was sent into whole hours of a network, or into whole days of a proxy user."""
        customer, first, last, network, user, _ = slice_
        sure, maybe = NOTHING, NOTHING
        if user:
            for day, span in self._user_days.get((customer, user), {}).items():
                if first[:10] <= day <= last[:10]:
                    sure, maybe = add(sure, span.sure), add(maybe, span.maybe)
            return Span(sure, maybe)
        for key, span in self.by_hour.items():
            if key[:2] == (customer, network) and first[:13] <= key.hour <= last[:13]:
                sure, maybe = add(sure, span.sure), add(maybe, span.maybe)
        return Span(sure, maybe)

    @cached_property
    def _user_days(self) -> Mapping[tuple[int, str], Mapping[str, Span]]:
        sums: dict[tuple[int, str], dict[str, Span]] = defaultdict(dict)
        for key in self.keys:
            sure, maybe = sums[key[:2]].get(key.day, Span())
            sums[key[:2]][key.day] = Span(
                add(sure, self.cells.get(key, NOTHING)), add(maybe, self.slack.get(key, NOTHING))
            )
        return dict(sums)

    def total(self, customer: int) -> Span:
        """All of a tenant's accepted and unknown events."""
        accepted, unknown = NOTHING, NOTHING
        for lane, (sure, maybe) in self.days.items():
            if lane.customer_id == customer:
                accepted, unknown = add(accepted, sure), add(unknown, maybe)
        return Span(accepted, unknown)

    # --- what else this run has sent

    @cached_property
    def beside(self) -> tuple[Expected, ...]:
        """Other traffic of this run, under the same readings."""
        return tuple(
            Expected(each, failed_count=self.failed_count, empty_count=self.empty_count)
            for each in self.sent.beside
        )

    @cached_property
    def beside_cells(self) -> Mapping[CellKey, Span]:
        """What the other traffic has in each cell."""
        sums: dict[CellKey, Span] = defaultdict(Span)
        for other in self.beside:
            for key in other.keys:
                sure, maybe = sums[key]
                sums[key] = Span(
                    add(sure, other.cells.get(key, NOTHING)),
                    add(maybe, other.slack.get(key, NOTHING)),
                )
        return dict(sums)

    def beside_lane(self, lane: Lane, *, own_users: bool) -> Span:
        """What the other traffic has in a lane; `own_users`: only under this traffic's users."""
        sure, maybe = NOTHING, NOTHING
        for key, span in self._beside_lanes.get(lane, {}).items():
            if not own_users or key[:2] in self.users:
                sure, maybe = add(sure, span.sure), add(maybe, span.maybe)
        return Span(sure, maybe)

    @cached_property
    def _beside_lanes(self) -> Mapping[Lane, Mapping[CellKey, Span]]:
        lanes: dict[Lane, dict[CellKey, Span]] = defaultdict(dict)
        for key, span in self.beside_cells.items():
            lanes[lane_of(key)][key] = span
        return dict(lanes)

    def is_beside(self, log_id: str) -> bool:
        """Whether an id is one of the other traffic's."""
        return any(other.sent.event(log_id) is not None for other in self.beside)
