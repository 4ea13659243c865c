"""One generator: makes the request streams of a plan for worker k of W and runs the reactor.

It knows nothing of Locust, which embeds it (`scenarios/locustfiles/reactor.py`), so that it can
be tested and calibrated without.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from trueup.reports.event_format import BodyForm, EventFormat
from trueup.reports.transport.credentials import Credentials
from trueup.scenarios.load.access import AccessWatch
from trueup.scenarios.load.messages import GeneratorPlan, GeneratorSummary, Report, Reserved
from trueup.scenarios.load.plan import LoadPlan
from trueup.scenarios.load.replay import RecordedSchedule
from trueup.scenarios.load.token_feed import Tokens
from trueup.scenarios.load.traffic import arrivals_per_second
from trueup.scenarios.proxied.clients import ProxiedClients
from trueup.simulator.delivery import HttpForm, ResponseRule, RetryPolicy, transport_driver
from trueup.simulator.delivery.transport import TransportDriver
from trueup.simulator.fleet import Fleet
from trueup.simulator.reactor import (
    BodySource,
    DriverEngine,
    Engine,
    FixedBodies,
    FleetBodies,
    HeadDresser,
    Limits,
    ReadRequests,
    RequestStream,
    Schedule,
    Shape,
    System,
    address_of,
    request_head,
)
from trueup.simulator.replay import ReplayRecording, ReplayTraffic

__all__ = ["INGEST", "READS", "LoadGenerator", "body_source"]

INGEST: Final = "ingest"
READS: Final = "reads"
_NO_URL: Final = "http://0.0.0.0/"
"""Where a URL is asked for and nothing is sent to it."""
_FIXED_LINE: Final = b'{"log_id":"00000000-0000-4000-8000-000000000000","log_total_bytes":1024}'
_BLOCKS: Final = ((100_000.0, 1_000), (400_000.0, 4_000))
"""(events a second up to which, events drawn at once): as many as leave the loop free."""
_LARGE_BLOCK: Final = 8_000
_OPEN_PIECE, _CLOSED_PIECE = 500, 2_000
"""Events encoded at once: 2 MB of lines, of which the cache keeps what is about to be sent."""
_REPLAY_BLOCK, _REPLAY_PIECE = 200, 50
"""Events of a log that are reserved together, and encoded at once: half a millisecond."""
_FIXED_SIZE: Final = 280
"""Bytes of one ready-made event, as in the measurements that this is compared with."""


class LoadGenerator:
    """The reactor of one process, and what it reports."""

    def __init__(
        self,
        generator_plan: GeneratorPlan,
        *,
        worker: int,
        workers: int,
        report: Callable[[Reserved | Report], None],
        system: System | None = None,
        tokens: Callable[[], Tokens | None] = lambda: None,
    ) -> None:
        """`report` is called from within the loop, `tokens` once a second: they must be quick.

        `tokens` returns the tokens of the streams where they have changed.
        """
        self._tokens = tokens
        self.generator_plan, self.worker, self.workers = generator_plan, worker, workers
        self.done = False
        self._report = report
        self._cpu_began = 0.0
        self._events = 0
        self._failed = ""
        self._access = AccessWatch()
        self._replay = _replay_of(generator_plan)
        self._fleet_rates: list[float] = []
        if generator_plan.fleet is not None and generator_plan.plan.shape.arrivals == "fleet":
            self._fleet_rates = arrivals_per_second(
                generator_plan.fleet, generator_plan.plan, generator_plan.first_event
            )
        streams = [self._ingest_stream()]
        if generator_plan.plan.reads.share:
            streams.append(self._reads_stream())
        self.engine = self._engine(streams, system)
        self.take_tokens()
        self.ingest = streams[0]
        for stream in streams[1:]:
            for _ in range(self._share(generator_plan.plan.reads.connections)):
                self.engine.connect(stream)

    def _engine(
        self, streams: Sequence[RequestStream], system: System | None
    ) -> Engine | DriverEngine:
        plan = self.generator_plan.plan
        limits = Limits(
            duration_s=plan.shape.duration_s,
            drain_s=plan.requests.drain_s,
            max_backlog=plan.requests.most_backlog,
        )

        def on_second(second: int) -> None:
            self._each_second()

        if self.generator_plan.not_over_http is None:
            return Engine(streams, limits=limits, system=system, on_second=on_second)
        return DriverEngine(
            streams[0], make_driver=self._driver, limits=limits, on_second=on_second
        )

    def _driver(self) -> TransportDriver:
        """Return the driver of a load that does not go in over HTTP."""
        transport, proxied = self.generator_plan.transport, self.generator_plan.proxied
        if transport is not None:
            return transport_driver(transport)
        assert proxied is not None and self.generator_plan.fleet is not None
        clients = ProxiedClients(proxied, self.generator_plan.fleet, worker=self.worker)
        return TransportDriver(clients, max_events=1)

    def _share(self, whole: int) -> int:
        """This worker's part of a number of connections; never none."""
        return max(whole // self.workers + (self.worker < whole % self.workers), 1)

    def connect(self) -> None:
        """Add one connection to the ingestion stream."""
        self.engine.connect(self.ingest)

    def disconnect(self) -> None:
        """Take one connection from the ingestion stream."""
        self.engine.disconnect(self.ingest)

    def run(self) -> None:
        """Carry the plan out. Everything sent is reported when this returns, or raises."""
        if self.generator_plan.cpu is not None:
            os.sched_setaffinity(0, {self.generator_plan.cpu})
        self._cpu_began = time.process_time()
        try:
            self.engine.run()
        except BaseException as error:
            self._failed = f"the generator failed: {type(error).__name__}: {error}"
            raise
        finally:
            self.done = True
            self._pass_on(last=True)

    def _final(self) -> GeneratorSummary:
        engine, cpu_s = self.engine, time.process_time() - self._cpu_began
        elapsed_s = max(engine.elapsed_ns / 1e9, 1e-9)
        return GeneratorSummary(
            # Time that the machine took from a busy loop is not the loop's own work.
            busy_share=min(engine.busy_share, cpu_s / elapsed_s),
            starved_share=max(engine.busy_share - cpu_s / elapsed_s, 0.0),
            cpu_s=cpu_s,
            elapsed_s=elapsed_s,
            events=self._events,
            ended_s=engine.ended_ns / 1e9,
            backlog_most=max(stream.max_backlog_seen for stream in engine.streams),
            unsent=sum(stream.unsent for stream in engine.streams),
            stopped_by=self._failed or engine.stopped_by,
            no_access=self._access.no_access,
        )

    def _each_second(self) -> None:
        self.take_tokens()
        self._pass_on()

    def take_tokens(self) -> None:
        """Send further requests with the tokens of now; stop where there are none any more."""
        tokens = self._tokens()
        if tokens is None:
            return
        if tokens.error:
            self._access.no_access = True
            self.engine.stop(tokens.error)
        for stream in self.engine.streams:
            if stream.dresser is not None and stream.name in tokens.by_stream:
                stream.dresser.token = tokens.by_stream[stream.name]

    def _pass_on(self, *, last: bool = False) -> None:
        """Report what is finished; the ingestion stream goes last: it carries the summary."""
        for stream in reversed(self.engine.streams):
            seconds, ranges = stream.recorder.take()
            self._events += sum(part.count for part in ranges)
            if stream is self.ingest and (why := self._access.add(seconds)):
                self.engine.stop(why)
            final = self._final() if last and stream is self.ingest else None
            if seconds or ranges or final:
                self._report(
                    Report(
                        worker=self.worker,
                        lane=stream.name,
                        seconds=tuple(seconds),
                        ranges=tuple(ranges),
                        final=final,
                    )
                )

    # Request streams

    def _retry(self) -> RetryPolicy:
        requests = self.generator_plan.plan.requests
        return RetryPolicy(
            initial_pause_s=requests.retry_first_s, max_pause_s=requests.retry_most_s
        )

    def _schedule(self, rate_share: float) -> Schedule | None:
        plan = self.generator_plan.plan
        if not plan.open_loop:
            return None
        curve = plan.curve()
        return Schedule(
            Shape(
                kind=curve.kind,
                rate=curve.rate * rate_share,
                duration_s=curve.duration_s,
                options=curve.options,
            ),
            poisson=plan.shape.arrivals == "poisson",
            seed=plan.seed,
            worker=self.worker,
            workers=self.workers,
            per_second=[rate * rate_share for rate in self._fleet_rates],
        )

    def _recorded_schedule(self) -> Schedule | None:
        """Return the times of a log's requests; None if none is replayed."""
        if self._replay is None:
            return None
        batch = self.generator_plan.batch
        return RecordedSchedule(
            self._replay.due_us(),
            batch=batch,
            block=_replay_block(batch),
            worker=self.worker,
            workers=self.workers,
        )

    def _ingest_stream(self) -> RequestStream:
        generator_plan, plan = self.generator_plan, self.generator_plan.plan
        form = _form(generator_plan)
        return RequestStream(
            INGEST,
            address=address_of(form.url, form.unix_socket),
            source=body_source(
                generator_plan,
                self._announce,
                worker=self.worker,
                workers=self.workers,
                replay=self._replay,
            ),
            schedule=self._recorded_schedule() or self._schedule(1 - plan.reads.share),
            rule=form.response_rule,
            retry=self._retry(),
            timeout_s=plan.requests.timeout_s,
            duplicate_every=plan.requests.duplicate_every,
            dresser=_dresser(form.credentials, form.url),
            tls=form.tls,
        )

    def _announce(self, ranges: list[tuple[int, int]]) -> None:
        self._report(Reserved(worker=self.worker, ranges=tuple(ranges)))

    def _reads_stream(self) -> RequestStream:
        plan, reads = self.generator_plan.plan, self.generator_plan.reads
        assert reads is not None, "a plan with reads says where they go"
        fields = {"Accept": "application/json", **reads.headers}
        requests = []
        for path in plan.reads.paths:
            address, head = request_head("GET", f"{reads.url}/{path}", fields)
            requests.append(head + b"0\r\n\r\n")
        return RequestStream(
            READS,
            address=address._replace(unix_socket=reads.unix_socket),
            source=ReadRequests(requests),
            schedule=self._schedule(plan.reads.share),
            rule=None,
            retry=self._retry(),
            timeout_s=plan.requests.timeout_s,
            dresser=_dresser(reads.credentials, reads.url),
            tls=_form(self.generator_plan).tls,
        )


def _dresser(credentials: Credentials | None, url: str) -> HeadDresser | None:
    return None if credentials is None else HeadDresser(credentials, url)


def _form(generator_plan: GeneratorPlan) -> HttpForm:
    """Return the form of the bodies. A transport gets lines of ours, which it maps itself."""
    other = generator_plan.not_over_http
    if other is None:
        return generator_plan.over_http
    lines = BodyForm.JSON_OBJECT if other.one_by_one else BodyForm.NDJSON
    return HttpForm(
        url=_NO_URL,
        format=EventFormat(form=lines),
        response_rule=ResponseRule(secrets=other.secrets),
    )


def body_source(
    generator_plan: GeneratorPlan,
    announce: Callable[[list[tuple[int, int]]], None],
    *,
    worker: int = 0,
    workers: int = 1,
    replay: ReplayTraffic | None = None,
) -> BodySource:
    """Return the batches of a plan, each event once: of the fleet or the replay, or ready ones."""
    form, plan = _form(generator_plan), generator_plan.plan
    if replay is not None:
        batch = generator_plan.batch
        sent = EventFormat() if form.event_headers else form.format
        return FleetBodies(
            form,
            lambda first, count, most: replay.pieces(first, count, most, sent),
            batch_events=batch,
            block_events=_replay_block(batch),
            piece_events=_REPLAY_PIECE,
            worker=worker,
            workers=workers,
            reserve=announce,
            malformed_every=plan.requests.malformed_every,
            limit=replay.count,
        )
    if generator_plan.fleet is None:
        _, head = request_head(form.method, form.url, form.head_fields())
        batch = plan.requests.batch
        return FixedBodies(head, _ready_body(batch), count=batch)
    fleet = Fleet.from_identity(generator_plan.fleet)
    events = None if form.event_headers else form.format
    # Tables are made when first asked for, which takes half a second: before the clock runs.
    fleet.batch(max(generator_plan.first_event, fleet.model.coverage.count), 1).lines(events)
    return FleetBodies(
        form,
        lambda first, count, most: fleet.batch(first, count).pieces(most, events),
        batch_events=plan.requests.batch,
        block_events=_block_events(plan),
        piece_events=_OPEN_PIECE if plan.open_loop else _CLOSED_PIECE,
        first=generator_plan.first_event,
        worker=worker,
        workers=workers,
        reserve=announce,
        malformed_every=plan.requests.malformed_every,
    )


def _replay_of(generator_plan: GeneratorPlan) -> ReplayTraffic | None:
    """Return the traffic of the log that a plan replays; None if it replays none."""
    if generator_plan.replay is None:
        return None
    recording = ReplayRecording.open(Path(generator_plan.replay_folder))
    return ReplayTraffic(recording, generator_plan.replay)


def _replay_block(batch: int) -> int:
    """Return how many events of a replay one worker takes at once: complete batches."""
    return max(_REPLAY_BLOCK // batch, 1) * batch


def _block_events(plan: LoadPlan) -> int:
    """Events drawn at once. Large blocks are cheaper an event, but nothing is sent during a step of
    drawing (0.2 ms for 1,000 events, 1 ms for 8,000): an open loop takes the smallest that it can
    afford."""
    rate = plan.shape.rate * plan.requests.batch
    small = (block for most, block in _BLOCKS if rate <= most)
    block = next(small, _LARGE_BLOCK) if plan.open_loop else _LARGE_BLOCK
    return max(block, plan.requests.batch)


def _ready_body(batch: int) -> bytes:
    line = _FIXED_LINE[:-1] + b',"pad":"' + b"x" * (_FIXED_SIZE - len(_FIXED_LINE) - 10) + b'"}\n'
    return line * batch
