"""Tokens that run out: fetched from a program or an OAuth endpoint, and renewed before they do.

A token is fetched once for all clients of a process. It is struck from everything that is written
from the moment it is known.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import aiohttp
import msgspec

from trueup.reports.transport.credentials import (
    NO_FILES,
    Credentials,
    TlsFiles,
    TokenEndpoint,
    TokenProgram,
)
from trueup.reports.transport.foreign_text import foreign_text
from trueup.reports.transport.known_secrets import add_secret
from trueup.reports.transport.sessions import http_session

__all__ = ["Authenticator", "TokenError"]

TOKEN_MOST: Final = 64 << 10
"""Bytes of a token and of what comes with it."""
TOKEN_TIMEOUT_S: Final = 30.0
RENEW_AT: Final = 0.8
"""Share of a token's life after which it is renewed."""
RENEW_PAUSE_S: Final = 2.0
"""Least time between two renewals of one token."""


class TokenError(Exception):
    """No token could be had; the message says from where, what came, and what to do."""


class _Token(NamedTuple):
    text: str
    fetched_at: float
    """On the monotonic clock, seconds."""
    renew_at: float

    def is_due(self) -> bool:
        return time.monotonic() >= self.renew_at


_known: Final[dict[TokenProgram | TokenEndpoint, _Token]] = {}
"""The tokens of this process."""


class Authenticator:
    """Returns the headers that credentials add to each request. For one event loop."""

    def __init__(self, credentials: Credentials | None, tls: TlsFiles = NO_FILES) -> None:
        self._credentials = credentials or Credentials()
        self._tls = tls
        self._fetching = asyncio.Lock()

    @property
    def renews(self) -> bool:
        """Return whether there is a token that may run out."""
        return self._credentials.token is not None

    async def headers(self, method: str, url: str, body: bytes) -> dict[str, str]:
        """Return the headers of one request. Raises TokenError where no token can be had."""
        token = await self.token()
        return self._credentials.headers(token, method=method, url=url, body=body)

    async def token(self) -> str:
        """Return a token that is not about to run out; empty where none is used.

        Raises TokenError.
        """
        source = self._credentials.token
        if source is None:
            return ""
        async with self._fetching:
            known = _known.get(source)
            if known is None or known.is_due():
                known = _known[source] = await self._fetch(source)
            return known.text

    async def renew(self, sent_at: float) -> bool:
        """Fetch a token in place of one that was refused; return whether there is another one.

        `sent_at`: when the refused request was sent, on the monotonic clock. A token that was
        fetched since then is another one; within two seconds of a fetch nothing is fetched. Raises
        TokenError.
        """
        source = self._credentials.token
        if source is None:
            return False
        async with self._fetching:
            known = _known.get(source)
            if known is not None and known.fetched_at >= sent_at:
                return True
            if known is not None and time.monotonic() - known.fetched_at < RENEW_PAUSE_S:
                return False
            _known[source] = await self._fetch(source)
            return True

    def renew_in_s(self) -> float:
        """Return after how many seconds the token has to be renewed; infinite if never."""
        source = self._credentials.token
        known = _known.get(source) if source is not None else None
        return float("inf") if known is None else max(known.renew_at - time.monotonic(), 0.0)

    async def _fetch(self, source: TokenProgram | TokenEndpoint) -> _Token:
        if isinstance(source, TokenProgram):
            where, raw = f"`{source.argv[0]}`", await _output(source)
        else:
            where, raw = foreign_text(source.url), await _granted(source, self._tls)
        text, lifetime_s = _read(where, raw)
        add_secret(text)
        now = time.monotonic()
        life = lifetime_s if lifetime_s is not None else source.lifetime_s
        renew_in_s = float("inf") if life is None else max(life * RENEW_AT, RENEW_PAUSE_S)
        return _Token(text, now, now + renew_in_s)


def _read(where: str, raw: bytes) -> tuple[str, float | None]:
    """Return a token and its life in seconds, from text or from JSON with `access_token`."""
    said = raw.decode("utf-8", "replace").strip()
    life: float | None = None
    if said.startswith("{"):
        try:
            found: Any = msgspec.json.decode(said)
        except (msgspec.DecodeError, RecursionError) as error:
            raise TokenError(f"{where}: the response is not JSON: {error}") from error
        said = found.get("access_token") or found.get("token") or ""
        life = _positive(found.get("expires_in"))
    if not isinstance(said, str) or not said.isascii() or not said.isprintable() or " " in said:
        raise TokenError(
            f"{where}: expected a token of printable ASCII without spaces, or JSON with "
            "`access_token`"
        )
    if not said:
        raise TokenError(f"{where}: the response holds no token")
    return said, life


def _positive(value: object) -> float | None:
    try:
        found = float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None
    return found if found is not None and found > 0 else None


async def _output(source: TokenProgram) -> bytes:
    """Run a token program and return what it printed. Raises TokenError."""
    name = source.argv[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *source.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise TokenError(f"cannot start the token program `{name}`: {error.strerror}") from error
    try:
        async with asyncio.timeout(source.timeout_s):
            assert process.stdout is not None
            raw = await _up_to(process.stdout, TOKEN_MOST)
            await process.wait()
    except TimeoutError as error:
        raise TokenError(
            f"the token program `{name}` did not end within {source.timeout_s:g} s"
        ) from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        raise TokenError(f"the token program `{name}` ended with status {process.returncode}")
    return raw


async def _granted(source: TokenEndpoint, tls: TlsFiles) -> bytes:
    """Ask a token endpoint and return its response's body. Raises TokenError."""
    form = {"grant_type": "client_credentials", **dict(source.parameters)}
    if source.scope:
        form["scope"] = source.scope
    headers = {"Accept": "application/json"}
    if source.in_body:
        form |= {"client_id": source.client_id, "client_secret": source.client_secret}
    else:
        pair = f"{quote(source.client_id)}:{quote(source.client_secret)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    where = foreign_text(source.url)
    try:
        async with (
            http_session(tls, TOKEN_TIMEOUT_S) as session,
            session.post(source.url, data=form, headers=headers, allow_redirects=False) as response,
        ):
            raw = await _up_to(response.content, TOKEN_MOST)
            if response.status != 200:
                raise TokenError(
                    f"{where}: the token endpoint responded with status {response.status}"
                    f"{_oauth_error(raw)}; check the client id and secret"
                )
            return raw
    except (aiohttp.ClientError, OSError, ValueError) as error:
        said = foreign_text(str(error)) or type(error).__name__
        raise TokenError(f"{where}: no token: {said}") from error


def _oauth_error(raw: bytes) -> str:
    try:
        found: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    said = found.get("error") if isinstance(found, Mapping) else None
    return f" ({foreign_text(said, 80)})" if isinstance(said, str) else ""


async def _up_to(reader: Any, most: int) -> bytes:
    """Read to the end. Raises TokenError for more than `most` bytes."""
    parts: list[bytes] = []
    length = 0
    while part := await reader.read(most + 1 - length):
        parts.append(part)
        length += len(part)
        if length > most:
            raise TokenError(f"more than {most:,} bytes came where a token was expected")
    return b"".join(parts)
