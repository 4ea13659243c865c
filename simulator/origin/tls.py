"""TLS over a counted socket: what is counted are the bytes of TCP, as a proxy sees them."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable

from trueup.simulator.sockets import CHUNK, CountedSocket

__all__ = ["TlsServer"]


class TlsServer:
    """The server's side of a TLS connection; has the methods of `CountedSocket` that HTTP needs."""

    def __init__(self, raw: CountedSocket, context: ssl.SSLContext) -> None:
        self.raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    @property
    def context(self) -> ssl.SSLContext:
        """Return the context in use: after the handshake, that of the name asked for."""
        return self._tls.context

    async def handshake(self) -> None:
        """Complete the handshake. Raises ssl.SSLError or OSError where the client breaks it off."""
        try:
            await self._repeat(self._tls.do_handshake)
        finally:
            await self._flush()

    async def receive(self) -> bytes:
        """Return what has arrived, decrypted; b"" where the client has ended its side.

        Raises ssl.SSLError or OSError where the connection is broken.
        """
        try:
            return await self._repeat(lambda: self._tls.read(CHUNK))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def send(self, data: bytes | memoryview) -> None:
        """Encrypt and send all of `data`. Raises OSError where the connection is broken."""
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view[:CHUNK]) :]
            await self._flush()

    async def end(self) -> None:
        """Send the end of our side (close_notify), without waiting for the client's."""
        with contextlib.suppress(ssl.SSLError):
            # It waits for the client's end; ours is in the buffer by then.
            self._tls.unwrap()
        await self._flush()

    async def _repeat(self, act: Callable[[], bytes | None]) -> bytes:
        """Return what `act` returns, once enough has arrived for it."""
        while True:
            try:
                return act() or b""
            except ssl.SSLWantReadError:
                await self._flush()
                if data := await self.raw.receive():
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self.raw.send(data)
