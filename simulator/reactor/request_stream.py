"""A request stream: requests of one kind to one address, with their connections and schedule.

Ingestion is one stream, reads beside it are another; the engine drives all of them in one loop. A
stream decides what to send next and what a response means. It uses no socket.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import Outcome
from trueup.reports.transport.credentials import NO_FILES, TlsFiles
from trueup.reports.transport.foreign_text import foreign_text
from trueup.reports.transport.limits import REDIRECTS_MOST
from trueup.reports.transport.redirects import redirect_of
from trueup.reports.transport.urls import request_target
from trueup.simulator.delivery.outcomes import after_lost_response, offset_ranges, single_range
from trueup.simulator.delivery.responses import (
    InterpretedResponse,
    ResponseKind,
    ResponseRule,
    interpret_response,
    retry_after_s,
)
from trueup.simulator.delivery.retry import RetryPolicy
from trueup.simulator.reactor.address import Address
from trueup.simulator.reactor.bodies import BodySource, PreparedRequest
from trueup.simulator.reactor.dressing import HeadDresser
from trueup.simulator.reactor.http1 import Response
from trueup.simulator.reactor.recorder import RequestRecorder
from trueup.simulator.reactor.schedule import Schedule

if TYPE_CHECKING:
    from trueup.simulator.reactor.connection import Connection

__all__ = ["NEVER", "RequestStream"]

NEVER: Final = 1 << 62
"""A time that is never reached (ns)."""
_USED_TIMES_MAX: Final = 100_000
"""Planned times that were used before they are removed from the list, which moves all others."""
_INGEST_READ_SIZE: Final = 479
_READ_SIZE: Final = 65_536
"""Bytes received at once. Memory for them is allocated each time: for a response to a delivery as
much as Python's own allocator provides (512 bytes with the object's header), so that the system's
allocator is not used. The rest is read in the next iteration of the loop.
"""
_MAX_CACHED: Final = 4_096
_ACCEPTED: Final = InterpretedResponse(ResponseKind.DEFINITE)
"""Every event of the batch was accepted; compared by identity in the hot path."""


class RequestStream:
    """What is sent, when it is due, and the outcomes."""

    def __init__(
        self,
        name: str,
        *,
        address: Address,
        source: BodySource,
        schedule: Schedule | None,
        rule: ResponseRule | None,
        retry: RetryPolicy,
        timeout_s: float = 10.0,
        duplicate_every: int = 0,
        dresser: HeadDresser | None = None,
        tls: TlsFiles = NO_FILES,
    ) -> None:
        """`schedule` None: as fast as possible. `rule` None: reads, for which any 2xx is a success.

        Every `duplicate_every`-th batch is sent twice at the same time on two connections: the
        reconciliation detects a target that counts it twice.
        """
        self.name, self.address = name, address
        self.dresser, self.tls = dresser, tls
        self.source, self.schedule, self.rule = source, schedule, rule
        self.retry, self.timeout_ns = retry, int(timeout_s * 1e9)
        self.read_size = _READ_SIZE if rule is None else _INGEST_READ_SIZE
        self.recorder = RequestRecorder(foreign_text if rule is None else rule.reason_of)
        self.idle: list[Connection] = []
        self.next_due = 0 if schedule is None else NEVER
        """When the next new batch or retry may be sent (engine's clock, ns); 0: at once."""
        self.max_backlog_seen = 0
        self.unsent = 0
        """Planned requests that were never sent, once the stream has stopped."""
        self._duplicate_every, self._fresh = duplicate_every, 0
        self._retries: list[tuple[int, int, PreparedRequest]] = []
        self._retry_number = 0
        self._issuing = True
        self._chunks: Iterator[list[int]] = iter(())
        self._due: list[int] = []
        self._at = 0
        self._interpreted: dict[tuple[int, str | None, int, bytes], InterpretedResponse] = {}
        self.cached_accept: bytes | None = None
        """The last response that accepted a complete batch, as bytes: another batch of
        `cached_accept_count` events with the same response is settled by comparing bytes.
        """
        self.cached_accept_count = 0
        self._take = source.take
        self._reader: Callable[[Response, PreparedRequest], InterpretedResponse] = (
            self._interpret_read if rule is None else self._interpret_ingest
        )

    # What is due

    def begin(self, start_ns: int) -> None:
        """Set the start of the run on the engine's clock (ns)."""
        if self.schedule is not None:
            self._chunks = ((block + start_ns).tolist() for block in self.schedule.chunks())
            self._load_due()
        self._plan_next()

    def _load_due(self) -> bool:
        """Load planned times until one is left; returns False at the end of the schedule."""
        while self._at >= len(self._due):
            block = next(self._chunks, None)
            if block is None:
                return False
            self._due, self._at = block, 0
        return True

    def _plan_next(self) -> None:
        fresh = NEVER
        if self._issuing:
            if self.schedule is None:
                fresh = 0
            elif self._at < len(self._due) or self._load_due():
                fresh = self._due[self._at]
        retry = self._retries[0][0] if self._retries else NEVER
        self.next_due = min(fresh, retry)

    def take(self, now: int) -> PreparedRequest | None:
        """Return the batch that is due, retries first; None if the source has no more."""
        if self._retries and self._retries[0][0] <= now:
            again = heapq.heappop(self._retries)[2]
            self._plan_next()
            return again
        batch = self._take()
        if batch is None:
            self._issuing = False
            self._plan_next()
            return None
        if self.schedule is not None:
            batch.planned = self._due[self._at]
            self._at += 1
            if self._at < len(self._due) and not self._retries:
                self.next_due = self._due[self._at]
            else:
                self._plan_next()
        elif self._retries:
            self._plan_next()
        if self._duplicate_every:
            self._fresh += 1
            if self._fresh % self._duplicate_every == 0:
                batch.copies, batch.single_outcome = 2, False
                self._schedule_retry(now, batch)
        return batch

    def backlog(self, now: int) -> int:
        """Return the number of planned requests that are due and not sent."""
        if self.schedule is None or not self._issuing:
            return 0
        while self._due and self._due[-1] <= now:
            block = next(self._chunks, None)
            if block is None:
                break
            if self._at > _USED_TIMES_MAX:
                del self._due[: self._at]
                self._at = 0
            self._due += block
        late = bisect_right(self._due, now, self._at) - self._at
        self.max_backlog_seen = max(self.max_backlog_seen, late)
        return late

    def stop(self, now: int) -> None:
        """Take no new batches; retries continue. What was due by `now` and not sent is counted."""
        if self._issuing:
            self.unsent += self.backlog(now)
            self._issuing = False
        self._plan_next()

    @property
    def exhausted(self) -> bool:
        """Return whether nothing is left to send; requests may still be in flight."""
        return self.next_due == NEVER

    # What a response means

    def on_response(
        self, batch: PreparedRequest, response: Response, now: int, data: bytes
    ) -> None:
        """Settle a batch by a complete response, or schedule another attempt.

        `data` is the response as received if it came in one piece, else empty.
        """
        if response.location is not None and self._redirected(batch, response, now):
            return
        key = (response.status, response.retry_after, batch.count, response.body)
        result = None if batch.malformed else self._interpreted.get(key)
        if result is None:
            result = self._reader(response, batch)
            if len(self._interpreted) >= _MAX_CACHED:
                self._interpreted.clear()
            if len(response.body) < 512 and not batch.malformed:
                self._interpreted[key] = result
        if result is _ACCEPTED and batch.single_outcome:
            if response.keep_alive and data:
                self.cached_accept, self.cached_accept_count = data, batch.count
            self._accepted(batch, now)
        elif result.kind is ResponseKind.DEFINITE:
            ranges = (
                single_range(batch.count, Outcome.ACCEPTED)
                if result is _ACCEPTED
                else result.ranges
            )
            if result.reason:
                self.recorder.error(result.reason)
            self._settle_by_response(batch, ranges, now)
        else:
            self.on_failure(
                batch,
                result.reason,
                now,
                result.retry_after_s,
                result.kind is ResponseKind.INDEFINITE,
            )

    def _redirected(self, batch: PreparedRequest, response: Response, now: int) -> bool:
        """Send a batch to where a response redirects it, or settle it if it must not go there.

        Returns False for a response that is no redirect.
        """
        method, path, rest = (batch.bare or batch.head).split(b" ", 2)
        redirect = redirect_of(
            self.address.origin + path.decode("latin-1"),
            response.status,
            method.decode("latin-1"),
            response.location,
        )
        if redirect is None:
            return False
        if redirect.url and batch.redirects < REDIRECTS_MOST:
            path = request_target(urlsplit(redirect.url)).encode()
            batch.head, batch.bare = b" ".join((method, path, rest)), b""
            batch.size = len(batch.head) + len(batch.body)
            batch.redirects += 1
            batch.attempt -= 1
            self._schedule_retry(now, batch)
            return True
        why = redirect.refusal or f"redirected more than {REDIRECTS_MOST} times"
        reason = f"HTTP {response.status}: {why}"
        self.recorder.error(reason)
        self._settle_by_response(batch, single_range(batch.count, Outcome.REFUSED, reason), now)
        return True

    def _settle_by_response(
        self, batch: PreparedRequest, ranges: tuple[OutcomeRange, ...], now: int
    ) -> None:
        """Settle a batch by a definite response, which an attempt without one may precede."""
        self.settle(batch, after_lost_response(ranges) if batch.maybe_stored else ranges, now)

    def _accepted(self, batch: PreparedRequest, now: int) -> None:
        """Record a batch that was accepted, as the engine does for the usual response."""
        self.recorder.response.append(now - batch.planned)
        if batch.count:
            self.recorder.accepted_first.append(batch.first)
            self.recorder.accepted_count.append(batch.count)

    def on_failure(
        self,
        batch: PreparedRequest,
        reason: str,
        now: int,
        retry_after: float | None = None,
        maybe_stored: bool = True,
    ) -> None:
        """Schedule another attempt after one without a definite response, or give the batch up."""
        batch.maybe_stored = batch.maybe_stored or maybe_stored
        self.recorder.error(reason)
        pause_s = self.retry.pause_s(batch.attempt, retry_after_s=retry_after)
        elapsed_s = (now - batch.first_sent) / 1e9
        if self.rule is None or self.retry.is_exhausted(batch.attempt, elapsed_s, pause_s):
            self.give_up(batch, reason, now)
        else:
            self._schedule_retry(now + int(pause_s * 1e9), batch)

    def give_up(self, batch: PreparedRequest, reason: str, now: int) -> None:
        """Settle a batch without a definite response; its age counts as its response time."""
        outcome = Outcome.UNKNOWN if batch.maybe_stored else Outcome.REFUSED
        self.settle(batch, single_range(batch.count, outcome, reason), now)

    def give_up_retries(self, now: int) -> None:
        """Settle everything that waits for another attempt; the run is over."""
        while self._retries:
            batch = heapq.heappop(self._retries)[2]
            self.give_up(batch, "the run ended before another attempt", now)
        self._plan_next()

    def _schedule_retry(self, moment: int, batch: PreparedRequest) -> None:
        self._retry_number += 1
        heapq.heappush(self._retries, (moment, self._retry_number, batch))
        self.next_due = min(self.next_due, moment)

    def settle(self, batch: PreparedRequest, ranges: tuple[OutcomeRange, ...], now: int) -> None:
        """Record the final outcomes of a batch, or of one copy of a duplicated one."""
        batch.copies -= 1
        if batch.first_copy_ranges is not None:
            ranges = _strongest_outcomes(batch.first_copy_ranges, ranges)
        if batch.copies > 0:
            batch.first_copy_ranges = ranges
            return
        self.recorder.response.append(now - batch.planned)
        for part in offset_ranges(ranges, batch.first):
            self.recorder.outcome(part)

    def _interpret_ingest(self, response: Response, batch: PreparedRequest) -> InterpretedResponse:
        assert self.rule is not None
        lines = batch.count + batch.malformed
        result = interpret_response(
            self.rule,
            response.status,
            response.body,
            lines,
            retry_after_s=retry_after_s(response.retry_after),
        )
        if batch.malformed and result.kind is ResponseKind.DEFINITE:
            result = self._without_malformed(result, batch.count)
        if result.ranges == single_range(batch.count, Outcome.ACCEPTED) and not result.reason:
            return _ACCEPTED
        return result

    def _without_malformed(self, result: InterpretedResponse, count: int) -> InterpretedResponse:
        """Return the response without the malformed last line; its acceptance is an error."""
        last = result.ranges[-1]
        if last.outcome is Outcome.ACCEPTED:
            self.recorder.error("a malformed line was accepted")
        kept = [
            OutcomeRange(
                first=part.first,
                count=min(part.count, count - part.first),
                outcome=part.outcome,
                reason=part.reason,
            )
            for part in result.ranges
            if part.first < count
        ]
        return result._replace(ranges=tuple(kept))

    def _interpret_read(self, response: Response, batch: PreparedRequest) -> InterpretedResponse:
        if 200 <= response.status < 300:
            return _ACCEPTED
        return InterpretedResponse(ResponseKind.INDEFINITE, (), f"HTTP {response.status}")


def _strongest_outcomes(
    one: tuple[OutcomeRange, ...], other: tuple[OutcomeRange, ...]
) -> tuple[OutcomeRange, ...]:
    """Return for each event the stronger of two outcomes: accepted, unknown, refused."""
    rank = {Outcome.ACCEPTED: 0, Outcome.UNKNOWN: 1, Outcome.REFUSED: 2}
    flat = [
        [(part.outcome, part.reason) for part in ranges for _ in range(part.count)]
        for ranges in (one, other)
    ]
    return tuple(
        OutcomeRange(first=n, count=1, outcome=best[0], reason=best[1])
        for n, best in enumerate(
            min(a, b, key=lambda pair: rank[pair[0]]) for a, b in zip(*flat, strict=True)
        )
    )
