"""TLS on a non-blocking socket: bytes in, bytes out, no waiting. What a connection needs, no more.

The TLS itself is OpenSSL's, through `ssl.SSLObject` and its two buffers rather than through a
socket of the `ssl` module: so it works the same under gevent, whose patches reach only the latter.
Certificates are verified against the machine's authorities; `SSL_CERT_FILE` adds to them.
"""

from __future__ import annotations

import socket as sockets
import ssl
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from trueup.simulator.reactor.address import Address

__all__ = ["TlsSocket", "client_context"]

_CHUNK: Final = 65_536


@lru_cache(maxsize=1)
def client_context() -> ssl.SSLContext:
    """What every TLS connection of this process is made by; made once."""
    made = ssl.create_default_context()
    made.set_alpn_protocols(["http/1.1"])
    return made


class TlsSocket:
    """Looks like the socket beneath it to whoever sends and receives."""

    def __init__(self, sock: sockets.socket, address: Address) -> None:
        """`sock` is connected and does not block; `address` names who must be at its other end."""
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client_context().wrap_bio(
            self._incoming, self._outgoing, server_hostname=address.host
        )
        self._pending = memoryview(b"")
        """What is encrypted and not yet written."""
        self._request_bytes = 0
        """Bytes of the request that `_owed` is the rest of."""

    @property
    def has_pending_output(self) -> bool:
        """Whether it waits to be able to write."""
        return bool(self._pending)

    def handshake(self) -> bool:
        """Go on with the handshake; True when it is done and everything of it is written.

        Raises OSError (`ssl.SSLError` is one) when it fails.
        """
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            pass
        else:
            if not data:
                raise ConnectionResetError("the target hung up during the TLS handshake")
            self._incoming.write(data)
        try:
            self._tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            done = False
        self._flush()
        return done and not self._pending

    def recv(self, size: int) -> bytes:
        """All that has come, whatever `size`: what stayed behind would wake nobody.

        Gives b"" at the end of the connection; raises BlockingIOError where nothing came.
        """
        try:
            data = self._sock.recv(max(size, _CHUNK))
        except BlockingIOError:
            pass
        else:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()
        pieces: list[bytes] = []
        try:
            while piece := self._tls.read(_CHUNK):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            if not pieces:
                raise BlockingIOError from None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass
        return b"".join(pieces)

    def send(self, data: bytes) -> int:
        """As `sendmsg`, of one piece."""
        return self.sendmsg((data,))

    def sendmsg(self, parts: Iterable[bytes | memoryview]) -> int:
        """Write all parts, or raise BlockingIOError; then call again with the same ones."""
        if not self._pending:
            self._request_bytes = sum(self._tls.write(part) for part in parts if len(part))
            self._pending = memoryview(self._outgoing.read())
        self._flush()
        if self._pending:
            raise BlockingIOError
        return self._request_bytes

    def _flush(self) -> None:
        if not self._pending and self._outgoing.pending:
            self._pending = memoryview(self._outgoing.read())
        try:
            while self._pending:
                self._pending = self._pending[self._sock.send(self._pending) :]
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close the socket without a farewell: nothing is waited for."""
        self._sock.close()
