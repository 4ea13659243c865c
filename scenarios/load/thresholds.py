"""Thresholds: names, what each reads off a load result, and which side is good. A table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from reports.facts import LoadThreshold
from reports.figures import error_share
from reports.histogram import Histogram
from reports.records import LoadResult

__all__ = ["THRESHOLDS", "check_thresholds", "events_per_s", "percentile_ms"]

Read = Callable[[LoadResult], float | None]


class _Row(NamedTuple):
    unit: str
    most: bool
    """True: the limit is the most allowed; False: the least."""
    read: Read


def percentile_ms(sparse: Mapping[str, int], share: float) -> float | None:
    """A percentile of a sparse nanosecond histogram, in milliseconds."""
    value = Histogram.from_sparse(sparse).percentile(share)
    return None if value is None else value / 1e6


def _window(result: LoadResult) -> list[dict[str, float]]:
    """The seconds that count: after the warm-up and before the end."""
    return [
        second
        for second in result.seconds
        if result.warmup_s <= second["t"] and second["t"] + 1 <= result.duration_s
    ]


def _per_s(name: str) -> Read:
    def read(result: LoadResult) -> float | None:
        seconds = _window(result)
        return sum(second[name] for second in seconds) / len(seconds) if seconds else None

    return read


events_per_s: Final = _per_s("events")
"""Accepted events per second over the seconds that count."""


def _correct_share(result: LoadResult) -> float | None:
    if result.correct_events is None:
        return None
    return result.correct_events / result.events_accepted if result.events_accepted else None


def _of(histogram: str, share: float) -> Read:
    return lambda result: percentile_ms(getattr(result, histogram), share)


THRESHOLDS: Final[Mapping[str, _Row]] = MappingProxyType(
    {
        "response_p50_ms": _Row("ms", True, _of("response_ns", 0.5)),
        "response_p95_ms": _Row("ms", True, _of("response_ns", 0.95)),
        "response_p99_ms": _Row("ms", True, _of("response_ns", 0.99)),
        "response_p999_ms": _Row("ms", True, _of("response_ns", 0.999)),
        "service_p50_ms": _Row("ms", True, _of("service_ns", 0.5)),
        "service_p99_ms": _Row("ms", True, _of("service_ns", 0.99)),
        "lateness_p99_ms": _Row("ms", True, _of("lateness_ns", 0.99)),
        "freshness_p99_ms": _Row("ms", True, _of("freshness_ns", 0.99)),
        "read_p99_ms": _Row("ms", True, _of("reads_ns", 0.99)),
        "error_share": _Row("share", True, error_share),
        "unknown_events": _Row("events", True, lambda result: result.events_unknown),
        "refused_events": _Row("events", True, lambda result: result.events_refused),
        "unsent_requests": _Row("requests", True, lambda result: result.unsent),
        "events_per_s": _Row("1/s", False, events_per_s),
        "requests_per_s": _Row("1/s", False, _per_s("requests")),
        "correct_share": _Row("share", False, _correct_share),
    }
)
"""Name in a scenario → unit, side and reading. Percentiles leave the warm-up out."""


def check_thresholds(result: LoadResult, limits: Mapping[str, float]) -> tuple[LoadThreshold, ...]:
    """One row per limit; a figure that was not measured keeps its row from being ok."""
    rows = []
    for name, limit in limits.items():
        kind = THRESHOLDS[name]
        value = kind.read(result)
        ok = value is not None and (value <= limit if kind.most else value >= limit)
        rows.append(LoadThreshold(name=name, limit=limit, value=value, unit=kind.unit, ok=ok))
    return tuple(rows)
