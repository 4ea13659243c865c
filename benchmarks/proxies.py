"""Measure the listening proxies beside no proxy, and beside Squid where it is installed.

    python benchmarks/proxies.py [--seconds 3] [--connections 16] [--tunnels 2000] [--json]

Client, origin and proxy are processes of their own, on one machine. Each row is measured for all of
them in turn, in the same run; ratios are to the direct connection of that row, so noise affects
both sides. `per CPU second` is per second of the proxy's own processor time: what one core does
when others compete for it. The origin responds with ready bytes, so that it is not the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SMALL: Final = 1000
LARGE: Final = 16 << 20
TICKS: Final = os.sysconf("SC_CLK_TCK")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


# The origin


class ReadyBytes(asyncio.Protocol):
    """Responds to `GET /N` with N bytes, and to anything else with none, as HTTP."""

    def __init__(self) -> None:
        self.arrived = b""
        self.left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.left:
            self.left -= len(data)
            if self.left <= 0:
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        self.arrived += data
        while b"\r\n\r\n" in self.arrived:
            head, _, self.arrived = self.arrived.partition(b"\r\n\r\n")
            method, target, _ = head.split(b" ", 2)
            size = int(target.rpartition(b"/")[2])
            if method == b"PUT":
                self.left, self.arrived = size - len(self.arrived), b""
                return
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            self.transport.write(bytes(size))


async def serve_ready_bytes() -> None:
    server = await asyncio.get_running_loop().create_server(ReadyBytes, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# What is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to the origin."""

    name: str
    address: tuple[str, int]
    pid: int | None
    """Of the proxy; None: no proxy."""
    login: str = ""

    def cpu_s(self) -> float:
        """Return the processor time of the proxy and its children."""
        return sum(_cpu_s(pid) for pid in _family(self.pid)) if self.pid else 0.0

    def memory(self) -> int:
        """Return the resident bytes of the proxy and its children."""
        return sum(
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
            for pid in _family(self.pid or 0)
        )


def _family(pid: int) -> list[int]:
    found = [pid]
    for known in found:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{known}/task/{known}/children").read_text()
            found.extend(map(int, text.split()))
    return found


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


@asynccontextmanager
async def opened(
    way: Way, origin: tuple[str, int], *, tunnel: bool
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to the origin, through a tunnel where there is a proxy and a tunnel is wanted."""
    reader, writer = await asyncio.open_connection(*way.address, limit=1 << 20)
    try:
        if way.pid is not None and tunnel:
            host = f"{origin[0]}:{origin[1]}"
            writer.write(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{way.login}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200" not in head[:13]:
                raise RuntimeError(f"{way.name}: {head!r}")
        yield reader, writer
    finally:
        writer.close()


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, size: int
) -> None:
    writer.write(request)
    await reader.readuntil(b"\r\n\r\n")
    left = size
    while left:
        left -= len(await reader.read(min(left, 1 << 18)))


Work = Callable[[Way, tuple[str, int], float], Coroutine[Any, Any, int]]


async def responses(way: Way, origin: tuple[str, int], until: float, size: int) -> int:
    """Return the number of responses of a size, one after the other in one tunnel."""
    count = 0
    request = b"GET /%d HTTP/1.1\r\nHost: o\r\n\r\n" % size
    async with opened(way, origin, tunnel=True) as (reader, writer):
        while time.monotonic() < until:
            await exchange(reader, writer, request, size)
            count += 1
    return count


async def kept_tunnels(way: Way, origin: tuple[str, int], until: float) -> int:
    """Return requests: small ones, one after the other in one tunnel."""
    return await responses(way, origin, until, SMALL)


async def tunnel_each(way: Way, origin: tuple[str, int], until: float) -> int:
    """Return requests: small ones, each with a connection and a tunnel of its own."""
    count = 0
    request = b"GET /%d HTTP/1.1\r\nHost: o\r\n\r\n" % SMALL
    while time.monotonic() < until:
        async with opened(way, origin, tunnel=True) as (reader, writer):
            await exchange(reader, writer, request, SMALL)
            count += 1
    return count


async def forwarded(way: Way, origin: tuple[str, int], until: float) -> int:
    """Return requests: small ones with an absolute URL, on one connection."""
    count = 0
    where = f"http://{origin[0]}:{origin[1]}" if way.pid is not None else ""
    request = f"GET {where}/{SMALL} HTTP/1.1\r\nHost: {origin[0]}:{origin[1]}\r\n{way.login}\r\n"
    async with opened(way, origin, tunnel=False) as (reader, writer):
        while time.monotonic() < until:
            await exchange(reader, writer, request.encode(), SMALL)
            count += 1
    return count


async def download(way: Way, origin: tuple[str, int], until: float) -> int:
    """Return bytes: large responses in one tunnel."""
    return await responses(way, origin, until, LARGE) * LARGE


async def upload(way: Way, origin: tuple[str, int], until: float) -> int:
    """Return bytes: large request bodies in one tunnel."""
    count, block = 0, bytes(1 << 18)
    async with opened(way, origin, tunnel=True) as (reader, writer):
        while time.monotonic() < until:
            writer.write(b"PUT /%d HTTP/1.1\r\nHost: o\r\n\r\n" % LARGE)
            for _ in range(LARGE // len(block)):
                writer.write(block)
                await writer.drain()
            await exchange(reader, writer, b"", 0)
            count += LARGE
    return count


ROWS: Final[tuple[tuple[str, Work, str, int], ...]] = (
    ("kept tunnels", kept_tunnels, "requests/s", 0),
    ("a tunnel a request", tunnel_each, "requests/s", 0),
    ("forwarded", forwarded, "requests/s", 0),
    ("download", download, "bytes/s", 2),
    ("upload", upload, "bytes/s", 2),
)
"""Name, what one connection does, unit, connections (0: as many as asked for)."""


async def measure(
    work: Work, way: Way, origin: tuple[str, int], seconds: float, connections: int
) -> dict[str, Any]:
    """Return the rate of one row and way, and the rate per second of the proxy's processor time."""
    cpu, started = way.cpu_s(), time.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(work(way, origin, started + seconds)) for _ in range(connections)
        ]
    count, elapsed = sum(task.result() for task in tasks), time.monotonic() - started
    cpu = way.cpu_s() - cpu
    return {"rate": count / elapsed, "per_cpu_s": count / cpu if cpu else None}


async def idle(way: Way, origin: tuple[str, int], tunnels: int) -> dict[str, Any]:
    """Open tunnels and leave them open; return the proxy's memory for each, and their rate."""
    before, started = way.memory(), time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(tunnels):
            await stack.enter_async_context(opened(way, origin, tunnel=True))
        elapsed = time.monotonic() - started
        used = way.memory() - before
    return {"tunnels": tunnels, "bytes_per_tunnel": used / tunnels, "per_s": tunnels / elapsed}


# The proxies


@contextmanager
def process(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as child:
        try:
            yield child
        finally:
            child.terminate()


def first_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline()


@contextmanager
def trueup(origin: tuple[str, int]) -> Iterator[Way]:
    command = (sys.executable, "-m", "trueup", "proxies", "--json", "--port", "0", "--network",
               "mobile", "--origin", f"{origin[0]}:{origin[1]}")  # fmt: skip
    with process(*command) as child:
        known = json.loads(first_line(child))
        (proxy,) = known["proxies"]
        user = next(u for u in known["users"] if u["networks"].get("mobile") == "password")
        pair = base64.b64encode(f"{user['user']}:{user['password']}".encode()).decode()
        yield Way(
            name="trueup", address=(proxy["host"], proxy["http_port"]), pid=child.pid,
            login=f"Proxy-Authorization: Basic {pair}\r\n",
        )  # fmt: skip


SQUID: Final = """
http_port 127.0.0.1:{port}
pid_filename {folder}/pid
access_log stdio:{folder}/access.log
cache_log {folder}/cache.log
cache deny all
cache_mem 0 MB
shutdown_lifetime 0 seconds
acl all_ports port 1-65535
http_access allow all_ports
"""


@contextmanager
def squid(origin: tuple[str, int]) -> Iterator[Way | None]:
    program = shutil.which("squid")
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        Path(folder).chmod(0o777)
        config = Path(folder) / "squid.conf"
        config.write_text(SQUID.format(port=port, folder=folder))
        with process(program, "-N", "-f", str(config), stderr=subprocess.DEVNULL) as child:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield Way(name="squid", address=("127.0.0.1", port), pid=child.pid)


def run(seconds: float, connections: int, tunnels: int) -> dict[str, Any]:
    """Measure every row for every way; return the figures."""
    with process(sys.executable, __file__, "--origin") as origin_process:
        origin = ("127.0.0.1", int(first_line(origin_process)))
        with trueup(origin) as ours, squid(origin) as other:
            ways = [Way(name="direct", address=origin, pid=None), ours]
            ways += [other] if other else []
            found: dict[str, Any] = {}
            for name, work, unit, few in ROWS:
                row: dict[str, Any] = {"unit": unit}
                for way in ways:
                    row[way.name] = asyncio.run(
                        measure(work, way, origin, seconds, few or connections)
                    )
                for way in ways[1:]:
                    row[way.name]["of_direct"] = row[way.name]["rate"] / row["direct"]["rate"]
                found[name] = row
            found["idle tunnels"] = {
                way.name: asyncio.run(idle(way, origin, tunnels)) for way in ways[1:]
            }
    return found


def show(found: dict[str, Any]) -> None:
    for name, row in found.items():
        if "unit" not in row:
            for way, figures in row.items():
                print(f"{name:<20} {way:<8} {figures['tunnels']:>12,} open  "
                      f"{figures['bytes_per_tunnel']:>10,.0f} bytes each  "
                      f"{figures['per_s']:>8,.0f} opened/s")  # fmt: skip
            continue
        for way in ("direct", "trueup", "squid"):
            if way in row:
                figures = row[way]
                ratio = f"{figures['of_direct']:.2f} of direct" if way != "direct" else ""
                cpu = figures["per_cpu_s"]
                per = f"{cpu:>16,.0f} per CPU second" if cpu else ""
                print(f"{name:<20} {way:<8} {figures['rate']:>16,.0f} {row['unit']:<11}"
                      f"{ratio:<16}{per}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--tunnels", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--origin", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.origin:
        asyncio.run(serve_ready_bytes())
        return
    found = run(given.seconds, given.connections, given.tunnels)
    if given.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
