"""Connections: closed where the client is too slow, bounded in number and in memory.

A `ConnectionGuard` is between the transport and aiohttp's protocol and passes everything on. It
knows in which phase its connection is; `Connections` closes those that stay too long in one.
Bodies have limits of their own (`trueup.reference.api.bodies`).
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from aiohttp import web

from trueup.reference.clock import monotonic_s

__all__ = [
    "CONNECTION_LIMIT",
    "HEADS_LIMIT",
    "HEAD_S",
    "IDLE_S",
    "UNREAD_LIMIT",
    "WRITE_S",
    "ConnectionGuard",
    "ConnectionPhase",
    "Connections",
    "connection_limit",
    "guard_of",
    "overdue",
]

IDLE_S: Final = 75.0
"""How long a connection may be without a request, in seconds."""
HEAD_S: Final = 20.0
"""Longest time in which the request line and the headers may arrive, in seconds."""
WRITE_S: Final = 30.0
"""How long a client may leave a response unread, in seconds."""
CONNECTION_LIMIT: Final = 4096
"""Most open connections, if there are descriptors for them."""
HEADS_LIMIT: Final = 128 << 20
"""Most bytes of unfinished heads of all connections."""
UNREAD_LIMIT: Final = 128 << 20
"""Most bytes of responses that wait for their clients to read them, of all connections."""
_RESERVED: Final = 64
"""Descriptors that are left for the store and everything else."""


class ConnectionPhase(StrEnum):
    """What a connection is doing."""

    IDLE = "idle"
    """No byte of the next request has arrived."""
    HEAD = "head"
    """A request line or headers are arriving."""
    REQUEST = "request"
    """A request is handled."""


def overdue(phase: ConnectionPhase, phase_s: float, unread_s: float) -> str | None:
    """Return why a connection is to be closed, or None.

    `phase_s`: seconds in this phase; `unread_s`: seconds for which the client has read nothing of
    a response that does not fit into the buffers.
    """
    if unread_s > WRITE_S:
        return "unread"
    if phase is ConnectionPhase.HEAD and phase_s > HEAD_S:
        return "slow head"
    if phase is ConnectionPhase.IDLE and phase_s > IDLE_S:
        return "idle"
    return None


def connection_limit() -> int:
    """Return how many connections may be open: CONNECTION_LIMIT, or fewer by the descriptors."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors == resource.RLIM_INFINITY:
        return CONNECTION_LIMIT
    return max(1, min(CONNECTION_LIMIT, descriptors - _RESERVED))


class ConnectionGuard(asyncio.Protocol):
    """The protocol of one connection: passes everything to `inner`, and keeps the phase."""

    def __init__(self, inner: asyncio.Protocol, connections: Connections) -> None:
        self._inner = inner
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self.phase = ConnectionPhase.IDLE
        self.since_s = monotonic_s()
        self.head_bytes = 0
        self._unread_since_s: float | None = None
        self._is_admitted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._is_admitted = self._connections.admit(self)
        if self._is_admitted:
            self._inner.connection_made(transport)
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.forget(self)
        if self._is_admitted:
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.phase is ConnectionPhase.IDLE:
            self._enter(ConnectionPhase.HEAD)
        if self.phase is ConnectionPhase.HEAD:
            self.head_bytes += len(data)
            self._connections.count_head(len(data))
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._unread_since_s = monotonic_s()
        self._inner.pause_writing()
        self._connections.note_unread(self)

    def resume_writing(self) -> None:
        self._unread_since_s = None
        self._inner.resume_writing()

    @property
    def unread_bytes(self) -> int:
        """Bytes of responses that the client has not read, where they are many; else 0."""
        if self._transport is None or self._unread_since_s is None:
            return 0
        return self._transport.get_write_buffer_size()

    def request_begins(self) -> None:
        """Note that a head is complete."""
        self._enter(ConnectionPhase.REQUEST)
        self._connections.note_waiting(self, is_waiting=False)

    def body_begins(self) -> None:
        """Note that a body is arriving: the connection may give way to a new one again."""
        self._connections.note_waiting(self, is_waiting=True)

    def body_ends(self) -> None:
        """Note that a body is complete, or refused."""
        self._connections.note_waiting(self, is_waiting=False)

    def request_ends(self) -> None:
        """Note that the response is about to be sent."""
        self._enter(ConnectionPhase.IDLE)
        self._connections.note_waiting(self, is_waiting=True)

    def why_overdue(self, now_s: float) -> str | None:
        unread_s = 0.0 if self._unread_since_s is None else now_s - self._unread_since_s
        return overdue(self.phase, now_s - self.since_s, unread_s)

    def close(self) -> None:
        """Close the connection without waiting for its client."""
        if self._transport is not None:
            self._transport.abort()

    def _enter(self, phase: ConnectionPhase) -> None:
        self._connections.count_head(-self.head_bytes)
        self.head_bytes = 0
        self.phase, self.since_s = phase, monotonic_s()


class Connections:
    """All open connections. Used by the event loop only."""

    def __init__(
        self,
        *,
        limit: int | None = None,
        heads_limit: int = HEADS_LIMIT,
        unread_limit: int = UNREAD_LIMIT,
    ) -> None:
        self._limit = connection_limit() if limit is None else limit
        self._heads_limit = heads_limit
        self._unread_limit = unread_limit
        self._unread: set[ConnectionGuard] = set()
        self._open: set[ConnectionGuard] = set()
        self._waiting: dict[ConnectionGuard, None] = {}
        """Connections whose next head or body is not complete, the longest waiting first."""
        self._head_bytes = 0
        self.closed: Counter[str] = Counter()
        """Connections that were closed from here, by reason."""

    def __len__(self) -> int:
        return len(self._open)

    def factory(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], ConnectionGuard]:
        """Return a factory of guarded protocols."""
        return lambda: ConnectionGuard(make(), self)

    def admit(self, guard: ConnectionGuard) -> bool:
        """Take a new connection, in place of the one that waited longest where there are too many.

        Returns False where no connection waits for a request or a body.
        """
        if len(self._open) >= self._limit:
            longest = next(iter(self._waiting), None)
            if longest is None:
                self.closed["too many"] += 1
                return False
            self._close(longest, "too many")
        self._open.add(guard)
        self._waiting[guard] = None
        return True

    def note_waiting(self, guard: ConnectionGuard, *, is_waiting: bool) -> None:
        """Note that a connection begins to wait for a head or a body, or that it is complete."""
        if not is_waiting:
            self._waiting.pop(guard, None)
        elif guard in self._open:
            self._waiting[guard] = None

    def forget(self, guard: ConnectionGuard) -> None:
        """Remove a connection that is gone, or is being closed."""
        self._open.discard(guard)
        self._waiting.pop(guard, None)
        self.count_head(-guard.head_bytes)
        guard.head_bytes = 0

    def count_head(self, size: int) -> None:
        """Count bytes of heads; close the connection with the largest where they are too many."""
        self._head_bytes += size
        while self._open and self._head_bytes > self._heads_limit:
            self._close(max(self._open, key=lambda each: each.head_bytes), "large head")

    def note_unread(self, guard: ConnectionGuard) -> None:
        """Close the connection with most unread bytes while all together are too many.

        `guard`: the connection whose client does not keep up any more.
        """
        self._unread.add(guard)
        self._unread = {each for each in self._unread & self._open if each.unread_bytes}
        while sum(each.unread_bytes for each in self._unread) > self._unread_limit:
            largest = max(self._unread, key=lambda each: each.unread_bytes)
            self._unread.discard(largest)
            self._close(largest, "unread")

    def close_overdue(self) -> None:
        """Close every connection whose client is too slow."""
        now_s = monotonic_s()
        for guard in list(self._open):
            reason = guard.why_overdue(now_s)
            if reason is not None:
                self._close(guard, reason)

    def _close(self, guard: ConnectionGuard, reason: str) -> None:
        self.closed[reason] += 1
        self.forget(guard)
        guard.close()


def guard_of(request: web.Request) -> ConnectionGuard | None:
    """Return the guard of a request's connection; None where it has none, or is gone."""
    transport = request.transport
    protocol = None if transport is None else transport.get_protocol()
    return protocol if isinstance(protocol, ConnectionGuard) else None
