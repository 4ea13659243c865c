"""A target that lies on the way: a proxy before the reference that changes what is read of it."""

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
class Answer:
    """What the reference has answered, to be changed in place."""

    path: str
    """Below the prefix: `log/search`."""
    query: Mapping[str, str]
    status: int
    body: Any

    @property
    def rows(self) -> Rows:
        rows: Rows = self.body["data"]
        return rows


Lie = Callable[[Answer], None]


@contextlib.asynccontextmanager
async def lying(url: str, lie: Lie) -> AsyncIterator[str]:
    """The address of a proxy before `url` whose answers to GET pass through `lie`."""
    async with aiohttp.ClientSession() as session:

        async def passed_on(request: web.Request) -> web.Response:
            keys = {name: value for name, value in request.headers.items() if "API" in name.upper()}
            async with session.get(f"{url}{request.path_qs}", headers=keys) as found:
                path = request.path.partition("/public/user/")[2]
                answer = Answer(path, dict(request.query), found.status, await found.json())
            lie(answer)
            return web.Response(
                status=answer.status,
                body=json.dumps(answer.body).encode(),
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


def without(answer: Answer, log_ids: set[str]) -> None:
    """Leave logs out of a search, and out of its count."""
    if answer.path == "log/search" and answer.status == 200:
        kept = [row for row in answer.rows if row["log_id"] not in log_ids]
        answer.body["item_count"] -= len(answer.rows) - len(kept)
        answer.body["data"] = kept
