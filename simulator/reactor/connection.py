"""A raw, non-blocking keep-alive connection: connects, writes requests and receives bytes."""

from __future__ import annotations

import errno
import os
import socket as sockets
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Final, NoReturn

from trueup.simulator.reactor.bodies import Buffer, PreparedRequest
from trueup.simulator.reactor.http1 import ResponseParser
from trueup.simulator.reactor.request_stream import RequestStream
from trueup.simulator.reactor.tls import TlsSocket

__all__ = ["Connection", "Endpoint", "State"]

_SMALL: Final = 4_096
"""Bytes up to which one copy is cheaper than passing two buffers to the kernel."""

SocketFactory = Callable[[int, int], sockets.socket]
Endpoint = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes] | str
"""A host's address in the form of the socket module."""


class State(IntEnum):
    """State of a connection."""

    CLOSED = 0
    CONNECTING = 1
    IDLE = 2
    SENDING = 3
    WAITING = 4


_WAITING: Final = State.WAITING


class Connection:
    """A connection of a request stream; carries at most one request at a time."""

    __slots__ = (
        "batch",
        "closing",
        "connected_at",
        "expected_response",
        "failures",
        "fd",
        "free_at",
        "intended_start",
        "parser",
        "recv",
        "retry_at",
        "send",
        "sendmsg",
        "sent",
        "sock",
        "state",
        "stream",
        "tls",
        "unsent",
    )

    def __init__(self, stream: RequestStream) -> None:
        self.stream = stream
        self.sock: sockets.socket | None = None
        self.tls: TlsSocket | None = None
        """Wraps the socket if the stream's address uses TLS."""
        self.fd = -1
        self.recv: Callable[[int], bytes] = _not_connected
        self.send: Callable[[bytes], int] = _not_connected
        self.sendmsg: Callable[[Iterable[Buffer]], int] = _not_connected
        """The socket's own methods, looked up once a connection and not twice a request."""
        self.parser = ResponseParser()
        self.state = State.CLOSED
        self.batch: PreparedRequest | None = None
        self.expected_response: bytes | None = None
        """The bytes that settle the batch without parsing; None if there are none."""
        self.sent = 0
        """Time of connecting, or of the first byte of this attempt (ns)."""
        self.intended_start = 0
        """Time at which this attempt could have been sent without a delay of the generator's (ns).
        """
        self.free_at = 0
        """Time since which it waits for a request, without delays of the generator's (ns)."""
        self.connected_at = 0
        """Time at which it was connected (ns)."""
        self.unsent: list[Buffer] = []
        """Parts of the request that could not be written yet."""
        self.failures = 0
        """Failed attempts to connect in a row."""
        self.retry_at = 0
        """Time of the next attempt to connect, while closed (ns)."""
        self.closing = False
        """To be closed once its request has a response."""

    def connect(self, make: SocketFactory, family: int, endpoint: Endpoint) -> None:
        """Begin to connect.

        Raises OSError if that fails at once.
        """
        sock = make(family, sockets.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if family != sockets.AF_UNIX:
                sock.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
            code = sock.connect_ex(endpoint)
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code))
        except OSError:
            sock.close()
            raise
        self.sock, self.fd = sock, sock.fileno()
        self.recv, self.send, self.sendmsg = sock.recv, sock.send, sock.sendmsg
        self.parser, self.state = ResponseParser(), State.CONNECTING

    def connected(self) -> bool:
        """Continue to connect, TLS handshake included.

        Returns True once requests may be sent, False while it must wait. Raises OSError if it
        fails.
        """
        assert self.sock is not None
        if self.tls is None:
            if code := self.sock.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR):
                raise OSError(code, os.strerror(code))
            if not self.stream.address.tls:
                return True
            tls = self.tls = TlsSocket(self.sock, self.stream.address, self.stream.tls)
            self.recv, self.send, self.sendmsg = tls.recv, tls.send, tls.sendmsg
        return self.tls.handshake()

    def begin(self, batch: PreparedRequest) -> bool:
        """Write a request as far as the network accepts it.

        Returns True if all of it was written. Raises OSError if the connection is lost.
        """
        try:
            if batch.size <= _SMALL:
                sent = self.send(batch.head + batch.body)
            else:
                sent = self.sendmsg((batch.head, batch.body))
        except BlockingIOError:
            sent = 0
        if sent == batch.size:
            self.state = _WAITING
            return True
        self.expected_response = None
        return self._keep_unsent([batch.head, batch.body], sent)

    def resume(self) -> bool:
        """Write the rest of a request.

        Returns True if all of it was written. Raises OSError if the connection is lost.
        """
        try:
            sent = self.sendmsg(self.unsent)
        except BlockingIOError:
            sent = 0
        return self._keep_unsent(self.unsent, sent)

    def _keep_unsent(self, parts: list[Buffer], sent: int) -> bool:
        """Keep what follows the first `sent` bytes of some parts; returns whether none are left."""
        left: list[Buffer] = []
        for part in parts:
            if sent >= len(part):
                sent -= len(part)
            else:
                left.append(memoryview(part)[sent:])
                sent = 0
        self.unsent = left
        self.state = State.SENDING if left else State.WAITING
        return not left

    def close(self) -> None:
        """Close the socket; the batch, if any, is left for the engine to settle."""
        if self.sock is not None:
            self.sock.close()
        self.sock, self.tls, self.fd = None, None, -1
        self.state, self.unsent = State.CLOSED, []
        self.recv = self.send = self.sendmsg = _not_connected


def _not_connected(_: object) -> NoReturn:
    raise OSError(errno.ENOTCONN, "not connected")
