"""One raw, non-blocking, keep-alive connection: it dials, writes and hands over what it reads."""

from __future__ import annotations

import errno
import socket as sockets
from collections.abc import Callable
from enum import IntEnum

from simulator.reactor.bodies import Batch, Buffer
from simulator.reactor.http1 import ResponseParser
from simulator.reactor.lane import Lane

__all__ = ["Connection", "State"]

SocketFactory = Callable[[int, int], sockets.socket]


class State(IntEnum):
    """Where a connection stands."""

    CLOSED = 0
    DIALING = 1
    IDLE = 2
    SENDING = 3
    WAITING = 4


class Connection:
    """Belongs to a lane; carries at most one request at a time."""

    __slots__ = (
        "batch",
        "deadline",
        "failures",
        "fd",
        "free_at",
        "lane",
        "leaving",
        "parser",
        "rest",
        "retry_at",
        "sent",
        "sock",
        "state",
    )

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.sock: sockets.socket | None = None
        self.fd = -1
        self.parser = ResponseParser()
        self.state = State.CLOSED
        self.batch: Batch | None = None
        self.sent = 0
        """When the first byte of this attempt went out."""
        self.deadline = 0
        self.free_at = 0
        """Since when it waits for a request."""
        self.rest: list[Buffer] = []
        """What of the request could not be written yet."""
        self.failures = 0
        """Dials in a row that came to nothing."""
        self.retry_at = 0
        """When to dial again, while closed."""
        self.leaving = False
        """To be closed once its request is answered."""

    def dial(self, make: SocketFactory, address: tuple[str, int], family: int) -> bool:
        """Begin to connect; False when that failed at once."""
        sock = make(family, sockets.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
        code = sock.connect_ex(address)
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            return False
        self.sock, self.fd = sock, sock.fileno()
        self.parser, self.state = ResponseParser(), State.DIALING
        return True

    def connected(self) -> bool:
        """Whether the dial came through; asked when the socket became writable."""
        assert self.sock is not None
        return self.sock.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR) == 0

    def write(self, parts: list[Buffer]) -> bool:
        """Write as much as the network takes; True when all of it went.

        Raises OSError when the connection is broken.
        """
        assert self.sock is not None
        try:
            sent = self.sock.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        if sent == sum(map(len, parts)):
            self.state = State.WAITING
            return True
        left: list[Buffer] = []
        for part in parts:
            if sent >= len(part):
                sent -= len(part)
            else:
                left.append(memoryview(part)[sent:])
                sent = 0
        self.rest = left
        self.state = State.SENDING
        return False

    def hang_up(self) -> None:
        """Close the socket; the batch, if any, stays for the engine to settle."""
        if self.sock is not None:
            self.sock.close()
        self.sock, self.fd, self.state, self.rest = None, -1, State.CLOSED, []
