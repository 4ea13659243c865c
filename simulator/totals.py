"""Totals of a fleet's traffic: what ranges of its events add up to, without storing events.

Events are drawn again and added to cells. Memory grows with the number of cells, not with the
number of events. All sums are integers: 64 bits while adding, Python's own in the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from trueup.reports.results import CellKey, Counts, HourKey, Json
from trueup.simulator.model.draws import BillingColumns, draw_billing
from trueup.simulator.model.population import HOST_SLOTS
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.random.random_words import Ints

if TYPE_CHECKING:
    from trueup.simulator.fleet import Fleet

__all__ = ["Totals", "add_row", "day_of", "hour_of", "plus", "totals"]

_DAY: Final = 86400
_HOUR: Final = 3600
_CHUNK: Final = 1 << 16
_SPARSE_MAX: Final = 1 << 20
"""Entries of the sparse store after which equal cells are merged."""


class Totals:
    """Sums by summary cell and by hour. Both add up to the same requests and bytes.

    Sums are held as arrays; the cells are named when they are first requested.
    """

    def __init__(self, adder: _Adder) -> None:
        self._adder = adder
        self.events = adder.events

    @cached_property
    def cells(self) -> Mapping[CellKey, Counts]:
        """Return counts by tenant, user, network, hostname and day."""
        return self._adder.named_cells()

    @cached_property
    def hours(self) -> Mapping[HourKey, Counts]:
        """Return counts by tenant, network and hour."""
        return self._adder.named_hours()


def totals(fleet: Fleet, ranges: Sequence[tuple[int, int]]) -> Totals:
    """Return the totals of events first … first+count-1 of each (first, count); a repeat counts
    twice.
    """
    adder = _Adder(fleet)
    for first, count in ranges:
        adder.add(first, count)
    return adder.finish()


def add_row(
    cells: dict[CellKey, Counts], hours: dict[HourKey, Counts], row: Mapping[str, Json]
) -> None:
    """Add one event to both sums, in place."""
    customer, moment = row["customer_id"], str(row["log_request_datetime"])
    size, status = row["log_total_bytes"], row["log_status_code"]
    assert isinstance(customer, int) and isinstance(size, int)
    network = str(row["log_network"])
    failed = row["log_error_code"] is not None or (isinstance(status, int) and status >= 400)
    more = Counts(requests=1, bytes=size, successful=1 - failed, error=int(failed))
    cell = CellKey(
        customer_id=customer,
        proxy_user_id=str(row["proxy_user_id"]),
        network=network,
        hostname=str(row["log_hostname"]),
        day=moment[:10],
    )
    hour = HourKey(customer_id=customer, network=network, hour=moment[:13])
    cells[cell] = plus(cells.get(cell), more)
    hours[hour] = plus(hours.get(hour), more)


def plus(known: Counts | None, more: Counts) -> Counts:
    """Return the sum of two counts; None stands for no request."""
    if known is None:
        return more
    return Counts(*(a + b for a, b in zip(known, more, strict=True)))


class _Adder:
    """Running sums. A sender's own targets are dense by day; other hostnames are sparse."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        senders = fleet.model.senders
        self._slots = (len(senders) + 1) * HOST_SLOTS + 1
        # The last slots are those of probes and, at the very end, of all hostnames (WIDE is -1).
        self._hosts = len(fleet.model.hosts.names)
        self._dense: dict[int, Ints] = {}
        """Day since 1970 → (3 x senders x slots): requests, errors, bytes. Probes by sender:
        sparse.
        """
        self._sparse: list[Ints] = []
        self._sparse_size = 0
        self._hour: dict[int, Ints] = {}
        """Hour since 1970 → (3 x senders)."""
        self._cells: dict[CellKey, Counts] = {}
        self._hours: dict[HourKey, Counts] = {}
        self.events = 0

    def add(self, first: int, count: int) -> None:
        """Add events first … first+count-1."""
        self.events += count
        covered = min(first + count, self.fleet.model.coverage.count) - first
        if covered > 0:
            for row in self.fleet.batch(first, covered).coverage_rows():
                add_row(self._cells, self._hours, row)
            first, count = first + covered, count - covered
        for start, size in self.fleet.model.arrivals.segments(first, count, _CHUNK):
            self._add_columns(draw_billing(self.fleet.model, start, size))

    def _add_columns(self, core: BillingColumns) -> None:
        failed = self.fleet.model.outcomes.failed.take(core.outcome)
        hour = core.second // _HOUR
        for number, here in _split(hour):
            self._add_hour(number, core.sender[here], failed[here], core.total_bytes[here])
        for day, here in _split(hour // 24):
            self._add_day(
                day,
                core.sender[here],
                core.slot[here],
                core.host[here],
                failed[here],
                core.total_bytes[here],
            )

    def _add_hour(self, hour: int, sender: Ints, failed: Ints, size: Ints) -> None:
        found = self._hour.get(hour)
        if found is None:
            found = self._hour[hour] = np.zeros((3, len(self.fleet.model.senders)), dtype=np.int64)
        _add_at(found, sender, failed, size)

    def _add_day(
        self, day: int, sender: Ints, slot: Ints, host: Ints, failed: Ints, size: Ints
    ) -> None:
        found = self._dense.get(day)
        if found is None:
            found = self._dense[day] = np.zeros((3, self._slots), dtype=np.int64)
        _add_at(found, slot, failed, size)
        rest = np.flatnonzero((slot < 0) | (slot >= self._slots - 1 - HOST_SLOTS))
        if len(rest):
            code = (day * len(self.fleet.model.senders) + sender[rest]) * self._hosts + host[rest]
            self._sparse.append(np.stack([code, np.ones_like(code), failed[rest], size[rest]]))
            self._sparse_size += len(rest)
            if self._sparse_size > _SPARSE_MAX:
                self._merge_sparse()

    def _merge_sparse(self) -> None:
        """Merge equal cells of the sparse store."""
        if self._sparse:
            every = np.concatenate(self._sparse, axis=1)
            every = every[:, np.argsort(every[0], kind="stable")]
            starts = np.flatnonzero(np.diff(every[0], prepend=-1))
            sums = [np.add.reduceat(row, starts) for row in every[1:]]
            self._sparse = [np.stack([every[0][starts], *sums])]
            self._sparse_size = 0

    def named_cells(self) -> dict[CellKey, Counts]:
        """Return every cell that has a request, by name."""
        cells = dict(self._cells)
        for part in self._sparse:
            for key, counts in self._named_cells(part):
                cells[key] = plus(cells.get(key), counts)
        return cells

    def named_hours(self) -> dict[HourKey, Counts]:
        """Return every hour that has a request, by name."""
        hours = dict(self._hours)
        for hour, sums in self._hour.items():
            self._name_hour(hours, hour, sums)
        return hours

    def finish(self) -> Totals:
        """Merge everything, and return the totals; nothing can be added after that."""
        self._dense_to_sparse()
        self._merge_sparse()
        return Totals(self)

    def _dense_to_sparse(self) -> None:
        """Move the dense store to the sparse one: slots of a sender may share a hostname."""
        senders, most = self.fleet.model.senders, self._slots - 1 - HOST_SLOTS
        for day, sums in self._dense.items():
            slot = np.flatnonzero(sums[0, :most])
            host = senders.host_slots.take(slot)
            code = (day * len(senders) + slot // HOST_SLOTS) * self._hosts + host
            self._sparse.append(np.stack([code, *sums[:, slot]]))
        self._dense.clear()

    def _named_cells(self, part: Ints) -> Iterator[tuple[CellKey, Counts]]:
        """Yield cells by name. Codes are distinct, names are not: a hostname may be listed
        twice.
        """
        model = self.fleet.model
        senders, names = model.senders, model.hosts.names
        sender_names = [
            (model.customers[customer], senders.users[user], NETWORKS[network])
            for customer, user, network in zip(
                senders.customer.tolist(),
                senders.user.tolist(),
                senders.network.tolist(),
                strict=True,
            )
        ]
        rest, host = np.divmod(part[0], self._hosts)
        day, sender = np.divmod(rest, len(senders))
        dates = {value: day_of(value) for value in np.unique(day).tolist()}
        columns = (day, sender, host, part[1], part[2], part[3])
        for d, who, h, requests, errors, size in zip(*(c.tolist() for c in columns), strict=True):
            customer, user, network = sender_names[who]
            key = CellKey(customer, user, network, names[h], dates[d])
            yield key, Counts(requests, size, requests - errors, errors)

    def _name_hour(self, hours: dict[HourKey, Counts], hour: int, sums: Ints) -> None:
        model = self.fleet.model
        text = hour_of(hour)
        for sender in np.flatnonzero(sums[0]).tolist():
            key = HourKey(
                customer_id=model.customers[int(model.senders.customer[sender])],
                network=NETWORKS[int(model.senders.network[sender])],
                hour=text,
            )
            requests, errors, size = sums[:, sender].tolist()
            more = Counts(requests, size, requests - errors, errors)
            hours[key] = plus(hours.get(key), more)


def _add_at(found: Ints, where: Ints, failed: Ints, size: Ints) -> None:
    """Add requests, errors and bytes."""
    np.add.at(found[0], where, 1)
    np.add.at(found[1], where[failed == 1], 1)
    np.add.at(found[2], where, size)


def day_of(number: int) -> str:
    """Return a day since 1970 as `CellKey` has it."""
    return datetime.fromtimestamp(number * _DAY, UTC).strftime("%Y-%m-%d")


def hour_of(number: int) -> str:
    """Return an hour since 1970 as `HourKey` has it."""
    return datetime.fromtimestamp(number * _HOUR, UTC).strftime("%Y-%m-%d %H")


def _split(values: Ints) -> Iterator[tuple[int, Ints | slice]]:
    """Yield each distinct value with the indices that have it; cheap if there is only one."""
    low, high = int(values.min()), int(values.max())
    if low == high:
        yield low, slice(None)
        return
    for value in range(low, high + 1):
        here = np.flatnonzero(values == value)
        if len(here):
            yield value, here
