"""A reference served inside the test's own event loop, and events to send to it."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from trueup.reference.api.app import HTTP_OPTIONS, build_app
from trueup.reference.api.context import Context
from trueup.reference.api.limits import RateLimiter
from trueup.reference.behaviour import Behaviour
from trueup.reference.store.store import Store
from trueup.reference.times import format_instant

Json = dict[str, Any]
USER = "/1.0/public/user/"


def event(number: int, **fields: Any) -> Json:
    """An event with every required field; its id is made of its number."""
    return {
        "log_id": f"{number:08x}-0000-4000-8000-000000000000",
        "customer_id": 1001,
        "proxy_user_id": "alice",
        "log_network": "residential",
        "log_protocol": "http",
        "log_hostname": "apple.com",
        "log_client_ip_address": "17.172.224.1",
        "log_total_bytes": 1,
        "log_authentication_type": 1,
        "country_id": "us",
        "city_alias": "cupertino",
        "asn_id": 1299,
        **fields,
    }


class Served:
    """A client with the keys of two tenants."""

    def __init__(self, client: TestClient[Any, Any], context: Context) -> None:
        self.client = client
        self.context = context
        self.a, self.b = context.store.tenants[:2]

    def keys(self, tenant: Any = None) -> dict[str, str]:
        tenant = tenant or self.a
        return {"X-API-Public-Key": tenant.public_key, "X-API-Private-Key": tenant.private_key}

    async def ask(
        self,
        path: str,
        *,
        tenant: Any = None,
        method: str = "GET",
        json: Json | None = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> tuple[int, Any]:
        """Status, and the body: decoded where it is JSON, else text."""
        sent = self.keys(tenant) if headers is None else headers
        async with self.client.request(
            method, USER + path, params=query, headers=sent, json=json
        ) as answer:
            if answer.content_type == "application/json":
                return answer.status, await answer.json()
            return answer.status, await answer.text()

    async def get(self, path: str, *, tenant: Any = None, **query: Any) -> Any:
        """Return the body of a GET that succeeds."""
        status, body = await self.ask(path, tenant=tenant, **query)
        assert status == 200, body
        return body

    async def all_rows(self, path: str, *, per_page: int = 100, **query: Any) -> list[Json]:
        """Return all rows, page by page, at most 60 pages."""
        rows: list[Json] = []
        for page in range(1, 61):
            body = await self.get(path, page=page, per_page=per_page, **query)
            rows += body["data"]
            if not body["data"]:
                break
        return rows

    async def ingest(self, events: Iterable[Json] | bytes, **headers: str) -> Json:
        """Deliver events, expecting success; return the result."""
        status, body = await self.deliver(events, **headers)
        assert status == 200, body
        return body  # type: ignore[no-any-return]

    async def deliver(self, events: Iterable[Json] | bytes, **headers: str) -> tuple[int, Any]:
        raw = events if isinstance(events, bytes) else ndjson(events)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.post("/ingest/events", data=io.BytesIO(raw), headers=sent) as answer:
            return answer.status, await answer.json()

    async def control(self, call: str, *, key: str | None = None, **body: Any) -> tuple[int, Any]:
        headers = {"X-Control-Key": self.context.store.control_key if key is None else key}
        method = "POST" if body or call == "maintenance" else "GET"
        async with self.client.request(
            method, f"/control/{call}", headers=headers, json=body if method == "POST" else None
        ) as answer:
            return answer.status, await answer.json()

    async def move_to(self, at_us: int) -> None:
        status, body = await self.control("clock", now=format_instant(at_us))
        assert status == 200, body

    @property
    def now_us(self) -> int:
        return self.context.clock.now_us()


def ndjson(events: Iterable[Json]) -> bytes:
    return b"\n".join(json.dumps(each).encode() for each in events)


@asynccontextmanager
async def serving(
    behaviour: Behaviour | None = None,
    *,
    data: Path | None = None,
    rate_limit: int | None = None,
    ingest_key: str | None = None,
) -> AsyncIterator[Served]:
    """A reference with two tenants and the control hooks, on a port of its own."""
    behaviour = behaviour or Behaviour()
    store = Store(data, tenants=2, behaviour=behaviour)
    limiter = RateLimiter(rate_limit or behaviour.rate_limit, penalty_s=behaviour.rate_penalty_s)
    context = Context(
        store=store, behaviour=behaviour, limiter=limiter, control=True, ingest_key=ingest_key
    )
    server = TestServer(build_app(context))
    await server.start_server(**HTTP_OPTIONS)
    client = TestClient(server)
    try:
        yield Served(client, context)
    finally:
        await client.close()
        store.close()
