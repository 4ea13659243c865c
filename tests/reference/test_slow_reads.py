"""Slow reads: they end with their client, and hold up neither other customers nor writers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.reference.served import USER, Served, event, serving
from trueup.reference import server
from trueup.reference.behaviour import Behaviour
from trueup.reference.errors import StoreProblem
from trueup.reference.store import reading
from trueup.reference.store.readers import CUSTOMER_READS, READERS, WAITING_LIMIT, Readers
from trueup.reference.times import format_instant

WAIT_S = 30
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"


class Endless:
    """A read that never ends by itself; counts those that began and those that were interrupted."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)

    def __call__(self, connection: sqlite3.Connection) -> None:
        self.began.release()
        try:
            connection.execute(ENDLESS).fetchone()
        finally:
            self.ended.release()


def first(value: int, _: sqlite3.Connection) -> int:
    return value


@pytest.fixture
def readers() -> Iterator[Readers]:
    made: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        made.append(sqlite3.connect(":memory:", check_same_thread=False))
        return made[-1]

    running = Readers(connect)
    yield running
    running.close()
    for connection in made:
        connection.close()


def test_a_cancelled_read_is_interrupted_and_frees_its_thread(readers: Readers) -> None:
    slow = Endless()
    futures = [readers.submit(slow, 1) for _ in range(CUSTOMER_READS)]
    for _ in futures:
        assert slow.began.acquire(timeout=WAIT_S)
    after = readers.submit(lambda _: "read", 1)
    for future in futures:
        future.cancel()
    assert after.result(timeout=WAIT_S) == "read"
    for future in futures:
        assert slow.ended.acquire(timeout=WAIT_S)
        with pytest.raises(StoreProblem, match="interrupted"):
            future.result(timeout=WAIT_S)


def test_a_cancelled_read_that_waits_is_never_run(readers: Readers) -> None:
    slow = Endless()
    futures = [readers.submit(slow, 1) for _ in range(CUSTOMER_READS + 20)]
    for _ in range(CUSTOMER_READS):
        assert slow.began.acquire(timeout=WAIT_S)
    for future in reversed(futures):
        future.cancel()
    assert readers.submit(lambda _: "read", 1).result(timeout=WAIT_S) == "read"
    assert not slow.began.acquire(blocking=False)


def test_reads_of_one_customer_leave_threads_for_the_others(readers: Readers) -> None:
    assert CUSTOMER_READS < READERS
    slow = Endless()
    for _ in range(READERS * 5):
        readers.submit(slow, 1)
    for _ in range(CUSTOMER_READS):
        assert slow.began.acquire(timeout=WAIT_S)
    for number in range(100):
        assert readers.submit(partial(first, number), 2).result(timeout=WAIT_S) == number
    assert not slow.began.acquire(blocking=False)


def test_customers_take_turns(readers: Readers) -> None:
    """With one thread free, reads of three customers are run in turn, not in order of arrival."""
    gates, began = [threading.Event() for _ in range(READERS)], threading.Semaphore(0)

    def wait(gate: threading.Event, _: sqlite3.Connection) -> bool:
        began.release()
        return gate.wait(WAIT_S)

    blocked = [
        readers.submit(partial(wait, gate), 8 + number // CUSTOMER_READS)
        for number, gate in enumerate(gates)
    ]
    for _ in gates:
        assert began.acquire(timeout=WAIT_S)
    order: list[int] = []

    def note(customer: int, _: sqlite3.Connection) -> None:
        order.append(customer)

    queued = [
        readers.submit(partial(note, customer), customer)
        for customer in (1, 1, 1, 2, 2, 2, 3, 3, 3)
    ]
    gates[0].set()
    for future in queued:
        future.result(timeout=WAIT_S)
    for gate in gates:
        gate.set()
    for free in blocked:
        assert free.result(timeout=WAIT_S)
    assert order == [1, 2, 3] * 3


def test_reads_beyond_the_limit_of_waiting_ones_are_refused(readers: Readers) -> None:
    slow = Endless()
    futures = [readers.submit(slow, 1) for _ in range(CUSTOMER_READS)]
    for _ in futures:
        assert slow.began.acquire(timeout=WAIT_S)
    for _ in range(WAITING_LIMIT):
        readers.submit(slow, 1)
    with pytest.raises(StoreProblem, match="waiting already"):
        readers.submit(slow, 1).result(timeout=WAIT_S)
    assert readers.submit(lambda _: "read", 2).result(timeout=WAIT_S) == "read"


def test_closing_interrupts_what_runs_and_refuses_what_waits(readers: Readers) -> None:
    slow = Endless()
    futures = [readers.submit(slow, 1) for _ in range(CUSTOMER_READS + 3)]
    for _ in range(CUSTOMER_READS):
        assert slow.began.acquire(timeout=WAIT_S)
    readers.close()
    for future in (*futures, readers.submit(slow, 2)):
        with pytest.raises(StoreProblem):
            future.result(timeout=0)


def slow_breakdowns(monkeypatch: pytest.MonkeyPatch) -> Endless:
    """Make every breakdown an endless read."""
    slow = Endless()

    def breakdown(connection: sqlite3.Connection, **_: Any) -> dict[str, Any]:
        slow(connection)
        return {}

    monkeypatch.setattr(reading, "breakdown", breakdown)
    return slow


async def begun(slow: Endless, count: int) -> None:
    for _ in range(count):
        assert await asyncio.to_thread(slow.began.acquire, timeout=WAIT_S)


async def test_a_client_that_disconnects_ends_its_read_and_others_were_not_held_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """60 slow reads of A: B reads and events are taken meanwhile; the reads end with A."""
    slow = slow_breakdowns(monkeypatch)
    async with serving() as served:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            url = served.client.make_url(USER + "analytics/breakdown")
            hung = [
                asyncio.ensure_future(client.get(url, headers=served.keys())) for _ in range(60)
            ]
            await begun(slow, CUSTOMER_READS)
            await _others_are_served(served)
            for request in hung:
                request.cancel()
            await asyncio.gather(*hung, return_exceptions=True)
        assert (await served.get("log/search"))["total_count"] == 1
        for _ in range(CUSTOMER_READS):
            assert await asyncio.to_thread(slow.ended.acquire, timeout=WAIT_S)


async def _others_are_served(served: Served) -> None:
    at = format_instant(served.now_us)
    assert (await served.ingest([event(1, log_request_datetime=at)]))["accepted"] == 1
    assert (await served.get("log/search", tenant=served.b))["total_count"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_server_while_reads_run(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = slow_breakdowns(monkeypatch)
    monkeypatch.setattr(server, "GRACE_S", 0.05)
    told: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    serving_it = asyncio.ensure_future(server.serve(server.Options(), Behaviour(), told.set_result))
    where = await told
    tenant = where["tenants"][0]
    keys = {"X-API-Public-Key": tenant["public_key"], "X-API-Private-Key": tenant["private_key"]}
    async with aiohttp.ClientSession() as client:
        url = f"{where['url']}{USER[4:]}analytics/breakdown"
        request = asyncio.ensure_future(client.get(url, headers=keys))
        await begun(slow, 1)
        os.kill(os.getpid(), number)
        await asyncio.wait_for(serving_it, WAIT_S)
        with contextlib.suppress(aiohttp.ClientError):
            await request
    assert slow.ended.acquire(timeout=WAIT_S)


_STUCK = """
import time
from trueup.reference import server
from trueup.reference.__main__ import run
from trueup.reference.api import control
server.END_S = 1.0
control.move_money = lambda *_, **__: time.sleep(600)
import sys
sys.argv[1:] = ["serve", "--json", "--control"]
sys.exit(run())
"""


def test_a_signal_ends_the_server_even_while_a_write_is_stuck(tmp_path: Path) -> None:
    """The process ends with 0 and leaves no temporary directory behind."""
    process = subprocess.Popen(
        [sys.executable, "-c", _STUCK],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        where = json.loads(process.stdout.readline() if process.stdout else b"")
        asyncio.run(_post_money(where, process))
        _, errors = process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
    assert (process.returncode, list(tmp_path.iterdir())) == (0, [])
    assert b"before all work was done" in errors


async def _post_money(where: dict[str, Any], process: subprocess.Popen[bytes]) -> None:
    body = {"customer_id": 1001, "network": "mobile", "kind": "top_up", "bytes": 1}
    async with aiohttp.ClientSession(headers={"X-Control-Key": where["control_key"]}) as client:
        request = asyncio.ensure_future(
            client.post(f"{where['control_url']}/money", json={**body, "idempotency_key": "k"})
        )
        async with client.get(f"{where['control_url']}/clock") as answer:
            assert answer.status == 200
        process.terminate()
        with contextlib.suppress(aiohttp.ClientError, asyncio.TimeoutError):
            await asyncio.wait_for(request, WAIT_S)
