"""One connection of a client that speaks SOCKS5."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from trueup.simulator.proxies.destinations import Destination
from trueup.simulator.proxies.engine import ProxyEndpoint, ProxyEngine
from trueup.simulator.proxies.failures import RequestFailed
from trueup.simulator.proxies.socks5 import (
    Method,
    SocksCredentials,
    SocksError,
    choice,
    credentials_reply,
    read_credentials,
    read_greeting,
    read_request,
    reply,
)
from trueup.simulator.proxies.usage import Protocol, ProxiedRequest
from trueup.simulator.sockets import CountedSocket

__all__ = ["SocksConnection"]

_MESSAGE_MAX: Final = 1024
"""No message of a handshake is longer."""
T = TypeVar("T")


class SocksConnection:
    """Serves one connection."""

    def __init__(
        self, engine: ProxyEngine, endpoint: ProxyEndpoint, client: CountedSocket, first: bytes
    ) -> None:
        self._engine = engine
        self._endpoint = endpoint
        self._client = client
        self._arrived = first

    async def serve(self) -> None:
        """Serve the one request of a connection. Raises OSError where the client went away."""
        try:
            async with asyncio.timeout(self._engine.limits.handshake_s):
                credentials, admitted = await self._authenticate()
                asked = await self._read(read_request) if admitted else None
        except (SocksError, TimeoutError):
            self._engine.malformed += 1
            return
        if asked is None:
            self._engine.malformed += 1
            await self._client.finish()
            return
        await self._request(asked, credentials)

    async def _read(self, reader: Callable[[bytes], tuple[T, int] | None]) -> T:
        """Return the next message. Raises SocksError where it is none, or is never complete."""
        while (found := reader(self._arrived)) is None:
            data = await self._client.receive()
            if not data or len(self._arrived) > _MESSAGE_MAX:
                raise SocksError("the handshake is incomplete")
            self._arrived += data
        message, size = found
        self._arrived = self._arrived[size:]
        return message

    async def _authenticate(self) -> tuple[SocksCredentials | None, bool]:
        """Return the credentials of a client, if it needs some, and whether it may go on."""
        offered = await self._read(read_greeting)
        address = self._client.sock.getpeername()[0]
        if Method.PASSWORD in offered:
            await self._client.send(choice(Method.PASSWORD))
            credentials = await self._read(read_credentials)
            accepted = self._accepts(credentials, address)
            await self._client.send(credentials_reply(accepted=accepted))
            return credentials, accepted
        directory, network = self._engine.directory, self._endpoint.network
        accepted = Method.NONE in offered and directory.may_go_without_password(network, address)
        await self._client.send(choice(Method.NONE if accepted else Method.NOT_ACCEPTABLE))
        return None, accepted

    def _accepts(self, credentials: SocksCredentials, address: str) -> bool:
        directory = self._engine.directory
        user, rest = directory.find(credentials.user, address)
        if user is None:
            return False
        try:
            directory.admit(
                user,
                rest,
                network=self._endpoint.network,
                customer_id=self._endpoint.customer_id,
                named=bool(credentials.user),
                password=credentials.password,
                address=address,
            )
        except RequestFailed:
            return False
        return True

    async def _request(
        self, asked: Destination | RequestFailed, credentials: SocksCredentials | None
    ) -> None:
        client, engine = self._client, self._engine
        request = ProxiedRequest(
            protocol=Protocol.SOCKS,
            client=client,
            peer=client.sock.getpeername()[:2],
            local=client.sock.getsockname()[:2],
            network=self._endpoint.network,
            client_received_before=0,
            client_sent_before=0,
            version="5",
            clock=engine.clock,
        )
        origin: CountedSocket | None = None
        try:
            if isinstance(asked, RequestFailed):
                raise asked
            request.destination = asked
            user, password = credentials or (None, None)
            engine.identify(request, self._endpoint, user, password)
            plan = engine.plan(request)
            origin = await engine.connect(request, plan)
            await client.send(reply(0, origin.sock.getsockname()[:2]))
            early, self._arrived = self._arrived, b""
            request.relay(early=len(early))
            await engine.tunnel(request, origin, plan, early)
        except RequestFailed as failed:
            await self._refuse(request, failed)
        except OSError:
            request.abort()
        except asyncio.CancelledError:
            request.stop()
            raise
        finally:
            if origin is not None:
                origin.close()
            engine.finish(request)

    async def _refuse(self, request: ProxiedRequest, failed: RequestFailed) -> None:
        try:
            await self._client.send(reply(failed.socks_reply))
        except OSError:
            request.error = failed.error
            request.abort()
            return
        self._engine.refuse(request, failed)
        await self._client.finish()
