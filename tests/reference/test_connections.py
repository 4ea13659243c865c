"""Connections: too slow ones are closed, and neither their number nor their heads grow forever."""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from tests.reference.served import USER, Served, serving
from trueup.reference.api import connections as module
from trueup.reference.api.connections import (
    HEAD_S,
    IDLE_S,
    WRITE_S,
    ConnectionPhase,
    Connections,
    connection_limit,
    overdue,
)

WAIT_S = 30


@pytest.mark.parametrize(
    ("phase", "phase_s", "unread_s", "reason"),
    [
        (ConnectionPhase.IDLE, IDLE_S, 0.0, None),
        (ConnectionPhase.IDLE, IDLE_S + 1, 0.0, "idle"),
        (ConnectionPhase.HEAD, HEAD_S, 0.0, None),
        (ConnectionPhase.HEAD, HEAD_S + 1, 0.0, "slow head"),
        (ConnectionPhase.REQUEST, 10_000.0, 0.0, None),
        (ConnectionPhase.REQUEST, 0.0, WRITE_S + 1, "unread"),
        (ConnectionPhase.IDLE, 0.0, WRITE_S + 1, "unread"),
    ],
)
def test_a_connection_is_overdue_by_its_phase(
    phase: ConnectionPhase, phase_s: float, unread_s: float, reason: str | None
) -> None:
    assert overdue(phase, phase_s, unread_s) == reason


def test_the_limit_of_connections_leaves_descriptors_for_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for descriptors, limit in ((1024, 960), (10**6, 4096), (resource.RLIM_INFINITY, 4096), (10, 1)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, n=descriptors: (n, n))
        assert connection_limit() == limit


@dataclass
class SteppedClock:
    """The time that guards see; tests move it."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Listening:
    """A reference behind guards, on a port of its own."""

    port: int
    connections: Connections
    served: Served
    clock: SteppedClock
    clients: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self, data: bytes = b"") -> asyncio.StreamReader:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=client)
        self.clients.append(writer)
        writer.write(data)
        return reader

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.001)

    def get(self, path: str) -> bytes:
        keys = "".join(f"{name}: {value}\r\n" for name, value in self.served.keys().items())
        return f"GET {USER}{path} HTTP/1.1\r\nHost: x\r\n{keys}\r\n".encode()


@asynccontextmanager
async def listening(monkeypatch: pytest.MonkeyPatch, **limits: int) -> AsyncIterator[Listening]:
    clock = SteppedClock()
    monkeypatch.setattr(module, "monotonic_s", clock)
    async with serving() as served:
        connections = served.context.connections = Connections(**limits)
        assert isinstance(served.client.server.runner, web.AppRunner)
        http = served.client.server.runner.server
        assert http is not None
        loop = asyncio.get_running_loop()
        server = await loop.create_server(connections.factory(http), "127.0.0.1", 0)
        # Small buffers of the kernel: what a client does not read stays in the server.
        for listener in server.sockets:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
        found = Listening(server.sockets[0].getsockname()[1], connections, served, clock)
        try:
            yield found
        finally:
            server.close()
            for writer in found.clients:
                writer.close()
            await found.until(lambda: len(connections) == 0)


async def response_status(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-le"))
    await reader.readexactly(int(length.split(b":")[1]))
    return head.split()[1]


async def is_closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), WAIT_S) == b""
    except ConnectionError:
        return True


async def test_idle_and_slow_connections_are_closed_and_busy_ones_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """300 slow heads, 100 connections without a byte, one that makes requests in between."""
    async with listening(monkeypatch) as found:
        slow = [await found.connect(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ") for _ in range(300)]
        idle = [await found.connect() for _ in range(100)]
        busy = await found.connect(found.get("customer/retrieve"))
        assert await response_status(busy) == b"200"
        await found.until(lambda: len(found.connections) == 401)
        await found.until(
            lambda: (
                sum(each.phase is ConnectionPhase.HEAD for each in found.connections._open) == 300
            )
        )
        found.clock.now_s += HEAD_S + 1
        found.clients[400].write(found.get("customer/retrieve"))
        assert await response_status(busy) == b"200"
        found.connections.close_overdue()
        assert all([await is_closed(reader) for reader in slow])
        found.clock.now_s += IDLE_S - HEAD_S
        found.connections.close_overdue()
        assert all([await is_closed(reader) for reader in idle])
        found.clients[400].write(found.get("customer/retrieve"))
        assert await response_status(busy) == b"200"
        assert found.connections.closed == {"slow head": 300, "idle": 100}


async def test_a_trickle_of_header_bytes_does_not_prolong_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(monkeypatch) as found:
        reader = await found.connect(b"GET / HTTP/1.1\r\n")
        await found.until(lambda: found.connections._head_bytes > 0)
        before = found.connections._head_bytes
        found.clock.now_s += HEAD_S - 1
        found.clients[0].write(b"X-More: 1\r\n")
        await found.until(lambda: found.connections._head_bytes > before)
        found.clock.now_s += 2
        found.connections.close_overdue()
        assert await is_closed(reader)
        assert found.connections._head_bytes == 0


async def test_beyond_the_limit_the_longest_waiting_connection_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(monkeypatch, limit=3) as found:
        readers = []
        for number in range(4):
            found.clock.now_s += 1
            readers.append(await found.connect())
            await found.until(lambda n=number: len(found.connections) == min(n + 1, 3))
        assert await is_closed(readers[0])
        found.clients[3].write(found.get("customer/retrieve"))
        assert await response_status(readers[3]) == b"200"
        assert found.connections.closed == {"too many": 1}


async def test_a_request_begins_the_wait_of_its_connection_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(monkeypatch, limit=2) as found:
        first, second = await found.connect(), await found.connect()
        await found.until(lambda: len(found.connections) == 2)
        found.clients[0].write(found.get("customer/retrieve"))
        assert await response_status(first) == b"200"
        await found.connect()
        assert await is_closed(second)
        found.clients[0].write(found.get("customer/retrieve"))
        assert await response_status(first) == b"200"


async def test_a_connection_whose_body_is_arriving_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the limit, with nothing but bodies that never end, a further connection is served."""
    async with listening(monkeypatch, limit=2) as found:
        post = b"POST /ingest/events HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"
        readers = []
        for number in range(2):
            readers.append(await found.connect(post))
            await found.until(lambda n=number: found.served.context.bodies.held == n + 1)
        reader = await found.connect(found.get("customer/retrieve"))
        assert await response_status(reader) == b"200"
        assert await is_closed(readers[0])
        found.clients[1].write(b" " * 8)
        assert await response_status(readers[1]) == b"200"


async def test_connections_with_a_request_do_not_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit, with every connection waiting for its response, a further one is closed."""
    async with listening(monkeypatch, limit=2) as found:
        gate = threading.Event()
        blocking = found.served.context.store.write(lambda _: gate.wait(WAIT_S))
        post = b"POST /ingest/events HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        readers = [await found.connect(post) for _ in range(2)]
        await found.until(
            lambda: (
                [each.phase for each in found.connections._open] == [ConnectionPhase.REQUEST] * 2
            )
        )
        assert await is_closed(await found.connect())
        gate.set()
        assert [await response_status(reader) for reader in readers] == [b"200", b"200"]
        assert await asyncio.wrap_future(blocking)


async def test_heads_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(monkeypatch, heads_limit=100_000) as found:
        head = b"GET / HTTP/1.1\r\n" + b"X-Many: " + b"x" * 7000 + b"\r\n"
        large = await found.connect(head + b"X: " + b"y" * 5000)
        small = [await found.connect(head) for _ in range(20)]
        assert await is_closed(large)
        await found.until(lambda: found.connections._head_bytes <= 100_000)
        assert found.connections.closed["large head"] >= 1
        del small


async def test_unread_responses_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten clients that leave 50 kB each unread; the largest give way, others are served."""
    limit = 200_000
    async with listening(monkeypatch, unread_limit=limit) as found:
        requests = found.get("analytics/graph?interval=minute") * 5
        for _ in range(10):
            await found.connect()
            transport = found.clients[-1].transport
            assert isinstance(transport, asyncio.Transport)
            transport.pause_reading()
            transport.write(requests)
        await found.until(lambda: found.connections.closed["unread"] >= 5)
        assert 0 < sum(each.unread_bytes for each in found.connections._open) <= limit
        reader = await found.connect(found.get("customer/retrieve"))
        assert await response_status(reader) == b"200"
        for client in found.clients:
            client.transport.abort()


async def test_a_client_that_does_not_read_its_response_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Requests are sent without end and no response is read."""
    async with listening(monkeypatch) as found:
        reader = await found.connect()
        transport = found.clients[0].transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        request = found.get("analytics/graph?interval=minute")
        guard = next(iter(found.connections._open))

        async def flood() -> None:
            while guard._unread_since_s is None:
                found.clients[0].write(request)
                await asyncio.sleep(0)

        await asyncio.wait_for(flood(), WAIT_S)
        found.clock.now_s += WRITE_S + 1
        found.connections.close_overdue()
        await found.until(lambda: len(found.connections) == 0)
        assert found.connections.closed == {"unread": 1}
        transport.resume_reading()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            while True:
                await asyncio.wait_for(reader.readexactly(1 << 16), WAIT_S)
