"""Health, metrics and the log of a running reference."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterable, Iterator

import pytest

from tests.reference.served import Served, event, serving
from trueup.reference.api import log, operations
from trueup.reference.store.store import Store
from trueup.reference.times import format_instant

WAIT_S = 30


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as running:
        yield running


async def health(served: Served) -> tuple[int, dict[str, str]]:
    async with served.client.get("/health") as answer:
        return answer.status, await answer.json()


async def metrics(served: Served) -> dict[str, float]:
    async with served.client.get("/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = await answer.text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert text.endswith("\n")
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


async def test_health_needs_no_key_and_reads_the_store(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await health(served) == (200, {"status": "ok"})
    monkeypatch.setattr(operations, "HEALTH_S", 0.0)
    status, body = await health(served)
    assert (status, body["status"]) == (503, "unavailable")
    assert "did not respond" in body["reason"]
    served.context.closing = True
    assert (await health(served))[1]["reason"] == "shutting down"


async def test_a_store_that_cannot_be_read_is_not_healthy(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Store, job: object, view: str, connection: object) -> None:
        connection.execute("SELECT * FROM no_such_table")  # type: ignore[attr-defined]

    monkeypatch.setattr(Store, "_read", broken)
    status, body = await health(served)
    assert status == 503 and "could not be read" in body["reason"]


async def test_metrics_count_requests_events_and_what_is_held(served: Served) -> None:
    sent = event(1, log_request_datetime=format_instant(served.now_us))
    await served.ingest([sent, sent, {}])
    await served.get("customer/retrieve")
    await served.ask("customer/retrieve", headers={})
    await served.ask("no/such/thing")
    found = await metrics(served)
    requests = "trueup_reference_requests_total"
    customer = 'route="/1.0/public/user/customer/retrieve"'
    assert found[f'{requests}{{method="GET",{customer},status="200"}}'] == 1
    assert found[f'{requests}{{method="GET",{customer},status="401"}}'] == 1
    assert found[f'{requests}{{method="",route="",status="404"}}'] == 1
    assert found[f"trueup_reference_request_seconds_total{{{customer}}}"] > 0
    events = {name: found[f'trueup_reference_events_total{{result="{name}"}}'] for name in
              ("accepted", "duplicates", "refused")}  # fmt: skip
    assert events == {"accepted": 2, "duplicates": 1, "refused": 1}
    assert found["trueup_reference_body_bytes"] == 0
    assert found['trueup_reference_reads{state="waiting"}'] == 0
    assert found["trueup_reference_resident_memory_bytes"] > 1e6


async def test_ids_and_unknown_paths_do_not_make_new_series(served: Served) -> None:
    await served.ask("log/retrieve/x")
    before = set(await metrics(served))
    before = set(await metrics(served))
    for number in range(20):
        await served.ask(f"log/retrieve/{number}")
        await served.ask(f"nothing/{number}", method="DELETE")
    added = set(await metrics(served)) - before
    assert {name for name in added if 'status="404"' not in name} <= {
        'trueup_reference_request_seconds_total{route=""}'
    }
    assert len(added) <= 2


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged, while the configuration of the test run is put aside."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    aiohttp_level = logging.getLogger("aiohttp.server").level
    written = io.StringIO()
    log.configure(written)
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("aiohttp.server").setLevel(aiohttp_level)


def test_a_record_is_a_line_of_json_with_a_bounded_traceback(stream: io.StringIO) -> None:
    try:
        raise ValueError("x" * 100_000)
    except ValueError:
        logging.getLogger("here").exception("it failed:\n%s", "y" * 100_000)
    (text,) = stream.getvalue().splitlines()
    line = json.loads(text)
    assert (line["level"], line["logger"]) == ("error", "here")
    assert line["message"].startswith("it failed:\ny")
    assert line["time"][10] == "T" and line["time"].endswith("Z")
    assert len(text) < 10_000


def test_repeated_records_are_counted_and_not_written() -> None:
    now_s = [0.0]
    limit = log.RepeatLimit(lambda: now_s[0])

    def passes(message: str, number: int) -> bool:
        record = logging.LogRecord("x", logging.ERROR, "", 0, message, (number,), None)
        if limit.filter(record):
            left_out.append(record.left_out)  # type: ignore[attr-defined]
            return True
        return False

    left_out: list[int] = []
    assert sum(passes("failed: %d", number) for number in range(1000)) == log.BURST
    assert passes("another: %d", 1)
    now_s[0] = log.WINDOW_S
    assert passes("failed: %d", 1)
    assert left_out == [0] * (log.BURST + 1) + [1000 - log.BURST]


def test_records_that_differ_in_numbers_are_repeated_and_all_kinds_together_are_bounded() -> None:
    limit = log.RepeatLimit(lambda: 0.0)

    def passed(messages: Iterable[str]) -> int:
        records = (logging.LogRecord("x", 40, "", 0, message, (), None) for message in messages)
        return sum(map(limit.filter, records))

    assert passed(f"callback {n} at {n:#x} failed" for n in range(1000)) == log.BURST
    words = [chr(97 + n % 26) * (n + 1) for n in range(3 * log.TOTAL_BURST)]
    assert passed(words) == log.TOTAL_BURST - log.BURST
    assert len(limit._kinds) <= log.TOTAL_BURST


_FEW_DESCRIPTORS = """
import resource, sys
from trueup.reference.api import connections
from trueup.reference.__main__ import run
connections.CONNECTION_LIMIT, connections._RESERVED = 10**6, -(10**6)
resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))
sys.argv[1:] = ["serve", "--json"]
sys.exit(run())
"""


@pytest.mark.slow
def test_without_descriptors_the_log_stays_small_and_the_server_recovers() -> None:
    """The limit of connections is put aside, so that accepting fails for a while."""
    process = subprocess.Popen(
        [sys.executable, "-c", _FEW_DESCRIPTORS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        url = json.loads(process.stdout.readline())["url"].removesuffix("/1.0")
        port = int(url.rpartition(":")[2])
        clients = [socket.create_connection(("127.0.0.1", port), WAIT_S) for _ in range(200)]
        first = process.stderr.readline()
        assert "out of system resource" in json.loads(first)["message"]
        for client in clients:
            client.close()
        with urllib.request.urlopen(f"{url}/health", timeout=WAIT_S) as answer:
            assert json.loads(answer.read()) == {"status": "ok"}
        process.terminate()
        _, rest = process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
        process.wait(WAIT_S)
    assert process.returncode == 0
    assert len(rest.splitlines()) < 4 * log.BURST
