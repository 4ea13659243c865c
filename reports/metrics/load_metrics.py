"""The figures of one load run that reports show, derived from what was measured.

The headline is *correct* events per second: accepted events that every view shows correctly, over
the seconds that count (`trueup.reports.metrics.measurement_window`), as in thresholds and
comparisons. A rate that was not reconciled is called accepted, never correct. Percentiles follow
`trueup.reports.metrics.histogram.PERCENTILE_RULE`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trueup.reports.errors import JournalError
from trueup.reports.journal.records import EventCounts, Hook, LoadResult, RequestCounts
from trueup.reports.metrics.histogram import Histogram
from trueup.reports.metrics.measurement_window import per_second, window
from trueup.reports.verdicts import limit_found, nothing_sent

__all__ = ["CURVE", "QUANTILES", "Fault", "Latency", "LoadFigures", "error_share", "load_figures"]

QUANTILES: Final[tuple[tuple[str, float], ...]] = (
    ("p50", 0.50),
    ("p90", 0.90),
    ("p99", 0.99),
    ("p99.9", 0.999),
)
"""The quantiles of every report, by name."""


CURVE: Final[tuple[float, ...]] = tuple(1 - 10 ** (-step / 12) for step in range(1, 12 * 4 + 1))
"""Shares at which a percentile curve is drawn: 17 … 99.99 %, evenly spaced in nines."""

_MOST_VALUES: Final = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One distribution of latencies, milliseconds; empty where nothing was measured."""

    name: str
    meaning: str
    count: int
    quantiles: Mapping[str, float]
    """Name in `QUANTILES` → milliseconds."""
    curve: tuple[tuple[float, float], ...]
    """(share below, milliseconds) at the shares of `CURVE` that this many values can show."""
    max_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A disturbance of the target during a load run."""

    what: str
    """`restart`, `maintenance`."""
    at: str
    """Its time, UTC, ISO 8601."""
    t_s: float | None
    """Seconds from the start of the load; None where that is not known."""
    error: str
    """Why it failed; empty where it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFigures:
    """What one load run achieved.

    Rates are per second over the window of `trueup.reports.metrics.measurement_window`; a rate
    is None where the window has no whole second.
    """

    result: LoadResult
    counted_s: tuple[int, int]
    """The window: its first second, and the one after its last."""
    accepted_eps: float | None
    correct_eps: float | None
    """None also where the run was not reconciled, so that correct events are not known."""
    requests_per_s: float | None
    error_share: float
    """Failed attempts of all attempts, reads included; 0 … 1: see `error_share`."""
    response: Latency
    service: Latency
    lateness: Latency
    freshness: Latency
    reads: Latency
    faults: tuple[Fault, ...] = ()
    """In order of time."""

    @property
    def latencies(self) -> tuple[Latency, ...]:
        """Every distribution, in the order of the reports."""
        return (self.response, self.service, self.lateness, self.freshness, self.reads)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What makes these figures less certain, one sentence each."""
        load, unsent = self.result, self.result.requests.unsent
        sentences = (
            (nothing_sent(load), "Nothing was sent: this says nothing of the target."),
            (
                load.generator.limited,
                "The generator was the limit: this says nothing of the target.",
            ),
            (load.machine.noisy, "The machine was disturbed while the load ran."),
            (bool(load.timeline.stopped_by), f"The run ended early: {load.timeline.stopped_by}."),
            (load.events.correct is None, "The events were not reconciled with what it reports."),
            (
                load.knee is not None and not limit_found(load.knee),
                "The search found no limit.",
            ),
            (unsent > 0, f"{unsent:,} planned requests were never sent."),
            (
                self.accepted_eps is None,
                "No whole second counts after the warm-up: there is no rate. Load for longer.",
            ),
        )
        return tuple(sentence for holds, sentence in sentences if holds)

    @property
    def headline_eps(self) -> float | None:
        """Correct events per second where they are known, else accepted ones."""
        return self.accepted_eps if self.correct_eps is None else self.correct_eps

    @property
    def headline_word(self) -> str:
        """Unit of the headline: which events it counts."""
        known = self.result.events.correct is not None
        return "correct events/s" if known else "accepted events/s, not reconciled"


def error_share(requests: RequestCounts) -> float | None:
    """Return failed attempts / attempts, 0 … 1; None where nothing was attempted.

    A failed attempt with a response is counted once.
    """
    return min(requests.failed / requests.attempts, 1.0) if requests.attempts else None


def _seconds_since(began: str, at: str) -> float | None:
    try:
        since = datetime.fromisoformat(at) - datetime.fromisoformat(began)
    except (ValueError, TypeError):
        return None
    return since.total_seconds()


def load_figures(load: LoadResult, hooks: Sequence[Hook] = ()) -> LoadFigures:
    """Return the figures of a load run; `hooks` are the control hooks called during it.

    Raises JournalError where a histogram does not fit the layout of
    `trueup.reports.metrics.histogram`, or where the run's length is impossible.
    """
    counted, accepted, latency = window(load), per_second(load, "events"), load.latency
    return LoadFigures(
        result=load,
        counted_s=(counted.first, counted.end),
        accepted_eps=accepted,
        correct_eps=_correct_eps(load.events, accepted),
        requests_per_s=per_second(load, "requests"),
        error_share=error_share(load.requests) or 0.0,
        response=_latency("response", "from the planned time to the response", latency.response_ns),
        service=_latency("service", "from the first byte sent to the response", latency.service_ns),
        lateness=_latency(
            "lateness",
            "of the generator: from when a request could be sent to its first byte",
            latency.lateness_ns,
        ),
        freshness=_latency(
            "freshness", "from the acknowledgement to visibility in a summary", latency.freshness_ns
        ),
        reads=_latency(
            "reads", "queries mixed in, from the planned time to the response", latency.reads_ns
        ),
        faults=tuple(
            Fault(
                what=hook.hook,
                at=hook.at,
                t_s=_seconds_since(load.timeline.began_at, hook.at),
                error="" if hook.ok else hook.error or "failed",
            )
            for hook in hooks
        ),
    )


def _correct_eps(events: EventCounts, accepted_eps: float | None) -> float | None:
    """The accepted rate times the share of accepted events that every view confirms."""
    if accepted_eps is None or events.correct is None:
        return None
    return accepted_eps * events.correct / max(events.accepted, 1)


def _latency(name: str, meaning: str, sparse: Mapping[str, int]) -> Latency:
    try:
        histogram = Histogram.from_sparse(sparse)
    except (ValueError, OverflowError) as error:
        raise JournalError(f"the {name} histogram of a load record is broken: {error}") from error
    if sum(sparse.values()) > _MOST_VALUES:
        raise JournalError(f"the {name} histogram of a load record holds impossibly many values")

    def at(share: float) -> float | None:
        ns = histogram.percentile(share)
        return None if ns is None else ns / 1e6

    count = histogram.count
    quantiles = ((word, at(share)) for word, share in QUANTILES)
    curve = ((share, at(share)) for share in CURVE if count * (1 - share) >= 1)
    return Latency(
        name=name,
        meaning=meaning,
        count=count,
        quantiles={word: ms for word, ms in quantiles if ms is not None},
        curve=tuple((share, ms) for share, ms in curve if ms is not None),
        max_ms=at(1.0),
    )
