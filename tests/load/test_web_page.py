"""Locust's own web page while a load run lasts: to look at, in a real browser, and to stop by."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.load.sink import Sink, serving
from tests.load.test_locust import ids, job, planned
from trueup.reports.results import Outcome
from trueup.scenarios.load.job import Locust
from trueup.scenarios.load.run import run_load

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def asked(port: int, path: str, method: str = "GET") -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", method=method)

    def get() -> bytes:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())

    return await asyncio.to_thread(get)


async def counted(port: int) -> int:
    """Requests on the page's table, once there are any."""
    async with asyncio.timeout(40):
        while True:
            try:
                stats = json.loads(await asked(port, "stats/requests"))
            except OSError:
                stats = {"stats": []}
            rows = {row["name"]: row["num_requests"] for row in stats["stats"]}
            if rows.get("ingest"):
                return int(rows["ingest"])
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Any]:
    """A load run of a minute with its page: gives its task, the page's port, sink and fleet."""
    plan, fleet = planned(duration_s=60)
    sink, port = Sink(), free_port()
    with serving(sink.handle) as target:
        task = asyncio.ensure_future(
            run_load(job(plan, fleet, target, folder, locust=Locust(web_port=port)))
        )
        yield task, port, sink, fleet


async def test_stopping_from_the_web_page_ends_a_run_that_still_reconciles(
    tmp_path: Path,
) -> None:
    """The button's own request; what was sent is settled, and the run says why it is short."""
    async with running(tmp_path) as (task, port, sink, fleet):
        assert await counted(port) > 0
        await asked(port, "stop", "POST")
        async with asyncio.timeout(40):
            result, ranges = await task
    assert ids(fleet, ranges) == set(sink.stored)
    assert not ids(fleet, ranges, Outcome.UNKNOWN)
    assert result.timeline.stopped_by == "interrupted"
    assert result.timeline.ended_s is not None
    assert result.timeline.ended_s < 40


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: make tools")
async def test_a_browser_shows_the_running_load(tmp_path: Path) -> None:
    """The page's table has our requests, and its head the target that they go to."""
    async with running(tmp_path) as (task, port, _, _):
        await counted(port)
        dom = await shown(f"http://127.0.0.1:{port}/", tmp_path)
        await asked(port, "stop", "POST")
        await task
    assert "ingest</td>" in dom
    assert "http://127.0.0.1:" in dom


async def shown(url: str, folder: Path) -> str:
    """The document as the browser has it after its scripts ran."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={folder / 'browser'}",
        "--virtual-time-budget=4000",
        "--dump-dom",
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return out.decode()
