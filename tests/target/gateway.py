"""A server in front of the reference that speaks the forms of the documented recipes.

It is written from docs/targets.md and the files in scenarios/targets, without the code that makes
these forms, and has no more than they need:

    POST /events               events in the form of a recipe, see `Gateway.undo`
    GET, POST /clock           the clock, as `to`, or `to_ms` and `clock.now_ms`
    POST /accounts/{id}/{net}  payments
    POST /jobs, /restart       maintenance, and a restart of the reference
    POST /token                an OAuth 2.0 token
    /1.0/...                   the API, its graph with other names
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from trueup.scenarios.embedded.process import EmbeddedReference

__all__ = [
    "ACCOUNTS",
    "HMAC_KEY",
    "LAB_KEY",
    "POOLS",
    "TOKEN",
    "Gateway",
    "gateway_to",
    "our_time",
    "take",
]

ACCOUNTS = {1955: 1001, 1956: 1002}
"""Customer in the documents → at the reference."""
POOLS = {"dc": "datacenter", "isp": "isp", "home": "residential", "cell": "mobile"}
TOKEN, HMAC_KEY, LAB_KEY = "token-of-the-gateway", "key-of-the-gateway", "key-of-the-lab"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Event = dict[str, Any]


def take(event: Event, path: str) -> Any:
    """Remove a dotted path from an event and return its value, None where it is missing."""
    *parents, last = path.split(".")
    for parent in parents:
        inside = event.get(parent)
        if not isinstance(inside, dict):
            return None
        event = inside
    return event.pop(last, None)


def our_time(ms: Any) -> Any:
    """Return milliseconds since 1970 as the reference reads a time; others as they are."""
    if not isinstance(ms, int):
        return ms
    return (EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%d %H:%M:%S.%f")


class Gateway:
    """What a recipe needs: set by its test before the first request."""

    def __init__(self, reference: EmbeddedReference, url: str) -> None:
        self.reference = reference
        self.url = url
        self.undo: Callable[[Event], Event] = dict
        """Returns an event of the recipe as the reference takes it."""
        self.authorised: Callable[[Mapping[str, str], bytes], bool] = lambda _headers, _body: True
        self._restarts = ThreadPoolExecutor(max_workers=1)
        """A child process ends with the thread that started it, so that has to be a lasting one."""
        self.lab_key = ""
        """Key that `/clock` and `/accounts` ask for; empty: none."""
        self.errors: list[Exception] = []
        self.seen: list[tuple[Mapping[str, str], bytes]] = []
        """Headers and unpacked body of each request to `/events`."""

    @property
    def control(self) -> str:
        url = self.reference.serving.control_url
        assert url is not None
        return url

    def call(
        self, url: str, body: bytes | None, headers: Mapping[str, str], method: str | None = None
    ) -> tuple[int, bytes]:
        """Send a request to the reference; returns the status and the body of its response."""
        request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def hook(self, path: str, values: Any) -> tuple[int, bytes]:
        """Call a control hook of the reference; a GET where `values` is None."""
        headers = {"X-Control-Key": self.reference.serving.control_key or ""}
        body = None if values is None else json.dumps(values).encode()
        return self.call(f"{self.control}/{path}", body, headers)

    def respond(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        locked = path.startswith(("/clock", "/accounts"))
        if locked and headers.get("X-Lab-Key", "") != self.lab_key:
            return 403, b'{"message": "the key of the laboratory is missing"}'
        match path.partition("?")[0].split("/")[1:]:
            case ["events"]:
                return self._events(headers, body)
            case ["clock"] if method == "GET":
                _, text = self.hook("clock", None)
                now = datetime.fromisoformat(json.loads(text)["now"]).replace(tzinfo=UTC)
                at = (now - EPOCH) // timedelta(milliseconds=1)
                return 200, json.dumps({"clock": {"now_ms": at}}).encode()
            case ["clock"]:
                asked = json.loads(body)
                ms = asked.get("to_ms")
                return self.hook("clock", {"now": asked.get("to") or our_time(ms)[:19]})
            case ["accounts", customer, network]:
                values = json.loads(body) | {
                    "customer_id": int(customer),
                    "network": {"RES": "residential", "MOB": "mobile"}.get(network, network),
                    "idempotency_key": headers["Idempotency-Key"],
                }
                return self.hook("money", values)
            case ["jobs"]:
                return self.hook("maintenance", {})
            case ["restart"]:
                self._restarts.submit(self.reference.restart).result()
                return 200, b"{}"
            case ["token"]:
                return 200, json.dumps({"access_token": TOKEN, "expires_in": 600}).encode()
            case _:
                return self._api(method, path, headers, body)

    def _events(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        raw = body
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.seen.append((headers, body))
        if not self.authorised(headers, raw):
            return 401, b'{"message": "not authorised"}'
        if body.startswith(b'{"events"'):
            events = json.loads(body)["events"]
        else:
            events = [json.loads(line) for line in body.splitlines()]
        lines = "".join(f"{json.dumps(self.undo(event))}\n" for event in events)
        status, text = self.call(self.reference.serving.ingest_url, lines.encode(), {})
        if status != 200:
            return status, text
        found = json.loads(text)
        refused = [{"index": r["line"] - 1, "why": r["reason"]} for r in found["refused"]]
        result = {"accepted": found["accepted"], "refused": refused}
        return 200, json.dumps(found | {"result": result}).encode()

    def _api(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        keep = {k: v for k, v in headers.items() if k.startswith(("X-API-", "Content-Type"))}
        origin = self.reference.serving.url.removesuffix("/1.0")
        status, text = self.call(origin + path, body or None, keep, method)
        if "/analytics/graph" in path and status == 200:
            shown = json.loads(text)
            points = shown["data"].pop("points")
            shown["data"]["series"] = [
                {"from": p["datetime"], "count": p["requests"], "size": p["bytes"]} for p in points
            ]
            text = json.dumps(shown).encode()
        return status, text

    def signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether a request has the documented signature, of the default template."""
        digest = hashlib.sha256(body).hexdigest()
        text = f"POST\n/events\n{headers.get('X-Timestamp')}\n{digest}"
        wanted = hmac.new(HMAC_KEY.encode(), text.encode(), "sha256").hexdigest()
        return hmac.compare_digest(wanted, headers.get("X-Signature", ""))


@contextmanager
def gateway_to(reference: EmbeddedReference) -> Iterator[Gateway]:
    """Serve a gateway on a free port of the loopback for a `with` block."""

    class GatewayHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: str(value) for name, value in self.headers.items()}
            try:
                status, text = gateway.respond(self.command, self.path, headers, body)
            except Exception as error:
                gateway.errors.append(error)
                status, text = 400, json.dumps({"message": repr(error)}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), GatewayHandler) as server:
        server.daemon_threads = True
        gateway = Gateway(reference, f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()
        if gateway.errors:
            raise ExceptionGroup("the gateway could not take", gateway.errors)
