"""An origin and its records, for tests that run in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from trueup.simulator.origin import Origin, OriginConnection

TIMEOUT_S = 20


@dataclass(slots=True)
class Recorded:
    """The connections that have ended, and a way to wait for them."""

    ended: list[OriginConnection] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, record: OriginConnection) -> None:
        self.ended.append(record)
        self._more.set()

    async def count(self, count: int) -> list[OriginConnection]:
        """Return the records once there are at least so many."""
        async with asyncio.timeout(TIMEOUT_S):
            while len(self.ended) < count:
                self._more.clear()
                await self._more.wait()
        return self.ended


@asynccontextmanager
async def running_origin(
    *, tls: bool = False, idle_s: float = 60.0
) -> AsyncIterator[tuple[Origin, Recorded]]:
    """Run an origin on free ports; yields it and the records of its connections."""
    recorded = Recorded()
    origin = Origin(tls_port=0 if tls else None, idle_s=idle_s, on_end=recorded.add)
    origin.open()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(origin.run(stop))
        try:
            yield origin, recorded
        finally:
            stop.set()


async def exchange(port: int, *parts: bytes, half_close: bool = False) -> bytes:
    """Send parts to a port of the loopback; return all that comes back until the end."""
    async with asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            if half_close:
                writer.write_eof()
            return await reader.read()
        finally:
            writer.close()


def get(target: str, *, close: bool = True, host: str = "origin.example") -> bytes:
    """Return a GET request."""
    end = "Connection: close\r\n" if close else ""
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{end}\r\n".encode()
