"""What operators ask a running server: whether it works, its metrics, its interface. No keys."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Final

from aiohttp import web

from trueup.reference.api import metrics
from trueup.reference.api.context import Context
from trueup.reference.errors import StoreProblem

__all__ = ["HEALTH_S", "health", "show_metrics"]

HEALTH_S: Final = 5.0
"""How long the store may take to respond to a read, in seconds."""


async def health(context: Context, _request: web.Request) -> web.Response:
    """Return 200 where the store can be read, else 503 with the reason."""
    problem = "shutting down" if context.closing else await _store_problem(context)
    if problem is not None:
        return web.json_response({"status": "unavailable", "reason": problem}, status=503)
    return web.json_response({"status": "ok"})


async def _store_problem(context: Context) -> str | None:
    def job(connection: sqlite3.Connection) -> None:
        connection.execute("SELECT COUNT(*) FROM tenant").fetchone()

    try:
        async with asyncio.timeout(HEALTH_S):
            await asyncio.wrap_future(context.store.read(job, view="health", customer_id=0))
    except TimeoutError:
        return f"the store did not respond within {HEALTH_S:.0f} s"
    except StoreProblem as problem:
        return str(problem)
    return None


async def show_metrics(context: Context, _request: web.Request) -> web.Response:
    """Return the metrics in the exposition format of Prometheus."""
    text = metrics.render(context).encode()
    return web.Response(body=text, headers={"Content-Type": metrics.CONTENT_TYPE})
