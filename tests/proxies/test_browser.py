"""A browser that people use, through a gateway: every byte of a page ties out."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.proxies.fleet import running_fleet
from tests.proxies.servers import TIMEOUT_S, running_origin
from tests.proxies.test_tie_out import counting_relay
from trueup.simulator.proxies import Authentication

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: make tools"),
]
RESOURCES = 30


async def test_a_page_of_thirty_resources_ties_out(tmp_path: Path) -> None:
    """The browser's connections go through a relay that counts them and connects from the user's
    own address, because a browser cannot be given credentials on its command line.
    """
    async with running_origin() as (origin, recorded), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("mobile", Authentication.ADDRESS)
        source = user.addresses[0]
        async with counting_relay(proxy.host, proxy.http_port, source=source) as (port, relayed):
            assert CHROMIUM is not None
            browser = await asyncio.create_subprocess_exec(
                CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                f"--user-data-dir={tmp_path}", f"--proxy-server=http://127.0.0.1:{port}",
                "--proxy-bypass-list=<-loopback>", "--disable-background-networking",
                f"http://page.example/page/{RESOURCES}",
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            async with asyncio.timeout(3 * TIMEOUT_S):
                page, _ = await browser.communicate()
            assert page.count(b"<img") == RESOURCES
        await fleet.usage.until(lambda: fleet.server.server.open == 0)
        at_origin = [
            request
            for record in recorded.ended
            for request in record.requests
            if request.host == "page.example"
        ]
    targets = {request.target.partition("?")[0] for request in at_origin}
    assert {f"/bytes/{1000 * n}" for n in range(1, RESOURCES + 1)} <= targets
    # Everything that the browser sent and received is in the usage of its requests.
    total = sum(each.total for each in relayed)
    both = sum(request.counts().up + request.counts().down for request in fleet.usage.requests)
    handshakes = sum(
        request.counts().handshake_up + request.counts().handshake_down
        for request in fleet.usage.requests
    )
    assert both + handshakes == total
    assert sum(int(str(event["log_total_bytes"])) for event in fleet.usage.events) == both
