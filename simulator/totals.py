"""The oracle of fleet traffic: what delivered ranges add up to, without keeping events.

Events are drawn again and added into cells. Memory grows with the number of cells that exist,
never with the number of events. All sums are whole numbers: 64 bits while adding, Python's own in
the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from reports.facts import CellKey, Counts, HourKey, Json
from simulator.draws import Core, draw_core
from simulator.population import HOST_SLOTS, WIDE
from simulator.sizes import NETWORKS
from simulator.words import Ints

if TYPE_CHECKING:
    from simulator.fleet import Fleet

__all__ = ["Totals", "add_row", "totals"]

_DAY: Final = 86400
_HOUR: Final = 3600
_CHUNK: Final = 1 << 14
_LOOSE_MAX: Final = 1 << 20
"""Entries of the sparse store after which equal cells are put together."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums by summary cell and by hour. Both add up to the same requests and bytes."""

    cells: Mapping[CellKey, Counts]
    hours: Mapping[HourKey, Counts]
    events: int


def totals(fleet: Fleet, ranges: Sequence[tuple[int, int]]) -> Totals:
    """Totals of events first … first+count-1 of each (first, count); a repeat counts twice."""
    adder = _Adder(fleet)
    for first, count in ranges:
        adder.add(first, count)
    return adder.result()


def add_row(
    cells: dict[CellKey, Counts], hours: dict[HourKey, Counts], row: Mapping[str, Json]
) -> None:
    """Add one whole event to both sums."""
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
    cells[cell] = _plus(cells.get(cell), more)
    hours[hour] = _plus(hours.get(hour), more)


def _plus(known: Counts | None, more: Counts) -> Counts:
    if known is None:
        return more
    return Counts(*(a + b for a, b in zip(known, more, strict=True)))


class _Adder:
    """Running sums. Targets of lanes are dense by day; hostnames of the wide law are sparse."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        lanes = fleet.world.lanes
        self._slots = (len(lanes) + 1) * HOST_SLOTS
        self._hosts = len(fleet.world.hosts.names)
        self._dense: dict[int, Ints] = {}
        """Day since 1970 → (3 x lanes x slots): requests, errors, bytes. Probes by lane: sparse."""
        self._loose: list[Ints] = []
        self._loose_size = 0
        self._hour: dict[int, Ints] = {}
        """Hour since 1970 → (3 x lanes)."""
        self._cells: dict[CellKey, Counts] = {}
        self._hours: dict[HourKey, Counts] = {}
        self._events = 0

    def add(self, first: int, count: int) -> None:
        """Add events first … first+count-1."""
        self._events += count
        covered = min(first + count, self.fleet.coverage.count) - first
        if covered > 0:
            for row in self.fleet.batch(first, covered).coverage_rows():
                add_row(self._cells, self._hours, row)
            first, count = first + covered, count - covered
        for start, size in self.fleet.arrivals.stretches(first, count, _CHUNK):
            self._add_core(draw_core(self.fleet, start, size))

    def _add_core(self, core: Core) -> None:
        failed = self.fleet.world.outcomes.failed.take(core.outcome)
        hour = core.second // _HOUR
        for number, here in _split(hour):
            self._add_hour(number, core.lane[here], failed[here], core.total_bytes[here])
        for day, here in _split(hour // 24):
            self._add_day(
                day,
                core.lane[here],
                core.slot[here],
                core.host[here],
                failed[here],
                core.total_bytes[here],
            )

    def _add_hour(self, hour: int, lane: Ints, failed: Ints, size: Ints) -> None:
        lanes = len(self.fleet.world.lanes)
        found = self._hour.get(hour)
        if found is None:
            found = self._hour[hour] = np.zeros((3, lanes), dtype=np.int64)
        found[0] += np.bincount(lane, minlength=lanes)
        found[1] += np.bincount(lane[failed == 1], minlength=lanes)
        np.add.at(found[2], lane, size)

    def _add_day(
        self, day: int, lane: Ints, slot: Ints, host: Ints, failed: Ints, size: Ints
    ) -> None:
        found = self._dense.get(day)
        if found is None:
            found = self._dense[day] = np.zeros((3, self._slots), dtype=np.int64)
        probes = self._slots - HOST_SLOTS
        own = (slot != WIDE) & (slot < probes)
        dense = slot[own]
        found[0] += np.bincount(dense, minlength=self._slots)
        found[1] += np.bincount(slot[own & (failed == 1)], minlength=self._slots)
        np.add.at(found[2], dense, size[own])
        rest = np.flatnonzero(~own)
        if len(rest):
            code = (day * len(self.fleet.world.lanes) + lane[rest]) * self._hosts + host[rest]
            self._loose.append(np.stack([code, np.ones_like(code), failed[rest], size[rest]]))
            self._loose_size += len(rest)
            if self._loose_size > _LOOSE_MAX:
                self._gather()

    def _gather(self) -> None:
        """Put equal cells of the sparse store together."""
        if self._loose:
            every = np.concatenate(self._loose, axis=1)
            every = every[:, np.argsort(every[0], kind="stable")]
            starts = np.flatnonzero(np.diff(every[0], prepend=-1))
            sums = [np.add.reduceat(row, starts) for row in every[1:]]
            self._loose = [np.stack([every[0][starts], *sums])]
            self._loose_size = 0

    def result(self) -> Totals:
        """What was added up."""
        self._gather()
        for key, more in self._cell_parts():
            self._cells[key] = _plus(self._cells.get(key), more)
        for hour, sums in self._hour.items():
            self._result_hour(hour, sums)
        return Totals(cells=self._cells, hours=self._hours, events=self._events)

    def _result_hour(self, hour: int, sums: Ints) -> None:
        world = self.fleet.world
        text = datetime.fromtimestamp(hour * _HOUR, UTC).strftime("%Y-%m-%d %H")
        for lane in np.flatnonzero(sums[0]).tolist():
            key = HourKey(
                customer_id=world.customers[int(world.lanes.customer[lane])],
                network=NETWORKS[int(world.lanes.network[lane])],
                hour=text,
            )
            more = _counts(*sums[:, lane].tolist())
            self._hours[key] = _plus(self._hours.get(key), more)

    def _cell_parts(self) -> Iterator[tuple[CellKey, Counts]]:
        lanes = self.fleet.world.lanes
        for day, sums in self._dense.items():
            for slot in np.flatnonzero(sums[0]).tolist():
                host = int(lanes.host_slots[slot])
                yield self._key(day, slot // HOST_SLOTS, host), _counts(*sums[:, slot].tolist())
        for part in self._loose:
            for code, requests, errors, size in part.T.tolist():
                rest, host = divmod(code, self._hosts)
                day, lane = divmod(rest, len(lanes))
                yield self._key(day, lane, host), _counts(requests, errors, size)

    def _key(self, day: int, lane: int, host: int) -> CellKey:
        world = self.fleet.world
        lanes = world.lanes
        return CellKey(
            customer_id=world.customers[int(lanes.customer[lane])],
            proxy_user_id=lanes.users[int(lanes.user[lane])],
            network=NETWORKS[int(lanes.network[lane])],
            hostname=world.hosts.names[host],
            day=datetime.fromtimestamp(day * _DAY, UTC).strftime("%Y-%m-%d"),
        )


def _counts(requests: int, errors: int, size: int) -> Counts:
    return Counts(requests=requests, bytes=size, successful=requests - errors, error=errors)


def _split(values: Ints) -> Iterator[tuple[int, Ints | slice]]:
    """Each distinct value with where it stands; cheap where there is only one."""
    low, high = int(values.min()), int(values.max())
    if low == high:
        yield low, slice(None)
        return
    for value in range(low, high + 1):
        here = np.flatnonzero(values == value)
        if len(here):
            yield value, here
