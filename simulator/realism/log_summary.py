"""What a log amounts to: counts of its sizes, hours, networks and hostnames, in one pass.

Memory grows with the number of distinct hours and hostnames, not with the number of requests. Sizes
are counted in bins 1/64 wide or narrower; a bin keeps its sum, so that totals are exact.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from trueup.simulator.access_logs import AccessRecord
from trueup.simulator.model.observed import BYTES_MAX
from trueup.simulator.model.sizes import NETWORKS

__all__ = ["LogSummary", "SizeCounts"]

_HOSTS_MAX: Final = 200_000
_EXACT_BITS: Final = 7
"""Sizes below 2^7 have bins of their own; above, each octave has 2^6."""
_HOUR_US: Final = 3_600_000_000


class SizeCounts:
    """How many requests had which size."""

    def __init__(self) -> None:
        self._bins: dict[int, list[int]] = {}
        self.count = self.total = 0

    def add(self, size: int) -> None:
        """Count one request."""
        shift = max(size.bit_length() - _EXACT_BITS, 0)
        place = (shift << _EXACT_BITS) + (size >> shift)
        found = self._bins.get(place)
        if found is None:
            self._bins[place] = [1, size]
        else:
            found[0] += 1
            found[1] += size
        self.count += 1
        self.total += size

    def table(self) -> list[tuple[int, int]]:
        """Return (bytes, requests) in order of size; a bin counts as its mean."""
        merged = Counter[int]()
        for count, total in self._bins.values():
            low = total // count
            # So many of the bin are one byte larger that its sum is exact.
            over = total - low * count
            merged[low] += count - over
            if over:
                merged[low + 1] += over
        return sorted((size, count) for size, count in merged.items() if count)


class LogSummary:
    """What was counted of a log."""

    def __init__(self, network: str) -> None:
        """`network` is the one of requests whose log does not name it."""
        self._network = network
        self.count = 0
        self.sized = 0
        """Requests with a size."""
        self.clipped = 0
        """Requests larger than `BYTES_MAX`: counted as that, since no event can have more."""
        self.first_us = self.last_us = 0
        self.sizes: Mapping[str, SizeCounts] = {name: SizeCounts() for name in NETWORKS}
        self.networks = Counter[str]()
        self.socks = Counter[str]()
        self.failed = Counter[str]()
        self.statuses = Counter[int]()
        self.authentication = Counter[int]()
        self.hours = Counter[int]()
        """By hour since 1970."""
        self.hosts = Counter[str]()
        self.hosts_left_out = 0
        self.protocols_known = False

    def add_all(self, records: Iterable[AccessRecord]) -> None:
        """Count every record."""
        for record in records:
            self.add(record)

    def add(self, record: AccessRecord) -> None:
        """Count one record."""
        at = record.time_us
        self.first_us = at if not self.count else min(self.first_us, at)
        self.last_us = max(self.last_us, at)
        self.count += 1
        network = record.network or self._network
        self.networks[network] += 1
        if record.size is not None:
            self.clipped += record.size > BYTES_MAX
            self.sized += 1
            self.sizes[network].add(min(record.size, BYTES_MAX))
        self.hours[at // _HOUR_US] += 1
        if record.protocol:
            self.protocols_known = True
            self.socks[network] += record.protocol == "socks"
        if record.error:
            self.failed[network] += 1
        if record.status is not None:
            self.statuses[record.status] += 1
        if record.authentication is not None:
            self.authentication[record.authentication] += 1
        if record.host:
            if record.host in self.hosts or len(self.hosts) < _HOSTS_MAX:
                self.hosts[record.host] += 1
            else:
                self.hosts_left_out += 1

    @property
    def span_s(self) -> float:
        """Return the seconds from the first request to the last."""
        return (self.last_us - self.first_us) / 1e6

    @property
    def total_bytes(self) -> int:
        """Return the bytes of all requests."""
        return sum(each.total for each in self.sizes.values())

    def hourly_rates(self, hours: int) -> dict[int, float]:
        """Return requests a second by hour of the day (24) or of the week (168), UTC, for those
        hours of which the log covers at least a minute.
        """
        counts: dict[int, int] = defaultdict(int)
        covered: dict[int, float] = defaultdict(float)
        first, last = self.first_us // _HOUR_US, self.last_us // _HOUR_US
        for hour in range(first, last + 1):
            begin, end = hour * _HOUR_US, (hour + 1) * _HOUR_US
            # Of the week from Monday: 1970-01-01 was a Thursday.
            place = (hour + 72) % hours
            covered[place] += (min(end, self.last_us) - max(begin, self.first_us)) / 1e6
            counts[place] += self.hours[hour]
        return {place: counts[place] / s for place, s in covered.items() if s >= 60}
