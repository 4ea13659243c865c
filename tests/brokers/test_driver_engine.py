"""The engine that delivers through a driver: times, outcomes, ends. With a transport of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from trueup.reports.journal.records import OutcomeRange
from trueup.reports.metrics.histogram import Histogram
from trueup.reports.results import Outcome
from trueup.simulator.delivery import ResponseRule, RetryPolicy, TransportDriver
from trueup.simulator.delivery.outcomes import BatchOutcome, merge_ranges
from trueup.simulator.errors import TransportUnreachable
from trueup.simulator.reactor import (
    DriverEngine,
    FixedBodies,
    Limits,
    RequestStream,
    Schedule,
    Second,
    Shape,
    address_of,
)

_BATCH = 3
_LINES = b'{"n":1}\n' * _BATCH


class _Slow:
    """Accepts every batch after some seconds; `first` is what becomes of batch 0."""

    def __init__(self, seconds: float, first: Outcome = Outcome.ACCEPTED) -> None:
        self._seconds, self._first = seconds, first
        self.at_once = self.most_at_once = self.taken = 0

    async def check(self) -> None:
        return

    async def send_ndjson(self, body: bytes, count: int) -> BatchOutcome:
        assert body == _LINES
        outcome = self._first if self.taken == 0 else Outcome.ACCEPTED
        self.taken += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self._seconds)
        self.at_once -= 1
        return BatchOutcome.of(count, outcome, "" if outcome is Outcome.ACCEPTED else "too large")

    async def close(self) -> None:
        return


class _EngineRun:
    """One run of the engine, and what it recorded."""

    def __init__(
        self,
        transport: _Slow,
        *,
        rate: float = 100.0,
        duration_s: float = 0.5,
        places: int = 4,
        limits: Limits | None = None,
        duplicate_every: int = 0,
        during: Callable[[DriverEngine, int], None] = lambda engine, second: None,
    ) -> None:
        schedule = None
        if rate:
            schedule = Schedule(Shape(kind="constant", rate=rate, duration_s=duration_s))
        self.stream = RequestStream(
            "ingest",
            address=address_of("http://0.0.0.0/"),
            source=FixedBodies(b"", _LINES, count=_BATCH),
            schedule=schedule,
            rule=ResponseRule(),
            retry=RetryPolicy(),
            duplicate_every=duplicate_every,
        )
        self.engine = DriverEngine(
            self.stream,
            make_driver=lambda: TransportDriver(transport, max_events=100),
            limits=limits or Limits(duration_s=duration_s),
            on_second=lambda second: during(self.engine, second),
        )
        for _ in range(places):
            self.engine.connect(self.stream)
        self.engine.run()
        seconds, ranges = self.stream.recorder.take()
        self.seconds: list[Second] = seconds
        self.ranges: tuple[OutcomeRange, ...] = merge_ranges(ranges)

    @property
    def outcomes(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for part in self.ranges:
            counts[part.outcome] += part.count
        return counts


def _median_ms(seconds: list[Second], name: str) -> float:
    whole = Histogram()
    for second in seconds:
        whole.merge(Histogram.from_sparse(getattr(second, name)))
    middles, counts = whole.middles()
    below = counts.cumsum() * 2 >= counts.sum()
    return float(middles[below.argmax()]) / 1e6


def test_every_planned_batch_is_delivered_and_every_event_has_an_outcome() -> None:
    run = _EngineRun(_Slow(0.001))
    assert run.ranges == (OutcomeRange(first=0, count=50 * _BATCH, outcome=Outcome.ACCEPTED),)
    assert sum(second.requests for second in run.seconds) == 50
    assert run.engine.stopped_by == ""
    assert run.stream.unsent == 0


def test_what_was_not_accepted_is_recorded_with_its_reason() -> None:
    run = _EngineRun(_Slow(0.001, first=Outcome.REFUSED))
    assert run.ranges[0].outcome is Outcome.REFUSED
    assert (run.ranges[0].count, run.ranges[0].reason) == (_BATCH, "too large")
    assert sum((Counter(second.errors) for second in run.seconds), Counter()) == {"too large": 1}


def test_no_more_batches_than_places_are_under_way() -> None:
    transport = _Slow(0.05)
    _EngineRun(transport, rate=200, places=3)
    assert transport.most_at_once == 3


def test_response_times_count_from_the_planned_time() -> None:
    """One place and 20 ms a batch at 100 a second: half of them wait longer and longer."""
    run = _EngineRun(_Slow(0.02), places=1, limits=Limits(duration_s=0.5, drain_s=5))
    service_ms = _median_ms(run.seconds, "service_ns")
    assert service_ms >= 20
    assert _median_ms(run.seconds, "response_ns") > 3 * service_ms


def test_as_fast_as_possible_keeps_every_place_busy() -> None:
    transport = _Slow(0.01)
    run = _EngineRun(transport, rate=0, duration_s=0.3, places=2)
    assert transport.most_at_once == 2
    assert 10 <= transport.taken <= 62
    assert run.outcomes == {"accepted": transport.taken * _BATCH}


def test_batches_that_are_still_under_way_after_the_drain_are_unknown() -> None:
    run = _EngineRun(_Slow(30), rate=20, places=2, limits=Limits(duration_s=0.3, drain_s=0.1))
    assert run.outcomes == {"unknown": 2 * _BATCH}
    assert run.ranges[0].reason == "the run ended before a response"
    assert run.stream.unsent == 4


def test_a_duplicated_batch_is_handed_over_twice_and_counts_once() -> None:
    transport = _Slow(0.001)
    run = _EngineRun(transport, duplicate_every=10)
    assert transport.taken == 55
    assert run.outcomes == {"accepted": 50 * _BATCH}


def test_too_many_waiting_batches_end_the_run() -> None:
    limits = Limits(duration_s=5, drain_s=0.5, max_backlog=20)
    run = _EngineRun(_Slow(0.2), rate=200, duration_s=5, places=1, limits=limits)
    assert run.engine.stopped_by == "more than 20 requests waited to be sent"
    assert run.engine.ended_ns < 4e9


def test_a_run_that_is_stopped_from_outside_settles_what_is_under_way() -> None:
    run = _EngineRun(
        _Slow(0.05), duration_s=5, during=lambda engine, second: engine.stop("interrupted")
    )
    assert run.engine.stopped_by == "interrupted"
    assert 0.9e9 < run.engine.ended_ns < 4e9
    assert set(run.outcomes) == {"accepted"}


def test_nothing_is_sent_where_the_transport_cannot_be_used() -> None:
    class _Down(_Slow):
        async def check(self) -> None:
            raise TransportUnreachable("the broker is down")

    transport = _Down(0)
    with pytest.raises(TransportUnreachable):
        _EngineRun(transport)
    assert transport.taken == 0
