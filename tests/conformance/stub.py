"""A server that treats every request alike, and a target of which no more is said."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from trueup.conformance.target.model import Budget, Target, Tenant

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


@asynccontextmanager
async def served_by(handler: Handler) -> AsyncIterator[str]:
    """Start a server with one handler for every request; gives its base URL, which ends in /1.0."""
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{rest:.*}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("/1.0"))


def bare_target(url: str, *, requests: int = 50, **more: Any) -> Target:
    """A target with one account and neither claims nor hooks, asked without pauses."""
    target = Target(
        name="t",
        base_url=url,
        tenants={"a": Tenant(public_key="p", private_key="q", customer_id=1)},
        budget=Budget(requests_per_s=None, requests=requests),
        path=Path("t.toml"),
    )
    return dataclasses.replace(target, **more)
