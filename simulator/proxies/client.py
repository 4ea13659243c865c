"""A client that sends planned requests through listening proxies and counts its own bytes.

It reads responses to the end of the connection, and knows nothing of how the proxies count.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from trueup.simulator.proxies.server import ListeningProxy
from trueup.simulator.proxies.traffic import PlannedRequest
from trueup.simulator.proxies.usage import Protocol
from trueup.simulator.proxies.users import Authentication, UserNameSyntax
from trueup.simulator.sockets import CountedSocket

__all__ = ["ClientCounts", "ProxyClient"]

_BLOCK: Final = bytes(65_536)
_HEAD_MAX: Final = 65_536
_START: Final = 2048
"""Bytes of a response in which a field of the proxy is looked for."""


@dataclass(slots=True, kw_only=True)
class ClientCounts:
    """What clients sent and received, by network."""

    requests: Counter[str] = field(default_factory=Counter)
    relayed: Counter[str] = field(default_factory=Counter)
    """Bytes in both directions after the handshake; of forwarded requests, all."""
    failed: Counter[str] = field(default_factory=Counter)
    """Requests that the proxy responded to itself: refused or failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyClient:
    """Sends requests, each on a connection of its own."""

    proxies: tuple[ListeningProxy, ...]
    syntax: UserNameSyntax
    counts: ClientCounts = field(default_factory=ClientCounts)
    timeout_s: float = 60.0

    async def send_all(self, requests: Iterator[PlannedRequest], connections: int) -> None:
        """Send requests, so many at once, as fast as they are responded to.

        Raises OSError where a proxy cannot be connected to, and TimeoutError.
        """

        async def work() -> None:
            for request in requests:
                await self.send(request)

        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(work())

    async def send(self, request: PlannedRequest) -> None:
        """Send one request and read its response to the end."""
        proxy = self._proxy_of(request)
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client: CountedSocket | None = None
        try:
            sock.setblocking(False)
            kind = request.user.memberships[request.network].authentication
            if kind is not Authentication.PASSWORD:
                sock.bind((request.user.addresses[0], 0))
            port = proxy.socks_port if request.protocol is Protocol.SOCKS else proxy.http_port
            async with asyncio.timeout(self.timeout_s):
                await asyncio.get_running_loop().sock_connect(sock, (proxy.host, port))
                client = CountedSocket(sock)
                await self._exchange(client, request)
        finally:
            sock.close()

    def _proxy_of(self, request: PlannedRequest) -> ListeningProxy:
        """Return a proxy of the network that serves the user's customer."""
        known = [
            proxy
            for proxy in self.proxies
            if proxy.endpoint.network == request.network
            and proxy.endpoint.customer_id in (None, request.user.customer_id)
        ]
        return known[request.number % len(known)]

    async def _exchange(self, client: CountedSocket, request: PlannedRequest) -> None:
        network = request.network
        self.counts.requests[network] += 1
        opened = True
        if request.protocol is Protocol.CONNECT:
            opened = await self._connect(client, request)
        elif request.protocol is Protocol.SOCKS:
            opened = await self._socks(client, request)
        if not opened:
            self.counts.failed[network] += 1
            return
        before = 0
        if request.protocol is not Protocol.PLAIN:
            before = client.sent + client.received
        by_proxy = False
        with contextlib.suppress(ConnectionError):
            by_proxy = await self._request(client, request)
        if by_proxy:
            self.counts.failed[network] += 1
            return
        self.counts.relayed[network] += client.sent + client.received - before

    async def _request(self, client: CountedSocket, request: PlannedRequest) -> bool:
        """Send the request to the origin, and read all of the response.

        Returns whether the proxy itself responded: its responses have a field Proxy-Status.
        """
        forwarded = request.protocol is Protocol.PLAIN
        start = f"http://{request.hostname}" if forwarded else ""
        path = "/upload" if request.upload_bytes else f"/bytes/{request.download_bytes}"
        method = "POST" if request.upload_bytes else "GET"
        head = (
            f"{method} {start}{path}?id={request.network}.{request.number} HTTP/1.1\r\n"
            f"Host: {request.hostname}\r\nConnection: close\r\n"
        )
        if request.upload_bytes:
            head += f"Content-Length: {request.upload_bytes}\r\n"
        if forwarded:
            head += self._authorization(request)
        await client.send(f"{head}\r\n".encode())
        left = request.upload_bytes
        while left:
            size = min(left, len(_BLOCK))
            await client.send(memoryview(_BLOCK)[:size])
            left -= size
        start_of_response = b""
        while data := await client.receive():
            if len(start_of_response) < _START:
                start_of_response += data[:_START]
        head_of_response = start_of_response.partition(b"\r\n\r\n")[0]
        return forwarded and b"\nproxy-status:" in head_of_response.lower()

    async def _connect(self, client: CountedSocket, request: PlannedRequest) -> bool:
        """Open a tunnel by CONNECT; returns whether it is open."""
        host = f"{request.hostname}:80"
        head = f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{self._authorization(request)}\r\n"
        await client.send(head.encode())
        response = b""
        while b"\r\n\r\n" not in response and len(response) < _HEAD_MAX:
            # Byte for byte at the end, so that nothing after the head is read here.
            data = await client.receive(1 if response else 12)
            if not data:
                return False
            response += data
        return response[9:12] == b"200"

    async def _socks(self, client: CountedSocket, request: PlannedRequest) -> bool:
        """Open a tunnel by SOCKS5; returns whether it is open."""
        await client.send(b"\x05\x01\x02")
        if await self._exactly(client, 2) != b"\x05\x02":
            return False
        name, password = (text.encode() for text in self._pair(request))
        login = bytes((1, len(name))) + name + bytes((len(password),)) + password
        await client.send(login)
        if await self._exactly(client, 2) != b"\x01\x00":
            return False
        host = request.hostname.encode()
        await client.send(b"\x05\x01\x00\x03" + bytes((len(host),)) + host + b"\x00\x50")
        reply = await self._exactly(client, 10)
        return reply[:2] == b"\x05\x00"

    @staticmethod
    async def _exactly(client: CountedSocket, count: int) -> bytes:
        data = b""
        while len(data) < count and (more := await client.receive(count - len(data))):
            data += more
        return data

    def _pair(self, request: PlannedRequest) -> tuple[str, str]:
        """Return user name, with its session, and password."""
        name = request.user.name
        word = next((word for word, key in self.syntax.keys.items() if key == "session"), None)
        if request.session is not None and word is not None:
            mark = self.syntax.separator
            name += f"{mark}{word}{mark}{request.session}"
        return name, request.user.password

    def _authorization(self, request: PlannedRequest) -> str:
        pair = ":".join(self._pair(request))
        return f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"
