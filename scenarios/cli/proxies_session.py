"""The proxies while they run: with an origin of their own, and with the fleet's own requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from trueup.scenarios.cli.proxies_output import live_figures
from trueup.simulator.delivery import Driver
from trueup.simulator.fleet import Fleet
from trueup.simulator.origin import Origin
from trueup.simulator.proxies import (
    FleetUser,
    ProxiedRequest,
    ProxiedTieOut,
    ProxyClient,
    ProxyServer,
    RequestShape,
    fleet_requests,
)

__all__ = ["ProxySession"]

_SETTLE_S: Final = 10.0
"""How long connections may take to end once the last request has."""


@dataclass(slots=True, kw_only=True)
class ProxySession:
    """Servers that are open, and what is sent through them."""

    server: ProxyServer
    own: Origin | None
    """The proxies' own origin, where they have one."""
    driver: Driver | None
    """Closed at the end."""
    fleet: Fleet
    users: tuple[FleetUser, ...]
    requests: int = 0
    """Requests of the fleet to send, to the own origin; 0: none, and serve until stopped."""
    connections: int = 8
    bytes_max: int = 1 << 20
    complete: bool = False
    """Whether all requests were sent and all connections have ended: the counts can be compared."""
    tie_out: ProxiedTieOut = field(default_factory=ProxiedTieOut)

    async def run(self, stop: asyncio.Event, *, quiet: bool) -> None:
        """Serve until `stop` is set, or until the requests have been sent.

        Raises an ExceptionGroup of OSError where they cannot be sent.
        """
        if self.requests and self.own is not None:
            self._keep_records(self.own)
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send(stop)) if self.requests else None
                if self.own is not None:
                    group.create_task(self.own.run(stop))
                shown = group.create_task(live_figures(self.server, quiet=quiet))
                await self.server.run(stop)
                shown.cancel()
                if sending is not None:
                    sending.cancel()
        finally:
            if self.driver is not None:
                await self.driver.close()

    def _keep_records(self, own: Origin) -> None:
        """Have proxies and origin keep what they counted, beside what else is done with it."""
        engine, tie_out = self.server.engine, self.tie_out
        before = engine.on_end

        def keep(request: ProxiedRequest) -> None:
            before(request)
            tie_out.proxies.append(request.record())

        engine.on_end = keep
        own.on_end = tie_out.connections.append
        tie_out.counting = engine.counting

    async def _send(self, stop: asyncio.Event) -> None:
        """Send the requests, wait until all connections have ended, and stop."""
        engine = self.server.engine
        client = ProxyClient(
            proxies=tuple(proxy.address for proxy in self.server.proxies),
            syntax=engine.directory.syntax,
            on_end=self.tie_out.clients.append,
        )
        by_name = {user.name: user for user in self.users}
        shape = RequestShape(bytes_max=self.bytes_max)
        planned = fleet_requests(self.fleet, by_name, 0, self.requests, shape=shape)
        try:
            await client.send_all(planned, self.connections)
        except* OSError:
            if not stop.is_set():
                raise
        if stop.is_set():
            return
        async with asyncio.timeout(_SETTLE_S):
            while self._connections_open():  # noqa: ASYNC110  # of two servers
                await asyncio.sleep(0.01)
        self.complete = True
        stop.set()

    def _connections_open(self) -> int:
        own = self.own.server.open if self.own is not None else 0
        return self.server.server.open + own
