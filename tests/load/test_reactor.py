"""The reactor against a small server and a faulty proxy: reported outcomes are what happened."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.load.chaos_proxy import BUSY, CUT_ANSWER, FINE, MISHAPS, SILENT, ChaosProxy
from tests.load.sink import Sink, decode, http_response, in_pieces, ndjson, read_request, serving
from trueup.reports.journal.records import OutcomeRange
from trueup.reports.metrics.histogram import Histogram, bucket_bounds
from trueup.reports.results import Outcome
from trueup.simulator.delivery import (
    BodyForm,
    EventFormat,
    HttpForm,
    ResponseRule,
    RetryPolicy,
    merge_ranges,
)
from trueup.simulator.reactor import (
    Address,
    Engine,
    FleetBodies,
    Limits,
    ReadRequests,
    RequestStream,
    Schedule,
    Shape,
    System,
    address_of,
    request_head,
)
from trueup.simulator.reactor.recorder import Second

QUICK = RetryPolicy(initial_pause_s=0.001, max_pause_s=0.01, total_s=20)


def loaded(
    port: int,
    *,
    events: int,
    batch: int = 10,
    connections: int = 4,
    schedule: Schedule | None = None,
    retry: RetryPolicy = QUICK,
    timeout_s: float = 5.0,
    duration_s: float = 30.0,
    drain_s: float = 20.0,
    duplicate_every: int = 0,
    malformed_every: int = 0,
    max_backlog: int = 100_000,
    scheme: str = "http",
    **form_parts: Any,
) -> tuple[Engine, RequestStream, list[Second], tuple[OutcomeRange, ...]]:
    """Run an engine over `events` events; returns (engine, stream, seconds, ranges)."""
    form = HttpForm(url=f"{scheme}://localhost:{port}/ingest?a=b", **form_parts)
    source = FleetBodies(
        form,
        in_pieces(lambda first, count: ndjson(first, count, form.format)),
        batch_events=batch,
        block_events=50,
        piece_events=20,
        limit=events,
        malformed_every=malformed_every,
    )
    stream = RequestStream(
        "ingest",
        address=address_of(form.url),
        source=source,
        schedule=schedule,
        rule=ResponseRule(accepted="accepted"),
        retry=retry,
        timeout_s=timeout_s,
        duplicate_every=duplicate_every,
    )
    limits = Limits(duration_s=duration_s, drain_s=drain_s, max_backlog=max_backlog)
    engine = Engine([stream], limits=limits)
    for _ in range(connections):
        engine.connect(stream)
    engine.run()
    seconds, ranges = stream.recorder.take()
    return engine, stream, seconds, merge_ranges(ranges)


def by_outcome(ranges: Iterable[OutcomeRange]) -> dict[Outcome, set[str]]:
    found: dict[Outcome, set[str]] = {outcome: set() for outcome in Outcome}
    for part in ranges:
        found[part.outcome] |= {f"event-{n}" for n in range(part.first, part.first + part.count)}
    return found


def test_every_event_is_sent_once_and_reported_as_accepted() -> None:
    sink = Sink()
    with serving(sink.handle) as port:
        _, _, seconds, ranges = loaded(port, events=1234)
    assert [(part.first, part.count, part.outcome) for part in ranges] == [
        (0, 1234, Outcome.ACCEPTED)
    ]
    assert set(sink.seen.values()) == {1}
    assert len(sink.stored) == 1234
    assert sum(second.events for second in seconds) == 1234


@pytest.mark.parametrize(
    "parts",
    [
        *({"format": EventFormat(form=form)} for form in BodyForm),
        {"compression": "gzip"},
        *({"format": EventFormat(form=form), "compression": "gzip"} for form in BodyForm),
        {"format": EventFormat(form=BodyForm.JSON_ARRAY, key="batch.events", body={"v": 1})},
        {"format": EventFormat(constants={"source": "trueup"})},
        {"headers": {"X-Ingest-Key": "k", "content-type": "text/plain"}},
    ],
    ids=[
        *BodyForm,
        "gzip",
        *(f"{form}-gzip" for form in BodyForm),
        "key",
        "constants",
        "headers",
    ],
)
def test_every_form_carries_the_same_events(parts: dict[str, Any]) -> None:
    sink = Sink()
    with serving(sink.handle) as port:
        _, _, _, ranges = loaded(port, events=230, **parts)
    assert sum(part.count for part in ranges if part.outcome is Outcome.ACCEPTED) == 230
    assert {event["log_id"] for event in sink.stored.values()} == {f"event-{n}" for n in range(230)}
    fields = sink.bodies[0][0]
    if "format" in parts and parts["format"].constants:
        assert all(event["source"] == "trueup" for event in sink.stored.values())
    if "headers" in parts:
        assert (fields["x-ingest-key"], fields["content-type"]) == ("k", "text/plain")


def test_no_event_is_lost_or_duplicated_whatever_the_proxy_does() -> None:
    """Cut, slow, failing and missing responses: retried with the same ids until all are settled."""
    sink = Sink()
    proxy = ChaosProxy(sink, (*MISHAPS, *[FINE] * 12))
    with serving(proxy.handle) as port:
        _, _, _, ranges = loaded(port, events=3000, timeout_s=0.2)
    said = by_outcome(ranges)
    assert set(proxy.happened) >= set(MISHAPS)
    assert said[Outcome.ACCEPTED] == set(sink.stored) == {f"event-{n}" for n in range(3000)}
    assert not said[Outcome.UNKNOWN] | said[Outcome.REFUSED]
    assert max(sink.seen.values()) > 1, "the same ids must have been sent again"


def test_events_without_a_response_are_unknown() -> None:
    sink = Sink()
    proxy = ChaosProxy(sink, (CUT_ANSWER,))
    with serving(proxy.handle) as port:
        _, _, _, ranges = loaded(
            port, events=40, retry=RetryPolicy(attempts=2, initial_pause_s=0.001)
        )
    assert by_outcome(ranges)[Outcome.UNKNOWN] == {f"event-{n}" for n in range(40)}
    assert len(sink.stored) == 40


def test_events_are_refused_if_the_target_is_always_busy() -> None:
    """429 for every attempt is a refusal: the events are not stored."""
    sink = Sink()
    proxy = ChaosProxy(sink, (BUSY,))
    with serving(proxy.handle) as port:
        _, _, _, ranges = loaded(
            port, events=40, retry=RetryPolicy(attempts=3, initial_pause_s=0.001)
        )
    assert by_outcome(ranges)[Outcome.REFUSED] == {f"event-{n}" for n in range(40)}
    assert not sink.stored


def test_a_run_without_a_server_sends_nothing() -> None:
    """Events that were never sent have no outcome."""
    with serving(Sink().handle) as port:
        pass
    schedule = Schedule(Shape(kind="constant", rate=100, duration_s=0.3))
    _, stream, seconds, ranges = loaded(
        port, events=1000, schedule=schedule, duration_s=0.3, drain_s=0.1
    )
    assert ranges == ()
    assert stream.unsent == 30
    assert any("refused the connection" in reason for second in seconds for reason in second.errors)


def test_duplicated_batches_are_sent_at_once_and_settled_together() -> None:
    """A duplicated batch has one outcome, and the server sees its ids twice."""
    sink = Sink()
    with serving(sink.handle) as port:
        _, _, _, ranges = loaded(port, events=400, duplicate_every=2)
    assert by_outcome(ranges)[Outcome.ACCEPTED] == set(sink.stored)
    assert sum(sink.seen.values()) == 600


def test_a_malformed_line_is_refused_and_the_other_lines_are_accepted() -> None:
    """A malformed line at the end of every third batch changes no outcome of an event."""
    sink = Sink()
    with serving(sink.handle) as port:
        _, _, seconds, ranges = loaded(port, events=300, malformed_every=3)
    assert by_outcome(ranges)[Outcome.ACCEPTED] == set(sink.stored)
    assert len(sink.stored) == 300
    assert not any(second.errors for second in seconds)


@pytest.mark.parametrize(
    "parts",
    [
        {"compression": "gzip"},
        {"format": EventFormat(form=BodyForm.JSON_ARRAY)},
        {"format": EventFormat(form=BodyForm.JSON_ARRAY), "compression": "gzip"},
        {"format": EventFormat(form=BodyForm.JSON_ARRAY, key="events")},
        {"format": EventFormat(form=BodyForm.CLOUDEVENTS_BATCH)},
        {"format": EventFormat(form=BodyForm.OTLP_LOGS)},
        {"format": EventFormat(form=BodyForm.ELASTICSEARCH_BULK), "compression": "gzip"},
        {"format": EventFormat(constants={"source": "trueup"})},
    ],
    ids=["gzip", "array", "array-gzip", "key", "cloudevents", "otlp", "bulk-gzip", "constants"],
)
def test_a_malformed_line_can_be_sent_in_every_form(parts: dict[str, Any]) -> None:
    """Compressed, in an array or with other names, it is one refused event."""
    sink = Sink()
    with serving(sink.handle) as port:
        _, _, seconds, ranges = loaded(port, events=300, malformed_every=3, **parts)
    assert by_outcome(ranges)[Outcome.ACCEPTED] == set(sink.stored)
    assert len(sink.stored) == 300
    assert sum(sink.refused) == 10
    assert not any(second.errors for second in seconds)


def test_refused_lines_of_a_response_get_their_own_ranges() -> None:
    sink = Sink()
    sink.take = lambda events: json.dumps(  # type: ignore[method-assign]
        {"accepted": len(events) - 1, "refused": [{"line": 2, "reason": "no"}]}
    ).encode()
    with serving(sink.handle) as port:
        _, _, _, ranges = loaded(port, events=10)
    assert [(p.first, p.count, p.outcome.value, p.reason) for p in ranges] == [
        (0, 1, "accepted", ""),
        (1, 1, "refused", "no"),
        (2, 8, "accepted", ""),
    ]


def test_requests_follow_an_open_schedule_and_are_measured_from_planned_times() -> None:
    sink = Sink()
    schedule = Schedule(Shape(kind="constant", rate=400, duration_s=0.5))
    with serving(sink.handle) as port:
        engine, stream, seconds, _ = loaded(port, events=100_000, schedule=schedule, duration_s=0.5)
    answered = sum(second.requests for second in seconds)
    # On a busy machine the last ones may be unsent; all are counted.
    assert answered + stream.unsent == 200
    assert answered > 0
    assert sum(sum(second.lateness_ns.values()) for second in seconds) == answered
    assert 0.4 < engine.elapsed_ns / 1e9 < 5


def test_a_backlog_above_the_maximum_ends_the_run_with_a_reason() -> None:
    proxy = ChaosProxy(Sink(), (SILENT,))
    schedule = Schedule(Shape(kind="constant", rate=2000, duration_s=20))
    with serving(proxy.handle) as port:
        engine, stream, _, _ = loaded(
            port,
            events=10**9,
            schedule=schedule,
            duration_s=20,
            drain_s=0.05,
            max_backlog=50,
        )
    assert "waited to be sent" in engine.stopped_by
    assert stream.unsent > 50


def test_reads_beside_a_load_settle_no_events() -> None:
    """A stream of reads measures responses and reports no event."""
    sink = Sink()
    with serving(sink.handle) as port:
        address, head = request_head("GET", f"http://127.0.0.1:{port}/x", {})
        stream = RequestStream(
            "reads",
            address=address,
            source=ReadRequests([head + b"0\r\n\r\n"]),
            schedule=Schedule(Shape(kind="constant", rate=200, duration_s=0.2)),
            rule=None,
            retry=QUICK,
        )
        engine = Engine([stream], limits=Limits(duration_s=0.2))
        engine.connect(stream)
        engine.run()
    seconds, ranges = stream.recorder.take()
    # On a busy machine the last ones may be unsent; all are counted.
    assert (sink.reads + stream.unsent, ranges) == (40, [])
    assert sum(second.requests for second in seconds) == sink.reads > 0


def test_an_exception_while_drawing_a_batch_counts_no_event_twice() -> None:
    """Events with a response stay accepted although the loop ends; those in flight are unknown."""
    sink = Sink()

    def drawn(first: int, count: int) -> bytes:
        if first >= 100:
            raise RuntimeError("cannot draw")
        return ndjson(first, count)

    form = HttpForm(url="http://127.0.0.1:1/ingest")
    with serving(sink.handle) as port:
        stream = RequestStream(
            "ingest",
            address=Address("127.0.0.1", port),
            source=FleetBodies(form, in_pieces(drawn), batch_events=10, block_events=50),
            schedule=None,
            rule=ResponseRule(accepted="accepted"),
            retry=QUICK,
        )
        engine = Engine([stream], limits=Limits(duration_s=10))
        engine.connect(stream)
        with pytest.raises(RuntimeError):
            engine.run()
    _, ranges = stream.recorder.take()
    found = by_outcome(ranges)
    assert sum(part.count for part in ranges) == sum(map(len, found.values()))
    assert len(found[Outcome.ACCEPTED]) >= 50
    assert found[Outcome.ACCEPTED] <= set(sink.stored)
    assert set(sink.stored) <= found[Outcome.ACCEPTED] | found[Outcome.UNKNOWN]
    assert len(found[Outcome.UNKNOWN]) <= 10


def test_batches_are_prepared_step_by_step_and_one_piece_ahead() -> None:
    """Each call to prepare does one step; with a piece ready there is nothing to do. Malformed
    lines are counted across pieces and blocks.
    """
    stepped = []

    def draw(first: int, count: int, most: int) -> Iterator[tuple[int, bytes] | None]:
        for step in in_pieces(ndjson)(first, count, most):
            stepped.append(step and step[0])
            yield step

    form = HttpForm(url="http://127.0.0.1:1/ingest")
    source = FleetBodies(
        form,
        draw,
        batch_events=10,
        block_events=50,
        piece_events=25,
        limit=100,
        malformed_every=3,
    )
    assert (source.prepare(), source.prepare(), stepped) == (True, True, [None])
    assert (source.prepare(), stepped) == (True, [None, 20])
    assert not source.prepare()
    first = source.take()
    assert first is not None
    batches = [first]
    assert source.prepare()
    batches += iter(source.take, None)
    assert not source.prepare()
    assert [(batch.first, batch.count) for batch in batches] == [(n, 10) for n in range(0, 100, 10)]
    assert [batch.first for batch in batches if batch.malformed] == [20, 50, 80]
    assert [step for step in stepped if step] == [20, 20, 10, 20, 20, 10]


def test_retry_after_is_used_although_the_same_body_came_without_it_before() -> None:
    """429 without Retry-After, then with it: the second pause is the target's."""
    sink, asked = Sink(), []

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, _, body = await read_request(reader)
            asked.append(time.perf_counter())
            extra = ("Retry-After: 0.3",) if len(asked) == 2 else ()
            done = http_response(200, sink.take(decode(body)))
            writer.write(done if len(asked) > 2 else http_response(429, b"", *extra))

    with serving(busy) as port:
        loaded(
            port,
            events=10,
            connections=1,
            retry=RetryPolicy(initial_pause_s=0.01, max_pause_s=1, total_s=20),
        )
    assert len(sink.stored) == 10
    assert asked[1] - asked[0] < 0.25 < asked[2] - asked[1]


def test_the_response_time_of_a_batch_includes_all_its_attempts() -> None:
    """A 429 does not end the response time."""
    sink = Sink()
    proxy = ChaosProxy(sink, (BUSY, FINE))
    pause = RetryPolicy(initial_pause_s=0.1, max_pause_s=0.1, total_s=20)
    with serving(proxy.handle) as port:
        _, _, seconds, _ = loaded(port, events=10, connections=1, retry=pause)
    response, service = Histogram(), Histogram()
    for second in seconds:
        response.merge(Histogram.from_sparse(second.response_ns))
        service.merge(Histogram.from_sparse(second.service_ns))
    assert (response.count, service.count) == (1, 2)
    fastest = response.percentile(0)
    assert fastest is not None
    assert fastest >= 0.1e9


def test_a_server_that_closes_every_connection_is_retried_with_growing_pauses() -> None:
    """The pauses between connections grow, and each is an error."""
    dialled = 0

    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dialled
        dialled += 1

    schedule = Schedule(Shape(kind="constant", rate=20, duration_s=0.5))
    with serving(rude) as port:
        _, _, seconds, _ = loaded(
            port,
            events=1000,
            schedule=schedule,
            duration_s=0.5,
            drain_s=0.1,
            retry=RetryPolicy(initial_pause_s=0.05, max_pause_s=1, total_s=20),
        )
    assert 4 <= dialled < 60
    assert sum(sum(second.errors.values()) for second in seconds) >= 4


def test_an_unknown_host_is_reported_and_does_not_end_the_run() -> None:
    """The loop continues, looks up again, and reports why nothing was sent."""
    form = HttpForm(url="http://no-such-host.invalid/ingest")
    stream = RequestStream(
        "ingest",
        address=address_of(form.url),
        source=FleetBodies(form, in_pieces(ndjson), batch_events=10),
        schedule=Schedule(Shape(kind="constant", rate=20, duration_s=0.3)),
        rule=ResponseRule(),
        retry=QUICK,
    )
    engine = Engine([stream], limits=Limits(duration_s=0.3, drain_s=0.1))
    engine.connect(stream)
    engine.run()
    seconds, ranges = stream.recorder.take()
    assert (ranges, stream.unsent) == ([], 6)
    assert any("cannot connect" in why for one in seconds for why in one.errors)


def test_a_content_length_of_thousands_of_digits_is_refused() -> None:
    """One such response closes its connection, and the run continues."""
    sink = Sink()
    told: list[bool] = []

    async def mad(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, _, body = await read_request(reader)
            if not told:
                told.append(True)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000)
                writer.write(b"\r\n\r\n")
            else:
                writer.write(http_response(200, sink.take(decode(body))))

    with serving(mad) as port:
        _, _, _, ranges = loaded(port, events=50, connections=1)
    assert by_outcome(ranges)[Outcome.ACCEPTED] == set(sink.stored)
    assert len(sink.stored) == 50


def test_lateness_counts_from_when_a_connection_was_free() -> None:
    """Delayed while another connection was idle, a request's wait is the generator's lateness."""
    sink = Sink()
    held = False

    def yield_control() -> None:
        nonlocal held
        if not held and len(sink.stored) > 40:
            held = True
            until = time.perf_counter() + 0.05
            while time.perf_counter() < until:
                pass

    form = HttpForm(url="http://127.0.0.1:1/ingest")
    with serving(sink.handle) as port:
        stream = RequestStream(
            "ingest",
            address=Address("127.0.0.1", port),
            source=FleetBodies(form, in_pieces(ndjson), batch_events=1, block_events=50),
            schedule=Schedule(Shape(kind="constant", rate=400, duration_s=0.4)),
            rule=ResponseRule(accepted="accepted"),
            retry=QUICK,
        )
        engine = Engine(
            [stream], limits=Limits(duration_s=0.4), system=System(yield_control=yield_control)
        )
        for _ in range(32):
            engine.connect(stream)
        engine.run()
    seconds, _ = stream.recorder.take()
    lateness = Histogram()
    for second in seconds:
        lateness.merge(Histogram.from_sparse(second.lateness_ns))
    late = sum(
        count for bucket, count in lateness.sparse().items() if bucket_bounds(int(bucket))[0] > 5e6
    )
    assert late >= 16, "about twenty requests fell due in the delay of 50 ms"
