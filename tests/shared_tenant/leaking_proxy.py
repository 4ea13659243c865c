"""A proxy in front of a reference: counts requests, exchanges keys, and can repeat keys.

Clients use canary keys, which it exchanges for the real ones; so any canary that is found in a file
came through trueup. It repeats the keys of a request in the places that it is given: in `bodies`
(errors, HTML pages, additional keys), in `refusals` of events, in `headers`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec
from aiohttp import ClientSession, web

from tests.shared_tenant.environment import Environment, describe
from trueup.scenarios.embedded.process import Serving

__all__ = ["CANARIES", "Wire", "behind_leaking_proxy", "forms", "occurrences"]

KEY_HEADERS = ("X-API-Public-Key", "X-API-Private-Key", "X-Control-Key", "X-Ingest-Key")
CANARIES: Mapping[str, str] = {
    f"{name}": f"CANARY{name.upper().replace('_', '')}/q7+Zr3kT0wXv9LmB{n}yHd5sN8cJ2fGpQ4uEaKe=="
    for n, name in enumerate(
        ("a_public", "a_private", "b_public", "b_private", "control", "ingest"), start=1
    )
}
"""Shaped as keys are: long, with the letters of base64 that URLs and JSON write differently."""
PAGE_EDGE = 470
"""Where an HTML page of the proxy contains a key, so that a cut at 500 bytes goes through it."""


@dataclass(kw_only=True)
class Wire:
    """Counts of requests that passed."""

    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(method, kind) to requests; the kind is `api`, `ingest` or `control`."""
    echoed: Counter[str] = field(default_factory=Counter)
    """How keys were repeated."""


@contextlib.contextmanager
def behind_leaking_proxy(
    at: Environment, path: Path, *, repeats: Collection[str] = (), encoded: bool = False
) -> Iterator[tuple[Environment, Wire]]:
    """Put an environment behind a proxy on the loopback interface, with canary keys.

    `path` is where its target file is written; with `encoded` keys are also repeated
    percent-encoded and in base64.
    """
    wire = Wire()
    proxy = _Proxy(at.serving, wire, repeats=repeats, encoded=encoded)
    ready = threading.Event()
    thread = threading.Thread(target=proxy.run, args=(ready,), name="behind_leaking_proxy")
    thread.start()
    try:
        assert ready.wait(20), "the proxy did not come up"
        yield describe(_behind(at.serving, proxy.port), path), wire
    finally:
        proxy.stop()
        thread.join(20)
    assert not thread.is_alive(), "the proxy did not end"


def _behind(serving: Serving, port: int) -> Serving:
    def moved(url: str | None) -> str | None:
        return url and f"http://127.0.0.1:{port}{urlsplit(url).path}"

    tenants = tuple(
        msgspec.structs.replace(
            tenant,
            public_key=CANARIES[f"{letter}_public"],
            private_key=CANARIES[f"{letter}_private"],
        )
        for letter, tenant in zip("ab", serving.tenants, strict=True)
    )
    return msgspec.structs.replace(
        serving,
        url=moved(serving.url) or "",
        ingest_url=moved(serving.ingest_url) or "",
        control_url=moved(serving.control_url),
        tenants=tenants,
        control_key=CANARIES["control"],
        ingest_key=CANARIES["ingest"],
    )


class _Proxy:
    def __init__(
        self, serving: Serving, wire: Wire, *, repeats: Collection[str], encoded: bool
    ) -> None:
        self.port = 0
        self._wire = wire
        self._repeats = frozenset(repeats)
        self._forms = forms if encoded else lambda key: (key,)
        parts = urlsplit(serving.url)
        self._upstream = f"{parts.scheme}://{parts.netloc}"
        self._ingest = urlsplit(serving.ingest_url).path
        self._control = urlsplit(serving.control_url or "/control").path
        self._real = {CANARIES["control"]: serving.control_key or ""}
        self._real[CANARIES["ingest"]] = serving.ingest_key or ""
        for letter, tenant in zip("ab", serving.tenants, strict=True):
            self._real[CANARIES[f"{letter}_public"]] = tenant.public_key
            self._real[CANARIES[f"{letter}_private"]] = tenant.private_key
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None

    def run(self, ready: threading.Event) -> None:
        asyncio.run(self._serve(ready))

    def stop(self) -> None:
        if self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{rest:.*}", self._pass)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        async with ClientSession(auto_decompress=True) as self._session:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            ready.set()
            await self._over.wait()
            await runner.cleanup()

    def _kind(self, path: str) -> str:
        if path == self._ingest:
            return "ingest"
        return "control" if path.startswith(self._control) else "api"

    async def _pass(self, request: web.Request) -> web.Response:
        kind = self._kind(request.path)
        self._wire.seen[request.method, kind] += 1
        told = {name: request.headers[name] for name in KEY_HEADERS if name in request.headers}
        headers = {name: self._real.get(value, value) for name, value in told.items()}
        for name in ("Content-Type", "Content-Encoding"):
            if name in request.headers:
                headers[name] = request.headers[name]
        async with self._session.request(
            request.method,
            self._upstream + request.raw_path,
            headers=headers,
            data=await request.read(),
            allow_redirects=False,
        ) as answer:
            raw = await answer.read()
            status, content_type = answer.status, answer.content_type
            kept = {k: v for k, v in answer.headers.items() if k in ("Retry-After", "Allow")}
        keys = [value for value in told.values() if value in self._real]
        if "bodies" in self._repeats and keys and kind != "ingest":
            raw, content_type = self._in_body(status, raw, content_type, keys)
        if "refusals" in self._repeats and keys and kind == "ingest":
            raw = self._in_refusals(raw, keys)
        if "headers" in self._repeats and keys:
            self._wire.echoed["headers"] += 1
            kept |= {"Server": f"leaking {keys[-1]}", "WWW-Authenticate": f'Key key="{keys[0]}"'}
        return web.Response(body=raw, status=status, content_type=content_type, headers=kept)

    def _said(self, keys: list[str]) -> str:
        return " ".join(form for key in keys for form in self._forms(key))

    def _in_body(
        self, status: int, raw: bytes, content_type: str, keys: list[str]
    ) -> tuple[bytes, str]:
        """Return the body with the keys in it."""
        said = self._said(keys)
        if status in (404, 405):
            self._wire.echoed["page"] += 1
            page = f"<html><pre>{'.' * PAGE_EDGE}{keys[-1]} {said}</pre></html>"
            return page.encode(), "text/html"
        body = json.loads(raw)
        if status >= 400:
            self._wire.echoed["error"] += 1
            body["message"] = f"{body.get('message', '')} You sent {said}."
        else:
            self._wire.echoed["beside"] += 1
            body["debug"] = {"headers": said, keys[-1]: True}
        return json.dumps(body).replace("/", "\\/").encode(), content_type

    def _in_refusals(self, raw: bytes, keys: list[str]) -> bytes:
        body = json.loads(raw)
        for line in body.get("refused") or ():
            line["reason"] = f"{line['reason']} (you came with {self._said(keys)})"
            self._wire.echoed["refusals"] += 1
        return json.dumps(body).encode()


def forms(key: str) -> tuple[str, ...]:
    """Return a key in plain form, and in the forms in which a target may write it."""
    return (key, quote(key, safe=""), base64.b64encode(key.encode()).decode())


def occurrences(folder: Path, *, encoded: bool = False) -> list[str]:
    """Return where the files of a folder contain a canary, in whole or its first 20 characters.

    With `encoded`, only canaries in an encoded form are found.
    """
    found = []
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        text = path.read_text("utf-8", "replace").replace("\\/", "/")
        for name, key in CANARIES.items():
            wanted = forms(key)[1:] if encoded else (key[:20],)
            found += [f"{path.relative_to(folder)}: {name}" for form in wanted if form in text]
    return found
