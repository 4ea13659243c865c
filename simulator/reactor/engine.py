"""The loop: epoll over all connections of all lanes, fresh requests when they are due.

It acts and decides nothing: lanes say what to send and what an answer means, the parser says
when an answer is whole. Between two planned times it sleeps to within some microseconds and
spins the rest; every few milliseconds it lets others run (`System.yield_control`).
"""

from __future__ import annotations

import select as selects
import socket as sockets
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trueup.simulator.reactor.address import Address
from trueup.simulator.reactor.connection import Connection, Endpoint, State
from trueup.simulator.reactor.http1 import HttpProtocolError, Response
from trueup.simulator.reactor.lane import RequestStream

__all__ = ["Engine", "Limits", "RequestStream", "System"]

_IN: Final = selects.EPOLLIN
_OUT: Final = selects.EPOLLOUT
_SPIN_NS: Final = 80_000
"""Sleep ends this long before the next planned time: the kernel wakes us late by about 60 µs."""
_MOST_SLEEP_NS: Final = 10_000_000
_CHORES_NS: Final = 20_000_000
_TIMEOUTS_NS: Final = 100_000_000
_SECOND_NS: Final = 1_000_000_000
_DIAL_LIMIT_NS: Final = 5_000_000_000
_SENDS_AT_ONCE: Final = 64
"""Requests sent before answers are read again, where more are due."""
_YOUNG_NS: Final = 1_000_000_000
"""A connection that ends sooner than this, and not after an answer, is not dialled again at once:
a target that hangs up on everybody would be dialled thousands of times a second."""
_ABSORB: Final = 2_048
"""Answers that are put into histograms at once: fewer cost more each, more hold the loop up."""
_READ_SIZE: Final = 65_536
"""Bytes received at once of an answer that is longer than the lane's answers usually are."""
_DIALING: Final = State.DIALING
_IDLE: Final = State.IDLE
_SENDING: Final = State.SENDING
_WAITING: Final = State.WAITING
# Names of the module: reading a member off an enumeration costs as much as a system call's tenth.


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The machine as the engine uses it; under gevent the unpatched originals."""

    socket: Callable[[int, int], sockets.socket] = sockets.socket
    epoll: Callable[[], selects.epoll] = lambda: selects.epoll()
    """Looked up when called: gevent takes it out of the module."""
    select: Callable[[list[int], list[int], list[int], float], object] = selects.select
    getaddrinfo: Callable[..., Any] = sockets.getaddrinfo
    yield_control: Callable[[], None] = lambda: None
    """Called every 20 ms, so that whoever shares the thread gets a turn."""
    clock_ns: Callable[[], int] = time.perf_counter_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What ends a run early or late."""

    duration_s: float
    drain_s: float = 30.0
    """After the end: how long answers and retries may still take."""
    most_backlog: int = 100_000
    """Planned requests that may wait for a connection; more of them fail the run."""


class Engine:
    """Runs lanes until their time is over. Not for use from several threads."""

    def __init__(
        self,
        lanes: Sequence[RequestStream],
        *,
        limits: Limits,
        system: System | None = None,
        on_second: Callable[[int], None] | None = None,
    ) -> None:
        """`on_second` is called with the number of each finished second."""
        self.lanes, self.limits = lanes, limits
        self.system = system or System()
        self._clock_ns = self.system.clock_ns
        self.stopped_by = ""
        """Why the run ended before its time; empty when it did not."""
        self.idle_ns = 0
        self.elapsed_ns = 0
        self._on_second = on_second or (lambda second: None)
        self._poller = self.system.epoll()
        self._by_fd: dict[int, Connection] = {}
        self._closed: list[Connection] = []
        self._found: dict[Address, list[tuple[int, Endpoint]]] = {}
        """(family, endpoint) behind an address, until a dial fails."""
        self._draining = False
        self._start = self._end = self._next_chores = self._next_timeouts = 0
        self._second = 0

    # From outside

    def connect(self, lane: RequestStream) -> None:
        """Add a connection to a lane; it may come while the engine runs."""
        self._closed.append(Connection(lane))

    def disconnect(self, lane: RequestStream) -> None:
        """Take a connection from a lane, once its request is answered."""
        mine = [c for c in (*self._closed, *self._by_fd.values()) if c.lane is lane]
        chosen = next((c for c in mine if c.batch is None and not c.leaving), None) or next(
            (c for c in mine if not c.leaving), None
        )
        if chosen is not None:
            chosen.leaving, chosen.expects = True, None
            if chosen.batch is None:
                self._drop(chosen)

    def stop(self, why: str = "") -> None:
        """Send nothing fresh any more; answers and retries are waited for."""
        if not self._draining:
            now = self.system.clock_ns()
            self.stopped_by = why
            self._draining = True
            self._end = min(self._end, now)
            for lane in self.lanes:
                lane.stop(self._end)

    @property
    def ended_ns(self) -> int:
        """When it stopped to send anything fresh, from the start of the run."""
        return self._end - self._start

    @property
    def busy_share(self) -> float:
        """Share of the time in which the loop was not waiting, 0 … 1."""
        return 1 - self.idle_ns / self.elapsed_ns if self.elapsed_ns else 0.0

    @property
    def _busy(self) -> bool:
        return any(connection.batch is not None for connection in self._by_fd.values())

    # The loop

    def run(self) -> None:
        """Send, read and settle until the time is over and everything is answered."""
        clock, by_fd = self._clock_ns, self._by_fd
        self._start = clock()
        self._end = self._start + int(self.limits.duration_s * 1e9)
        self._next_chores = self._start
        self._next_timeouts = self._start + _TIMEOUTS_NS
        self._dial_closed(self._start)
        for lane in self.lanes:
            lane.begin(self._start)
        try:
            while True:
                now = clock()
                if now >= self._next_chores and not self._chores(now):
                    break
                for lane in self.lanes:
                    if lane.idle and lane.next_due <= now:
                        now = self._send_due(lane, now, _SENDS_AT_ONCE)
                for fd, mask in self._wait(now):
                    connection = by_fd.get(fd)
                    if connection is None:
                        continue
                    if mask == _IN and connection.state is _WAITING:
                        self._read(connection)
                    else:
                        self._ready(connection, mask)
        finally:
            self._finish()

    def _send_due(self, lane: RequestStream, now: int, most: int) -> int:
        """Send what is due on connections that are free, at most so many; gives the time then."""
        while lane.idle and lane.next_due <= now and most:
            since = max(lane.next_due, lane.idle[0].free_at)
            self._send_next(lane.idle.pop(), now, since)
            now, most = self._clock_ns(), most - 1
        return now

    def _wait(self, now: int) -> list[tuple[int, int]]:
        """Events, at the latest when something is due; time spent waiting is added up."""
        due = self._next_chores
        for lane in self.lanes:
            if lane.idle and lane.next_due < due:
                due = lane.next_due
        ahead = due - now
        found = self._poller.poll(0)
        if found:
            return found
        if ahead > 0 and any(lane.source.prepare() for lane in self.lanes):
            return self._poller.poll(0)
        if ahead <= _SPIN_NS:
            self.idle_ns += self.system.clock_ns() - now
            return found
        if due == self._next_chores:
            # Nothing is planned before: the poller's own whole milliseconds are fine enough.
            found = self._poller.poll(ahead / 1e9)
            self.idle_ns += self.system.clock_ns() - now
            return found
        wait = min(ahead - _SPIN_NS, _MOST_SLEEP_NS) / 1e9
        self.system.select([self._poller.fileno()], [], [], wait)
        self.idle_ns += self.system.clock_ns() - now
        return self._poller.poll(0)

    def _chores(self, now: int) -> bool:
        """What is done every 20 ms. False: the run is over."""
        self._next_chores = now + _CHORES_NS
        self.system.yield_control()
        now = self.system.clock_ns()
        if now >= self._start + (self._second + 1) * _SECOND_NS:
            self._close_second(now)
        if self._closed:
            self._dial_closed(now)
        if now >= self._next_timeouts:
            self._next_timeouts = now + _TIMEOUTS_NS
            self._time_out(now)
        for lane in self.lanes:
            if lane.backlog(now) > self.limits.most_backlog:
                self.stop(f"more than {self.limits.most_backlog} requests waited to be sent")
            lane.recorder.absorb(least=_ABSORB)
        if not self._draining and now >= self._end:
            # What fell due while others had their turn has connections to go on.
            for lane in self.lanes:
                if lane.schedule is not None:
                    self._send_due(lane, now, len(lane.idle))
        over = all(lane.exhausted for lane in self.lanes) and not self._busy
        if not self._draining and (now >= self._end or over):
            self.stop()
            over = all(lane.exhausted for lane in self.lanes) and not self._busy
        if not self._draining:
            return True
        if over:
            return False
        return now < self._end + int(self.limits.drain_s * 1e9)

    def _close_second(self, now: int) -> None:
        for lane in self.lanes:
            lane.recorder.close_second(self._second)
        self._on_second(self._second)
        self._second = (now - self._start) // _SECOND_NS

    def _finish(self) -> None:
        now = self.system.clock_ns()
        for connection in list(self._by_fd.values()):
            batch, connection.batch = connection.batch, None
            if batch is not None:
                batch.lost = True
                connection.lane.give_up(batch, "the run ended before an answer", now)
            connection.close()
        self._by_fd.clear()
        for lane in self.lanes:
            lane.give_up_retries(now)
            lane.idle.clear()
        self._poller.close()
        self.elapsed_ns = now - self._start
        self._close_second(now)

    # Connections

    def _dial_closed(self, now: int) -> None:
        waiting, self._closed = self._closed, []
        for connection in waiting:
            if connection.leaving:
                continue
            if connection.retry_at > now:
                self._closed.append(connection)
            else:
                self._dial(connection, now)

    def _dial(self, connection: Connection, now: int) -> None:
        address = connection.lane.address
        try:
            known = self._found.get(address) or self._look_up(address)
            family, endpoint = known[connection.failures % len(known)]
            connection.dial(self.system.socket, family, endpoint)
        except OSError as error:
            connection.lane.recorder.error(f"no connection could be opened: {_say(error)}")
            self._back_off(connection, now)
            return
        connection.sent = now
        self._by_fd[connection.fd] = connection
        self._poller.register(connection.fd, _IN | _OUT)

    def _look_up(self, address: Address) -> list[tuple[int, Endpoint]]:
        """What stands behind a name, IPv4 first; it waits. Raises OSError where nothing does."""
        rows = self.system.getaddrinfo(address.host, address.port, type=sockets.SOCK_STREAM)
        rows.sort(key=lambda row: row[0] != sockets.AF_INET)
        found = self._found[address] = [(row[0], row[4]) for row in rows]
        return found

    def _back_off(self, connection: Connection, now: int) -> None:
        connection.failures += 1
        self._found.pop(connection.lane.address, None)
        pause_s = connection.lane.retry.pause_s(connection.failures)
        connection.retry_at = now + int(pause_s * 1e9)
        self._closed.append(connection)

    def _drop(self, connection: Connection) -> None:
        """Close and forget a connection that carries nothing."""
        if connection.fd >= 0:
            self._by_fd.pop(connection.fd, None)
        if connection in connection.lane.idle:
            connection.lane.idle.remove(connection)
        connection.close()

    def _broken(self, connection: Connection, reason: str) -> None:
        """A connection is of no use any more: settle what it carried, and dial again.

        `reason` is empty where it ended well, after a whole answer.
        """
        now = self.system.clock_ns()
        dialing = connection.state is _DIALING
        too_soon = bool(reason) and (dialing or now - connection.since < _YOUNG_NS)
        batch, connection.batch = connection.batch, None
        self._drop(connection)
        if batch is not None:
            connection.lane.failed(batch, reason, now)
        elif too_soon:
            connection.lane.recorder.error(reason)
        if connection.leaving:
            return
        if too_soon:
            self._back_off(connection, now)
        else:
            connection.failures = 0
            self._dial(connection, now)

    def _time_out(self, now: int) -> None:
        for connection in list(self._by_fd.values()):
            dialing = connection.state is _DIALING
            limit_ns = _DIAL_LIMIT_NS if dialing else connection.lane.timeout_ns
            if connection.state is _IDLE or connection.sent + limit_ns > now:
                continue
            what = "a connection" if dialing else "an answer"
            self._broken(connection, f"time-out: {what} took too long")

    # Requests

    def _send_next(self, connection: Connection, now: int, ideal: int) -> None:
        """Send what is due on a free connection; `ideal`: when it could have gone."""
        lane = connection.lane
        batch = lane.take(now)
        if batch is None:
            connection.batch = connection.expects = None
            connection.state = _IDLE
            lane.idle.append(connection)
            return
        # Drawing the batch may have taken a while, which is none of the target's.
        sent = self._clock_ns()
        connection.batch, connection.sent, connection.ideal = batch, sent, ideal
        connection.expects = (
            lane.cached_accept if batch.plain and batch.count == lane.usual_count else None
        )
        if batch.attempt == 0:
            batch.first_sent = sent
            if lane.schedule is None:
                batch.planned = sent
            else:
                lane.recorder.lateness.append(sent - ideal)
        batch.attempt += 1
        try:
            whole = connection.begin(batch)
        except OSError as error:
            self._broken(connection, f"the connection broke: {error.strerror}")
            return
        if not whole:
            self._poller.modify(connection.fd, _IN | _OUT)

    def _ready(self, connection: Connection, mask: int) -> None:
        if connection.state is _DIALING:
            self._dialed(connection)
            return
        if mask & _OUT and connection.state is _SENDING:
            try:
                if connection.go_on():
                    self._poller.modify(connection.fd, _IN)
            except OSError as error:
                if not mask & _IN:
                    self._broken(connection, f"the connection broke: {error.strerror}")
                    return
        if mask & ~_OUT:
            self._read(connection)

    def _dialed(self, connection: Connection) -> None:
        try:
            if not connection.connected():
                # Nothing but TLS waits here, mostly to read: to write would always be possible.
                owes = connection.tls is not None and connection.tls.owes
                self._poller.modify(connection.fd, _IN | _OUT if owes else _IN)
                return
        except OSError as error:
            self._broken(connection, _undialed(error))
            return
        connection.since = connection.free_at = self._clock_ns()
        self._poller.modify(connection.fd, _IN)
        connection.state = _IDLE
        connection.lane.idle.append(connection)

    def _read(self, connection: Connection) -> None:
        """Read what came. The hottest lines of all: the usual answer, and the next request."""
        lane = connection.lane
        try:
            data = connection.recv(lane.read_size)
        except OSError as error:
            self._unreadable(connection, error)
            return
        if data != connection.expects:
            self._parse(connection, data)
            return
        batch, now = connection.batch, self._clock_ns()
        assert batch is not None
        recorder = lane.recorder
        recorder.service.append(now - connection.sent)
        recorder.response.append(now - batch.planned)
        recorder.bytes += len(batch.body)
        if batch.count:
            recorder.accepted_first.append(batch.first)
            recorder.accepted_count.append(batch.count)
        connection.batch = None
        self._go_on(connection, now)

    def _go_on(self, connection: Connection, now: int) -> None:
        """A connection is free: send the next request that is due, or have it wait for one.

        Had its last request gone when it could, the connection would have been free that much
        earlier: so one hold-up of ours counts for every request that it pushed back.
        """
        lane = connection.lane
        free_at = connection.free_at = connection.ideal + now - connection.sent
        if lane.next_due > now:
            connection.expects = None
            connection.state = _IDLE
            lane.idle.append(connection)
        else:
            if lane.idle and lane.idle[0].free_at < free_at:
                free_at = lane.idle[0].free_at
            due = lane.next_due
            self._send_next(connection, now, due if due > free_at else free_at)

    def _unreadable(self, connection: Connection, error: OSError | HttpProtocolError) -> None:
        if not isinstance(error, BlockingIOError):
            self._broken(connection, f"the connection broke: {_say(error)}")

    def _parse(self, connection: Connection, data: bytes) -> None:
        """Take in bytes that may be a part of an answer, an answer, or an end of file."""
        parser, piece = connection.parser, data
        connection.expects = None
        whole = data if parser.idle else b""
        try:
            response = parser.feed(piece) if piece else parser.eof()
            while response is None and piece:
                whole = b""
                piece = connection.recv(_READ_SIZE)
                response = parser.feed(piece) if piece else parser.eof()
        except (OSError, HttpProtocolError) as error:
            self._unreadable(connection, error)
            return
        if response is None:
            self._broken(connection, "the target closed the connection")
            return
        self._answered(connection, response, whole, ended=not piece)

    def _answered(
        self, connection: Connection, response: Response, whole: bytes, *, ended: bool
    ) -> None:
        """Settle the request of a connection by its answer, and go on with the next."""
        lane, now = connection.lane, self._clock_ns()
        batch, connection.batch = connection.batch, None
        if batch is None:
            self._broken(connection, "an answer that nobody asked for")
            return
        connection.failures = 0
        lane.recorder.service.append(now - connection.sent)
        lane.recorder.bytes += len(batch.body)
        lane.answered(batch, response, now, whole)
        if connection.state is _SENDING or not response.keep_alive or ended:
            self._broken(connection, "")
        elif connection.leaving:
            self._drop(connection)
        else:
            self._go_on(connection, now)


def _undialed(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the target's certificate was not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with the target: {error.reason or error}"
    return "the target refused the connection"


def _say(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
