"""One reconciliation as its judges see it: the facts, what was sent, and what summaries show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from trueup.conformance.observed.cells import NOTHING
from trueup.conformance.observed.observations import Observations
from trueup.conformance.ports import SentTraffic
from trueup.conformance.reconciliation.expected import Bounds, Expected, NetworkDay, add, within
from trueup.conformance.reconciliation.plan import SummaryWalk, stage_of, summary_walks, tenants
from trueup.conformance.rows import Row, as_int, as_str, day_of, get_path
from trueup.reports.results import CellKey, Counts

__all__ = ["Case", "ObservedCell"]


@dataclass(frozen=True, kw_only=True)
class ObservedCell:
    """What the summaries show of the traffic's days."""

    own: Mapping[CellKey, Counts]
    foreign: Mapping[NetworkDay, Counts]
    """What other proxy users of the tenant have in a lane."""
    where: Mapping[CellKey, int]
    """The exchange that showed a cell."""
    walked: frozenset[tuple[int, str, str, str]]
    """(tenant, day, network, proxy user) of the walks that can be used; empty stands for all."""
    unread: Mapping[str, int]
    """Why a walk cannot be used, and the exchange that says so."""

    def whole(self, lane: NetworkDay) -> bool:
        """Whether all of a lane was seen, so that what is foreign in it is known."""
        customer, network, day = lane
        return any((customer, day, each, "") in self.walked for each in (network, ""))

    def covers(self, key: CellKey) -> bool:
        """Whether the cell would have been seen."""
        by_user = (key.customer_id, "", "", key.proxy_user_id) in self.walked
        return by_user or self.whole(NetworkDay(key.customer_id, key.network, key.day))


@dataclass(frozen=True)
class Case:
    """What a judge of traffic works with."""

    observations: Observations
    sent: SentTraffic
    part: str
    events: Expected
    """What was sent, event for event: what logs show, and what decides what is asked."""
    sums: Expected
    """What summaries, ledgers and graph must show under the target's readings."""

    @classmethod
    def of(cls, observations: Observations, sent: SentTraffic, part: str) -> Self:
        readings = {name: one.value for name, one in observations.readings.items()}
        return cls(observations, sent, part, Expected(sent), Expected.as_read(sent, readings))

    def anew(self, observations: Observations) -> Self:
        """The same with more facts; what was sent is not added up again."""
        return replace(self, observations=observations)

    @property
    def stage(self) -> str:
        return stage_of(self.part)

    @cached_property
    def letters(self) -> Mapping[int, str]:
        """Customer number to tenant letter."""
        return {number: letter for letter, number in tenants(self.observations).items()}

    @cached_property
    def walks(self) -> list[SummaryWalk]:
        return summary_walks(self.observations, self.events)

    @cached_property
    def seen(self) -> ObservedCell:
        """What the walks over summaries show; days beside the traffic's are in `own` alone."""
        own: dict[CellKey, Counts] = {}
        foreign: dict[NetworkDay, Counts] = {}
        where: dict[CellKey, int] = {}
        walked: set[tuple[int, str, str, str]] = set()
        unread: dict[str, int] = {}
        for walk in self.walks:
            found = self.observations.paged_result(self.stage, walk.ask)
            if found is None or (found.unusable and not walk.beside):
                why = found.unusable if found else f"{walk.ask.path} was not asked"
                unread.setdefault(why, found.exchanges[-1].n if found else 0)
                continue
            if not found.unusable:
                walked.add((walk.customer, walk.day, walk.network, walk.user))
            for exchange in found.exchanges:
                data = get_path(exchange.body, "data")
                for row in data if isinstance(data, list) else []:
                    if not isinstance(row, dict):
                        continue
                    key, counts = _key(row, walk.customer), _counts(row)
                    if key[:2] in self.events.users:
                        own[key] = add(own.get(key, NOTHING), counts)
                        where[key] = exchange.n
                    elif not walk.beside:
                        lane = NetworkDay(walk.customer, key.network, key.day)
                        foreign[lane] = add(foreign.get(lane, NOTHING), counts)
        return ObservedCell(
            own=own, foreign=foreign, where=where, walked=frozenset(walked), unread=unread
        )

    def span(self, key: CellKey) -> Bounds:
        """What must and may be in a cell, with what this run has sent there besides."""
        certain, possible = self.sums.cells.get(key, NOTHING), self.sums.slack.get(key, NOTHING)
        besides = self.sums.beside_cells.get(key)
        if besides is None:
            return Bounds(certain, possible)
        return Bounds(add(certain, besides.certain), add(possible, besides.possible))

    def expect_equal(self, key: CellKey) -> bool:
        """Whether a cell shows what it can show."""
        certain, possible = self.span(key)
        have = self.seen.own.get(key, NOTHING)
        return within(have.requests, certain.requests, possible.requests) and within(
            have.bytes, certain.bytes, possible.bytes
        )

    @cached_property
    def cells(self) -> list[CellKey]:
        """The cells of the traffic's days that were sent, or that are there."""
        days = {(lane.customer_id, lane.day) for lane in self.events.days}
        there = (key for key in self.seen.own if (key.customer_id, key.day) in days)
        return sorted({*self.events.keys, *there})

    @cached_property
    def wrong_cells(self) -> list[CellKey]:
        """Cells of the traffic's days that do not hold what was sent."""
        return [key for key in self.cells if self.seen.covers(key) and not self.expect_equal(key)]

    @cached_property
    def stray_cells(self) -> list[CellKey]:
        """Cells of our users on days on which nothing was sent to them."""
        days = {(lane.customer_id, lane.day) for lane in self.events.days}
        return sorted(
            key
            for key, counts in self.seen.own.items()
            if counts.requests
            and (key.customer_id, key.day) not in days
            and not self.expect_equal(key)
        )

    def others(self, lane: NetworkDay) -> Bounds:
        """What others have in a lane: as the summaries show it, or else as far as it is known."""
        if not self.seen.whole(lane):
            return self.sums.beside_lane(lane, own_users=False)
        certain, possible = self.sums.beside_lane(lane, own_users=True)
        return Bounds(add(certain, self.seen.foreign.get(lane, NOTHING)), possible)


def _key(row: Row, customer: int) -> CellKey:
    return CellKey(
        customer,
        as_str(row, "proxy_user_id") or "",
        as_str(row, "log_summary_network") or "",
        as_str(row, "log_summary_hostname") or "",
        day_of(row.get("log_summary_period")) or "no day",
    )


def _counts(row: Row) -> Counts:
    return Counts(
        *(
            as_int(row, f"log_summary_{name}") or 0
            for name in ("requests", "bytes", "successful", "error")
        )
    )
