"""How a request shows that it may be made: tokens, signatures, certificates. Frozen values, pure.

`signed_headers` computes a signature; who fetches tokens is `reports.transport.tokens`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from trueup.reports.transport.urls import request_target

__all__ = [
    "NO_FILES",
    "SIGNED_PARTS",
    "TIME_TEXTS",
    "Credentials",
    "Signature",
    "TlsFiles",
    "TokenEndpoint",
    "TokenProgram",
    "signed_headers",
]

SIGNED_PARTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "method": "The HTTP method.",
        "host": "Host, and port if the URL has one.",
        "path": "Path of the URL, as sent.",
        "query": "Query of the URL without `?`, as sent.",
        "target": "Path and query, as in the request line.",
        "time": "The time of the request, in the form of `time`.",
        "nonce": "32 hexadecimal digits, others for each request.",
        "body_sha256": "SHA-256 of the body, hexadecimal.",
        "body_sha256_base64": "SHA-256 of the body, base64.",
    }
)
"""Placeholder of a signature's template → meaning."""

TIME_TEXTS: Final = ("epoch-s", "epoch-ms", "iso")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Certificates of one's own for TLS connections to the target; empty: none."""

    authority: str = ""
    """File of the private authorities that sign the target's certificate, PEM."""
    certificate: str = ""
    """File of the client's certificate, PEM."""
    key: str = ""
    """File of its private key, PEM; empty if it is in `certificate`."""


NO_FILES: Final = TlsFiles()


class TokenProgram(msgspec.Struct, frozen=True, kw_only=True, tag="program"):
    """A program that prints a token, or JSON with `access_token` and `expires_in`."""

    argv: tuple[str, ...]
    timeout_s: float = 30.0
    lifetime_s: float | None = None
    """How long a token is valid where the program does not say; None: until it is refused."""


class TokenEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag="endpoint"):
    """An OAuth 2.0 token endpoint with the grant `client_credentials`."""

    url: str
    client_id: str
    client_secret: str
    scope: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    """Further fields of the form, such as `audience`."""
    in_body: bool = False
    """Send id and secret as fields of the form, not as HTTP Basic."""
    lifetime_s: float | None = None

    def __repr__(self) -> str:
        """Return its URL only: the rest may be secret."""
        return f"TokenEndpoint(url={self.url!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """An HMAC of each request."""

    key: str = field(repr=False)
    header: str = "X-Signature"
    template: str = "{method}\n{target}\n{time}\n{body_sha256}"
    """What is signed; see `SIGNED_PARTS`."""
    value: str = "{signature}"
    """The header's value; may hold `{signature}` and every placeholder of the template."""
    headers: tuple[tuple[str, str], ...] = (("X-Timestamp", "{time}"),)
    """Further headers, with the placeholders of the template."""
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    time: str = "epoch-s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request carries besides fixed headers: a token, a signature, or both."""

    token: TokenProgram | TokenEndpoint | None = None
    header: str = "Authorization"
    value: str = "Bearer {token}"
    signature: Signature | None = None

    def token_headers(self, token: str) -> dict[str, str]:
        """Return the header that carries a token; none for an empty one."""
        return {self.header: self.value.replace("{token}", token)} if token else {}

    def headers(self, token: str, *, method: str, url: str, body: bytes) -> dict[str, str]:
        """Return all headers of one request that is sent now: its token, its signature."""
        found = self.token_headers(token)
        if self.signature is not None:
            now = datetime.now(UTC)
            found |= signed_headers(self.signature, method=method, url=url, body=body, now=now)
        return found


def signed_headers(
    signature: Signature, *, method: str, url: str, body: bytes, now: datetime, nonce: str = ""
) -> dict[str, str]:
    """Return the headers that sign a request. `now` has a zone; `nonce` is drawn if left out."""
    parts = urlsplit(url)
    digest = hashlib.sha256(body).digest()
    values = {
        "method": method,
        "host": parts.netloc,
        "path": parts.path or "/",
        "query": parts.query,
        "target": request_target(parts),
        "time": _time_text(signature.time, now),
        "nonce": nonce or secrets.token_hex(16),
        "body_sha256": digest.hex(),
        "body_sha256_base64": base64.b64encode(digest).decode(),
    }
    made = hmac.new(
        signature.key.encode(), _filled(signature.template, values).encode(), signature.algorithm
    ).digest()
    text = made.hex() if signature.encoding == "hex" else base64.b64encode(made).decode()
    values["signature"] = text
    return {
        signature.header: _filled(signature.value, values),
        **{name: _filled(value, values) for name, value in signature.headers},
    }


def _filled(template: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def _time_text(form: str, now: datetime) -> str:
    match form:
        case "epoch-s":
            return str(int(now.timestamp()))
        case "epoch-ms":
            return str(int(now.timestamp() * 1000))
        case _:
            return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
