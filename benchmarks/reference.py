"""Measure how fast the embedded reference takes events in and reads them, beside named limits.

    .venv/bin/python -m benchmarks.reference [--json] [--only PART …] [--seconds 2] [--logs 1000000]

Server on core 0, sender on core 1; unique events of the fleet with all fields, durable commits. By
batch size (1, 100, 1,000): events accepted a second over HTTP, beside three limits in the same run:
the store's own bulk insert of the same rows, the HTTP server with its bodies thrown away, and
PostgreSQL (COPY into a staging table, then upserts of log, summary and ledger) in a cluster of its
own that is removed afterwards. `profile` says where the time of an event goes. The parts `reads`,
`maintenance` and `kills` take minutes; name them with --only. Ratios are of one run: only those are
meaningful on a shared machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import pwd
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from trueup.reference.behaviour import Behaviour
from trueup.reference.clock import ServerClock
from trueup.reference.events import Log
from trueup.reference.store.maintenance import MaintenanceRound
from trueup.reference.store.record import insert_logs, record
from trueup.reference.store.schema import DATABASE, connect, prepare
from trueup.reference.store.store import Store
from trueup.reference.store.tenants import ensure_tenants
from trueup.reference.times import DAY_US
from trueup.scenarios.load.noise import lost_share
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.profile import load_profile

Figures = dict[str, Any]
BATCHES: Final = (1, 100, 1_000)
CONNECTIONS: Final = {1: 128, 100: 32, 1_000: 16}
"""Batch size → connections that deliver at once."""
GOAL_PER_S: Final = 250_000
POOL_EVENTS: Final = 200_000
"""Most events of one measurement: they are encoded before it starts."""
CUSTOMERS: Final = (1001, 1002)
SINK_ARGUMENT: Final = "--serve-sink"


# --- events and processes


def bodies(count: int, batch: int, *, seed: int = 7, age: timedelta = timedelta(0)) -> list[bytes]:
    """Return NDJSON bodies of `batch` events each, `count` events in all, ending about now."""
    fleet = Fleet(
        load_profile("default"),
        seed=seed,
        start=datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=count / 20_000) - age,
        customers=CUSTOMERS,
        events_per_s=20_000.0,
    )
    # The first events of a fleet cover every value once; they are not typical.
    lines = fleet.batch(8_000, count).ndjson(compact=True).splitlines(keepends=True)
    return [b"".join(lines[first : first + batch]) for first in range(0, count, batch)]


def on_core(core: int, command: Sequence[str]) -> list[str]:
    """Return the command bound to a core, if there is a second one."""
    if shutil.which("taskset") is None or len(os.sched_getaffinity(0)) < 2:
        return list(command)
    return ["taskset", "-c", str(core), *command]


@contextmanager
def sending_core() -> Iterator[None]:
    """Bind this process to the second core."""
    before = os.sched_getaffinity(0)
    if len(before) > 1:
        os.sched_setaffinity(0, {1})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def serving_core() -> Iterator[None]:
    """Bind this thread to the core that the server has in other measurements."""
    before = os.sched_getaffinity(0)
    if len(before) > 1:
        os.sched_setaffinity(0, {0})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def started(command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[bytes], Figures]]:
    """Start a server on core 0; yield it and the JSON object that it prints when it listens."""
    process = subprocess.Popen(on_core(0, command), stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        process.kill()
        process.wait()


@contextmanager
def reference(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Figures]]:
    """Start the reference with a durable store in `folder`."""
    command = (sys.executable, "-m", "trueup.reference", "serve", "--json", "--control")
    with started((*command, "--data", str(folder), *options)) as child:
        yield child


def cpu_s(pid: int) -> float:
    """Return the processor time of a process, in seconds: it varies less on a shared machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- sending


class _Sender(asyncio.Protocol):
    """One connection: sends a request as soon as the response to the last one is complete."""

    def __init__(self, requests: Iterator[bytes], until_s: float, totals: Figures) -> None:
        self._requests, self._until_s, self._totals = requests, until_s, totals
        self._buffer = b""
        self._since_s = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def _next(self) -> None:
        request = next(self._requests, None) if time.perf_counter() < self._until_s else None
        if request is None:
            self._transport.close()
            return
        self._since_s = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if not found or length is None or len(body) < int(length[1]):
            return
        accepted = re.search(rb'"accepted":(\d+)', body)
        if accepted is None or b"200" not in head[:16]:
            raise SystemExit(f"refused: {self._buffer[:300]!r}")
        self._totals["accepted"] += int(accepted[1])
        self._totals["latencies"].append(time.perf_counter() - self._since_s)
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def _send(url: str, ready: Sequence[bytes], connections: int, seconds: float) -> Figures:
    where = urllib.parse.urlsplit(url)
    assert where.hostname is not None and where.port is not None
    heads = {
        len(body): (
            f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\n"
            f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        for body in ready
    }
    totals: Figures = {"accepted": 0, "latencies": []}
    requests = (heads[len(body)] + body for body in ready)
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    senders = []
    for _ in range(connections):
        _, sender = await loop.create_connection(
            lambda: _Sender(requests, began + seconds, totals), where.hostname, where.port
        )
        senders.append(sender)
    await asyncio.gather(*(sender.done for sender in senders))
    took = time.perf_counter() - began
    ranked = sorted(totals["latencies"]) or [0.0]
    return {
        "events_per_s": round(totals["accepted"] / took),
        "events": totals["accepted"],
        "latency_ms_p50": round(statistics.median(ranked) * 1e3, 2),
        "latency_ms_p99": round(ranked[int(0.99 * (len(ranked) - 1))] * 1e3, 2),
    }


def send(url: str, ready: Sequence[bytes], batch: int, seconds: float) -> Figures:
    """Deliver bodies from core 1 for some seconds, or until there are none; return rates."""
    with sending_core():
        return asyncio.run(_send(url, ready, CONNECTIONS[batch], seconds))


def deliver(
    process: subprocess.Popen[bytes],
    where: Figures,
    ready: Sequence[bytes],
    batch: int,
    seconds: float,
) -> Figures:
    """Return the rates of `send`, and the server's processor time of an event."""
    before = cpu_s(process.pid)
    sent = send(where["ingest_url"], ready, batch, seconds)
    used = cpu_s(process.pid) - before
    return sent | {"server_cpu_us_per_event": round(used / sent["events"] * 1e6, 1)}


def pool(batch: int, seconds: float, per_s: int) -> list[bytes]:
    """Return enough bodies for the seconds at that rate, and at most POOL_EVENTS events.

    Deliveries of one event are expected at a tenth of the rate.
    """
    count = int(seconds * per_s / (10 if batch == 1 else 1)) // batch * batch
    return bodies(min(POOL_EVENTS, max(batch, count)), batch)


# --- ingestion and its limits


def ingestion(options: argparse.Namespace) -> Figures:
    """Return accepted, durable events a second over HTTP, by batch size."""
    found: Figures = {}
    for batch in BATCHES:
        ready = pool(batch, options.seconds, 70_000)
        with tempfile.TemporaryDirectory() as folder, reference(Path(folder)) as (process, where):
            found[f"batch_{batch}"] = deliver(process, where, ready, batch, options.seconds)
    return found


def http_limit(options: argparse.Namespace) -> Figures:
    """Return events a second of the same HTTP server where the bodies are thrown away."""
    found: Figures = {}
    for batch in BATCHES:
        ready = pool(batch, options.seconds, 300_000)
        with started((sys.executable, __file__, SINK_ARGUMENT)) as (process, where):
            found[f"batch_{batch}"] = deliver(process, where, ready, batch, options.seconds)
    return found


async def _serve_sink() -> None:
    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        count = body.count(b"\n")
        return web.Response(
            body=b'{"accepted":%d}' % count, content_type="application/json", status=200
        )

    app = web.Application(client_max_size=32 << 20)
    app.router.add_post("/ingest/events", take)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    print(json.dumps({"ingest_url": f"http://127.0.0.1:{port}/ingest/events"}), flush=True)
    await asyncio.Event().wait()


@contextmanager
def open_store(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open a durable store as the server's writing thread does."""
    connection = connect(folder / DATABASE, writer=True, durable=True)
    try:
        prepare(connection, folder / DATABASE)
        ensure_tenants(connection, len(CUSTOMERS), ServerClock().now_us())
        yield connection
    finally:
        connection.close()


def _timed(
    connection: sqlite3.Connection,
    ready: Sequence[bytes],
    seconds: float,
    work: Callable[[bytes], int],
) -> Figures:
    """Do one body a transaction for some seconds; return events a second and the commit's share."""
    events, committing = 0, 0.0
    began = time.perf_counter()
    for body in ready:
        connection.execute("BEGIN IMMEDIATE")
        events += work(body)
        since = time.perf_counter()
        connection.execute("COMMIT")
        committing += time.perf_counter() - since
        if time.perf_counter() - began > seconds:
            break
    took = time.perf_counter() - began
    return {
        "events_per_s": round(events / took),
        "events": events,
        "us_per_event": round(took / events * 1e6, 2),
        "commit_us_per_event": round(committing / events * 1e6, 2),
    }


def store_limit(options: argparse.Namespace) -> Figures:
    """Return events a second of the store without HTTP: rows alone, and whole deliveries."""
    found: Figures = {}
    decoder = msgspec.json.Decoder(Log)
    with serving_core():
        for batch in BATCHES:
            ready = pool(batch, options.seconds, 60_000)
            rows = {body: decoder.decode_lines(body) for body in ready}
            with tempfile.TemporaryDirectory() as folder, open_store(Path(folder)) as connection:

                def insert(
                    body: bytes, connection: sqlite3.Connection = connection, rows: Any = rows
                ) -> int:
                    insert_logs(connection, rows[body])
                    return len(rows[body])

                alone = _timed(connection, ready, options.seconds, insert)
            with tempfile.TemporaryDirectory() as folder, open_store(Path(folder)) as connection:
                whole = _timed(connection, ready, options.seconds, _recording(connection))
            found[f"batch_{batch}"] = {"rows_alone": alone, "whole_deliveries": whole}
    return found


def _recording(connection: sqlite3.Connection) -> Callable[[bytes], int]:
    behaviour, customers, clock = Behaviour(), frozenset(CUSTOMERS), ServerClock()

    def work(body: bytes) -> int:
        return record(
            connection, body, behaviour=behaviour, now_us=clock.now_us(), customers=customers
        ).accepted

    return work


def profile(options: argparse.Namespace) -> Figures:
    """Return where the time of an event goes in batches of 1,000, in µs on core 0."""
    ready = pool(1_000, options.seconds, 30_000)
    decoder = msgspec.json.Decoder(Log)
    count = sum(body.count(b"\n") for body in ready)
    with serving_core():
        began = time.perf_counter()
        decoded = [decoder.decode_lines(body) for body in ready]
        decode = (time.perf_counter() - began) / count * 1e6
        with tempfile.TemporaryDirectory() as folder, open_store(Path(folder)) as connection:
            turns = iter(decoded)

            def insert(_body: bytes) -> int:
                logs = next(turns)
                insert_logs(connection, logs)
                return len(logs)

            rows = _timed(connection, ready, 60.0, insert)
        with tempfile.TemporaryDirectory() as folder, open_store(Path(folder)) as connection:
            whole = _timed(connection, ready, 60.0, _recording(connection))
    insert_us = rows["us_per_event"] - rows["commit_us_per_event"]
    commit_us = whole["commit_us_per_event"]
    return {
        "events": count,
        "whole": whole["us_per_event"],
        "decode": round(decode, 2),
        "insert": round(insert_us, 2),
        "commit": commit_us,
        "validate_and_roll_up": round(whole["us_per_event"] - decode - insert_us - commit_us, 2),
    }


# --- PostgreSQL


def _program(name: str) -> str | None:
    """Return the newest installed program of PostgreSQL with this name."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


def _plain_user() -> str | None:
    """Return a user for PostgreSQL, which refuses to run as root; None: this one will do."""
    if os.geteuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


@contextmanager
def postgres() -> Iterator[list[str] | None]:
    """Start a cluster on core 0; yield the psql command for it, or None if there is none."""
    initdb, server, psql = (_program(name) for name in ("initdb", "postgres", "psql"))
    if initdb is None or server is None or psql is None:
        yield None
        return
    user = _plain_user()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        if user is not None:
            shutil.chown(folder, user)
        as_user: Any = {} if user is None else {"user": user, "extra_groups": []}
        quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
        command = [initdb, "-D", str(data), "-A", "trust", "-U", "bench", "--no-sync"]
        subprocess.run(command, check=True, timeout=60, **quiet, **as_user)
        command = [server, "-D", str(data), "-k", folder, "-c", "listen_addresses="]
        command += ["-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB"]
        process = subprocess.Popen(on_core(0, command), **quiet, **as_user)
        try:
            ready = [psql, "-h", folder, "-U", "bench", "-d", "postgres", "-q", "-X"]
            ready += ["-v", "ON_ERROR_STOP=1"]
            for _ in range(300):
                done = subprocess.run([*ready, "-c", "SELECT 1"], check=False, **quiet)
                if done.returncode == 0:
                    break
                time.sleep(0.1)
            yield ready
        finally:
            process.terminate()
            process.wait(timeout=30)


_NUMBERS: Final = frozenset(
    {"customer_id", "asn_id", "log_status_code", "log_local_port", "log_total_bytes"}
    | {"log_authentication_type", "log_total_elapsed_ms", "log_concurrency"}
    | {"log_handshake_elapsed_ms", "log_tunnel_elapsed_ms"}
)
_TYPES: Final = {
    "log_request_datetime": "timestamp",
    "log_id": "uuid",
    **dict.fromkeys(_NUMBERS, "bigint"),
    **dict.fromkeys(
        ("log_is_tls_enabled", "log_smartpath_enabled", "log_smartpath_routed"), "boolean"
    ),
}
_FIELDS: Final = Log.__struct_fields__
_COLUMNS: Final = ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in _FIELDS)
_TABLES: Final = f"""
DROP TABLE IF EXISTS log, summary, ledger;
CREATE TABLE log ({_COLUMNS}, PRIMARY KEY (log_id));
CREATE INDEX ON log (customer_id, log_request_datetime) INCLUDE (proxy_user_id, log_network,
    log_hostname, log_total_bytes, log_status_code, log_error_code, log_concurrency);
CREATE INDEX ON log (customer_id, proxy_user_id, log_request_datetime);
CREATE INDEX ON log (customer_id, log_hostname, log_request_datetime);
CREATE TABLE summary (customer_id bigint, proxy_user_id text, network text, hostname text, day date,
    requests bigint, successful bigint, error bigint, bytes numeric,
    PRIMARY KEY (customer_id, proxy_user_id, network, hostname, day));
CREATE TABLE ledger (customer_id bigint, network text, day date, requests bigint, bytes numeric,
    PRIMARY KEY (customer_id, network, day));
"""
_UPSERT: Final = """
WITH fresh AS (
  INSERT INTO log SELECT * FROM staging ON CONFLICT DO NOTHING RETURNING *
), summed AS (
  INSERT INTO summary
  SELECT customer_id, proxy_user_id, log_network, log_hostname, log_request_datetime::date,
    count(*), count(*) FILTER (WHERE log_error_code IS NULL AND coalesce(log_status_code, 0) < 400),
    count(*) FILTER (WHERE log_error_code IS NOT NULL OR log_status_code >= 400),
    sum(log_total_bytes)
  FROM fresh GROUP BY 1, 2, 3, 4, 5
  ON CONFLICT (customer_id, proxy_user_id, network, hostname, day) DO UPDATE SET
    requests = summary.requests + excluded.requests,
    successful = summary.successful + excluded.successful,
    error = summary.error + excluded.error, bytes = summary.bytes + excluded.bytes
)
INSERT INTO ledger
SELECT customer_id, log_network, log_request_datetime::date, count(*), -sum(log_total_bytes)
FROM fresh WHERE log_network IN ('residential', 'mobile') GROUP BY 1, 2, 3
ON CONFLICT (customer_id, network, day) DO UPDATE SET
  requests = ledger.requests + excluded.requests, bytes = ledger.bytes + excluded.bytes;
COMMIT;
"""


def _copied(value: object) -> str:
    """Return a value as COPY reads it; the fleet's texts have no tab, newline or backslash."""
    return "\\N" if value is None else str(value)


def _script(ready: Sequence[bytes]) -> bytes:
    """Return what psql reads: a transaction for each body, its rows ready for COPY."""
    decoder = msgspec.json.Decoder(Log)
    parts = [f"CREATE TEMP TABLE staging ({_COLUMNS}) ON COMMIT DELETE ROWS;\n"]
    for body in ready:
        rows = [
            "\t".join(_copied(getattr(log, name)) for name in _FIELDS)
            for log in decoder.decode_lines(body)
        ]
        lines = "\n".join(rows)
        parts.append(f"BEGIN;\nCOPY staging FROM stdin;\n{lines}\n\\.\n{_UPSERT}")
    return "".join(parts).encode()


def postgres_limit(options: argparse.Namespace) -> Figures:
    """Return events a second of PostgreSQL: COPY of ready rows, then upserts, then a commit."""
    found: Figures = {}
    with postgres() as psql:
        if psql is None:
            return {"missing": "PostgreSQL is not installed"}
        for batch in BATCHES:
            # As many as it takes at 30,000 events or 200 transactions a second.
            count = int(options.seconds * min(30_000, 200 * batch)) // batch * batch
            script = _script(bodies(count, batch))
            subprocess.run(
                [*psql, "-c", _TABLES], check=True, timeout=60, stderr=subprocess.DEVNULL
            )
            began = time.perf_counter()
            subprocess.run(
                on_core(1, psql), input=script, check=True, timeout=120, stdout=subprocess.DEVNULL
            )
            took = time.perf_counter() - began
            found[f"batch_{batch}"] = {"events_per_s": round(count / took), "events": count}
    return found


# --- reads and maintenance of a large store


_READS: Final[tuple[tuple[str, str, dict[str, str]], ...]] = (
    ("retrieve a log", "log/retrieve/{log_id}", {}),
    ("newest page", "log/search", {"sort_by": "log_request_datetime_desc"}),
    ("page of a user", "log/search", {"proxy_user_id": "{proxy_user_id}"}),
    ("page of a hostname", "log/search", {"log_hostname": "{log_hostname}"}),
    ("page of a user's errors", "log/search",
     {"proxy_user_id": "{proxy_user_id}", "min_log_status_code": "400"}),
    ("graph by hour", "analytics/graph", {"interval": "hour"}),
    ("graph by day", "analytics/graph", {"interval": "day"}),
    ("breakdown", "analytics/breakdown", {"preset": "last_7_days"}),
    ("summaries", "log_summary/search", {}),
)  # fmt: skip


def _fill(where: Figures, count: int) -> float:
    """Deliver `count` events of the last six days in batches of 1,000; return events a second."""
    sent, took = 0, 0.0
    for part in range(0, count, 100_000):
        size = min(100_000, count - part)
        ready = bodies(size, 1_000, seed=part + 11, age=timedelta(hours=144 * part / count))
        found = send(where["ingest_url"], ready, 1_000, 600.0)
        sent, took = sent + found["events"], took + found["events"] / found["events_per_s"]
    return sent / took


def _get(where: Figures, path: str, query: dict[str, str] | None = None) -> Any:
    tenant = where["tenants"][0]
    headers = {
        "X-API-Public-Key": tenant["public_key"],
        "X-API-Private-Key": tenant["private_key"],
    }
    asked = f"?{urllib.parse.urlencode(query)}" if query else ""
    url = f"{where['url']}/public/user/{path}{asked}"
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.loads(response.read())


def _latencies(where: Figures) -> dict[str, float]:
    """Return the median of five requests of each kind, in ms."""
    example = _get(where, "log/search", {"per_page": "1"})["data"][0]
    found = {}
    for name, path, query in _READS:
        filled = {key: text.format(**example) for key, text in query.items()}
        times = []
        for _ in range(5):
            since = time.perf_counter()
            _get(where, path.format(**example), filled)
            times.append(time.perf_counter() - since)
        found[name] = round(statistics.median(times) * 1e3, 1)
    return found


def reads(options: argparse.Namespace) -> Figures:
    """Return the latency of each read with 10,000 logs and with --logs, and memory, in MB."""
    with tempfile.TemporaryDirectory() as folder, reference(Path(folder)) as (process, where):
        _fill(where, 10_000)
        small = _latencies(where)
        rate = _fill(where, options.logs)
        large = _latencies(where)
        status = Path(f"/proc/{process.pid}/status").read_text()
        memory = re.search(r"VmHWM:\s+(\d+)", status)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    return {
        "logs": options.logs,
        "fill_events_per_s": round(rate),
        "ms_small": small,
        "ms_large": large,
        "memory_peak_mb": int(memory[1]) >> 10 if memory else None,
        "disk_bytes_per_log": round(size / options.logs),
    }


def maintenance(options: argparse.Namespace) -> Figures:
    """Return the longest wait of a writer while --logs logs are purged, and consolidated."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), tenants=len(CUSTOMERS), behaviour=Behaviour())
        try:
            for body in bodies(options.logs, 1_000):
                store.deliver(body).result()
            found = {}
            for name, days in (("purge", 8), ("consolidation", 84)):
                store.clock.advance(days * DAY_US)
                found[name] = _round(store)
        finally:
            store.close()
    return {"logs": options.logs} | found


def _round(store: Store) -> Figures:
    """Run a round of maintenance beside a writer; return what it did, its time and the waits."""
    waits: list[float] = []
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            since = time.perf_counter()
            store.write(lambda connection: None).result()
            waits.append(time.perf_counter() - since)
            time.sleep(0.005)

    writing = threading.Thread(target=write)
    writing.start()
    began = time.perf_counter()
    due = MaintenanceRound(behaviour=Behaviour(), now_us=store.clock.now_us())
    while (result := store.write(due.step).result()) is None:
        pass
    took = time.perf_counter() - began
    done.set()
    writing.join()
    return {
        "logs_deleted": result.logs_deleted,
        "summaries_consolidated": result.summaries_consolidated,
        "took_s": round(took, 2),
        "longest_wait_ms": round(max(waits) * 1e3, 1),
    }


# --- kills


def kills(options: argparse.Namespace) -> Figures:
    """Return what became of acknowledged events over kills in the middle of load."""
    acknowledged: set[str] = set()
    ready = bodies(50 * options.kills * 200, 50)
    ids = [[line[11:47].decode() for line in body.splitlines()] for body in ready]
    turns = iter(range(len(ready)))
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.kills):
            with reference(Path(folder)) as (process, where):
                ending = threading.Timer(options.seconds / 4, process.kill)
                ending.start()
                with ThreadPoolExecutor(8) as senders:
                    for done in senders.map(partial(_until_killed, where, ready, turns), range(8)):
                        acknowledged.update(log_id for turn in done for log_id in ids[turn])
        return {"kills": options.kills, "acknowledged": len(acknowledged)} | _reconciled(
            Path(folder), acknowledged
        )


def _until_killed(
    where: Figures, ready: Sequence[bytes], turns: Iterator[int], _sender: int
) -> list[int]:
    """Deliver bodies until the server is gone; return the turns that were acknowledged."""
    done = []
    for turn in turns:
        request = urllib.request.Request(where["ingest_url"], data=ready[turn])
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                assert json.loads(response.read())["accepted"] == 50
        except (OSError, ValueError, http.client.HTTPException):
            break
        done.append(turn)
    return done


def _reconciled(folder: Path, acknowledged: set[str]) -> Figures:
    """Return lost and doubled events of a store, and whether its sums agree."""
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as connection:
        present = [row[0] for row in connection.execute("SELECT log_id FROM log")]
        logs, summaries, ledger = (
            connection.execute(query).fetchone()
            for query in (
                "SELECT COUNT(*), SUM(log_total_bytes), SUM(CASE WHEN log_network IN "
                "('residential', 'mobile') THEN log_total_bytes END) FROM log",
                "SELECT SUM(requests), SUM(bytes_high << 32) + SUM(bytes_low) FROM summary",
                "SELECT SUM(bytes_high << 32) + SUM(bytes_low) FROM ledger WHERE reason = 'usage'",
            )
        )
    return {
        "lost": len(acknowledged - set(present)),
        "doubled": len(present) - len(set(present)),
        "sums_agree": logs[:2] == summaries and logs[2] == -ledger[0],
    }


# --- all of it


PARTS: Final[dict[str, Callable[[argparse.Namespace], Figures]]] = {
    "ingestion": ingestion,
    "store_limit": store_limit,
    "http_limit": http_limit,
    "postgres_limit": postgres_limit,
    "profile": profile,
    "reads": reads,
    "maintenance": maintenance,
    "kills": kills,
}
DEFAULT: Final = tuple(name for name in PARTS if name not in ("reads", "maintenance", "kills"))


def _ratios(found: Figures) -> Figures:
    """Return what ingestion reaches of each limit, by batch size."""
    ours = found.get("ingestion", {})
    limits: dict[str, Callable[[str], float | None]] = {
        "of_goal": lambda size: GOAL_PER_S if size == "batch_1000" else None,
        "of_store_rows": lambda size: found["store_limit"][size]["rows_alone"]["events_per_s"],
        "of_http": lambda size: found["http_limit"][size]["events_per_s"],
        "of_postgres": lambda size: found["postgres_limit"][size]["events_per_s"],
    }
    ratios: Figures = {}
    for size, figures in ours.items():
        ratios[size] = {}
        for name, limit in limits.items():
            with contextlib.suppress(KeyError):
                if (value := limit(size)) is not None:
                    ratios[size][name] = round(figures["events_per_s"] / value, 2)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(DEFAULT), metavar="PART")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    parser.add_argument("--kills", type=int, default=50, help="of the part of that name")
    parser.add_argument("--logs", type=int, default=1_000_000, help="of a large store")
    parser.add_argument(SINK_ARGUMENT, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_sink:
        asyncio.run(_serve_sink())
        return
    found: Figures = {"lost_share_before": lost_share()}
    for name in options.only:
        began = time.perf_counter()
        found[name] = PARTS[name](options)
        found[name]["wall_s"] = round(time.perf_counter() - began, 1)
        if not options.json:
            print(name, json.dumps(found[name], indent=2), flush=True)
    found["ratios"] = _ratios({name: _sizes(part) for name, part in found.items()})
    found["lost_share_after"] = lost_share()
    print(json.dumps(found if options.json else found["ratios"], indent=2))


def _sizes(part: Any) -> Figures:
    """Return the figures by batch size of a part."""
    if not isinstance(part, dict):
        return {}
    return {name: figures for name, figures in part.items() if name.startswith("batch_")}


if __name__ == "__main__":
    main()
