"""The event loop for targets that are not reached over HTTP: a driver delivers what is due.

Serves a `RequestStream` as `Engine` does and has its calls, but runs on asyncio, and hands each
batch to a `Driver`, which retries by itself. Timers of asyncio are about a millisecond late, which
counts as lateness. Under gevent it runs in a greenlet: the poller of asyncio is then gevent's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import Outcome
from trueup.simulator.delivery.outcomes import single_range
from trueup.simulator.delivery.responses import has_response
from trueup.simulator.delivery.transport import TransportDriver
from trueup.simulator.reactor.bodies import PreparedRequest
from trueup.simulator.reactor.engine import Limits
from trueup.simulator.reactor.request_stream import RequestStream

__all__ = ["DriverEngine"]

_TICK_S: Final = 0.1
"""How often measurements are added up and the backlog is checked."""
_SENDS_AT_ONCE: Final = 16
"""Batches handed to the driver before it has its turn, if more are due."""
_MAX_SLEEP_S: Final = 0.05
_CUT: Final = "the run ended before a response"


class DriverEngine:
    """Drive one request stream through a driver until its time is over."""

    def __init__(
        self,
        stream: RequestStream,
        *,
        make_driver: Callable[[], TransportDriver],
        limits: Limits,
        on_second: Callable[[int], None] | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        """`on_second` is called with the number of each finished second."""
        self.streams: Sequence[RequestStream] = (stream,)
        self.limits, self.stopped_by = limits, ""
        self.elapsed_ns = 0
        self._stream, self._make_driver = stream, make_driver
        self._on_second = on_second or (lambda second: None)
        self._clock_ns = clock_ns
        self._places = self._busy = 0
        """Batches that may be under way at once, and those that are."""
        self._free_since = 0
        """When there last was no place free (ns)."""
        self._start = self._end = self._second = 0
        self._cpu_began = 0.0
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()

    # Used by the caller

    def connect(self, stream: RequestStream) -> None:
        """Let one more batch be under way at once; allowed while the engine runs."""
        self._places += 1
        self._woken()

    def disconnect(self, stream: RequestStream) -> None:
        """Let one batch fewer be under way at once."""
        self._places -= 1

    def stop(self, why: str = "") -> None:
        """Send no new batches; those that are under way are waited for."""
        if not self._stopping:
            self._stopping, self.stopped_by = True, why
            self._end = min(self._end, self._clock_ns())
            self._stream.stop(self._end)
            self._woken()

    @property
    def ended_ns(self) -> int:
        """Return when it stopped sending new batches, in ns from the start of the run."""
        return self._end - self._start

    @property
    def busy_share(self) -> float:
        """Return the share of the time in which this process used a processor, 0 … 1."""
        cpu_s = time.process_time() - self._cpu_began
        return min(cpu_s * 1e9 / self.elapsed_ns, 1.0) if self.elapsed_ns else 0.0

    # The loop

    def run(self) -> None:
        """Send and settle until the time is over and every batch is settled.

        Raises TransportUnreachable where nothing can be sent, and whatever a body source or a
        callback raises; batches under way are then unknown.
        """
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        driver = self._make_driver()
        try:
            # Connecting is not part of the run.
            await driver.check()
            self._cpu_began = time.process_time()
            self._start = self._clock_ns()
            self._end = self._start + int(self.limits.duration_s * 1e9)
            self._stream.begin(self._start)
            async with asyncio.TaskGroup() as group:
                ticker = group.create_task(self._tick())
                deliveries: set[asyncio.Task[None]] = set()
                await self._issue(driver, group, deliveries)
                self.stop()
                if deliveries:
                    _, late = await asyncio.wait(deliveries, timeout=self.limits.drain_s)
                    for task in late:
                        task.cancel()
                ticker.cancel()
        finally:
            self._finish()
            await driver.close()

    async def _issue(
        self,
        driver: TransportDriver,
        group: asyncio.TaskGroup,
        deliveries: set[asyncio.Task[None]],
    ) -> None:
        """Hand batches to the driver when they are due, until the time is over."""
        stream, handed = self._stream, 0
        while not self._stopping:
            now = self._clock_ns()
            if self._busy < self._places and stream.next_due <= min(now, self._end):
                batch = stream.take(now) if now < self._end or stream.schedule else None
                if batch is None:
                    return
                self._busy += 1
                task = group.create_task(self._deliver(driver, batch))
                deliveries.add(task)
                task.add_done_callback(deliveries.discard)
                handed += 1
                if handed % _SENDS_AT_ONCE == 0:
                    await asyncio.sleep(0)
                continue
            if now >= self._end or stream.exhausted:
                return
            if stream.source.prepare():
                await asyncio.sleep(0)
                continue
            due = self._end if self._busy >= self._places else min(stream.next_due, self._end)
            await self._sleep(min((due - now) / 1e9, _MAX_SLEEP_S))

    async def _sleep(self, seconds: float) -> None:
        """Wait, or until a batch is settled, a place is added or the engine is stopped."""
        self._wake.clear()
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _deliver(self, driver: TransportDriver, batch: PreparedRequest) -> None:
        stream, sent = self._stream, self._clock_ns()
        if batch.attempt == 0:
            batch.first_sent = sent
            if stream.schedule is None:
                batch.planned = sent
            else:
                stream.recorder.lateness.append(sent - max(batch.planned, self._free_since))
        batch.attempt += 1
        ranges = single_range(batch.count, Outcome.UNKNOWN, _CUT)
        try:
            ranges = (await driver.send_ndjson(bytes(batch.body), batch.count)).ranges
        finally:
            self._settle(batch, ranges, sent)

    def _settle(self, batch: PreparedRequest, ranges: tuple[OutcomeRange, ...], sent: int) -> None:
        recorder, now = self._stream.recorder, self._clock_ns()
        failed = {part.reason for part in ranges if part.outcome is not Outcome.ACCEPTED}
        for reason in sorted(failed):
            recorder.error(reason)
        if all(has_response(reason) for reason in failed):
            recorder.service.append(now - sent)
            recorder.bytes += len(batch.body)
        self._stream.settle(batch, ranges, now)
        if self._busy == self._places:
            self._free_since = now
        self._busy -= 1
        self._wake.set()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            now = self._clock_ns()
            if now >= self._start + (self._second + 1) * 1_000_000_000:
                self._close_second(now)
            if self._stream.backlog(now) > self.limits.max_backlog:
                self.stop(f"more than {self.limits.max_backlog} requests waited to be sent")

    def _close_second(self, now: int) -> None:
        self._stream.recorder.close_second(self._second)
        self._on_second(self._second)
        self._second = (now - self._start) // 1_000_000_000

    def _finish(self) -> None:
        now = self._clock_ns()
        self._stream.give_up_retries(now)
        self.elapsed_ns = now - self._start
        self._close_second(now)

    def _woken(self) -> None:
        """Wake the loop from outside of it."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)
