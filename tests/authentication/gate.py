"""A server that lets nothing through without a valid token or signature, and grants tokens."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from typing import Any
from urllib.parse import parse_qs

from tests.hostile.servers import SeenRequest, response

__all__ = ["Gate", "reply"]


def reply(sock: Any, request: SeenRequest) -> None:
    """Respond as an API without data that accepts every event."""
    if request.method == "POST":
        said: Any = {"accepted": request.body.count(b"\n") or 1, "refused": []}
    elif "search" in request.path:
        said = {"data": [], "total_count": 0, "page": 1, "per_page": 100}
    else:
        said = {"data": {"points": []} if "graph" in request.path else {"customer_id": 1001}}
    sock.sendall(response(json.dumps(said).encode()))


class Gate:
    """Tokens are granted at `/token` and run out; everything else needs one, or a signature."""

    def __init__(self, *, lifetime_s: float = 3600.0, key: str = "", says_lifetime: bool = True):
        self.lifetime_s, self.key, self.says_lifetime = lifetime_s, key, says_lifetime
        self.granted = 0
        self.grants_left = 1_000_000
        self.forms: list[dict[str, list[str]]] = []
        self.let_through = self.refused = 0
        self._tokens: dict[str, float] = {}
        self._lock = threading.Lock()

    def grant(self) -> str:
        """Return a new token, valid from now on for `lifetime_s`."""
        with self._lock:
            self.granted += 1
            token = f"token-{self.granted:04d}-abcdefghijklmnop"
            self._tokens[token] = time.monotonic() + self.lifetime_s
            return token

    def behave(self, sock: Any, request: SeenRequest) -> None:
        if request.path == "/token":
            self._token(sock, request)
        elif self._is_signed(request) if self.key else self._has_token(request):
            self.let_through += 1
            reply(sock, request)
        else:
            self.refused += 1
            sock.sendall(response(b'{"message":"token expired"}', status="401 Unauthorized"))

    def _token(self, sock: Any, request: SeenRequest) -> None:
        self.forms.append(parse_qs(request.body.decode()))
        self.grants_left -= 1
        if self.grants_left < 0:
            sock.sendall(response(b'{"error":"invalid_client"}', status="401 Unauthorized"))
            return
        said: dict[str, Any] = {"access_token": self.grant(), "token_type": "Bearer"}
        if self.says_lifetime:
            said["expires_in"] = self.lifetime_s
        sock.sendall(response(json.dumps(said).encode()))

    def _has_token(self, request: SeenRequest) -> bool:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self._tokens.get(token, 0.0) > time.monotonic()

    def _is_signed(self, request: SeenRequest) -> bool:
        """Whether the default template was signed with the key, within ten seconds."""
        at = request.headers.get("x-timestamp", "0")
        digest = hashlib.sha256(request.body).hexdigest()
        text = f"{request.method}\n{request.path}\n{at}\n{digest}"
        right = hmac.new(self.key.encode(), text.encode(), "sha256").hexdigest()
        fresh = abs(time.time() - int(at)) < 10
        return fresh and hmac.compare_digest(right, request.headers.get("x-signature", ""))
