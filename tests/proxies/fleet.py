"""A running fleet of proxies for tests: its users, its requests, its usage events."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.proxies.servers import TIMEOUT_S
from tests.simulator.fleets import common
from trueup.reports.results import Json
from trueup.simulator.origin import Origin
from trueup.simulator.proxies import (
    Authentication,
    ByteCounting,
    Destinations,
    FleetUser,
    ListeningProxy,
    NoFaults,
    OpenRequest,
    ProxiedRequest,
    ProxyEngine,
    ProxyLimits,
    ProxyServer,
    RequestPlanner,
    UserDirectory,
    UserNameSyntax,
    fleet_endpoints,
    fleet_users,
)
from trueup.simulator.sockets import ConnectionServer


@dataclass(slots=True)
class Usage:
    """A usage sink that keeps everything, and requests that have ended."""

    begun: list[dict[str, Json]] = field(default_factory=list)
    events: list[dict[str, Json]] = field(default_factory=list)
    parts: list[dict[str, Json]] = field(default_factory=list)
    requests: list[ProxiedRequest] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, event: dict[str, Json], request: OpenRequest) -> None:
        self.begun.append(event)

    def progress(self, log_id: str, total_bytes: int) -> None:
        """Ignore checkpoints."""

    def part(self, event: dict[str, Json], left: dict[str, Json], request: OpenRequest) -> None:
        self.parts.append(event)
        self._more.set()

    def end(self, event: dict[str, Json]) -> None:
        self.events.append(event)

    def add(self, request: ProxiedRequest) -> None:
        self.requests.append(request)
        self._more.set()

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not enough():
                self._more.clear()
                # Not everything that is waited for is an event: look again after a moment too.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self._more.wait()

    async def ended(self, count: int = 1) -> list[ProxiedRequest]:
        """Return the requests that have ended, once there are so many."""
        await self.until(lambda: len(self.requests) >= count)
        return self.requests


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningFleet:
    """Proxies that listen, and what they did."""

    server: ProxyServer
    usage: Usage
    users: tuple[FleetUser, ...]
    origin: Origin
    stop: asyncio.Event

    def proxy(self, network: str, customer_id: int | None = None) -> ListeningProxy:
        """Return the first proxy of a network that serves a customer."""
        return next(
            proxy
            for proxy in self.server.proxies
            if proxy.endpoint.network == network
            and proxy.endpoint.customer_id in (None, customer_id)
        )

    def user(self, network: str, kind: Authentication = Authentication.PASSWORD) -> FleetUser:
        """Return the first user of a network who authenticates in this way."""
        return next(
            user
            for user in self.users
            if network in user.memberships and user.memberships[network].authentication is kind
        )

    def proxy_and_user(
        self, network: str, kind: Authentication = Authentication.PASSWORD
    ) -> tuple[ListeningProxy, FleetUser]:
        user = self.user(network, kind)
        return self.proxy(network, user.customer_id), user


@asynccontextmanager
async def running_fleet(
    origin: Origin,
    *,
    behaviour: RequestPlanner | None = None,
    counting: ByteCounting = ByteCounting.BOTH,
    limits: ProxyLimits | None = None,
    report_every_s: float = 0.0,
    connections_max: int = 0,
) -> AsyncIterator[RunningFleet]:
    """Run the proxies of the common fleet on free ports, with users of every network."""
    users, usage = fleet_users(common()), Usage()
    engine = ProxyEngine(
        directory=UserDirectory(users, UserNameSyntax()),
        destinations=Destinations(
            plain=(origin.host, origin.port),
            tls=None if origin.tls_port is None else (origin.host, origin.tls_port),
        ),
        behaviour=behaviour or NoFaults(),
        counting=counting,
        limits=limits or ProxyLimits(),
        sink=usage,
        checkpoint_s=0.02,
        report_every_s=report_every_s,
        on_end=usage.add,
    )
    server = ProxyServer(engine=engine, server=ConnectionServer(connections_max=connections_max))
    server.open(fleet_endpoints(common(), static_proxies=1), ports=(0,))
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run(stop))
        try:
            yield RunningFleet(server=server, usage=usage, users=users, origin=origin, stop=stop)
        finally:
            stop.set()


def basic(user: FleetUser, *, suffix: str = "", password: str | None = None) -> str:
    """Return a Proxy-Authorization field."""
    pair = f"{user.name}{suffix}:{user.password if password is None else password}"
    return f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"


@dataclass(slots=True)
class RawClient:
    """A client that counts its bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sent: int = 0
    received: int = 0

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        self.sent += len(data)
        await self.writer.drain()

    async def read(self, count: int) -> bytes:
        async with asyncio.timeout(TIMEOUT_S):
            data = await self.reader.readexactly(count)
        self.received += len(data)
        return data

    async def head(self) -> bytes:
        async with asyncio.timeout(TIMEOUT_S):
            data = await self.reader.readuntil(b"\r\n\r\n")
        self.received += len(data)
        return data

    async def rest(self) -> bytes:
        async with asyncio.timeout(TIMEOUT_S):
            data = await self.reader.read()
        self.received += len(data)
        return data


@asynccontextmanager
async def connected(
    proxy: ListeningProxy, *, source: str | None = None
) -> AsyncIterator[RawClient]:
    """Connect to a proxy, from an address of the loopback if given."""
    reader, writer = await asyncio.open_connection(
        proxy.host, proxy.http_port, local_addr=(source, 0) if source else None
    )
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()
