"""A non-blocking TCP socket that counts each byte which the kernel took from it or gave to it.

asyncio's transports buffer what they write, and discard the buffer when a connection breaks: how
much was sent is then unknown. Here every byte that is counted as sent is in the kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Final

__all__ = ["CHUNK", "CountedSocket"]

CHUNK: Final = 65_536
"""Most bytes of one read."""
_FINISH_S: Final = 1.0
_FINISH_BYTES: Final = 1 << 24
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class CountedSocket:
    """A connected socket. One task may receive while another one sends."""

    __slots__ = ("_loop", "number", "received", "sent", "sock")

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected socket; it becomes non-blocking and sends without delay."""
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop = asyncio.get_running_loop()
        self.sock = sock
        self.number = sock.fileno()
        """Descriptor, which event loops watch at less cost than the object; stale once closed."""
        self.received = 0
        self.sent = 0

    async def receive(self, limit: int = CHUNK) -> bytes:
        """Return what has arrived, at most `limit` bytes; b"" where the peer has ended its side.

        Raises OSError where the connection is broken. Cancelling loses no byte.
        """
        while True:
            try:
                data = self.sock.recv(limit)
            except (BlockingIOError, InterruptedError):
                await self._ready(self._loop.add_reader, self._loop.remove_reader)
            else:
                self.received += len(data)
                return data

    async def send(self, data: bytes | memoryview) -> None:
        """Send all of `data`; `sent` is exact also where this raises OSError or is cancelled."""
        view = memoryview(data)
        while view:
            try:
                count = self.sock.send(view)
            except (BlockingIOError, InterruptedError):
                await self._ready(self._loop.add_writer, self._loop.remove_writer)
            else:
                self.sent += count
                view = view[count:]

    async def _ready(
        self,
        add: Callable[[int, Callable[[], None]], None],
        remove: Callable[[int], bool],
    ) -> None:
        """Wait until the socket can be read or written."""
        ready: asyncio.Future[None] = self._loop.create_future()
        number = self.number
        if self.sock.fileno() < 0:
            raise ConnectionAbortedError("the socket was closed")

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        add(number, wake)
        try:
            await ready
        finally:
            remove(number)

    def end_sending(self) -> None:
        """Send the end of our side (FIN); the peer may go on sending."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    async def finish(self) -> None:
        """End our side, then read until the peer ends its side, for a moment at most.

        A socket that is closed with unread bytes is reset, and the peer may lose our last response.
        """
        self.end_sending()
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_FINISH_S):
                while self.received < _FINISH_BYTES and await self.receive():
                    pass

    def close(self) -> None:
        """Close the socket; what the kernel holds is still sent."""
        with contextlib.suppress(OSError):
            self.sock.close()

    def reset(self) -> None:
        """Close the socket with a reset (RST): the peer loses what it has not read."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.close()
