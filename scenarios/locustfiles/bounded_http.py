"""Locust's `FastHttpUser` under the rules of all HTTP clients of trueup (docs/security.md).

Its own client verifies no certificate, follows a redirect to any host with every header, and reads
a response however long it is. Here certificates are verified, requests go to the origins of the
target file only, and each response has a limit in bytes and in time, its head included.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import gevent
import gevent.socket
import gevent.ssl
from geventhttpclient.client import HTTPClient, HTTPClientPool
from locust import FastHttpUser
from locust.contrib.fasthttp import FastHttpSession, FastRequest, FastResponse, LocustUserAgent

from trueup.reports.transport.credentials import TlsFiles
from trueup.reports.transport.limits import (
    BODY_MOST,
    HEAD_MOST,
    REDIRECTS_MOST,
    body_limit_error,
)
from trueup.reports.transport.redirects import origin_of, redirect_of
from trueup.reports.transport.tls import load_files

__all__ = ["BoundedSession", "bounded_session"]

_YIELD_EVERY: Final = 32
"""Pieces of a response after which other users get their turn, however fast it comes."""


class BoundedSession(FastHttpSession):
    """A `FastHttpSession` that talks to given origins only, within limits."""

    def __init__(
        self,
        user: FastHttpUser,
        *,
        origins: Collection[tuple[str, str, int]],
        timeout_s: float,
        context: Callable[[], Any] = gevent.ssl.create_default_context,
        unix_sockets: Mapping[tuple[str, str, int], str] = MappingProxyType({}),
    ) -> None:
        """`origins`: scheme, host and port of each server that may be asked; `context` makes the
        TLS context."""
        super().__init__(
            base_url=user.host, request_event=user.environment.events.request, user=user
        )
        pool = _BoundedPool(
            origins=origins,
            timeout_s=timeout_s,
            unix_sockets=unix_sockets,
            connection_timeout=timeout_s,
            network_timeout=timeout_s,
            concurrency=user.concurrency,
            ssl_context_factory=context,
        )
        self.client = _BoundedAgent(
            client_pool=pool, cookiejar=self.cookiejar, max_redirects=REDIRECTS_MOST, max_retries=0
        )


def bounded_session(
    user: FastHttpUser, *, urls: Mapping[str, str], timeout_s: float, tls: TlsFiles
) -> BoundedSession:
    """Return a session for the origins of some URLs.

    `urls`: URL → UNIX socket of its server; empty for TCP.
    """
    origins = {origin_of(url): path for url, path in urls.items()}
    return BoundedSession(
        user,
        origins=frozenset(origins),
        timeout_s=timeout_s,
        context=lambda: load_files(gevent.ssl.create_default_context(), tls),
        unix_sockets={origin: path for origin, path in origins.items() if path},
    )


class _BoundedRequest(FastRequest):
    """A request that is not sent on to another origin."""

    def redirect(self, code: int, location: str) -> None:
        """Point to where a response redirects. Raises ConnectionError where it must not."""
        found = redirect_of(str(self.url), code, self.method, location)
        if found is not None and found.refusal:
            raise ConnectionError(found.refusal)
        super().redirect(code, location)


class _BoundedResponse(FastResponse):
    """A response whose body is unpacked up to the limit only."""

    def unzipped(self, gzip: bool = True, br: bool = False) -> bytes:
        """Return the body, unpacked. Raises ConnectionError where it is longer than the limit."""
        if br:
            raise ConnectionError("Content-Encoding br was not asked for")
        packed = self._response.read() if self._response is not None else b""
        unpacker = zlib.decompressobj(47 if gzip else 15)
        try:
            found = unpacker.decompress(packed, BODY_MOST + 1)
        except zlib.error as error:
            raise ConnectionError(f"the response cannot be unpacked: {error}") from error
        if len(found) > BODY_MOST:
            raise ConnectionError(body_limit_error())
        return found


class _BoundedAgent(LocustUserAgent):
    response_type = _BoundedResponse
    request_type = _BoundedRequest


class _BoundedPool(HTTPClientPool):
    """Clients by host, for some origins only; their sockets have limits."""

    def __init__(
        self,
        *,
        origins: Collection[tuple[str, str, int]],
        timeout_s: float,
        unix_sockets: Mapping[tuple[str, str, int], str],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._unix_sockets = unix_sockets
        self._origins, self._timeout_s = origins, timeout_s

    def get_client(self, url: Any) -> HTTPClient:
        """Return the client of a URL. Raises ConnectionError where its origin is not allowed."""
        origin = origin_of(str(url))
        if origin not in self._origins:
            raise ConnectionError(
                f"not sent: the target file does not name {origin[1]}:{origin[2]}"
            )
        client = super().get_client(url)
        if not isinstance(client._connection_pool, _BoundedSockets):
            # Its type is a class that cannot be configured so, and whose methods these are.
            pool: Any = client._connection_pool
            if path := self._unix_sockets.get(origin):
                pool._create_socket = partial(_unix_socket, path, self._timeout_s)
            sockets: Any = _BoundedSockets(pool, self._timeout_s)
            client._connection_pool = sockets
        return client


def _unix_socket(path: str, timeout_s: float) -> Any:
    """Return a socket that is connected to a UNIX socket. Raises OSError."""
    made = gevent.socket.socket(gevent.socket.AF_UNIX, gevent.socket.SOCK_STREAM)
    made.settimeout(timeout_s)
    made.connect(path)
    return made


class _BoundedSockets:
    """A connection pool of geventhttpclient whose sockets have limits."""

    def __init__(self, pool: Any, timeout_s: float) -> None:
        self._pool, self._timeout_s = pool, timeout_s

    def get_socket(self) -> _BoundedSocket:
        return _BoundedSocket(self._pool.get_socket(), self._timeout_s)

    def return_socket(self, sock: _BoundedSocket) -> None:
        self._pool.return_socket(sock.inner)

    def release_socket(self, sock: _BoundedSocket) -> None:
        self._pool.release_socket(sock.inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


class _BoundedSocket:
    """The socket of one request and its response, with a limit in bytes and in time."""

    def __init__(self, inner: Any, timeout_s: float) -> None:
        self.inner, self._timeout_s = inner, timeout_s
        self._until = time.monotonic() + timeout_s
        self._left, self._pieces = HEAD_MOST + BODY_MOST, 0

    def recv(self, size: int) -> bytes:
        """Receive a piece. Raises OSError beyond a limit."""
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"no complete response within {self._timeout_s:g} s")
        if self._left <= 0:
            raise ConnectionError(body_limit_error())
        self._pieces += 1
        if self._pieces % _YIELD_EVERY == 0:
            gevent.sleep(0)
        self.inner.settimeout(left_s)
        data: bytes = self.inner.recv(size)
        self._left -= len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
