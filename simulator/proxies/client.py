"""A client that sends planned requests through listening proxies and counts its own bytes.

It reads responses to the end of the connection, and knows nothing of how the proxies count.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from trueup.reports.transport.urls import host_port
from trueup.simulator.proxies.client_handshake import (
    authorization_field,
    open_by_connect,
    open_by_socks,
)
from trueup.simulator.proxies.records import ClientEnd, ClientRecord
from trueup.simulator.proxies.traffic import PlannedRequest
from trueup.simulator.proxies.usage import Protocol
from trueup.simulator.proxies.users import Authentication, UserNameSyntax
from trueup.simulator.sockets import CountedSocket

__all__ = ["ProxyAddress", "ProxyClient"]

_BLOCK: Final = bytes(65_536)
_HEAD_MAX: Final = 65_536
_OPENED: Final = 200
_PORT: Final = 80
_RETRY_S: Final = 0.05
"""Pause before a proxy that does not listen is connected to again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyAddress:
    """A proxy as clients know it."""

    network: str
    customer_id: int | None
    """Whose users it serves; None: those of all customers."""
    host: str
    http_port: int
    socks_port: int


class _Aborted(Exception):
    """The client ends the connection, as planned."""


@dataclass(slots=True, kw_only=True)
class _Exchange:
    """One request while it lasts."""

    planned: PlannedRequest
    sock: CountedSocket
    proxy: str
    client: str
    began_s: float
    handshake: tuple[int, int] | None = None
    """Bytes sent and received before relaying began; None: it did not."""
    end: ClientEnd = ClientEnd.BROKEN
    reason: str = "the connection ended before the response was complete"

    def record(self) -> ClientRecord:
        """Return what the client counted up to now."""
        sent, received = self.sock.sent, self.sock.received
        up, down = (sent, received) if self.handshake is None else self.handshake
        return ClientRecord(
            id=self.planned.id,
            network=self.planned.network,
            customer_id=self.planned.user.customer_id,
            client=self.client,
            proxy=self.proxy,
            began_s=self.began_s,
            ended_s=time.monotonic(),
            handshake_up=up,
            handshake_down=down,
            up=sent - up,
            down=received - down,
            end=self.end,
            reason=self.reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyClient:
    """Sends requests, each on a connection of its own."""

    proxies: tuple[ProxyAddress, ...]
    syntax: UserNameSyntax
    on_end: Callable[[ClientRecord], None] = lambda record: None
    """Called with each request that has ended."""
    timeout_s: float = 60.0
    connect_s: float = 0.0
    """How long a proxy that refuses connections is tried again: it may restart meanwhile."""

    async def send_all(self, requests: Iterator[PlannedRequest], connections: int) -> None:
        """Send requests, so many at once, as fast as they are responded to.

        Raises OSError where a proxy cannot be connected to.
        """

        async def work() -> None:
            for request in requests:
                await self.send(request)

        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(work())

    async def send(self, request: PlannedRequest) -> ClientRecord:
        """Send one request and read its response to the end; return what was counted.

        Raises OSError where the proxy cannot be connected to: then there is no request.
        """
        proxy = self._proxy_of(request)
        port = proxy.socks_port if request.protocol is Protocol.SOCKS else proxy.http_port
        sock = await self._connect_to(request, proxy.host, port)
        exchange = _Exchange(
            planned=request,
            sock=sock,
            proxy=host_port(proxy.host, port),
            client=host_port(*sock.sock.getsockname()[:2]),
            began_s=time.monotonic(),
        )
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._exchange(exchange)
        except TimeoutError:
            exchange.end = ClientEnd.TIMEOUT
            exchange.reason = f"no complete response within {self.timeout_s:g} s"
        except asyncio.CancelledError:
            exchange.end, exchange.reason = ClientEnd.STOPPED, "the client was stopped"
            raise
        finally:
            sock.close()
            record = exchange.record()
            self.on_end(record)
        return record

    async def _connect_to(self, request: PlannedRequest, host: str, port: int) -> CountedSocket:
        """Return a connection to a proxy. Raises OSError."""
        until = time.monotonic() + self.connect_s
        while True:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                kind = request.user.memberships[request.network].authentication
                if kind is not Authentication.PASSWORD:
                    sock.bind((request.user.addresses[0], 0))
                async with asyncio.timeout(self.timeout_s):
                    await asyncio.get_running_loop().sock_connect(sock, (host, port))
                return CountedSocket(sock)
            except ConnectionError:
                sock.close()
                if time.monotonic() >= until:
                    raise
            except BaseException:
                sock.close()
                raise
            await asyncio.sleep(_RETRY_S)

    def _proxy_of(self, request: PlannedRequest) -> ProxyAddress:
        """Return a proxy of the network that serves the user's customer."""
        known = [
            proxy
            for proxy in self.proxies
            if proxy.network == request.network
            and proxy.customer_id in (None, request.user.customer_id)
        ]
        return known[request.number % len(known)]

    async def _exchange(self, exchange: _Exchange) -> None:
        client, request = exchange.sock, exchange.planned
        try:
            opened = True
            if request.protocol is Protocol.CONNECT:
                opened = await self._connect(client, request)
            elif request.protocol is Protocol.SOCKS:
                opened = await self._socks(client, request)
            if not opened:
                exchange.end, exchange.reason = ClientEnd.REFUSED, "the proxy refused or failed"
                return
            before = (client.sent, client.received)
            exchange.handshake = (0, 0) if request.protocol is Protocol.PLAIN else before
            await self._request(exchange)
        except _Aborted:
            exchange.end, exchange.reason = ClientEnd.ABORTED, ""
            client.reset()
        except OSError as error:
            exchange.end = ClientEnd.BROKEN
            exchange.reason = f"the connection broke: {error.strerror or error}"
        if request.cut and exchange.end is ClientEnd.BROKEN:
            exchange.reason = ""

    async def _request(self, exchange: _Exchange) -> None:
        """Send the request to the origin, and read all of the response.

        Raises OSError where the connection breaks, _Aborted where it is to be ended.
        """
        client, request = exchange.sock, exchange.planned
        forwarded = request.protocol is Protocol.PLAIN
        start = f"http://{request.hostname}" if forwarded else ""
        method = "POST" if request.upload_bytes else "GET"
        head = (
            f"{method} {start}{request.path} HTTP/1.1\r\n"
            f"Host: {request.hostname}\r\nConnection: close\r\n"
        )
        if request.upload_bytes:
            head += f"Content-Length: {request.upload_bytes}\r\n"
        if forwarded:
            head += authorization_field(*self._pair(request))
        await client.send(f"{head}\r\n".encode())
        left = request.upload_bytes
        while left:
            size = min(left, len(_BLOCK))
            await client.send(memoryview(_BLOCK)[:size])
            left -= size
            if _is_past(request, request.upload_bytes - left):
                raise _Aborted
        await self._response(exchange, forwarded=forwarded)

    async def _response(self, exchange: _Exchange, *, forwarded: bool) -> None:
        """Read a response to the end of the connection, and note how it ended."""
        client, request = exchange.sock, exchange.planned
        start, body = b"", 0
        while data := await client.receive():
            if b"\r\n\r\n" in start:
                body += len(data)
            elif len(start) < _HEAD_MAX:
                start += data
                body = len(start.partition(b"\r\n\r\n")[2])
            if not request.upload_bytes and _is_past(request, body):
                raise _Aborted
        head, blank, _ = start.partition(b"\r\n\r\n")
        fields = head.lower().split(b"\r\n")
        if forwarded and any(field.startswith(b"proxy-status:") for field in fields):
            # The proxy itself responded: nothing was relayed.
            exchange.handshake = None
            exchange.end, exchange.reason = ClientEnd.REFUSED, "the proxy refused or failed"
        elif blank and b"content-length: %d" % body in fields:
            exchange.end, exchange.reason = ClientEnd.COMPLETE, ""

    async def _connect(self, client: CountedSocket, request: PlannedRequest) -> bool:
        """Open a tunnel by CONNECT; returns whether it is open."""
        pair = self._pair(request)
        return await open_by_connect(client, request.hostname, _PORT, pair) == _OPENED

    async def _socks(self, client: CountedSocket, request: PlannedRequest) -> bool:
        """Open a tunnel by SOCKS5; returns whether it is open."""
        return await open_by_socks(client, request.hostname, _PORT, self._pair(request)) == 0

    def _pair(self, request: PlannedRequest) -> tuple[str, str]:
        """Return user name, with its session, and password."""
        name = request.user.name
        word = next((word for word, key in self.syntax.keys.items() if key == "session"), None)
        if request.session is not None and word is not None:
            mark = self.syntax.separator
            name += f"{mark}{word}{mark}{request.session}"
        return name, request.user.password


def _is_past(request: PlannedRequest, body_bytes: int) -> bool:
    """Return whether a client ends the connection after so many bytes of the body."""
    return request.abort_after is not None and body_bytes > request.abort_after
