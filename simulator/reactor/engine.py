"""The event loop: epoll over all connections of all request streams; sends requests when they are
due.

It decides nothing: streams say what to send and what a response means, the parser says when a
response is complete. Between two planned times it sleeps to within some microseconds and polls for
the rest; every 20 ms it yields control (`System.yield_control`).
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
from trueup.simulator.reactor.request_stream import RequestStream

__all__ = ["Engine", "Limits", "RequestStream", "System"]

_IN: Final = selects.EPOLLIN
_OUT: Final = selects.EPOLLOUT
_SPIN_NS: Final = 80_000
"""A sleep ends this long before the next planned time: the kernel wakes about 60 µs late."""
_MAX_SLEEP_NS: Final = 10_000_000
_HOUSEKEEPING_NS: Final = 20_000_000
_TIMEOUTS_NS: Final = 100_000_000
_SECOND_NS: Final = 1_000_000_000
_CONNECT_TIMEOUT_NS: Final = 5_000_000_000
_SENDS_AT_ONCE: Final = 64
"""Requests sent before responses are read again, if more are due."""
_MIN_LIFETIME_NS: Final = 1_000_000_000
"""A connection that ends sooner than this, and not after a response, is not reconnected at once: a
target that closes every connection would be connected to thousands of times a second.
"""
_MIN_ABSORB: Final = 2_048
"""Responses added to histograms at once: fewer cost more each, more delay the loop."""
_READ_SIZE: Final = 65_536
"""Bytes received at once of a response that is longer than the stream's usual ones."""
_READS_AT_ONCE: Final = 16
"""Pieces of a response that are received before other connections have their turn: a target that
sends without an end must not keep the loop from its timeouts."""
_CONNECTING: Final = State.CONNECTING
_IDLE: Final = State.IDLE
_SENDING: Final = State.SENDING
_WAITING: Final = State.WAITING
# Module constants: reading a member of an enumeration costs a tenth of a system call.


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The operating system's functions that the engine uses; under gevent the unpatched ones."""

    socket: Callable[[int, int], sockets.socket] = sockets.socket
    epoll: Callable[[], selects.epoll] = lambda: selects.epoll()
    """Looked up when called: gevent removes it from the module."""
    select: Callable[[list[int], list[int], list[int], float], object] = selects.select
    getaddrinfo: Callable[..., Any] = sockets.getaddrinfo
    yield_control: Callable[[], None] = lambda: None
    """Called every 20 ms, so that other users of the thread can run."""
    clock_ns: Callable[[], int] = time.perf_counter_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a run ends."""

    duration_s: float
    drain_s: float = 30.0
    """Maximum time for responses and retries after the end (s)."""
    max_backlog: int = 100_000
    """Planned requests that may wait for a connection; with more the run is stopped."""


class Engine:
    """Drive request streams until their time is over. Not thread-safe."""

    def __init__(
        self,
        streams: Sequence[RequestStream],
        *,
        limits: Limits,
        system: System | None = None,
        on_second: Callable[[int], None] | None = None,
    ) -> None:
        """`on_second` is called with the number of each finished second."""
        self.streams, self.limits = streams, limits
        self.system = system or System()
        self._clock_ns = self.system.clock_ns
        self.stopped_by = ""
        """Why the run ended early; empty if it did not."""
        self.idle_ns = 0
        self.elapsed_ns = 0
        self._on_second = on_second or (lambda second: None)
        self._poller = self.system.epoll()
        self._by_fd: dict[int, Connection] = {}
        self._closed: list[Connection] = []
        self._resolved: dict[Address, list[tuple[int, Endpoint]]] = {}
        """(family, endpoint) pairs of an address, until a connection to it fails."""
        self._draining = False
        self._start = self._end = self._next_housekeeping = self._next_timeouts = 0
        self._second = 0

    # Used by the caller

    def connect(self, stream: RequestStream) -> None:
        """Add a connection to a stream; allowed while the engine runs."""
        self._closed.append(Connection(stream))

    def disconnect(self, stream: RequestStream) -> None:
        """Remove a connection from a stream once its request has a response."""
        mine = [c for c in (*self._closed, *self._by_fd.values()) if c.stream is stream]
        chosen = next((c for c in mine if c.batch is None and not c.closing), None) or next(
            (c for c in mine if not c.closing), None
        )
        if chosen is not None:
            chosen.closing, chosen.expected_response = True, None
            if chosen.batch is None:
                self._remove(chosen)

    def stop(self, why: str = "") -> None:
        """Send no new requests; responses and retries are waited for."""
        if not self._draining:
            now = self.system.clock_ns()
            self.stopped_by = why
            self._draining = True
            self._end = min(self._end, now)
            for stream in self.streams:
                stream.stop(self._end)

    @property
    def ended_ns(self) -> int:
        """Return when it stopped sending new requests, in ns from the start of the run."""
        return self._end - self._start

    @property
    def busy_share(self) -> float:
        """Return the share of the time in which the loop was not waiting, 0 … 1."""
        return 1 - self.idle_ns / self.elapsed_ns if self.elapsed_ns else 0.0

    @property
    def _busy(self) -> bool:
        return any(connection.batch is not None for connection in self._by_fd.values())

    # The loop

    def run(self) -> None:
        """Send, read and settle until the time is over and every request is settled.

        Raises whatever a body source or a callback raises; requests in flight are then unknown.
        """
        clock, by_fd = self._clock_ns, self._by_fd
        self._start = clock()
        self._end = self._start + int(self.limits.duration_s * 1e9)
        self._next_housekeeping = self._start
        self._next_timeouts = self._start + _TIMEOUTS_NS
        self._connect_closed(self._start)
        for stream in self.streams:
            stream.begin(self._start)
        try:
            while True:
                now = clock()
                if now >= self._next_housekeeping and not self._housekeeping(now):
                    break
                for stream in self.streams:
                    if stream.idle and stream.next_due <= now:
                        now = self._send_due(stream, now, _SENDS_AT_ONCE)
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

    def _send_due(self, stream: RequestStream, now: int, most: int) -> int:
        """Send what is due on idle connections, at most `most` requests; returns the time after
        that.
        """
        while stream.idle and stream.next_due <= now and most:
            since = max(stream.next_due, stream.idle[0].free_at)
            self._send_next(stream.idle.pop(), now, since)
            now, most = self._clock_ns(), most - 1
        return now

    def _wait(self, now: int) -> list[tuple[int, int]]:
        """Return events of the poller, at the latest when a request is due.

        Adds the time spent waiting to `idle_ns`.
        """
        due = self._next_housekeeping
        for stream in self.streams:
            if stream.idle and stream.next_due < due:
                due = stream.next_due
        ahead = due - now
        found = self._poller.poll(0)
        if found:
            return found
        if ahead > 0 and any(stream.source.prepare() for stream in self.streams):
            return self._poller.poll(0)
        if ahead <= _SPIN_NS:
            self.idle_ns += self.system.clock_ns() - now
            return found
        if due == self._next_housekeeping:
            # Nothing is due before: the poller's resolution of a millisecond is enough.
            found = self._poller.poll(ahead / 1e9)
            self.idle_ns += self.system.clock_ns() - now
            return found
        wait = min(ahead - _SPIN_NS, _MAX_SLEEP_NS) / 1e9
        self.system.select([self._poller.fileno()], [], [], wait)
        self.idle_ns += self.system.clock_ns() - now
        return self._poller.poll(0)

    def _housekeeping(self, now: int) -> bool:
        """Do the periodic work of every 20 ms; returns False when the run is over."""
        self._next_housekeeping = now + _HOUSEKEEPING_NS
        self.system.yield_control()
        now = self.system.clock_ns()
        if now >= self._start + (self._second + 1) * _SECOND_NS:
            self._close_second(now)
        if self._closed:
            self._connect_closed(now)
        if now >= self._next_timeouts:
            self._next_timeouts = now + _TIMEOUTS_NS
            self._time_out(now)
        for stream in self.streams:
            if stream.backlog(now) > self.limits.max_backlog:
                self.stop(f"more than {self.limits.max_backlog} requests waited to be sent")
            stream.recorder.absorb(least=_MIN_ABSORB)
        if not self._draining and now >= self._end:
            # Requests that fell due while control was yielded still have idle connections.
            for stream in self.streams:
                if stream.schedule is not None:
                    self._send_due(stream, now, len(stream.idle))
        over = all(stream.exhausted for stream in self.streams) and not self._busy
        if not self._draining and (now >= self._end or over):
            self.stop()
            over = all(stream.exhausted for stream in self.streams) and not self._busy
        if not self._draining:
            return True
        if over:
            return False
        return now < self._end + int(self.limits.drain_s * 1e9)

    def _close_second(self, now: int) -> None:
        for stream in self.streams:
            stream.recorder.close_second(self._second)
        self._on_second(self._second)
        self._second = (now - self._start) // _SECOND_NS

    def _finish(self) -> None:
        now = self.system.clock_ns()
        for connection in list(self._by_fd.values()):
            batch, connection.batch = connection.batch, None
            if batch is not None:
                batch.maybe_stored = True
                connection.stream.give_up(batch, "the run ended before a response", now)
            connection.close()
        self._by_fd.clear()
        for stream in self.streams:
            stream.give_up_retries(now)
            stream.idle.clear()
        self._poller.close()
        self.elapsed_ns = now - self._start
        self._close_second(now)

    # Connections

    def _connect_closed(self, now: int) -> None:
        waiting, self._closed = self._closed, []
        for connection in waiting:
            if connection.closing:
                continue
            if connection.retry_at > now:
                self._closed.append(connection)
            else:
                self._connect(connection, now)

    def _connect(self, connection: Connection, now: int) -> None:
        address = connection.stream.address
        try:
            known = self._resolved.get(address) or self._resolve(address)
            family, endpoint = known[connection.failures % len(known)]
            connection.connect(self.system.socket, family, endpoint)
        except OSError as error:
            connection.stream.recorder.error(f"cannot connect: {_describe_error(error)}")
            self._back_off(connection, now)
            return
        connection.sent = now
        self._by_fd[connection.fd] = connection
        self._poller.register(connection.fd, _IN | _OUT)

    def _resolve(self, address: Address) -> list[tuple[int, Endpoint]]:
        """Look up a host's addresses, IPv4 first; blocks meanwhile.

        Returns (family, endpoint) pairs. Raises OSError if there are none.
        """
        if address.unix_socket:
            found = self._resolved[address] = [(sockets.AF_UNIX, address.unix_socket)]
            return found
        rows = self.system.getaddrinfo(address.host, address.port, type=sockets.SOCK_STREAM)
        rows.sort(key=lambda row: row[0] != sockets.AF_INET)
        found = self._resolved[address] = [(row[0], row[4]) for row in rows]
        return found

    def _back_off(self, connection: Connection, now: int) -> None:
        connection.failures += 1
        self._resolved.pop(connection.stream.address, None)
        pause_s = connection.stream.retry.pause_s(connection.failures)
        connection.retry_at = now + int(pause_s * 1e9)
        self._closed.append(connection)

    def _remove(self, connection: Connection) -> None:
        """Close a connection that carries no request, and forget it."""
        if connection.fd >= 0:
            self._by_fd.pop(connection.fd, None)
        if connection in connection.stream.idle:
            connection.stream.idle.remove(connection)
        connection.close()

    def _connection_lost(self, connection: Connection, reason: str) -> None:
        """Settle what a closed connection carried, and connect again.

        `reason` is empty if it ended normally, after a complete response.
        """
        now = self.system.clock_ns()
        connecting = connection.state is _CONNECTING
        too_soon = bool(reason) and (connecting or now - connection.connected_at < _MIN_LIFETIME_NS)
        batch, connection.batch = connection.batch, None
        self._remove(connection)
        if batch is not None:
            connection.stream.on_failure(batch, reason, now)
        elif too_soon:
            connection.stream.recorder.error(reason)
        if connection.closing:
            return
        if too_soon:
            self._back_off(connection, now)
        else:
            connection.failures = 0
            self._connect(connection, now)

    def _time_out(self, now: int) -> None:
        for connection in list(self._by_fd.values()):
            connecting = connection.state is _CONNECTING
            limit_ns = _CONNECT_TIMEOUT_NS if connecting else connection.stream.timeout_ns
            if connection.state is _IDLE or connection.sent + limit_ns > now:
                continue
            what = "connecting took" if connecting else "no response within"
            self._connection_lost(connection, f"timeout: {what} {limit_ns / 1e9:g} s")

    # Requests

    def _send_next(self, connection: Connection, now: int, intended_start: int) -> None:
        """Send what is due; `intended_start` is when it could have been sent."""
        stream = connection.stream
        batch = stream.take(now)
        if batch is None:
            connection.batch = connection.expected_response = None
            connection.state = _IDLE
            stream.idle.append(connection)
            return
        # Time spent drawing the batch is not the target's.
        sent = self._clock_ns()
        connection.batch, connection.sent, connection.intended_start = batch, sent, intended_start
        connection.expected_response = (
            stream.cached_accept
            if batch.single_outcome and batch.count == stream.cached_accept_count
            else None
        )
        if batch.attempt == 0:
            batch.first_sent = sent
            if stream.schedule is None:
                batch.planned = sent
            else:
                stream.recorder.lateness.append(sent - intended_start)
        batch.attempt += 1
        if stream.dresser is not None:
            stream.dresser.dress(batch)
        try:
            complete = connection.begin(batch)
        except OSError as error:
            self._connection_lost(connection, f"connection lost: {error.strerror}")
            return
        if not complete:
            self._poller.modify(connection.fd, _IN | _OUT)

    def _ready(self, connection: Connection, mask: int) -> None:
        if connection.state is _CONNECTING:
            self._continue_connecting(connection)
            return
        if mask & _OUT and connection.state is _SENDING:
            try:
                if connection.resume():
                    self._poller.modify(connection.fd, _IN)
            except OSError as error:
                if not mask & _IN:
                    self._connection_lost(connection, f"connection lost: {error.strerror}")
                    return
        if mask & ~_OUT:
            self._read(connection)

    def _continue_connecting(self, connection: Connection) -> None:
        try:
            if not connection.connected():
                # Only TLS waits here, mostly to read: the socket is always writable.
                has_pending_output = (
                    connection.tls is not None and connection.tls.has_pending_output
                )
                self._poller.modify(connection.fd, _IN | _OUT if has_pending_output else _IN)
                return
        except OSError as error:
            self._connection_lost(connection, _describe_connect_error(error))
            return
        connection.connected_at = connection.free_at = self._clock_ns()
        self._poller.modify(connection.fd, _IN)
        connection.state = _IDLE
        connection.stream.idle.append(connection)

    def _read(self, connection: Connection) -> None:
        """Receive bytes. The hot path: the usual response, and the next request."""
        stream = connection.stream
        try:
            data = connection.recv(stream.read_size)
        except OSError as error:
            self._read_failed(connection, error)
            return
        if data != connection.expected_response:
            self._parse(connection, data)
            return
        batch, now = connection.batch, self._clock_ns()
        assert batch is not None
        recorder = stream.recorder
        recorder.service.append(now - connection.sent)
        recorder.response.append(now - batch.planned)
        recorder.bytes += len(batch.body)
        if batch.count:
            recorder.accepted_first.append(batch.first)
            recorder.accepted_count.append(batch.count)
        connection.batch = None
        self._next_or_idle(connection, now)

    def _next_or_idle(self, connection: Connection, now: int) -> None:
        """Send the next request that is due on a free connection, or make the connection idle.

        If its last request had been sent when it could have been, the connection would have been
        free that much earlier: so one delay of the generator's counts for every request that it
        postponed.
        """
        stream = connection.stream
        free_at = connection.free_at = connection.intended_start + now - connection.sent
        if stream.next_due > now:
            connection.expected_response = None
            connection.state = _IDLE
            stream.idle.append(connection)
        else:
            if stream.idle and stream.idle[0].free_at < free_at:
                free_at = stream.idle[0].free_at
            due = stream.next_due
            self._send_next(connection, now, due if due > free_at else free_at)

    def _read_failed(self, connection: Connection, error: OSError | HttpProtocolError) -> None:
        if not isinstance(error, BlockingIOError):
            self._connection_lost(connection, f"connection lost: {_describe_error(error)}")

    def _parse(self, connection: Connection, data: bytes) -> None:
        """Parse bytes: part of a response, a complete one, or the end of the connection."""
        parser, piece = connection.parser, data
        connection.expected_response = None
        complete = data if parser.idle else b""
        try:
            response = parser.feed(piece) if piece else parser.eof()
            for _ in range(_READS_AT_ONCE):
                if response is not None or not piece:
                    break
                complete = b""
                piece = connection.recv(_READ_SIZE)
                response = parser.feed(piece) if piece else parser.eof()
        except (OSError, HttpProtocolError) as error:
            self._read_failed(connection, error)
            return
        if response is None:
            if not piece:
                self._connection_lost(connection, "connection closed by the target")
            return  # more has come already; others have their turn first
        self._response_received(connection, response, complete, ended=not piece)

    def _response_received(
        self, connection: Connection, response: Response, complete: bytes, *, ended: bool
    ) -> None:
        """Settle the request of a connection by its response, and continue with the next."""
        stream, now = connection.stream, self._clock_ns()
        batch, connection.batch = connection.batch, None
        if batch is None:
            self._connection_lost(connection, "a response without a request")
            return
        connection.failures = 0
        stream.recorder.service.append(now - connection.sent)
        stream.recorder.bytes += len(batch.body)
        stream.on_response(batch, response, now, complete)
        if connection.state is _SENDING or not response.keep_alive or ended:
            self._connection_lost(connection, "")
        elif connection.closing:
            self._remove(connection)
        else:
            self._next_or_idle(connection, now)


def _describe_connect_error(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the target's certificate was not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with the target: {error.reason or error}"
    return "the target refused the connection"


def _describe_error(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
