"""A proxy in front of the reference that changes its responses."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

Rows = list[dict[str, Any]]


@dataclass
class RecordedBody:
    """A response of the reference, to be changed in place."""

    path: str
    """Below the prefix: `log/search`."""
    query: Mapping[str, str]
    status: int
    body: Any

    @property
    def rows(self) -> Rows:
        rows: Rows = self.body["data"]
        return rows


Change = Callable[[RecordedBody], None]


@contextlib.asynccontextmanager
async def running_faulty_proxy(url: str, change: Change) -> AsyncIterator[str]:
    """Run a proxy in front of `url` that applies `change` to responses to GET; return its URL."""
    async with aiohttp.ClientSession() as session:

        async def passed_on(request: web.Request) -> web.Response:
            keys = {name: value for name, value in request.headers.items() if "API" in name.upper()}
            async with session.get(f"{url}{request.path_qs}", headers=keys) as found:
                path = request.path.partition("/public/user/")[2]
                response = RecordedBody(path, dict(request.query), found.status, await found.json())
            change(response)
            return web.Response(
                status=response.status,
                body=json.dumps(response.body).encode(),
                content_type="application/json",
            )

        app = web.Application()
        app.router.add_get("/{tail:.*}", passed_on)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def without(response: RecordedBody, log_ids: set[str]) -> None:
    """Remove logs from a search and from its count."""
    if response.path == "log/search" and response.status == 200:
        kept = [row for row in response.rows if row["log_id"] not in log_ids]
        response.body["item_count"] -= len(response.rows) - len(kept)
        response.body["data"] = kept
