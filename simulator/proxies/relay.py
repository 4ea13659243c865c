"""Relay a tunnel between two sockets: exact counts, no buffers of its own, no task a direction.

One buffer serves all tunnels, because what is read is sent in the same step. What the other side
does not take yet is kept, and nothing more is read until it has been taken: at most one chunk a
direction. A side that ends while the other one goes on is passed on as it is (half-closed).
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Final

from trueup.simulator.sockets import CountedSocket

__all__ = ["Tunnel", "TunnelEnd"]

_CHUNK: Final = 262_144
_BUFFER: Final = memoryview(bytearray(_CHUNK))
_STEP_S: Final = 0.05
"""At a line rate: bytes of so long are relayed at once."""
_LEAST: Final = 1460
_TLS_START: Final = b"\x16\x03"
"""First bytes of a TLS handshake: the type of its record, and the version's first."""


class TunnelEnd(StrEnum):
    """Why a tunnel ended."""

    CLOSED = "closed"
    """Both sides have ended."""
    CLIENT_RESET = "client reset"
    ORIGIN_RESET = "origin reset"
    CUT = "cut"
    """After the bytes that were planned."""
    IDLE = "idle"


class _Direction:
    """From one socket to the other."""

    __slots__ = ("_again", "_pending", "ended", "from_client", "sink", "source", "tunnel")

    def __init__(
        self, tunnel: Tunnel, source: CountedSocket, sink: CountedSocket, *, from_client: bool
    ) -> None:
        self.tunnel = tunnel
        self.source = source
        self.sink = sink
        self.from_client = from_client
        self.ended = False
        self._pending: bytes | memoryview = b""
        self._again: asyncio.TimerHandle | None = None

    def resume(self) -> None:
        """Read when something arrives."""
        self._again = None
        self.tunnel.loop.add_reader(self.source.number, self._read)

    def pause(self) -> None:
        """Neither read nor write."""
        loop = self.tunnel.loop
        if self._again is not None:
            self._again.cancel()
        if self.source.sock.fileno() >= 0:
            loop.remove_reader(self.source.number)
        if self.sink.sock.fileno() >= 0:
            loop.remove_writer(self.sink.number)

    def push(self, data: bytes | memoryview) -> bool:
        """Send; returns whether all was taken. What was not is sent when it can be."""
        try:
            sent = self.sink.sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        self.sink.sent += sent
        if sent == len(data):
            return True
        self._pending = bytes(data[sent:])
        self.tunnel.loop.remove_reader(self.source.number)
        self.tunnel.loop.add_writer(self.sink.number, self._write)
        return False

    def _read(self) -> None:
        tunnel = self.tunnel
        try:
            count = self.source.sock.recv_into(_BUFFER, tunnel.step)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return tunnel.broken(client=self.from_client)
        if not count:
            return self._end()
        self.source.received += count
        tunnel.active_at = tunnel.loop.time()
        if self.from_client and tunnel.tls is None:
            tunnel.tls = count > 1 and bytes(_BUFFER[:2]) == _TLS_START
        try:
            taken = self.push(_BUFFER[:count])
        except OSError:
            return tunnel.broken(client=not self.from_client)
        if tunnel.cut_after is not None:
            tunnel.cut_after -= count
            if tunnel.cut_after <= 0:
                return tunnel.end(TunnelEnd.CUT)
        if tunnel.bytes_per_s and taken:
            tunnel.loop.remove_reader(self.source.number)
            self._again = tunnel.loop.call_later(count / tunnel.bytes_per_s, self.resume)
        return None

    def _write(self) -> None:
        try:
            sent = self.sink.sock.send(self._pending)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.tunnel.broken(client=not self.from_client)
            return
        self.sink.sent += sent
        self.tunnel.active_at = self.tunnel.loop.time()
        self._pending = self._pending[sent:]
        if not self._pending:
            self.tunnel.loop.remove_writer(self.sink.number)
            self.resume()

    def _end(self) -> None:
        """Pass on that the source has ended its side."""
        self.tunnel.loop.remove_reader(self.source.number)
        self.ended = True
        if not self.tunnel.end_if_both_ended():
            self.sink.end_sending()


class Tunnel:
    """A tunnel. `run` returns why it ended; the counts are those of the two sockets."""

    __slots__ = (
        "_directions",
        "_done",
        "active_at",
        "bytes_per_s",
        "cut_after",
        "loop",
        "step",
        "tls",
    )  # fmt: skip

    def __init__(
        self,
        client: CountedSocket,
        origin: CountedSocket,
        *,
        bytes_per_s: int = 0,
        cut_after: int | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.bytes_per_s = bytes_per_s
        self.cut_after = cut_after
        self.step = _CHUNK
        if bytes_per_s:
            self.step = min(_CHUNK, max(_LEAST, int(bytes_per_s * _STEP_S)))
        if cut_after is not None:
            self.step = min(self.step, _LEAST)
        self.active_at = self.loop.time()
        self.tls: bool | None = None
        """Whether the client began with a TLS handshake; None where it sent nothing."""
        self._done: asyncio.Future[TunnelEnd] = self.loop.create_future()
        self._directions = (
            _Direction(self, client, origin, from_client=True),
            _Direction(self, origin, client, from_client=False),
        )

    async def run(self, early: bytes = b"") -> TunnelEnd:
        """Relay until the tunnel ends; `early` came from the client already, and is counted.

        Cancelling stops it where it is. The sockets stay open: the caller closes or resets them.
        """
        upward = self._directions[0]
        try:
            for direction in self._directions:
                direction.resume()
            if early:
                self.tls = early.startswith(_TLS_START)
                try:
                    upward.push(early)
                except OSError:
                    self.broken(client=False)
            return await self._done
        finally:
            for direction in self._directions:
                direction.pause()

    def end(self, why: TunnelEnd) -> None:
        """End the tunnel."""
        if not self._done.done():
            self._done.set_result(why)
            for direction in self._directions:
                direction.pause()

    def broken(self, *, client: bool) -> None:
        """End the tunnel because one side broke."""
        self.end(TunnelEnd.CLIENT_RESET if client else TunnelEnd.ORIGIN_RESET)

    def end_if_both_ended(self) -> bool:
        """End the tunnel if both sides have ended; returns whether they have."""
        if all(direction.ended for direction in self._directions):
            self.end(TunnelEnd.CLOSED)
            return True
        return False
