"""How often a whole `trueup load` asks a target's API, whose limit is 10 requests a second."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from trueup.reports.journal.records import Exchange
from trueup.reports.journal.storage import read_journal

pytestmark = pytest.mark.slow

LIMIT_PER_S = 10
TARGET = """
name = "limited"
base_url = "http://127.0.0.1:{port}/1.0"
[tenants.a]
public_key = {{ env = "LIMITED_KEY" }}
private_key = {{ env = "LIMITED_KEY" }}
customer_id = 1
[ingest]
via = "http"
url = "http://127.0.0.1:{port}/ingest"
[readings]
freshness-s = 1
"""


@contextmanager
def limited_api() -> Iterator[tuple[int, list[float]]]:
    """A stub that accepts every event and never shows one; yields its port and times of reads."""
    reads: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            reads.append(time.monotonic())
            self.reply(b'{"data": [], "total_count": 0, "page": 1, "per_page": 100}')

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.reply(b"{}")

        def reply(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port, reads
        finally:
            server.shutdown()
            thread.join()


def ahead_of(per_s: float, times: list[float]) -> float:
    """Return by how many requests they were ahead of a rate at most, between any two of them."""
    ahead, most = 0.0, 0.0
    for earlier, later in pairwise(sorted(times)):
        ahead = max(0.0, ahead + 1 - per_s * (later - earlier))
        most = max(most, ahead)
    return most


def test_requests_at_twice_the_rate_are_ahead_of_it() -> None:
    assert ahead_of(10, [n / 10 for n in range(100)]) < 1
    assert ahead_of(10, [n / 20 for n in range(60)]) > 20
    assert ahead_of(10, [*range(20), *(20 + n / 20 for n in range(60))]) > 20


def test_a_whole_load_keeps_the_documented_limit_of_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Preflight, probe and reconciliation together stay within 10 requests a second, and every
    one of them is in the journal. The probe polls all the time: nothing ever shows."""
    monkeypatch.setenv("LIMITED_KEY", "a-key-that-is-none")
    path = tmp_path / "target.toml"
    with limited_api() as (port, reads):
        path.write_text(TARGET.format(port=port))
        command = [sys.executable, "-m", "trueup", "load", "steady", "--duration", "2", "--quiet"]
        command += ["--rate", "2", "--target", str(path), "--runs", str(tmp_path / "runs")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr  # accepted events are in no view
    exchanges = [
        one
        for one in read_journal(tmp_path / "runs" / "latest").records
        if isinstance(one, Exchange)
    ]
    assert len(exchanges) == len(reads)
    assert sum(one.stage == "traffic freshness" for one in exchanges) > 20
    assert ahead_of(LIMIT_PER_S, reads) <= LIMIT_PER_S  # on a busy machine some arrive late
