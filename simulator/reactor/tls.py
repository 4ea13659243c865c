"""TLS on a non-blocking socket.

Uses OpenSSL through `ssl.SSLObject` and its two buffers rather than a socket of the `ssl` module:
so it works the same under gevent, which patches only the latter. Certificates are verified.
"""

from __future__ import annotations

import socket as sockets
import ssl
from collections.abc import Iterable
from typing import Final

from trueup.reports.transport.credentials import TlsFiles
from trueup.reports.transport.tls import client_context
from trueup.simulator.reactor.address import Address

__all__ = ["TlsSocket"]

_CHUNK: Final = 65_536


class TlsSocket:
    """The methods of a socket that a connection uses, encrypted."""

    def __init__(self, sock: sockets.socket, address: Address, files: TlsFiles) -> None:
        """`sock` is connected and non-blocking; the certificate must be for `address`."""
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client_context(files).wrap_bio(
            self._incoming, self._outgoing, server_hostname=address.host
        )
        self._pending = memoryview(b"")
        """Encrypted bytes that are not written yet."""
        self._request_bytes = 0
        """Bytes of the request that `_pending` is the rest of."""

    @property
    def has_pending_output(self) -> bool:
        """Return whether it waits to be able to write."""
        return bool(self._pending)

    def handshake(self) -> bool:
        """Continue the handshake.

        Returns True when it is done and all of it is written. Raises OSError (`ssl.SSLError` is
        one) if it fails.
        """
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            pass
        else:
            if not data:
                raise ConnectionResetError(
                    "connection closed by the target during the TLS handshake"
                )
            self._incoming.write(data)
        try:
            self._tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            done = False
        self._flush()
        return done and not self._pending

    def recv(self, size: int) -> bytes:
        """Receive and decrypt everything that has arrived, whatever `size` is: the poller would not
        report what was left.

        Returns b"" at the end of the connection. Raises BlockingIOError if nothing has arrived.
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
        """Send one part as `sendmsg` does, and return the number of bytes sent."""
        return self.sendmsg((data,))

    def sendmsg(self, parts: Iterable[bytes | memoryview]) -> int:
        """Encrypt and write all parts.

        Returns their length. Raises BlockingIOError if not all could be written: call it again with
        the same parts.
        """
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
        """Close the socket without a TLS shutdown, which would have to be waited for."""
        self._sock.close()
