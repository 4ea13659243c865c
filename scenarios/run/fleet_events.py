"""The events of a fleet as numbered events, drawn again whenever they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from trueup.conformance.ports import Slice
from trueup.reports.results import Json, Outcome
from trueup.scenarios.run.delivered import is_inside
from trueup.scenarios.run.outcome_ranges import Span, unix_second
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.draws import BillingColumns, draw_billing
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.totals import Totals, totals

__all__ = ["FleetEvents"]


class FleetEvents:
    """Implements `NumberedEvents` for a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.customers = fleet.customers
        self.position = fleet.position
        self.log_id = fleet.log_id

    def rows(self, first: int, count: int) -> list[dict[str, Json]]:
        """Return events first … first+count-1 in full."""
        return self._fleet.batch(first, count).rows()

    def totals(self, ranges: Sequence[tuple[int, int]]) -> Totals:
        """Return the sums of events first … first+count-1 of each (first, count)."""
        return totals(self._fleet, ranges)

    def select(self, spans: Sequence[Span], slices: Sequence[Slice]) -> list[Mapping[str, Outcome]]:
        """Return, for each slice, the ids of its events in the spans; drawn once for all slices."""
        selectors = [_Selector(self._fleet, each) for each in slices]
        for first, stop, outcome in spans:
            for selector in selectors:
                selector.outcome = outcome
            self._select(first, stop, selectors)
        return [selector.found for selector in selectors]

    def _select(self, first: int, stop: int, selectors: Sequence[_Selector]) -> None:
        covered = min(stop, self._fleet.model.coverage.count)
        if first < covered:
            for row in self._fleet.batch(first, covered - first).coverage_rows():
                for selector in selectors:
                    selector.take_row(row)
        first = max(first, covered)
        for start, size in self._fleet.model.arrivals.segments(first, stop - first):
            core = draw_billing(self._fleet.model, start, size)
            for selector in selectors:
                selector.take(core)


class _Selector:
    """Keeps the ids of the events that fall into a slice."""

    def __init__(self, fleet: Fleet, slice_: Slice) -> None:
        self._fleet, self._slice = fleet, slice_
        self.outcome = Outcome.ACCEPTED
        self.found: dict[str, Outcome] = {}
        model, senders = fleet.model, fleet.model.senders
        customer, _, _, network, user, host = slice_
        self._senders = np.array(model.customers, dtype=np.int64).take(senders.customer) == customer
        if network:
            code = NETWORKS.index(network) if network in NETWORKS else -1
            self._senders &= senders.network == code
        if user:
            self._senders &= np.array([senders.users[n] == user for n in senders.user.tolist()])
        self._hosts: npt.NDArray[np.bool_] | None = None
        if host:
            self._hosts = np.array([name == host for name in model.hosts.names])
        self._first, self._last = unix_second(slice_.first), unix_second(slice_.last)

    def take(self, core: BillingColumns) -> None:
        """Drawn events; numbers follow each other from `core.first`."""
        here = self._senders.take(core.sender)
        here &= (core.second >= self._first) & (core.second <= self._last)
        if self._hosts is not None:
            here &= self._hosts.take(core.host)
        numbers = (np.flatnonzero(here) + core.first).astype(np.uint64)
        self.found |= dict.fromkeys(self._fleet.model.ids.texts(numbers), self.outcome)

    def take_row(self, row: Mapping[str, Json]) -> None:
        """A whole event."""
        if is_inside(row, self._slice):
            self.found[str(row["log_id"])] = self.outcome
