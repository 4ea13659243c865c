"""A target in miniature for load tests: stores events by id, responds like an ingestion API.

It keeps what it stored for the test to compare with what the generator says became of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from trueup.reports.event_format import EventFormat

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.contextmanager
def serving(handler: Handler, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve connections on the loopback from a thread of its own; gives the port."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    bound: list[int] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    async def main(stop: asyncio.Event) -> None:
        server = await asyncio.start_server(one, "127.0.0.1", port, ssl=tls)
        bound.append(server.sockets[0].getsockname()[1])
        started.set()
        await stop.wait()
        # Connections that came last get as far as their handler, which closes them; accepted
        # by a server that is closed by then, they would be left open by asyncio itself.
        for patience_s in (0.02, 0.02, None):
            if patience_s is None:
                server.close()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if left and patience_s is None:
                for task in left:
                    task.cancel()
            if left:
                await asyncio.wait(left, timeout=patience_s)
            else:
                await asyncio.sleep(0)

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(main(stop)))
    thread.start()
    assert started.wait(10)
    try:
        yield bound[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, dict[str, str], bytes]:
    """Request line, fields (lower case) and body. Raises IncompleteReadError at the end."""
    raw = await reader.readuntil(b"\r\n\r\n")
    start, *lines = raw[:-4].decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    body = await reader.readexactly(int(fields.get("content-length", "0")))
    return start.encode(), fields, body


def http_response(status: int, body: bytes = b"", *extra: str) -> bytes:
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *extra]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


class Sink:
    """Stores each event once. `stored` maps id to the event, `seen` counts arrivals of an id."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.seen: Counter[str] = Counter()
        self.bodies: list[tuple[dict[str, str], bytes]] = []
        self.reads = 0
        self.refused: list[int] = []
        """Events refused, one entry a request."""

    def take(self, events: list[Any]) -> bytes:
        refused, accepted, duplicates = [], 0, 0
        for line, event in enumerate(events, start=1):
            broken = not isinstance(event, dict) or event["log_id"] == "broken"
            if broken or event.get("log_total_bytes", 0) < 0:
                refused.append({"line": line, "reason": "not an event"})
                continue
            duplicates += event["log_id"] in self.stored
            accepted += 1
            self.seen[event["log_id"]] += 1
            self.stored[event["log_id"]] = event
        self.refused.append(len(refused))
        said = {"accepted": accepted, "duplicates": duplicates, "refused": refused}
        return json.dumps(said).encode()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            start, fields, body = await read_request(reader)
            if start.startswith(b"GET"):
                self.reads += 1
                writer.write(http_response(200, b'{"data": []}'))
                continue
            self.bodies.append((fields, body))
            text = unpacked(body, fields.get("content-encoding", "none"))
            writer.write(http_response(200, self.take(decode(text))))
            await writer.drain()


def unpacked(body: bytes, encoding: str) -> bytes:
    """Return a body without its Content-Encoding."""
    if encoding == "zstd":
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        return zstd.decompress(body)
    return gzip.decompress(body) if encoding == "gzip" else body


def decode(text: bytes) -> list[Any]:
    """Return the events of a body in any form; None for a line that is not JSON."""
    try:
        whole = json.loads(text)
    except ValueError:
        rows = [_parsed(line) for line in text.splitlines()]
        if isinstance(rows[0], dict) and "index" in rows[0]:
            rows = rows[1::2]
    else:
        if "resourceLogs" in whole:
            whole = whole["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        while isinstance(whole, dict) and {*whole} & {"events", "batch"}:
            whole = whole.get("events") or whole["batch"]
        rows = whole if isinstance(whole, list) else [whole]
    return [_unwrapped(row) for row in rows]


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _unwrapped(row: Any) -> Any:
    if isinstance(row, dict) and "specversion" in row:
        return row["data"]
    if isinstance(row, dict) and "attributes" in row:
        named = ((one["key"], one["value"]) for one in row["attributes"])
        return {key: next(iter(value.values()), None) for key, value in named}
    return row


def ndjson(first: int, count: int, form: EventFormat | None = None) -> bytes:
    """Events of a fleet in miniature: the id says the number. Lines have room for what closes a
    list.
    """
    form = form or EventFormat()
    room = len(form.frame()[2]) * b" "
    return b"".join(
        form.text({"log_id": f"event-{n}", "log_total_bytes": n % 4096}) + room[1:] + b"\n"
        for n in range(first, first + count)
    )


def in_pieces(
    ndjson: Callable[[int, int], bytes],
) -> Callable[[int, int, int], Iterator[tuple[int, bytes] | None]]:
    """Lines as a fleet draws them: piece by piece, and now and then a step that gives none."""

    def draw(first: int, count: int, most: int) -> Iterator[tuple[int, bytes] | None]:
        yield None
        for start in range(first, first + count, most):
            size = min(most, first + count - start)
            yield size, ndjson(start, size)
            yield None

    return draw
