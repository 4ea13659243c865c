"""What all connections of the proxies share: who may use them, where requests lead, what is open.

A request is opened here when its user is known, and finished here however it ends; so every request
is counted, and leaves one usage event.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from trueup.reports.results import Json
from trueup.simulator.proxies.destinations import Destinations
from trueup.simulator.proxies.exits import ExitChooser, ProxyExit
from trueup.simulator.proxies.failures import RequestFailed
from trueup.simulator.proxies.life import RequestEvent, RequestState
from trueup.simulator.proxies.planner import NoFaults, RequestPlan, RequestPlanner
from trueup.simulator.proxies.records import OpenRequest
from trueup.simulator.proxies.relay import Tunnel, TunnelEnd
from trueup.simulator.proxies.usage import ByteCounting, ProxiedRequest, utc_now
from trueup.simulator.proxies.users import (
    NO_MEMBERSHIP,
    NO_TARGETING,
    Identified,
    UserDirectory,
)
from trueup.simulator.sockets import OUT_OF_DESCRIPTORS, CountedSocket

__all__ = ["ProxyEndpoint", "ProxyEngine", "ProxyLimits", "UsageSink"]

_SWEEP_S: Final = 1.0
_BY_THE_CLIENT: Final = frozenset(
    ("http_request_error", "http_request_denied", "connection_limit_reached")
)


class UsageSink(Protocol):
    """Takes the usage of requests; `Spool` is one."""

    def begin(self, event: dict[str, Json], request: OpenRequest) -> None:
        """Take the event that a request leaves if it is cut off now."""
        ...

    def progress(self, log_id: str, total_bytes: int) -> None:
        """Take the bytes of an open request."""
        ...

    def part(self, event: dict[str, Json], left: dict[str, Json], request: OpenRequest) -> None:
        """Take an event of a request that goes on, and what it would leave besides."""
        ...

    def end(self, event: dict[str, Json]) -> None:
        """Take the last event of a request."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyLimits:
    """What keeps a proxy's memory and time bounded."""

    handshake_s: float = 10.0
    """For a complete request head or SOCKS handshake."""
    connect_s: float = 10.0
    idle_s: float = 300.0
    """Without a byte in either direction."""
    head_bytes: int = 16_384
    """Of a request head; a longer one is refused with 431."""
    requests_per_user: int = 0
    """Open at once; more are refused with 429. 0: no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyEndpoint:
    """A proxy as clients see it: a static proxy, or a gateway."""

    network: str
    customer_id: int | None = None
    """Owner of a static proxy; None for a gateway, which serves the users of all customers."""
    exit: ProxyExit | None = None
    """Of a static proxy."""
    chooser: ExitChooser | None = None
    """Of a gateway."""


@dataclass(slots=True, kw_only=True)
class ProxyEngine:
    """The proxies of one process."""

    directory: UserDirectory
    destinations: Destinations
    behaviour: RequestPlanner = field(default_factory=NoFaults)
    counting: ByteCounting = ByteCounting.BOTH
    limits: ProxyLimits = field(default_factory=ProxyLimits)
    sink: UsageSink | None = None
    checkpoint_s: float = 1.0
    """How often the bytes of open requests are written to the sink."""
    report_every_s: float = 0.0
    """A request that lasts longer is reported in parts, one at a time this long; 0: at its end."""
    on_end: Callable[[ProxiedRequest], None] = lambda request: None
    """Called with each request that has ended, before its usage is handed on."""
    clock: Callable[[], datetime] = utc_now
    """The time of usage events, UTC."""
    open: dict[ProxiedRequest, Tunnel | None] = field(default_factory=dict)
    states: Counter[RequestState] = field(default_factory=Counter)
    """Requests that have ended, by how."""
    up: int = 0
    """Bytes relayed, of all requests that have ended; on the client's side."""
    down: int = 0
    unattributed: int = 0
    """Requests of unknown users, or without a destination: they leave no usage event."""
    malformed: int = 0
    """Connections that spoke neither HTTP nor SOCKS5, or too slowly, or without the credentials
    that SOCKS5 asks for before a request."""
    _by_user: Counter[str] = field(default_factory=Counter)

    def identify(
        self,
        request: ProxiedRequest,
        endpoint: ProxyEndpoint,
        name: str | None,
        password: str | None,
    ) -> None:
        """Find out who sent a request, and open it. Raises RequestFailed where it is refused."""
        user, rest = self.directory.find(name, request.client_address)
        if user is None:
            raise RequestFailed(
                "http_request_denied", "no such user, or no user name: authenticate", status=407
            )
        network = endpoint.network
        membership = user.memberships.get(network) or NO_MEMBERSHIP
        request.who = Identified(user, membership, NO_TARGETING)
        request.who = self.directory.admit(
            user,
            rest,
            network=network,
            customer_id=endpoint.customer_id,
            named=bool(name),
            password=password,
            address=request.client_address,
        )
        request.happen(RequestEvent.IDENTIFY)
        self._by_user[user.name] += 1
        request.concurrency = self._by_user[user.name]
        self.open[request] = None
        most = self.limits.requests_per_user
        if most and request.concurrency > most:
            raise RequestFailed("connection_limit_reached", f"this user has {most} open requests")
        request.exit = endpoint.exit or (
            endpoint.chooser.choose(request.who) if endpoint.chooser else None
        )
        if self.sink is not None and (event := request.event(self.counting)) is not None:
            self.sink.begin(event, request.describe())

    def plan(self, request: ProxiedRequest) -> RequestPlan:
        """Return what happens to a request besides what it asks for."""
        return self.behaviour.plan(request.network, request.protocol)

    async def connect(self, request: ProxiedRequest, plan: RequestPlan) -> CountedSocket:
        """Connect to where a request leads. Raises RequestFailed where that fails."""
        assert request.destination is not None
        await self.delay(plan)
        host, port = self.destinations.resolve(request.destination)
        loop = asyncio.get_running_loop()
        sock: socket.socket | None = None
        try:
            async with asyncio.timeout(self.limits.connect_s):
                family, address = await _look_up(host, port)
                sock = socket.socket(family, socket.SOCK_STREAM)
                sock.setblocking(False)
                await loop.sock_connect(sock, address)
        except BaseException as error:
            if sock is not None:
                sock.close()
            if isinstance(error, OSError):
                raise _explain(error) from error
            raise
        origin = CountedSocket(sock)
        request.connect(origin)
        return origin

    async def delay(self, plan: RequestPlan) -> None:
        """Wait as planned. Raises RequestFailed where the request fails as planned."""
        if plan.delay_s:
            await asyncio.sleep(plan.delay_s)
        if plan.failure:
            raise RequestFailed(plan.failure, "a failure of the simulated fleet")

    async def tunnel(
        self, request: ProxiedRequest, origin: CountedSocket, plan: RequestPlan, early: bytes
    ) -> None:
        """Relay a tunnel until it ends, and note how."""
        client = request.client
        tunnel = Tunnel(client, origin, bytes_per_s=plan.bytes_per_s, cut_after=plan.cut_after)
        self.open[request] = tunnel
        try:
            end = await tunnel.run(early)
        finally:
            request.tls = tunnel.tls
        match end:
            case TunnelEnd.CLOSED:
                request.happen(RequestEvent.FINISH)
            case TunnelEnd.CLIENT_RESET:
                request.happen(RequestEvent.ABORT)
            case _:
                # Ended, not reset: a reset could take bytes back that are counted as sent.
                request.error = "connection_terminated"
                request.happen(RequestEvent.CUT)
                origin.close()
                await client.finish()

    def refuse(self, request: ProxiedRequest, failed: RequestFailed) -> None:
        """Note that a request failed before anything was relayed, after the response."""
        request.error = failed.error
        refused = request.state is RequestState.RECEIVED or failed.error in _BY_THE_CLIENT
        request.happen(RequestEvent.REFUSE if refused else RequestEvent.FAIL)

    def finish(self, request: ProxiedRequest) -> None:
        """Count a request that has ended, and hand its usage event on."""
        assert request.has_ended, request.state
        if request in self.open:
            del self.open[request]
            assert request.who is not None
            name = request.who.user.name
            self._by_user[name] -= 1
            if not self._by_user[name]:
                del self._by_user[name]
        counts = request.counts()
        self.states[request.state] += 1
        self.up += counts.up
        self.down += counts.down
        self.on_end(request)
        if not request.is_attributed:
            self.unattributed += 1
        elif self.sink is not None and (event := request.event(self.counting)) is not None:
            self.sink.end(event)

    async def sweep(self) -> None:
        """End idle tunnels, and write checkpoints and parts of open requests, until cancelled."""
        loop = asyncio.get_running_loop()
        checkpoint = part = loop.time()
        while True:
            await asyncio.sleep(min(_SWEEP_S, self.checkpoint_s))
            now = loop.time()
            for tunnel in list(self.open.values()):
                if tunnel is not None and now - tunnel.active_at > self.limits.idle_s:
                    tunnel.end(TunnelEnd.IDLE)
            if self.sink is None:
                continue
            if self.report_every_s and now - part >= self.report_every_s:
                part = checkpoint = now
                self._report_parts(self.sink)
            elif now - checkpoint >= self.checkpoint_s:
                checkpoint = now
                self._write_checkpoints(self.sink)

    def _write_checkpoints(self, sink: UsageSink) -> None:
        for request in self.open:
            sink.progress(request.id, request.unreported(self.counting))

    def _report_parts(self, sink: UsageSink) -> None:
        for request in self.open:
            if request.has_ended:
                continue
            event = request.take_part(self.counting)
            left = request.event(self.counting)
            if event is not None and left is not None:
                sink.part(event, left, request.describe())


async def _look_up(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """Return the family and address to connect to. Raises OSError.

    An address needs no look-up: that is a call in another thread, and costs more than all the rest.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, host)
            return family, (host, port)
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return found[0][0], found[0][4]


def _explain(error: OSError) -> RequestFailed:
    """Return the failure that an error of a connection is."""
    match error:
        case TimeoutError():
            return RequestFailed("connection_timeout", "the origin did not accept in time")
        case ConnectionRefusedError():
            return RequestFailed("connection_refused", "the origin refused the connection")
        case socket.gaierror():
            return RequestFailed("dns_error", "the hostname has no address")
        case _ if error.errno in OUT_OF_DESCRIPTORS:
            return RequestFailed("proxy_internal_error", "the proxy has no descriptor left")
        case _:
            return RequestFailed("destination_unavailable", error.strerror or str(error))
