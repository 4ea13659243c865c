"""Tokens of a load: fetched and renewed here, handed to the generators by a file in memory.

A generator must not wait for a token while requests are due, and the secrets by which tokens are
had are of no use to it. It reads the file once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from trueup.reports.transport.known_secrets import add_secret
from trueup.reports.transport.tokens import Authenticator, TokenError
from trueup.scenarios.errors import CouldNotTell

__all__ = ["TokenFeed", "Tokens", "TokensFile", "decode_tokens"]

_AGAIN_S: Final = 2.0
"""Pause between two attempts to renew a token that the target refuses."""


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of the request streams by name, as they are now."""

    by_stream: dict[str, str] = {}
    error: str = ""
    """Why there are no further tokens; empty while there are."""


def decode_tokens(data: bytes) -> Tokens:
    """Return tokens from their JSON; they are redacted from now on. Raises msgspec.DecodeError."""
    tokens = msgspec.json.decode(data, type=Tokens)
    for token in tokens.by_stream.values():
        add_secret(token)
    return tokens


class TokenFeed:
    """Keeps the tokens of a load in a file in memory. Nothing of it is ever on a disk."""

    def __init__(self, sources: Mapping[str, Authenticator]) -> None:
        self._sources = {name: one for name, one in sources.items() if one.renews}
        self._refused = asyncio.Event()
        self._file = -1

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Yield the descriptor of the file, written once. Raises CouldNotTell without a token."""
        try:
            tokens = await self._fetched()
        except TokenError as error:
            raise CouldNotTell(f"no token for the load: {error}") from error
        self._file = os.memfd_create("trueup-tokens")
        try:
            self._write(tokens)
            yield self._file
        finally:
            os.close(self._file)

    async def keep_fresh(self) -> None:
        """Renew tokens before they run out, or once the target has refused one.

        Returns where none are used, or when no further one can be had.
        """
        while self._sources:
            wait_s = min(one.renew_in_s() for one in self._sources.values())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if wait_s == float("inf") else wait_s):
                    await self._refused.wait()
            refused = self._refused.is_set()
            try:
                if refused:
                    for one in self._sources.values():
                        await one.renew(float("inf"))
                self._write(await self._fetched())
            except TokenError as error:
                self._write(Tokens(error=f"no token: {error}"))
                return
            if refused:
                await asyncio.sleep(_AGAIN_S)
                self._refused.clear()

    def refused(self) -> None:
        """The target has responded with 401: renew the tokens."""
        self._refused.set()

    async def _fetched(self) -> Tokens:
        return Tokens(by_stream={name: await one.token() for name, one in self._sources.items()})

    def _write(self, tokens: Tokens) -> None:
        # A reader sees the old line or the new one: the length is the last thing that changes.
        data = msgspec.json.encode(tokens) + b"\n"
        os.pwrite(self._file, data.ljust(os.fstat(self._file).st_size, b" "), 0)


class TokensFile:
    """What a generator reads."""

    def __init__(self, path: str | None) -> None:
        """`path`: the file that `TokenFeed` writes; None or empty: there are no tokens."""
        self._path = Path(path) if path else None
        self._seen = b""

    def changed(self) -> Tokens | None:
        """Return the tokens if they have changed; they are redacted from now on."""
        if self._path is None:
            return None
        data = self._path.read_bytes().strip()
        if data == self._seen:
            return None
        try:
            tokens = decode_tokens(data)
        except msgspec.DecodeError:
            return None  # caught while it was written
        self._seen = data
        return tokens
