"""Thresholds: names, what each reads off a load result, and which side is good. A table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from trueup.reports.journal.records import LoadResult
from trueup.reports.metrics.histogram import Histogram
from trueup.reports.metrics.load_metrics import error_share
from trueup.reports.metrics.measurement_window import per_second
from trueup.reports.results import LoadThreshold

__all__ = ["THRESHOLDS", "check_thresholds", "percentile_ms"]

Read = Callable[[LoadResult], float | None]


class _Row(NamedTuple):
    unit: str
    most: bool
    """True: the limit is the most allowed; False: the least."""
    read: Read
    timed: bool = False
    """A time or a rate: what a disturbed machine makes worse."""


def percentile_ms(sparse: Mapping[str, int], share: float) -> float | None:
    """Return a percentile of a sparse nanosecond histogram, in milliseconds."""
    value = Histogram.from_sparse(sparse).percentile(share)
    return None if value is None else value / 1e6


def _per_s(name: str) -> Read:
    return lambda result: per_second(result, name)


def _correct_share(result: LoadResult) -> float | None:
    events = result.events
    if events.correct is None:
        return None
    return events.correct / events.accepted if events.accepted else None


def _of(histogram: str, share: float) -> Read:
    return lambda result: percentile_ms(getattr(result.latency, histogram), share)


THRESHOLDS: Final[Mapping[str, _Row]] = MappingProxyType(
    {
        "response_p50_ms": _Row("ms", True, _of("response_ns", 0.5), timed=True),
        "response_p95_ms": _Row("ms", True, _of("response_ns", 0.95), timed=True),
        "response_p99_ms": _Row("ms", True, _of("response_ns", 0.99), timed=True),
        "response_p999_ms": _Row("ms", True, _of("response_ns", 0.999), timed=True),
        "service_p50_ms": _Row("ms", True, _of("service_ns", 0.5), timed=True),
        "service_p99_ms": _Row("ms", True, _of("service_ns", 0.99), timed=True),
        "lateness_p99_ms": _Row("ms", True, _of("lateness_ns", 0.99), timed=True),
        "freshness_p99_ms": _Row("ms", True, _of("freshness_ns", 0.99), timed=True),
        "read_p99_ms": _Row("ms", True, _of("reads_ns", 0.99), timed=True),
        "error_share": _Row("share", True, lambda result: error_share(result.requests)),
        "unknown_events": _Row("events", True, lambda result: result.events.unknown),
        "refused_events": _Row("events", True, lambda result: result.events.refused),
        "unsent_requests": _Row(
            "requests", True, lambda result: result.requests.unsent, timed=True
        ),
        "events_per_s": _Row("1/s", False, _per_s("events"), timed=True),
        "requests_per_s": _Row("1/s", False, _per_s("requests"), timed=True),
        "correct_share": _Row("share", False, _correct_share),
    }
)
"""Name in a scenario → unit, side and reading. Percentiles and rates leave the warm-up out.

A request that was never sent is the rate that was not reached, hence `timed`."""


def check_thresholds(result: LoadResult, limits: Mapping[str, float]) -> tuple[LoadThreshold, ...]:
    """Return one row per limit; one that was not measured is undetermined."""
    rows = []
    for name, limit in limits.items():
        kind = THRESHOLDS[name]
        value = kind.read(result)
        ok = value is not None and (value <= limit if kind.most else value >= limit)
        rows.append(
            LoadThreshold(
                name=name, limit=limit, value=value, unit=kind.unit, ok=ok, timed=kind.timed
            )
        )
    return tuple(rows)
