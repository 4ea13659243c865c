"""A misbehaving HTTP proxy: forwards requests to a sink, and lets a script of mishaps happen.

It knows what really happened to each request, so that a test can compare it with what the
generator claims.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable

from tests.load.sink import Sink, decode, http_response, read_request

FINE = "fine"
CUT_BEFORE = "cut in the middle of the request's body"
CUT_AFTER = "stored, then cut before the response"
CUT_ANSWER = "stored, then cut in the middle of the response"
BUSY = "429 with Retry-After"
DOWN = "503 with Retry-After"
BROKEN = "500 after storing"
SILENT = "stored, then no response"
CLOSING = "fine, with Connection: close"
SLOW_CHUNKS = "fine, chunked and in pieces"

MISHAPS = (CUT_BEFORE, CUT_AFTER, CUT_ANSWER, BUSY, DOWN, BROKEN, SILENT, CLOSING, SLOW_CHUNKS)


class ChaosProxy:
    """One mishap a request, in turn."""

    def __init__(self, sink: Sink, script: Iterable[str]) -> None:
        self.sink = sink
        self.happened: Counter[str] = Counter()
        self._script = itertools.cycle(script)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            mishap = next(self._script)
            if mishap == CUT_BEFORE:
                await reader.readuntil(b"\r\n\r\n")
                self.happened[mishap] += 1
                return
            _, _, body = await read_request(reader)
            self.happened[mishap] += 1
            if mishap in (BUSY, DOWN):
                status = 429 if mishap == BUSY else 503
                writer.write(http_response(status, b"", "Retry-After: 0"))
                continue
            said = self.sink.take(decode(body))
            if mishap == CUT_AFTER:
                return
            if mishap == SILENT:
                await asyncio.sleep(3600)
            if mishap == BROKEN:
                writer.write(http_response(500, b"oops"))
            elif mishap == CUT_ANSWER:
                writer.write(http_response(200, said)[:-5])
                return
            elif mishap == CLOSING:
                writer.write(http_response(200, said, "Connection: close"))
                return
            elif mishap == SLOW_CHUNKS:
                await self._in_pieces(writer, said)
            else:
                writer.write(http_response(200, said))

    @staticmethod
    async def _in_pieces(writer: asyncio.StreamWriter, body: bytes) -> None:
        wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        wire += b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        for at in range(0, len(wire), 20):
            writer.write(wire[at : at + 20])
            await writer.drain()
            await asyncio.sleep(0)
