"""Relay TCP from one address to another: `python -m benchmarks.relay HOST PORT TO_HOST:PORT`."""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def main(host: str, port: int, to: str) -> None:
    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs = await asyncio.open_connection(*to.split(":"))
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, theirs[1]))
            group.create_task(pump(theirs[0], writer))

    async with await asyncio.start_server(joined, host, port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
