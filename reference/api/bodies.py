"""Request bodies: read within a time, and together within a limit of memory.

A body counts from its first byte until its request is done, as it was sent and unpacked. Where the
bodies together exceed TOTAL_LIMIT, the largest one that is still arriving is refused; where none
is, the one that needs the memory.
"""

from __future__ import annotations

import asyncio
import codecs
import ctypes
import zlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from trueup.reference.api.connections import guard_of
from trueup.reference.errors import ApiProblem

__all__ = ["BODY_S", "DECODED_TOTAL", "TOTAL_LIMIT", "Bodies", "Body"]

TOTAL_LIMIT: Final = 256 << 20
"""Most bytes of all bodies that are held at the same time."""
DECODED_TOTAL: Final = 32 << 20
"""Most bytes of bodies that are decoded at the same time; decoded, they take four times that."""
BODY_S: Final = 60.0
"""Longest time in which a body may arrive, in seconds."""
_STEP: Final = 1 << 20
"""Most bytes that are unpacked, or checked, at once."""
_LARGE: Final = 64 << 20
"""Bytes from which on memory is given back once most of them are free."""
_SLICE: Final = 1 << 16
"""Packed bytes given to the decoder at once: it copies what follows the end of a member."""


class Body:
    """One body while its request is handled: `raw` is what has arrived, whole once it is read."""

    def __init__(self, bodies: Bodies) -> None:
        self.raw = b""
        self._bodies = bodies
        self._deadline: asyncio.Timeout | None = None
        self._has_given_way = False
        self.held = 0
        """Bytes that count for this body."""

    @property
    def is_arriving(self) -> bool:
        return (
            self._deadline is not None and not self._has_given_way and not self._deadline.expired()
        )

    async def receive(self, request: web.Request, limit: int) -> None:
        """Read the body, at most `limit` bytes. Raises ApiProblem (400, 408, 413, 503)."""
        if (request.content_length or 0) > limit:
            raise _too_large(limit)
        try:
            async with asyncio.timeout(self._bodies.timeout_s) as self._deadline:
                chunks: list[bytes] = []
                while chunk := await request.content.readany():
                    self._take(len(chunk))
                    chunks.append(chunk)
                    if self.held > limit:
                        raise _too_large(limit)
        except web.RequestPayloadError as error:
            raise ApiProblem(400, f"The body cannot be read: {error}.") from None
        except TimeoutError:
            if self._has_given_way:
                raise _full() from None
            raise ApiProblem(
                408, f"The body did not arrive within {self._bodies.timeout_s:.0f} s."
            ) from None
        finally:
            self._deadline = None
        if self._has_given_way:
            raise _full()
        self.raw = b"".join(chunks)

    def give_way(self) -> None:
        """Stop receiving, so that others find memory."""
        assert self._deadline is not None
        self._has_given_way = True
        self._deadline.reschedule(0)

    async def unpack(self, limit: int) -> None:
        """Replace the gzip body by its content, at most `limit` bytes.

        Raises ApiProblem (400, 413, 503).
        """
        parts: list[bytes] = []
        size, pieces = 0, _unpacked(self.raw)
        try:
            while (part := await asyncio.to_thread(next, pieces, None)) is not None:
                size += len(part)
                if size > limit:
                    raise ApiProblem(413, f"The body unpacks to more than {limit} bytes.")
                self._take(len(part))
                parts.append(part)
        except zlib.error as error:
            raise ApiProblem(
                400, f"The body is not gzip, as its Content-Encoding says: {error}."
            ) from None
        self._take(-len(self.raw))
        self.raw = b"".join(parts)

    async def check_text(self) -> None:
        """Raise ApiProblem (400) where the body is not UTF-8."""
        try:
            if len(self.raw) > _STEP:
                await asyncio.to_thread(_decode_all, self.raw)
            else:
                self.raw.decode()
        except UnicodeDecodeError as error:
            raise ApiProblem(400, f"The body must be in UTF-8: {error.reason}.") from None

    def _take(self, size: int) -> None:
        self._bodies.count(size, self)


class Bodies:
    """All bodies that are held at a time. Used by the event loop only."""

    def __init__(
        self,
        *,
        total_limit: int = TOTAL_LIMIT,
        decoded_limit: int = DECODED_TOTAL,
        timeout_s: float = BODY_S,
    ) -> None:
        self._total_limit = total_limit
        self._decoded_limit = decoded_limit
        self._decoded = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.timeout_s = timeout_s
        self._open: set[Body] = set()
        self.held = 0
        """Bytes of all bodies that are held now."""
        self._most = 0
        """Highest `held` since memory was last given back."""

    @asynccontextmanager
    async def receive(self, request: web.Request, limit: int) -> AsyncIterator[Body]:
        """Read the body of a request; its memory counts until the end of the `with` block.

        Raises ApiProblem (408, 413, 503).
        """
        body, guard = Body(self), guard_of(request)
        self._open.add(body)
        try:
            if guard is not None:
                guard.body_begins()
            try:
                await body.receive(request, limit)
            finally:
                if guard is not None:
                    guard.body_ends()
            yield body
        finally:
            self._open.discard(body)
            self.count(-body.held, body)

    @asynccontextmanager
    async def decoding(self, size: int) -> AsyncIterator[None]:
        """Wait until a body of this size may be decoded; it counts until the end of the `with`.

        Bodies are taken in the order in which they came; one that exceeds the limit is alone.
        """
        if self._waiting or not self._fits(size):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():
                    self._decoded -= size
                self._take_turns()
                raise
        else:
            self._decoded += size
        try:
            yield
        finally:
            self._decoded -= size
            self._take_turns()

    def _fits(self, size: int) -> bool:
        return not self._decoded or self._decoded + size <= self._decoded_limit

    def _take_turns(self) -> None:
        while self._waiting and (
            self._waiting[0][1].cancelled() or self._fits(self._waiting[0][0])
        ):
            size, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._decoded += size
                turn.set_result(None)

    def count(self, size: int, body: Body) -> None:
        """Count further bytes of a body. Raises ApiProblem (503) where there is none left."""
        while size > 0 and self.held + size > self._total_limit:
            arriving = [each for each in self._open if each.is_arriving]
            largest = max(arriving, key=lambda each: each.held, default=body)
            if largest is body or not largest.held:
                raise _full()
            largest.give_way()
            self.count(-largest.held, largest)
        self.held += size
        body.held += size
        self._most = max(self._most, self.held)

    def release_memory(self) -> None:
        """Give memory back to the system where most of a lot has become free."""
        if self._most >= _LARGE and self.held * 4 < self._most:
            self._most = self.held
            _trim()


def _unpacked(raw: bytes) -> Iterator[bytes]:
    """Yield the content of a gzip body of any number of members, in parts of at most _STEP bytes.

    A part is empty where much was read and nothing found. Raises zlib.error, and ApiProblem (400)
    where the body ends too early.
    """
    decoder = zlib.decompressobj(wbits=31)
    for start in range(0, len(raw), _SLICE):
        rest, part = raw[start : start + _SLICE], b""
        while rest or (len(part) == _STEP and not decoder.eof):
            if decoder.eof:
                decoder = zlib.decompressobj(wbits=31)
            part = decoder.decompress(rest, _STEP)
            rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            if part:
                yield part
        yield b""
    if raw and not decoder.eof:
        raise ApiProblem(400, "The gzip body ends too early.")


def _trim() -> None:
    """Return freed memory to the system, where the C library keeps it and has a call for that."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _decode_all(raw: bytes) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(raw), _STEP):
        decoder.decode(raw[start : start + _STEP])
    decoder.decode(b"", final=True)


def _too_large(limit: int) -> ApiProblem:
    return ApiProblem(413, f"The body is larger than {limit} bytes; send smaller ones.")


def _full() -> ApiProblem:
    return ApiProblem(
        503, "Too many bodies are arriving at once; try again.", headers={"Retry-After": "1"}
    )
