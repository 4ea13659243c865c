"""The client and the origin of level 1: exact requests through a target's own proxies.

The client counts each byte of its sockets, the origin those of its own; neither knows how the
proxies count. Requests are few, so that all of a target's proxies can be asked for every case.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import h11

from trueup.conformance.client.recorder import stamp
from trueup.conformance.datasets.proxied_requests import (
    ADDRESSES_MAX,
    ExactConnection,
    ExactRequest,
    OriginExchange,
    ProxiedOutcome,
)
from trueup.conformance.target.model import ProxyTraffic
from trueup.conformance.target.proxies import NUMBER, numbered_addresses
from trueup.reports.journal.records import ProxiedRequestSeen
from trueup.reports.transport.urls import bracketed
from trueup.simulator.origin import Origin, OriginConnection
from trueup.simulator.proxies.client_handshake import (
    authorization_field,
    open_by_connect,
    open_by_socks,
)
from trueup.simulator.sockets import CountedSocket

__all__ = ["ExactClient", "exact_client"]

TIMEOUT_S: Final = 20.0
LOST_MOST: Final = 3
"""Connections that break one after the other before a proxy is given up."""
AT_ONCE: Final = 8
_SETTLE_S: Final = 10.0
"""How long the origin's connections may take to end once the last request has."""
_KEPT_S: Final = 0.2
"""How long others may take, which a proxy may keep for later requests."""
_BLOCK: Final = bytes(65_536)
_OPENED: Final = 200
_ID: Final = "id="
_NOT_OPENED: Final = (ProxiedOutcome.REFUSED, ProxiedOutcome.UNREACHABLE)
"""Outcomes whose tunnels the proxy does not open, or ends at once."""


@dataclass(slots=True, kw_only=True)
class ExactClient:
    """Sends requests, and notes what it and the origin saw of each."""

    proxies: ProxyTraffic
    origin: Origin
    timeout_s: float = TIMEOUT_S
    """Longest time of one connection."""
    _lost: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Host and port of a proxy → how many connections to it have broken since one did not."""
    _seen: dict[int, list[OriginConnection]] = field(default_factory=lambda: defaultdict(list))
    """Number of a request → the origin's connections that had it."""

    def note(self, record: OriginConnection) -> None:
        """Note a connection of the origin that has ended."""
        for number in {_number_of(request.target) for request in record.requests}:
            self._seen[number].append(record)

    async def perform(self, connections: Sequence[ExactConnection]) -> Sequence[ProxiedRequestSeen]:
        """Make all requests, a few connections at once; return what was seen, in order."""
        self.origin.on_end = self.note
        made: list[_Made] = []
        # Wrong credentials alone and last: a proxy that has just found the right ones may not look.
        last = [each for each in connections if _is_refused(each)]
        waiting = (each for each in connections if not _is_refused(each))

        async def work() -> None:
            for connection in waiting:
                made.extend(await self._connection(connection))

        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.origin.run(stop))
            try:
                async with asyncio.TaskGroup() as workers:
                    for _ in range(AT_ONCE):
                        workers.create_task(work())
                for connection in last:
                    made.extend(await self._connection(connection))
                await self._settle(made)
            finally:
                stop.set()
        return [self._record(one) for one in sorted(made, key=lambda one: one.request.number)]

    async def _settle(self, made: Sequence[_Made]) -> None:
        """Wait until the origin's connections have ended, but not for those that proxies keep."""
        ending = {one.request.number for one in made if not one.error and _ends(one.request)}
        await self._until(lambda: not ending - self._seen.keys(), _SETTLE_S)
        await self._until(lambda: False, _KEPT_S)

    async def _until(self, enough: Callable[[], bool], limit_s: float) -> None:
        """Wait until no connection of the origin is open, or something else is enough."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while self.origin.server.open and not enough():  # noqa: ASYNC110  # of a server
                    await asyncio.sleep(0.01)

    async def _connection(self, connection: ExactConnection) -> list[_Made]:
        """Make the requests of one connection; one that breaks ends it."""
        first = connection.requests[0]
        made = [_Made(request=request) for request in connection.requests]
        if self._lost[first.access.server] >= LOST_MOST:
            _fail(made, f"not tried: {LOST_MOST} connections to that proxy broke before")
            return made
        sock = socket.socket(
            socket.AF_INET6 if ":" in first.access.host else socket.AF_INET, socket.SOCK_STREAM
        )
        try:
            sock.setblocking(False)
            if first.access.client_address:
                sock.bind((first.access.client_address, 0))
            async with asyncio.timeout(self.timeout_s):
                loop = asyncio.get_running_loop()
                address = await loop.getaddrinfo(
                    *first.access.server, family=sock.family, type=socket.SOCK_STREAM
                )
                await loop.sock_connect(sock, address[0][4])
                client = CountedSocket(sock)
                for one in made:
                    one.begin(client)
                    await self._request(one, client)
                    one.end(client)
            self._lost[first.access.server] = 0
        except TimeoutError:
            self._lost[first.access.server] += 1
            _fail(made, f"no end within {self.timeout_s:g} s")
        except OSError as error:
            self._lost[first.access.server] += 1
            _fail(made, f"{type(error).__name__}: {error.strerror or error}")
        except h11.RemoteProtocolError as error:
            _fail(made, f"the response is not HTTP: {error}")
        finally:
            sock.close()
        return made

    async def _request(self, made: _Made, client: CountedSocket) -> None:
        request = made.request
        host, port = self._destination(request)
        password = request.access.password
        user = (request.user_name, password) if password else None
        if request.protocol != "forward":
            opening = open_by_connect if request.protocol == "connect" else open_by_socks
            try:
                code = await opening(client, host, port, user)
            except ConnectionError:
                if request.outcome not in _NOT_OPENED:
                    raise
                code = None
            opened = code == (_OPENED if request.protocol == "connect" else 0)
            made.status = code if request.protocol == "connect" else None
            made.open_tunnel(client)
            if opened is (request.outcome in _NOT_OPENED):
                made.error = f"the tunnel was {'opened' if opened else f'refused: {code}'}"
            if not opened:
                return
        http = made.http if request.protocol != "forward" else h11.Connection(h11.CLIENT)
        for number, asked in enumerate(request.origin):
            if number:
                http.start_next_cycle()
            status, received, whole = await self._ask(made, client, http, asked, host, port)
            if request.protocol == "forward":
                made.status = status
            made.check(asked, status, received, whole=whole)
            if not whole or made.error:
                return

    async def _ask(
        self,
        made: _Made,
        client: CountedSocket,
        http: h11.Connection,
        asked: OriginExchange,
        host: str,
        port: int,
    ) -> tuple[int | None, int, bool]:
        """Make one HTTP request; return status, bytes of the body, and whether it was complete."""
        request = made.request
        forwarded = request.protocol == "forward"
        authority = f"{bracketed(host)}:{port}"
        mark = "&" if "?" in asked.path else "?"
        path = f"{asked.path}{mark}{_ID}{request.number}"
        head = [
            f"{asked.method} {f'http://{authority}' if forwarded else ''}{path} HTTP/1.1",
            f"Host: {authority}",
            *([f"Content-Length: {asked.upload_bytes}"] if asked.method == "POST" else []),
        ]
        text = "\r\n".join(head) + "\r\n"
        if forwarded and request.access.password:
            text += authorization_field(request.user_name, request.access.password)
        # h11 reads the response; the request is sent as it stands, byte for byte.
        http.send(h11.Request(method=asked.method, target=path, headers=[("Host", authority)]))
        http.send(h11.EndOfMessage())
        await client.send(f"{text}\r\n".encode())
        left = asked.upload_bytes
        while left:
            size = min(left, len(_BLOCK))
            await client.send(memoryview(_BLOCK)[:size])
            left -= size
        return await _read_response(client, http, asked.read_most)

    def _destination(self, request: ExactRequest) -> tuple[str, int]:
        if request.outcome is not ProxiedOutcome.UNREACHABLE:
            return request.hostname, self.origin.port
        host, _, port = request.hostname.rpartition(":")
        return host.strip("[]"), int(port)

    def _record(self, made: _Made) -> ProxiedRequestSeen:
        request = made.request
        seen = self._seen.get(request.number)
        error = made.error
        if seen is None and request.outcome in (ProxiedOutcome.CUT, ProxiedOutcome.ABORTED):
            error = error or f"it did not reach the origin: status {made.status}"
        return ProxiedRequestSeen(
            number=request.number,
            case=request.case,
            outcome=request.outcome,
            tenant=request.access.tenant,
            user=request.access.proxy_user_id,
            network=request.access.network,
            protocol=request.protocol,
            hostname=self._destination(request)[0],
            session=request.session,
            client_address=made.client_address,
            country=request.access.country,
            city=request.access.city,
            asn=request.access.asn,
            began_at=stamp(made.began_at),
            ended_at=stamp(made.ended_at),
            status=made.status,
            error=error,
            handshake_sent=made.handshake[0],
            handshake_received=made.handshake[1],
            sent=made.sent,
            received=made.received,
            origin_received=sum(one.received_bytes for one in seen) if seen else None,
            origin_sent=sum(one.sent_bytes for one in seen) if seen else None,
        )


def _ends(request: ExactRequest) -> bool:
    """Whether the origin ends its connection after a request, or the client left."""
    ends = any("end=close" in asked.path for asked in request.origin)
    return ends and request.outcome not in _NOT_OPENED


def _is_refused(connection: ExactConnection) -> bool:
    return connection.requests[0].outcome is ProxiedOutcome.REFUSED


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class _Made:
    """A request while it is made, with what its client counted."""

    request: ExactRequest
    began_at: datetime = field(default_factory=_now)
    ended_at: datetime = field(default_factory=_now)
    client_address: str = ""
    status: int | None = None
    error: str = ""
    has_ended: bool = False
    handshake: tuple[int, int] = (0, 0)
    sent: int = 0
    received: int = 0
    http: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))
    _before: tuple[int, int] = (0, 0)

    def begin(self, client: CountedSocket) -> None:
        """Note what the connection's earlier requests had."""
        self.began_at = _now()
        self.client_address = client.sock.getsockname()[0]
        self._before = (client.sent, client.received)

    def open_tunnel(self, client: CountedSocket) -> None:
        """Note that the handshake is over."""
        self.handshake = (client.sent - self._before[0], client.received - self._before[1])

    def end(self, client: CountedSocket) -> None:
        """Note what the request had, as far as it came."""
        self.has_ended = True
        self.ended_at = _now()
        self.sent = client.sent - self._before[0] - self.handshake[0]
        self.received = client.received - self._before[1] - self.handshake[1]

    def check(
        self, asked: OriginExchange, status: int | None, received: int, *, whole: bool
    ) -> None:
        """Note what is not as planned: the response then says nothing about the counting."""
        request = self.request
        if request.outcome is ProxiedOutcome.COMPLETE and not whole:
            self.error = f"{asked.path}: the response ended after {received:,} bytes"
        elif request.outcome is ProxiedOutcome.REFUSED and status not in (401, 403, 407):
            self.error = f"wrong credentials: status {status}"
        elif request.outcome is ProxiedOutcome.UNREACHABLE and (status or 500) < 500:
            self.error = f"an unreachable destination: status {status}"
        elif request.outcome is ProxiedOutcome.COMPLETE and status != _status_of(asked):
            self.error = f"{asked.path}: status {status}"


def _status_of(asked: OriginExchange) -> int:
    """Return the status with which the origin responds."""
    path = asked.path.partition("?")[0]
    if path.startswith("/status/"):
        return int(path.removeprefix("/status/"))
    return 302 if path.startswith("/redirect/") else 200


async def _read_response(
    client: CountedSocket, http: h11.Connection, read_most: int | None
) -> tuple[int | None, int, bool]:
    """Read a response to its end, or until the client leaves; see `ExactClient._ask`."""
    status: int | None = None
    received = 0
    while True:
        try:
            event = http.next_event()
        except h11.RemoteProtocolError:
            return status, received, False
        if event is h11.NEED_DATA:
            try:
                data = await client.receive()
            except ConnectionError:
                data = b""
            http.receive_data(data)
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            received += len(event.data)
            if read_most is not None and received >= read_most:
                return status, received, False
        elif isinstance(event, h11.EndOfMessage):
            return status, received, True
        elif isinstance(event, h11.ConnectionClosed):
            return status, received, False


def _fail(made: Sequence[_Made], why: str) -> None:
    """Note why the requests that have not ended did not."""
    for one in made:
        if not one.has_ended:
            one.error = why
            one.ended_at = _now()


def _number_of(target: str) -> int:
    number = target.rpartition(_ID)[2]
    return int(number) if number.isdecimal() else 0


@contextlib.asynccontextmanager
async def exact_client(proxies: ProxyTraffic) -> AsyncIterator[ExactClient]:
    """Yield a client with an origin that listens where a target file says.

    Raises ListenError where it cannot.
    """
    hosts = _hosts(proxies)
    origin = Origin(host=hosts[0], also=hosts[1:], port=proxies.port, tls_port=None)
    origin.open()
    try:
        yield ExactClient(proxies=proxies, origin=origin)
    finally:
        origin.close()


def _hosts(proxies: ProxyTraffic) -> tuple[str, ...]:
    """Return the addresses at which the origin listens."""
    hosts = [proxies.listen]
    if numbered_addresses(proxies.hostname):
        numbers = range(1, ADDRESSES_MAX + 1)
        hosts = [proxies.hostname.replace(NUMBER, str(number)) for number in numbers]
    return (*hosts, *([proxies.ipv6] if proxies.ipv6 else ()))
