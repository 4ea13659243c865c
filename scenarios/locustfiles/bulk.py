"""Statistics in bulk: many requests at once into Locust's own entries.

Locust's event for each request costs as much as the request itself at the reactor's rates.
Here blocks of response times are added some ten times a second, with two significant digits
also below 10 ms, which Locust itself rounds to whole milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from locust.stats import RequestStats, StatsError

__all__ = ["add_failures", "add_requests"]


def _rounded(milliseconds: npt.NDArray[np.float64]) -> dict[float, int]:
    """{response time with two significant digits: count}."""
    safe = np.maximum(milliseconds, 1e-3)
    scale = 10.0 ** (np.floor(np.log10(safe)) - 1)
    values, counts = np.unique(np.round(np.round(safe / scale) * scale, 6), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _add(entry: Any, milliseconds: npt.NDArray[np.float64]) -> None:
    """`entry` is a StatsEntry; its annotations say whole milliseconds, its code takes any."""
    now = time.time()
    second = int(now)
    if entry.use_response_times_cache and second > int(entry.last_request_timestamp or now):
        entry._cache_response_times(second - 1)
    count = len(milliseconds)
    least, most = float(milliseconds.min()), float(milliseconds.max())
    entry.num_requests += count
    entry.num_reqs_per_sec[second] += count
    entry.last_request_timestamp = now
    entry.total_response_time += float(milliseconds.sum())
    known = entry.min_response_time
    entry.min_response_time = least if known is None else min(known, least)
    entry.max_response_time = max(entry.max_response_time, most)
    for value, number in _rounded(milliseconds).items():
        entry.response_times[value] += number


def add_requests(
    stats: RequestStats,
    method: str,
    name: str,
    response_ns: npt.NDArray[np.int64],
) -> None:
    """Add a block of answered requests (response times in nanoseconds)."""
    if len(response_ns) == 0:
        return
    milliseconds = response_ns / 1e6
    for entry in (stats.total, stats.entries[(name, method)]):
        _add(entry, milliseconds)


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
