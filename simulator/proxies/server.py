"""The listening proxies of one process: endpoints, usage reports, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from trueup.simulator.proxies.client import ProxyAddress
from trueup.simulator.proxies.engine import ProxyEndpoint, ProxyEngine
from trueup.simulator.proxies.fleet_proxies import PROTOCOL_PORTS, FleetEndpoint
from trueup.simulator.proxies.http_connection import HttpConnection
from trueup.simulator.proxies.reporter import UsageReporter
from trueup.simulator.proxies.socks5 import VERSION
from trueup.simulator.proxies.socks_connection import SocksConnection
from trueup.simulator.sockets import ConnectionServer, CountedSocket
from trueup.simulator.sockets.listening import Handler

__all__ = ["ListeningProxy", "ProxyServer"]

_SOCKS4: Final = 4
_SOCKS4_REFUSED: Final = b"\x00\x5b" + bytes(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningProxy:
    """A proxy and where it listens."""

    host: str
    http_port: int
    socks_port: int
    endpoint: ProxyEndpoint

    @property
    def address(self) -> ProxyAddress:
        """Return what a client needs to use it."""
        return ProxyAddress(
            network=self.endpoint.network,
            customer_id=self.endpoint.customer_id,
            host=self.host,
            http_port=self.http_port,
            socks_port=self.socks_port,
        )


@dataclass(slots=True, kw_only=True)
class ProxyServer:
    """Serves proxies. Open it, and run it in a task until `stop` is set."""

    engine: ProxyEngine
    reporter: UsageReporter | None = None
    flush_s: float = 1.5
    """How long the last delivery may take; what is not delivered stays in the spool."""
    proxies: list[ListeningProxy] = field(default_factory=list)
    server: ConnectionServer = field(default_factory=ConnectionServer)

    def open(
        self, endpoints: Iterable[FleetEndpoint], *, ports: tuple[int, ...] = PROTOCOL_PORTS
    ) -> None:
        """Listen at the address of each proxy, on each port; (0,) is one free port a proxy.

        HTTP and SOCKS5 are distinguished by the first byte, so every port takes both. Raises
        ListenError where an address cannot be listened on.
        """
        for known in endpoints:
            handler = self._handler(known.endpoint)
            bound = [self.server.listen(known.host, port, handler) for port in ports]
            self.proxies.append(
                ListeningProxy(
                    host=known.host,
                    http_port=bound[0],
                    socks_port=bound[-1],
                    endpoint=known.endpoint,
                )
            )

    def close(self) -> None:
        """Close the listening sockets of a server that is not running."""
        self.server.close()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, end what is open, and deliver its usage for a moment."""
        async with asyncio.TaskGroup() as group:
            background = [group.create_task(self.engine.sweep())]
            if self.reporter is not None:
                background.append(group.create_task(self.reporter.run()))
            try:
                await self.server.run(stop)
            finally:
                for task in background:
                    task.cancel()
        if self.reporter is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.flush_s):
                    await self.reporter.flush()

    def _handler(self, endpoint: ProxyEndpoint) -> Handler:
        return lambda client: self._serve(endpoint, client)

    async def _serve(self, endpoint: ProxyEndpoint, client: CountedSocket) -> None:
        engine = self.engine
        try:
            async with asyncio.timeout(engine.limits.handshake_s):
                first = await client.receive()
        except TimeoutError:
            return
        if not first:
            return
        if first[0] == VERSION:
            await SocksConnection(engine, endpoint, client, first).serve()
        elif first[0] == _SOCKS4:
            engine.malformed += 1
            await client.send(_SOCKS4_REFUSED)
            await client.finish()
        else:
            await HttpConnection(engine, endpoint, client, first).serve()
