"""One raw, non-blocking, keep-alive connection: it dials, writes and hands over what it reads."""

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
"""Bytes up to which one copy is cheaper than handing two buffers to the kernel."""

SocketFactory = Callable[[int, int], sockets.socket]
Endpoint = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""A host's address as the socket module has it."""


class State(IntEnum):
    """Where a connection stands."""

    CLOSED = 0
    CONNECTING = 1
    IDLE = 2
    SENDING = 3
    WAITING = 4


_WAITING: Final = State.WAITING


class Connection:
    """Belongs to a lane; carries at most one request at a time."""

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
        """Over the socket, where the lane's address asks for it."""
        self.fd = -1
        self.recv: Callable[[int], bytes] = _not_connected
        self.send: Callable[[bytes], int] = _not_connected
        self.sendmsg: Callable[[Iterable[Buffer]], int] = _not_connected
        """The socket's own methods, looked up once a dial and not twice a request."""
        self.parser = ResponseParser()
        self.state = State.CLOSED
        self.batch: PreparedRequest | None = None
        self.expected_response: bytes | None = None
        """The bytes that would settle the batch without another look; None: there are none."""
        self.sent = 0
        """When the dial or the first byte of this attempt went out."""
        self.intended_start = 0
        """When this attempt could have gone, had we not been held up."""
        self.free_at = 0
        """Since when it waits for a request, or would, had we not been held up."""
        self.connected_at = 0
        """When it came about."""
        self.unsent: list[Buffer] = []
        """What of the request could not be written yet."""
        self.failures = 0
        """Dials in a row that came to nothing."""
        self.retry_at = 0
        """When to dial again, while closed."""
        self.closing = False
        """To be closed once its request is answered."""

    def connect(self, make: SocketFactory, family: int, endpoint: Endpoint) -> None:
        """Begin to connect. Raises OSError when that fails at once."""
        sock = make(family, sockets.SOCK_STREAM)
        try:
            sock.setblocking(False)
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
        """Go on with the dial; True once requests may be sent, False while it must wait.

        Raises OSError when it came to nothing.
        """
        assert self.sock is not None
        if self.tls is None:
            if code := self.sock.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR):
                raise OSError(code, os.strerror(code))
            if not self.stream.address.tls:
                return True
            tls = self.tls = TlsSocket(self.sock, self.stream.address)
            self.recv, self.send, self.sendmsg = tls.recv, tls.send, tls.sendmsg
        return self.tls.handshake()

    def begin(self, batch: PreparedRequest) -> bool:
        """Write a request as far as the network takes it; True when all of it went.

        Raises OSError when the connection is broken.
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
        """Write what is left of a request; True when all of it went.

        Raises OSError when the connection is broken.
        """
        try:
            sent = self.sendmsg(self.unsent)
        except BlockingIOError:
            sent = 0
        return self._keep_unsent(self.unsent, sent)

    def _keep_unsent(self, parts: list[Buffer], sent: int) -> bool:
        """Note what is left after `sent` bytes of some parts."""
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
        """Close the socket; the batch, if any, stays for the engine to settle."""
        if self.sock is not None:
            self.sock.close()
        self.sock, self.tls, self.fd = None, None, -1
        self.state, self.unsent = State.CLOSED, []
        self.recv = self.send = self.sendmsg = _not_connected


def _not_connected(_: object) -> NoReturn:
    raise OSError(errno.ENOTCONN, "not connected")
