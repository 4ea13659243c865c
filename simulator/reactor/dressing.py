"""Headers that differ from request to request: a token that is renewed, a signature. Uses the clock
for signatures alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from trueup.reports.transport.credentials import Credentials, signed_headers
from trueup.simulator.reactor.bodies import PreparedRequest

__all__ = ["HeadDresser", "with_headers"]

_ARRAY: Final = b"["
"""Ends a head whose body is built in place as an array."""


class HeadDresser:
    """Puts the headers of some credentials into a request when it is sent, and again when it is
    sent again.
    """

    def __init__(self, credentials: Credentials, url: str, token: str = "") -> None:
        """`url`: any URL of the server, as the target file writes it. `token` may be replaced."""
        self._credentials, self.token = credentials, token
        parts = urlsplit(url)
        self._origin = f"{parts.scheme}://{parts.netloc}"

    def dress(self, batch: PreparedRequest) -> None:
        """Replace a request's head by one with the headers of this moment."""
        bare = batch.bare = batch.bare or batch.head
        headers = self._credentials.token_headers(self.token)
        if self._credentials.signature is not None:
            method, target, _ = bare.split(b" ", 2)
            headers |= signed_headers(
                self._credentials.signature,
                method=method.decode("latin-1"),
                url=self._origin + target.decode("latin-1"),
                body=(_ARRAY if bare.endswith(_ARRAY) else b"") + bytes(batch.body),
                now=datetime.now(UTC),
            )
        batch.head = with_headers(bare, headers)
        batch.size = len(batch.head) + len(batch.body)


def with_headers(head: bytes, headers: dict[str, str]) -> bytes:
    """Return a request's head with further headers after its first line."""
    lines = "".join(f"\r\n{name}: {value}" for name, value in headers.items()).encode("latin-1")
    end = head.index(b"\r\n")
    return head[:end] + lines + head[end:]
