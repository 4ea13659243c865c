"""Request bodies: bounded in time and memory, whatever is sent; few refused lines are listed."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.reference.served import Served, event, ndjson, serving
from tests.reference.test_process import ask, running
from trueup.reference.api import bodies as bodies_module
from trueup.reference.api import context, ingestion
from trueup.reference.api.bodies import TOTAL_LIMIT, Bodies
from trueup.reference.store.store import Store
from trueup.reference.times import format_instant

WAIT_S = 30
MIB = 1 << 20


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as running:
        yield running


def one_event(served: Served) -> bytes:
    return ndjson([event(1, log_request_datetime=format_instant(served.now_us))])


class Sender:
    """A raw connection that sends a delivery piece by piece."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def begin(cls, served: Served, *headers: str) -> Sender:
        url = served.client.make_url("/")
        sender = cls(*await asyncio.open_connection(url.host, url.port))
        lines = ("POST /ingest/events HTTP/1.1", "Host: x", *headers, "", "")
        sender.writer.write("\r\n".join(lines).encode())
        return sender

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def status(self) -> int:
        line = await asyncio.wait_for(self.reader.readline(), WAIT_S)
        return int(line.split()[1])

    async def close(self) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


async def until_held(bodies: Bodies, least: int, most: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while not least <= bodies.held <= most:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)


async def test_bodies_that_never_end_are_bounded_and_leave_room_for_others(served: Served) -> None:
    """40 bodies of which 10 fit: the largest give way, small ones are taken, and all is freed."""
    served.context.bodies = bodies = Bodies(total_limit=MIB)
    senders = []
    for _ in range(40):
        sender = await Sender.begin(served, f"Content-Length: {8 * MIB}")
        await sender.send(b"x" * 100_000)
        senders.append(sender)
        assert bodies.held <= MIB
    await until_held(bodies, MIB - 300_000, MIB)
    assert (await served.ingest(one_event(served)))["accepted"] == 1
    responses = [asyncio.ensure_future(sender.reader.readline()) for sender in senders]
    async with asyncio.timeout(WAIT_S):
        while sum(task.done() for task in responses) < 30:
            await asyncio.wait(responses, return_when=asyncio.FIRST_COMPLETED, timeout=0.01)
    assert all(b" 503 " in task.result() for task in responses if task.done())
    for task in responses:
        task.cancel()
    for sender in senders:
        await sender.close()
    await until_held(bodies, 0, 0)


async def test_memory_is_given_back_once_after_a_lot_was_held(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    trims: list[int] = []
    monkeypatch.setattr(bodies_module, "_LARGE", MIB)
    monkeypatch.setattr(bodies_module, "_trim", lambda: trims.append(1))
    bodies = served.context.bodies
    for size, expected in ((MIB // 2, 0), (2 * MIB, 1), (MIB // 2, 1)):
        await served.deliver(b" " * size)
        bodies.release_memory()
        bodies.release_memory()
        assert len(trims) == expected


async def test_bodies_are_decoded_in_turn_while_they_fit() -> None:
    """A waiting one that is cancelled, before or after its turn came, holds up no other."""
    bodies, order = Bodies(decoded_limit=10), list[str]()
    sizes = {"a": 6, "b": 4, "c": 20, "d": 1, "e": 9, "f": 1}
    gates = {name: asyncio.Event() for name in sizes}

    async def decode(name: str) -> None:
        async with bodies.decoding(sizes[name]):
            order.append(name)
            await gates[name].wait()
        if name == "c":
            tasks["e"].cancel()  # Its turn has come, and it has not gone on yet.

    tasks = {name: asyncio.ensure_future(decode(name)) for name in sizes}
    await asyncio.sleep(0)
    assert order == ["a", "b"]
    gates["a"].set()
    await tasks["a"]
    assert order == ["a", "b"]
    tasks["d"].cancel()
    gates["b"].set()
    await tasks["b"]
    await asyncio.sleep(0)
    assert order == ["a", "b", "c"]
    gates["c"].set()
    await tasks["c"]
    gates["f"].set()
    await tasks["f"]
    assert order == ["a", "b", "c", "f"]
    async with asyncio.timeout(WAIT_S), bodies.decoding(10):
        pass


async def test_a_delivery_whose_client_is_gone_before_its_turn_is_not_written(
    served: Served,
) -> None:
    gate, began = threading.Event(), threading.Event()

    def block(_: sqlite3.Connection) -> bool:
        began.set()
        return gate.wait(WAIT_S)

    blocking = served.context.store.write(block)
    assert await asyncio.to_thread(began.wait, WAIT_S)
    body = one_event(served)
    sender = await Sender.begin(served, f"Content-Length: {len(body)}")
    await sender.send(body)
    await until_held(served.context.bodies, len(body), len(body))
    await sender.close()
    await until_held(served.context.bodies, 0, 0)
    gate.set()
    assert await asyncio.wrap_future(blocking)
    assert (await served.ingest(b""))["accepted"] == 0
    assert (await served.get("log/search"))["total_count"] == 0


@pytest.mark.slow
def test_the_memory_of_a_process_is_bounded_and_given_back() -> None:
    """24 bodies of 30 MiB that never end, which would be 720 MiB; then their clients leave."""
    with running() as (process, where):
        address = "127.0.0.1", int(where["ingest_url"].split(":")[2].split("/")[0])
        begin = memory(process, "VmRSS")
        head = f"POST /ingest/events HTTP/1.1\r\nHost: x\r\nContent-Length: {32 * MIB}\r\n\r\n"
        senders = [socket.create_connection(address, timeout=WAIT_S) for _ in range(24)]

        def send(sender: socket.socket) -> None:
            with contextlib.suppress(OSError):
                sender.sendall(head.encode() + b"x" * (30 * MIB))

        threads = [threading.Thread(target=send, args=(sender,)) for sender in senders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ask(where["ingest_url"], data=b"{}")[0] == 200
        assert 150 * MIB < memory(process, "VmHWM") - begin < TOTAL_LIMIT + 100 * MIB
        for sender in senders:
            sender.close()
        deadline = time.monotonic() + WAIT_S
        while memory(process, "VmRSS") - begin > 60 * MIB and time.monotonic() < deadline:
            time.sleep(0.1)
        assert memory(process, "VmRSS") - begin <= 60 * MIB


def memory(process: Any, name: str) -> int:
    """Return bytes of memory of a process, by their name in its status."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1]) << 10


async def test_a_body_alone_is_refused_where_it_exceeds_the_memory(served: Served) -> None:
    served.context.bodies = bodies = Bodies(total_limit=1000)
    assert (await served.deliver(b" " * 2000))[0] == 503
    packed = gzip.compress(b" " * 5000)
    assert (await served.deliver(packed, Content_Encoding="gzip"))[0] == 503
    assert (await served.deliver(one_event(served)))[0] == 200
    assert bodies.held == 0


async def test_a_body_that_does_not_arrive_in_time_gets_408(served: Served) -> None:
    served.context.bodies = bodies = Bodies(timeout_s=0.02)
    sender = await Sender.begin(served, "Content-Length: 100")
    await sender.send(b"x")
    assert await sender.status() == 408
    await sender.close()
    assert bodies.held == 0


async def test_a_body_whose_client_is_gone_is_freed(served: Served) -> None:
    bodies = served.context.bodies
    sender = await Sender.begin(served, "Transfer-Encoding: chunked")
    await sender.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    await until_held(bodies, 65536, 65536)
    await sender.close()
    await until_held(bodies, 0, 0)


async def test_a_body_with_a_malformed_chunk_ends_with_its_time(served: Served) -> None:
    served.context.bodies = Bodies(timeout_s=0.2)
    sender = await Sender.begin(served, "Transfer-Encoding: chunked")
    await sender.send(b"5\r\nxxxxx\r\n")
    await sender.send(b"zz\r\n")
    assert await sender.status() in (400, 408)
    await sender.close()
    assert served.context.bodies.held == 0


async def test_a_body_of_a_million_lines_is_refused_before_it_is_split(served: Served) -> None:
    bomb = gzip.compress(b"{}\n" * 1_000_000)
    status, body = await served.deliver(bomb, Content_Encoding="gzip")
    assert (status, "lines" in body["message"]) == (413, True)
    assert served.context.bodies.held == 0


async def test_gzip_of_many_members_is_read_whole_and_in_linear_time(served: Served) -> None:
    lines = one_event(served)
    members = [gzip.compress(b"")] * 50_000
    members[25_000] = gzip.compress(lines)
    assert (await served.ingest(b"".join(members), Content_Encoding="gzip"))["accepted"] == 1
    split = gzip.compress(lines[:50]) + gzip.compress(lines[50:])
    assert (await served.ingest(split, Content_Encoding="gzip"))["duplicates"] == 1


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 2 * MIB])
async def test_gzip_around_the_size_of_a_step_is_read_whole(served: Served, size: int) -> None:
    """The content ends exactly where a step of the decoder does, or just beside."""
    lines = one_event(served)
    body = gzip.compress(b" " * (size - len(lines) - 1) + b"\n" + lines)
    assert (await served.ingest(body, Content_Encoding="gzip"))["accepted"] == 1


async def test_text_is_checked_at_any_size(served: Served) -> None:
    spaces = b" " * (2 * MIB - 1)
    lines = one_event(served)
    assert (await served.deliver(spaces + b"\xff" + spaces))[0] == 400
    assert (await served.deliver(spaces + b"\xc3"))[0] == 400
    accented = lines.replace(b'"cupertino"', '"caf\u00e9"'.encode())
    # Two steps share the character of two bytes.
    before = MIB - accented.index("é".encode()) - 2
    body = b" " * before + b"\n" + accented + b" " * MIB
    assert body[MIB - 1 : MIB + 1] == "é".encode()
    assert (await served.ingest(body))["accepted"] == 1


async def test_large_deliveries_are_read_one_at_a_time_beside_the_event_loop(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one of few bytes and very many lines; a small one is read by the event loop."""
    seen: list[bool] = []
    running_now: list[int] = []
    read = Store._read_delivery

    def reading(self: Store, body: bytes) -> Any:
        running_now.append(1)
        assert len(running_now) == 1
        seen.append(threading.current_thread() is threading.main_thread())
        try:
            return read(self, body)
        finally:
            running_now.pop()

    monkeypatch.setattr(Store, "_read_delivery", reading)
    await served.ingest(one_event(served))
    await served.ingest(b"x\n" * 2_000)
    assert seen == [True, True]
    for body in (b"x\n" * 2_001, b" " * (2 * MIB)):
        await asyncio.gather(*(served.ingest(body) for _ in range(4)))
    assert seen == [True] * 2 + [False] * 8


async def test_at_most_100_refused_lines_are_listed_and_all_are_counted(served: Served) -> None:
    shown = ingestion.REFUSED_SHOWN
    lines = [one_event(served), *[b"no event"] * (shown + 50)]
    result = await served.ingest(b"\n".join(lines))
    assert (result["accepted"], result["refused_count"]) == (1, shown + 50)
    assert [each["line"] for each in result["refused"]] == list(range(2, shown + 2))


async def test_other_bodies_are_bounded_as_well(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.context.bodies = Bodies(total_limit=100)
    big = {"proxy_user_metadata": {"text": "x" * 200}}
    assert (await served.ask("proxy_user/create", method="POST", json=big))[0] == 503
    assert (await served.ask("proxy_user/create", method="POST", json={}))[0] == 201
    monkeypatch.setattr(context, "BODY_LIMIT", 50)
    assert (await served.control("money", idempotency_key="x" * 50))[0] == 413
