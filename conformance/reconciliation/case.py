"""One reconciliation: what was observed, what was sent, and what summaries show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from trueup.conformance.contract.sums import NOTHING, add, summary_counts
from trueup.conformance.observed.observations import Observations
from trueup.conformance.ports import SentTraffic, Slice
from trueup.conformance.reconciliation.expected import Bounds, Expected, NetworkDay, within
from trueup.conformance.reconciliation.plan import (
    PROXIED,
    LogCount,
    SummarySearch,
    baseline_stage_of,
    log_counts,
    log_searches,
    retrieve_requests,
    stage_of,
    summary_searches,
    tenants,
)
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import Row, as_str, day_of, rows_of
from trueup.reports.results import CellKey, Counts

__all__ = ["Case", "ObservedCell"]


@dataclass(frozen=True, kw_only=True)
class ObservedCell:
    """What the summaries show of the traffic's days."""

    own: Mapping[CellKey, Counts]
    foreign: Mapping[NetworkDay, Counts]
    """What other proxy users of the tenant have."""
    where: Mapping[CellKey, int]
    """The exchange that showed a cell."""
    read_parts: frozenset[tuple[int, str, str, str]]
    """(tenant, day, network, proxy user) of the usable searches; an empty string means all."""
    unread: Mapping[str, int]
    """Why a search is unusable, and its exchange."""

    def whole(self, network_day: NetworkDay) -> bool:
        """Return whether all summaries of a day and network were read, foreign ones too."""
        customer, network, day = network_day
        return any((customer, day, each, "") in self.read_parts for each in (network, ""))

    def covers(self, key: CellKey) -> bool:
        """Return whether the cell would have been read."""
        by_user = (key.customer_id, "", "", key.proxy_user_id) in self.read_parts
        return by_user or self.whole(NetworkDay(key.customer_id, key.network, key.day))


@dataclass(frozen=True)
class Case:
    """The input of the evaluation."""

    observations: Observations
    sent: SentTraffic
    part: str
    events: Expected
    """What was sent, event by event: what logs show, and what decides what is requested."""
    sums: Expected
    """What summaries, ledgers and graph must show under the target's readings."""

    @classmethod
    def of(cls, observations: Observations, sent: SentTraffic, part: str) -> Self:
        """Return the case of traffic; sums that the readings leave open are ranges."""
        readings = {name: one.value for name, one in observations.readings.items()}
        return cls(observations, sent, part, Expected(sent), Expected.as_read(sent, readings))

    def anew(self, observations: Observations) -> Self:
        """Return the case with more observations; what was sent is not summed again."""
        return replace(self, observations=observations)

    @property
    def stage(self) -> str:
        """Name of the stage in which the reconciliation reads."""
        return stage_of(self.part)

    @property
    def baseline_stage(self) -> str:
        """Name of the stage in which accounts were read before the traffic was sent."""
        return baseline_stage_of(self.part)

    def scope_of(self, customer: int, network: str) -> str:
        """Return the scope of a tie-out row of one network of a tenant.

        Traffic through proxies is compared by network first: proxies belong to networks.
        """
        if self.part == PROXIED:
            return f"{network} · tenant {customer}"
        return f"tenant {customer} · {network}"

    def ledger_scope_of(self, customer: int, pool: str) -> str:
        """Return the scope of a tie-out row of one ledger of a tenant."""
        return self.scope_of(customer, pool) if self.part == PROXIED else f"tenant {customer}"

    @cached_property
    def letters(self) -> Mapping[int, str]:
        """Customer number → tenant letter."""
        return {number: letter for letter, number in tenants(self.observations).items()}

    @cached_property
    def searches(self) -> list[SummarySearch]:
        """Searches of the summaries that were recorded."""
        return summary_searches(self.observations, self.events)

    @cached_property
    def log_searches(self) -> list[tuple[Slice, ApiRequest]]:
        """Searches of logs, whole or in samples, with what each searches."""
        return log_searches(self.observations, self.events, self.stage)

    @cached_property
    def log_counts(self) -> list[LogCount]:
        """Parts of the logs that are counted."""
        return log_counts(self.observations, self.events, self.stage)

    @cached_property
    def retrieves(self) -> list[ApiRequest]:
        """Retrieves of single logs."""
        return retrieve_requests(self.observations, self.events)

    @property
    def log_requests(self) -> list[ApiRequest]:
        """All requests for logs except those of the snapshots."""
        searches = [request for _, request in self.log_searches]
        return [*searches, *(each.request for each in self.log_counts), *self.retrieves]

    @cached_property
    def seen(self) -> ObservedCell:
        """What the summaries show; adjacent days are in `own` alone."""
        own: dict[CellKey, Counts] = {}
        foreign: dict[NetworkDay, Counts] = {}
        where: dict[CellKey, int] = {}
        read_parts: set[tuple[int, str, str, str]] = set()
        unread: dict[str, int] = {}
        for search in self.searches:
            found = self.observations.paged_result(self.stage, search.request)
            if found is None or (found.unusable and not search.beside):
                why = found.unusable if found else f"{search.request.path} was not requested"
                unread.setdefault(why, found.exchanges[-1].n if found else 0)
                continue
            if not found.unusable:
                read_parts.add((search.customer, search.day, search.network, search.user))
            for exchange in found.exchanges:
                for row in rows_of(exchange.body) or ():
                    key, counts = _key(row, search.customer), summary_counts(row)
                    if key[:2] in self.events.users:
                        own[key] = add(own.get(key, NOTHING), counts)
                        where[key] = exchange.n
                    elif not search.beside:
                        network_day = NetworkDay(search.customer, key.network, key.day)
                        foreign[network_day] = add(foreign.get(network_day, NOTHING), counts)
        return ObservedCell(
            own=own, foreign=foreign, where=where, read_parts=frozenset(read_parts), unread=unread
        )

    def span(self, key: CellKey) -> Bounds:
        """Return what must and may be in a cell, including other traffic of this run."""
        return self.sums.span(key).plus(self.sums.beside_cells.get(key, Bounds()))

    def expect_equal(self, key: CellKey) -> bool:
        """Return whether a cell shows an expected sum."""
        certain, possible = self.span(key)
        have = self.seen.own.get(key, NOTHING)
        return within(have.requests, certain.requests, possible.requests) and within(
            have.bytes, certain.bytes, possible.bytes
        )

    @cached_property
    def cells(self) -> list[CellKey]:
        """The cells of the traffic's days that were sent or that exist."""
        days = {(network_day.customer_id, network_day.day) for network_day in self.events.days}
        there = (key for key in self.seen.own if (key.customer_id, key.day) in days)
        return sorted({*self.events.keys, *there})

    @cached_property
    def wrong_cells(self) -> list[CellKey]:
        """Cells of the traffic's days that differ from what was sent."""
        return [key for key in self.cells if self.seen.covers(key) and not self.expect_equal(key)]

    @cached_property
    def unexpected_cells(self) -> list[CellKey]:
        """Cells of the proxy users of this traffic on days on which nothing was sent to them."""
        days = {(network_day.customer_id, network_day.day) for network_day in self.events.days}
        return sorted(
            key
            for key, counts in self.seen.own.items()
            if counts.requests
            and (key.customer_id, key.day) not in days
            and not self.expect_equal(key)
        )

    def others(self, network_day: NetworkDay) -> Bounds:
        """Return what others have on a day and network, as far as it is known."""
        if not self.seen.whole(network_day):
            return self.sums.background_of(network_day, own_users=False)
        foreign = Bounds(self.seen.foreign.get(network_day, NOTHING))
        return self.sums.background_of(network_day, own_users=True).plus(foreign)


def _key(row: Row, customer: int) -> CellKey:
    return CellKey(
        customer,
        as_str(row, "proxy_user_id") or "",
        as_str(row, "log_summary_network") or "",
        as_str(row, "log_summary_hostname") or "",
        day_of(row.get("log_summary_period")) or "no day",
    )
