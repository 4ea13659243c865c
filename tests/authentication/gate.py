"""A server that lets nothing through without a valid token or signature, and grants tokens."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import trustme

from tests.hostile.servers import SeenRequest, empty_api, response

__all__ = ["Gate", "certificates_required"]


def certificates_required(folder: Path) -> ssl.SSLContext:
    """Write `authority.pem`, and `client.pem` with a certificate and its key, into a folder.

    Returns the context of a server at 127.0.0.1 that lets in only clients with a certificate of
    that authority.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    client = authority.issue_cert("client")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


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

    def behave(self, sock: socket.socket, request: SeenRequest) -> None:
        if request.path == "/token":
            self._token(sock, request)
        elif self._is_signed(request) if self.key else self._has_token(request):
            self.let_through += 1
            empty_api(sock, request)
        else:
            self.refused += 1
            sock.sendall(response(b'{"message":"token expired"}', status="401 Unauthorized"))

    def _token(self, sock: socket.socket, request: SeenRequest) -> None:
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
