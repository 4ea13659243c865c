"""One request counted in seven places: client, proxy, origin, log, summary, ledger, account.

curl and aiohttp send requests through the proxies of a `trueup proxies` process, which reports to
the embedded reference. A relay between client and proxy, which knows nothing of either, counts what
the client sent and received; the origin counts its side; the reference is read over HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.proxies.fleet import basic
from tests.proxies.servers import TIMEOUT_S, get, running_origin
from trueup.scenarios.embedded.process import EmbeddedReference, embedded_reference
from trueup.scenarios.embedded.target import key_environment, target_file
from trueup.simulator.origin import OriginConnection
from trueup.simulator.proxies import FleetUser

pytestmark = pytest.mark.slow
NETWORKS = ("datacenter", "isp", "residential", "mobile")


@dataclass(slots=True)
class Relayed:
    """What one connection of a client sent and received."""

    up: bytearray
    down: bytearray

    @property
    def total(self) -> int:
        return len(self.up) + len(self.down)

    @property
    def after_handshake(self) -> tuple[int, int]:
        """Return the bytes up and down after the handshake of CONNECT or SOCKS5."""
        up, down = bytes(self.up), bytes(self.down)
        if up[0] == 5:
            at = 2 + up[1]
            at += 2 + up[at + 1]
            at += 1 + up[at]
            return len(up) - (at + 7 + up[at + 4]), len(down) - 14
        if up.startswith(b"CONNECT "):
            return tuple(len(part.partition(b"\r\n\r\n")[2]) for part in (up, down))  # type: ignore[return-value]  # two
        return len(up), len(down)


@asynccontextmanager
async def counting_relay(
    host: str, port: int, *, source: str | None = None
) -> AsyncIterator[tuple[int, list[Relayed]]]:
    """Relay connections to an address, from an address of the loopback if given.

    Yields the port and what each connection counted; ends when all of them have.
    """
    relayed: list[Relayed] = []
    ended = asyncio.Semaphore(0)

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: bytearray
    ) -> None:
        """Relay and count to the end, also what a side that has ended does not read."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                counted += data
                with contextlib.suppress(ConnectionError):
                    writer.write(data)
                    await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = Relayed(bytearray(), bytearray())
        relayed.append(mine)
        theirs, ours = await asyncio.open_connection(
            host, port, local_addr=(source, 0) if source else None
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, ours, mine.up))
            group.create_task(pump(theirs, writer, mine.down))
        for each in (ours, writer):
            each.close()
        ended.release()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], relayed
        async with asyncio.timeout(TIMEOUT_S):
            for _ in relayed:
                await ended.acquire()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """A `trueup proxies` process, and what it said of itself."""

    child: subprocess.Popen[bytes]
    told: dict[str, Any]

    def choose(self, network: str) -> tuple[dict[str, Any], FleetUser]:
        """Return a proxy and a user of a network who authenticates by password."""
        for proxy in self.told["proxies"]:
            if proxy["network"] != network:
                continue
            for user in self.told["users"]:
                ours = proxy["customer_id"] in (None, user["customer_id"])
                if ours and user["networks"].get(network) == "password":
                    return proxy, FleetUser(
                        customer_id=user["customer_id"], name=user["user"],
                        password=user["password"], addresses=(), memberships={},
                    )  # fmt: skip
        raise AssertionError(network)


@contextmanager
def proxies(reference: EmbeddedReference, folder: Path, *options: str) -> Iterator[Proxies]:
    """Start `trueup proxies` on free ports, with the reference as its target."""
    target = folder / "target.toml"
    target.write_text(target_file(reference.serving, requests=1000))
    command = [sys.executable, "-m", "trueup", "proxies", "--json", "--port", "0", "--proxies", "1",
               "--target", str(target), "--spool", str(folder / "spool"), *options]  # fmt: skip
    environment = {**os.environ, **key_environment(reference.serving)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        try:
            yield Proxies(child=child, told=json.loads(child.stdout.readline()))
        finally:
            if child.poll() is None:
                child.kill()


def stop(running: Proxies) -> None:
    """End the proxies as Ctrl-C does; what they know is then delivered."""
    running.child.send_signal(signal.SIGINT)
    assert running.child.wait(TIMEOUT_S) == 0


def read_all(reference: EmbeddedReference, customer_id: int, search: str) -> list[dict[str, Any]]:
    """Return the rows of all pages of a search."""
    rows: list[dict[str, Any]] = []
    mark = "&" if "?" in search else "?"
    for page in itertools.count(1):
        found = read(reference, customer_id, f"{search}{mark}per_page=100&page={page}")
        if not found:
            break
        rows += found
    return rows


def read(reference: EmbeddedReference, customer_id: int, resource: str) -> Any:
    tenant = next(t for t in reference.serving.tenants if t.customer_id == customer_id)
    request = urllib.request.Request(
        f"{reference.serving.url}/public/user/{resource}",
        headers={"X-API-Public-Key": tenant.public_key, "X-API-Private-Key": tenant.private_key},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)["data"]


async def curl(*arguments: str) -> int:
    """Run curl; returns its exit status."""
    child = await asyncio.create_subprocess_exec(
        "curl", "--silent", "--output", os.devnull, "--noproxy", "", *arguments
    )
    async with asyncio.timeout(TIMEOUT_S):
        return await child.wait()


async def send_one(kind: str, url: str, proxy: str, user: FleetUser, authority: Path) -> None:
    """Make one request through a proxy, as a client that people use makes it."""
    pair = f"{user.name}:{user.password}"
    trust = ("--cacert", str(authority))
    secure = f"https://{url}/bytes/54321"
    match kind:
        case "curl-forward":
            assert await curl("-x", f"http://{pair}@{proxy}", f"http://{url}/bytes/4321") == 0
        case "curl-connect":
            assert await curl("-x", f"http://{pair}@{proxy}", *trust, secure) == 0
        case "curl-socks":
            assert await curl("-x", f"socks5h://{pair}@{proxy}", *trust, secure) == 0
        case "curl-upload":
            body = ("--data-binary", f"@{__file__}")
            assert await curl("-x", f"http://{pair}@{proxy}", "-p", *body, f"{url}/upload") == 0
        case "curl-cut":
            cut = f"http://{url}/bytes/5000?cut=99&end=reset"
            assert await curl("-x", f"http://{pair}@{proxy}", "-p", cut) != 0
        case "aiohttp-connect":
            context = ssl.create_default_context(cafile=str(authority))
            name, _, value = basic(user).strip().partition(": ")
            async with (
                aiohttp.ClientSession() as session,
                session.post(
                    f"https://{url}/upload", data=b"u" * 200_000, proxy=f"http://{proxy}",
                    proxy_headers={name: value}, ssl=context,
                ) as response,
            ):  # fmt: skip
                assert await response.json() == {"received": 200_000}
        case _:
            raise AssertionError(kind)


KINDS = (
    *("curl-forward", "curl-connect", "curl-socks", "curl-upload", "curl-cut"),
    "aiohttp-connect",
)


def host_of(record: OriginConnection) -> str:
    return record.requests[0].host.partition(":")[0]


async def test_seven_places_tie_out_on_every_network(tmp_path: Path) -> None:
    """Each request has a hostname of its own, by which all places are compared."""
    sent: dict[str, Relayed] = {}
    customers: dict[str, int] = {}
    authority = tmp_path / "ca.pem"
    with embedded_reference() as reference:
        async with running_origin(tls=True) as (origin, recorded):
            assert origin.authority is not None
            origin.authority.write(authority)
            options = ("--origin", f"127.0.0.1:{origin.port}", "--tls-origin",
                       f"127.0.0.1:{origin.tls_port}")  # fmt: skip
            with proxies(reference, tmp_path, *options) as running:
                for network in NETWORKS:
                    proxy, user = running.choose(network)
                    customers[network] = user.customer_id
                    for kind in KINDS:
                        hostname = f"{kind}.{network}.example"
                        async with counting_relay(proxy["host"], proxy["http_port"]) as tap:
                            await send_one(kind, hostname, f"127.0.0.1:{tap[0]}", user, authority)
                        (sent[hostname],) = tap[1]
                records = await recorded.count(len(sent))
                await asyncio.to_thread(stop, running)
        assert len(sent) == 24
        # Client and origin, by hostname; then log, summary, ledger and account, by network.
        at_origin = {host_of(record): record for record in records}
        for network, customer_id in customers.items():
            logs = read(reference, customer_id, f"log/search?log_network={network}")
            by_host = {row["log_hostname"]: row["log_total_bytes"] for row in logs}
            here = {name: relayed for name, relayed in sent.items() if f".{network}." in name}
            assert by_host.keys() == here.keys()
            assert len(logs) == len(here)
            for hostname, relayed in here.items():
                up, down = relayed.after_handshake
                assert by_host[hostname] == up + down, hostname
                if "forward" not in hostname:
                    record = at_origin[hostname]
                    assert (record.received_bytes, record.sent_bytes) == (up, down), hostname
            total = sum(by_host.values())
            summaries = read(reference, customer_id, "log_summary/search")
            rows = [row for row in summaries if row["log_summary_network"] == network]
            assert sum(row["log_summary_bytes"] for row in rows) == total
            assert {
                row["log_summary_hostname"]: row["log_summary_bytes"] for row in rows
            } == by_host
            if network in ("residential", "mobile"):
                ledger = read(reference, customer_id, f"{network}_ledger/search")
                used = [row for row in ledger if row[f"{network}_ledger_reason"] == "usage"]
                assert sum(row[f"{network}_ledger_bytes"] for row in used) == -total
                account = read(reference, customer_id, f"{network}/summary")
                assert account[f"{network}_bytes_used"] == total


def test_the_requests_of_a_fleet_tie_out_with_failures_and_cuts(tmp_path: Path) -> None:
    """`--requests` compares client, proxy and origin; the reference's summaries are the fourth."""
    options = ("--requests", "400", "--behaviour", "fleet", "--delay-factor", "0.01",
               "--connections", "32", "--bytes-max", "50000", "--seed", "5")  # fmt: skip
    with embedded_reference() as reference, proxies(reference, tmp_path, *options) as running:
        assert running.child.stdout is not None
        rows = json.loads(running.child.stdout.readline())
        assert running.child.wait(TIMEOUT_S) == 0
        summed = dict.fromkeys(NETWORKS, 0)
        counted = dict.fromkeys(NETWORKS, 0)
        for tenant in reference.serving.tenants:
            for network in NETWORKS:
                path = f"log_summary/search?log_summary_network={network}"
                found = read_all(reference, tenant.customer_id, path)
                summed[network] += sum(row["log_summary_bytes"] for row in found)
                counted[network] += sum(row["log_summary_requests"] for row in found)
    assert sum(row["proxy_requests"] for row in rows) == 400
    for row in rows:
        assert row["client_bytes"] == row["proxy_bytes"] == summed[row["network"]]
        assert row["client_requests"] == row["proxy_requests"] == counted[row["network"]]
        assert row["different"] == 0
        assert abs(row["origin_bytes"] - row["proxy_origin_bytes"]) <= row["cut_bytes"]


async def test_a_killed_proxy_loses_no_more_than_it_says(tmp_path: Path) -> None:
    """One tunnel has ended, one is open: the first is logged in full, the second up to the last
    checkpoint, and the next process names it.
    """
    with embedded_reference() as reference:
        async with running_origin() as (origin, _):
            options = ("--origin", f"127.0.0.1:{origin.port}", "--checkpoint-s", "0.05")
            with proxies(reference, tmp_path, *options) as running:
                proxy, user = running.choose("residential")
                sizes = {}
                writers = []
                for hostname, close in (("ended.example", True), ("open.example", False)):
                    reader, writer = await asyncio.open_connection(
                        proxy["host"], proxy["http_port"]
                    )
                    writers.append(writer)
                    start = f"CONNECT {hostname}:80 HTTP/1.1\r\nHost: a\r\n"
                    writer.write(f"{start}{basic(user)}\r\n".encode())
                    await reader.readuntil(b"\r\n\r\n")
                    request = get("/bytes/30000", close=close)
                    writer.write(request)
                    head = await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(30_000)
                    sizes[hostname] = len(request) + len(head) + 30_000
                    if close:
                        writer.close()
                await until_checkpoint(tmp_path / "spool", sizes["open.example"])
                running.child.kill()
                for writer in writers:
                    writer.close()
            with proxies(reference, tmp_path, *options) as again:
                await asyncio.to_thread(stop, again)
        logs = read(reference, user.customer_id, "log/search")
    found = {row["log_hostname"]: row for row in logs}
    assert {name: row["log_total_bytes"] for name, row in found.items()} == sizes
    assert found["ended.example"]["log_error_code"] is None
    assert found["open.example"]["log_error_code"] == "connection_terminated"


@dataclass(slots=True)
class Sent:
    """One request of a client: its bytes after the handshake, and whether it got everything."""

    total: int = 0
    complete: bool = False


async def small_request(proxy: dict[str, Any], user: FleetUser, hostname: str, sent: Sent) -> None:
    """Send one request through a tunnel, piece by piece; a proxy that is killed breaks it off."""
    try:
        reader, writer = await asyncio.open_connection(proxy["host"], proxy["http_port"])
    except OSError:
        return
    try:
        start = f"CONNECT {hostname}:80 HTTP/1.1\r\nHost: a\r\n"
        writer.write(f"{start}{basic(user)}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        request = get("/bytes/4000?piece=1000&pause_ms=4")
        writer.write(request)
        sent.total += len(request)
        while data := await reader.read(65536):
            sent.total += len(data)
        sent.complete = sent.total > 4000
    except (OSError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()


async def test_two_kills_under_traffic_lose_only_requests_that_are_named(tmp_path: Path) -> None:
    """Clients go on while the proxies are killed twice. Every request that the proxies began is
    logged once; only those that the next process names have fewer bytes than the client counted.
    """
    sent: dict[str, Sent] = {}
    with embedded_reference() as reference:
        async with running_origin() as (origin, _):
            options = ("--origin", f"127.0.0.1:{origin.port}", "--checkpoint-s", "0.05")
            named: set[str] = set()
            for round_number in range(3):
                with proxies(reference, tmp_path, *options) as running:
                    proxy, user = running.choose("residential")

                    under_way = asyncio.Event()

                    async def work(
                        worker: int,
                        number: int = round_number,
                        proxy: dict[str, Any] = proxy,
                        user: FleetUser = user,
                        running: Proxies = running,
                        under_way: asyncio.Event = under_way,
                    ) -> None:
                        for count in range(15):
                            hostname = f"r{number}-{worker}-{count}.example"
                            sent[hostname] = Sent()
                            await small_request(proxy, user, hostname, sent[hostname])
                            if sent[hostname].complete:
                                under_way.set()
                            elif running.child.poll() is not None:
                                return

                    async with asyncio.TaskGroup() as group:
                        for worker in range(8):
                            group.create_task(work(worker))
                        if round_number < 2:
                            async with asyncio.timeout(TIMEOUT_S):
                                await under_way.wait()
                            running.child.kill()
                    if round_number == 2:
                        await asyncio.to_thread(stop, running)
                named |= set(running.told["recovered"])
        logs = read_all(reference, user.customer_id, "log/search")
    by_host = {row["log_hostname"]: row for row in logs}
    assert len(by_host) == len(logs)
    assert {name for name, one in sent.items() if one.complete} <= by_host.keys() <= sent.keys()
    for hostname, row in by_host.items():
        if row["log_id"] in named:
            assert row["log_error_code"] == "connection_terminated"
            assert row["log_total_bytes"] <= sent[hostname].total
        else:
            assert row["log_total_bytes"] == sent[hostname].total
    broken = [name for name, row in by_host.items() if row["log_id"] in named]
    assert 0 < len(broken) <= 16


async def test_usage_waits_for_a_target_that_is_down(tmp_path: Path) -> None:
    """Ctrl-C ends the proxies in time, says what waits, and the next process delivers it."""
    data = tmp_path / "reference"
    async with running_origin() as (origin, _):
        options = ("--origin", f"127.0.0.1:{origin.port}")
        with (
            embedded_reference(data=data) as reference,
            proxies(reference, tmp_path, *options) as running,
        ):
            reference.stop()
            proxy, user = running.choose("mobile")
            address = f"{proxy['host']}:{proxy['http_port']}"
            await send_one("curl-forward", "late.example", address, user, tmp_path)
            running.child.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(running.child.wait, TIMEOUT_S) == 2
        with embedded_reference(data=data) as reference:
            with proxies(reference, tmp_path, *options) as again:
                await asyncio.to_thread(stop, again)
            (row,) = read(reference, user.customer_id, "log/search")
    assert row["log_hostname"] == "late.example"


async def until_checkpoint(spool: Path, size: int) -> None:
    """Wait until the spool has a checkpoint with so many bytes."""

    def has_it() -> bool:
        return any(f'"bytes":{size}' in path.read_text() for path in spool.glob("*.ndjson"))

    async with asyncio.timeout(TIMEOUT_S):
        while not await asyncio.to_thread(has_it):  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(0.02)
