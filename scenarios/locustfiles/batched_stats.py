"""Statistics in bulk: many requests at once into Locust's own entries.

Locust's event for each request costs as much as the request itself at the reactor's rates.
Here what came in is added from the reactor's histogram twice a second, with two significant
digits also below 10 ms, which Locust itself rounds to whole milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from locust.stats import RequestStats, StatsError

from trueup.reports.metrics.histogram import Histogram

__all__ = ["add_failures", "add_requests"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def _rounded(milliseconds: Floats, counts: Ints) -> list[tuple[float, int]]:
    """(response time with two significant digits, count), ascending."""
    safe = np.maximum(milliseconds, 1e-3)
    scale = 10.0 ** (np.floor(np.log10(safe)) - 1)
    values, place = np.unique(np.round(np.round(safe / scale) * scale, 6), return_inverse=True)
    summed = np.bincount(place, weights=counts).astype(np.int64)
    return list(zip(values.tolist(), summed.tolist(), strict=True))


def _add(entry: Any, rows: list[tuple[float, int]], count: int, total_ms: float) -> None:
    """`entry` is a StatsEntry; its annotations say whole milliseconds, its code takes any."""
    now = time.time()
    second = int(now)
    if entry.use_response_times_cache and second > int(entry.last_request_timestamp or now):
        entry._cache_response_times(second - 1)
    least, most = rows[0][0], rows[-1][0]
    entry.num_requests += count
    entry.num_reqs_per_sec[second] += count
    entry.last_request_timestamp = now
    entry.total_response_time += total_ms
    known = entry.min_response_time
    entry.min_response_time = least if known is None else min(known, least)
    entry.max_response_time = max(entry.max_response_time, most)
    for value, number in rows:
        entry.response_times[value] += number


def add_requests(stats: RequestStats, method: str, name: str, response_ns: Histogram) -> None:
    """Add completed requests by their response times."""
    middles, counts = response_ns.middles()
    if len(counts) == 0:
        return
    milliseconds = middles / 1e6
    rows = _rounded(milliseconds, counts)
    count, total_ms = int(counts.sum()), float(np.dot(milliseconds, counts))
    for entry in (stats.total, stats.entries[(name, method)]):
        _add(entry, rows, count, total_ms)


def add_failures(stats: RequestStats, method: str, name: str, failed: Mapping[str, int]) -> None:
    """Add failed attempts by reason. They fail Locust's own exit status, as failures do."""
    second = int(time.time())
    for reason, count in failed.items():
        for entry in (stats.total, stats.entries[(name, method)]):
            entry.num_failures += count
            entry.num_fail_per_sec[second] += count
        key = StatsError.create_key(method, name, reason)
        if key not in stats.errors:
            stats.errors[key] = StatsError(method, name, reason)
        stats.errors[key].occurrences += count
