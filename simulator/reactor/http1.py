"""HTTP/1.1 responses, read from whatever pieces the network hands over. Pure: no sockets.

Understood: a status line and fields, Content-Length, chunked bodies with trailers, bodies that
end with the connection, answers without a body (1xx, 204, 304), interim 1xx answers, and
`Connection: close`. Pipelining is not: bytes after a whole answer break the protocol.

Answers repeat (they differ by their Date once a second), so whole small ones are kept by their
bytes: one that came before, in one piece, costs a look-up. So do parsed heads.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["HttpProtocolError", "Response", "ResponseParser"]

MAX_HEAD: Final = 64 << 10
"""Bytes of a response head."""
MAX_BODY: Final = 64 << 20
"""Bytes of a response body."""
_MOST_KNOWN: Final = 256
_SMALL: Final = 1_024
"""Bytes of an answer that is worth keeping whole."""
_MOST_DIGITS: Final = 18
"""Of a length: enough for 2^59 bytes, and few enough for Python to read."""
_END_OF_HEAD: Final = b"\r\n\r\n"
_CHUNKED: Final = -1
_UNTIL_CLOSE: Final = -2


class HttpProtocolError(Exception):
    """The target's bytes are no HTTP/1.1 response; the message says what stands in the way."""


class Response(NamedTuple):
    """One whole response."""

    status: int
    body: bytes
    keep_alive: bool
    retry_after: str | None


class _Head(NamedTuple):
    status: int
    length: int
    """Bytes of the body, or one of the two constants above."""
    keep_alive: bool
    retry_after: str | None


_known: dict[bytes, _Head] = {}
_whole: dict[bytes, Response] = {}


class ResponseParser:
    """Feeds on received bytes, one response after the other. One per connection."""

    __slots__ = ("_buffer", "_head", "_length", "_parts")

    def __init__(self) -> None:
        self._buffer = b""
        self._head: _Head | None = None
        self._parts: list[bytes] | None = None
        self._length = 0
        """Bytes of `_parts`."""

    @property
    def idle(self) -> bool:
        """Whether no part of a response has been read yet."""
        return self._head is None and not self._buffer

    def feed(self, data: bytes) -> Response | None:
        """Take some bytes; give the response once it is whole.

        Raises HttpProtocolError where the bytes cannot be a response to one request.
        """
        if self._head is None and not self._buffer:
            known = _whole.get(data)
            if known is not None:
                return known
            self._buffer = data
            response = self._advance()
            if response is not None and len(data) <= _SMALL:
                if len(_whole) >= _MOST_KNOWN:
                    _whole.clear()
                _whole[data] = response
            return response
        self._buffer += data
        return self._advance()

    def eof(self) -> Response | None:
        """The connection ended; give the response that only now is whole, if it is."""
        if self._head is not None and self._head.length == _UNTIL_CLOSE:
            head, body = self._head, self._buffer
            self._reset(b"")
            return Response(head.status, body, False, head.retry_after)
        return None

    def _advance(self) -> Response | None:
        while self._head is None:
            end = self._buffer.find(_END_OF_HEAD)
            if end < 0:
                if len(self._buffer) > MAX_HEAD:
                    raise HttpProtocolError(f"a response head of more than {MAX_HEAD} bytes")
                return None
            head = _read_head(self._buffer[:end])
            self._buffer = self._buffer[end + 4 :]
            if head.status >= 200:
                self._head = head
        return self._body(self._head)

    def _body(self, head: _Head) -> Response | None:
        if head.length == _CHUNKED:
            return self._chunks(head)
        if len(self._buffer) > MAX_BODY:
            raise HttpProtocolError(f"a response body of more than {MAX_BODY} bytes")
        if head.length == _UNTIL_CLOSE or len(self._buffer) < head.length:
            return None
        return self._finish(head, self._buffer[: head.length], self._buffer[head.length :])

    def _chunks(self, head: _Head) -> Response | None:
        if self._parts is None:
            self._parts = []
        buffer, at = self._buffer, 0
        try:
            while True:
                line_end = buffer.find(b"\r\n", at)
                if line_end < 0:
                    if len(buffer) - at > MAX_HEAD:
                        raise HttpProtocolError("a chunk size line without an end")
                    return None
                size = _chunk_size(buffer[at:line_end])
                if size == 0:
                    return self._trailers(head, buffer[line_end:])
                begin, end = line_end + 2, line_end + 2 + size
                if self._length + size > MAX_BODY:
                    raise HttpProtocolError(f"a response body of more than {MAX_BODY} bytes")
                if len(buffer) < end + 2:
                    return None
                if buffer[end : end + 2] != b"\r\n":
                    raise HttpProtocolError("a chunk that does not end where its size says")
                self._parts.append(buffer[begin:end])
                self._length += size
                at = end + 2
        finally:
            if at and self._parts is not None:
                self._buffer = buffer[at:]

    def _trailers(self, head: _Head, rest: bytes) -> Response | None:
        end = rest.find(_END_OF_HEAD)
        if end < 0:
            if len(rest) > MAX_HEAD:
                raise HttpProtocolError(f"trailers of more than {MAX_HEAD} bytes")
            return None
        return self._finish(head, b"".join(self._parts or ()), rest[end + 4 :])

    def _finish(self, head: _Head, body: bytes, rest: bytes) -> Response:
        if rest:
            raise HttpProtocolError(f"{len(rest)} bytes after the end of a response")
        self._reset(b"")
        return Response(head.status, body, head.keep_alive, head.retry_after)

    def _reset(self, buffer: bytes) -> None:
        self._buffer, self._head, self._parts, self._length = buffer, None, None, 0


def _chunk_size(line: bytes) -> int:
    digits = line.split(b";", 1)[0].strip()
    try:
        if not digits.isalnum() or len(digits) > _MOST_DIGITS:
            raise ValueError
        return int(digits, 16)
    except ValueError:
        raise HttpProtocolError(f"{line[:40]!r} is no chunk size") from None


def _read_head(raw: bytes) -> _Head:
    known = _known.get(raw)
    if known is not None:
        return known
    lines = raw.split(b"\r\n")
    start = lines[0].split(b" ", 2)
    if len(start) < 2 or not start[0].startswith(b"HTTP/1.") or not start[1].isdigit():
        raise HttpProtocolError(f"{lines[0][:60]!r} is no HTTP/1.1 status line")
    fields: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon:
            raise HttpProtocolError(f"{line[:60]!r} is no header field")
        fields[name.strip().lower()] = value.strip()
    status = int(start[1])
    connection = fields.get(b"connection", b"").lower()
    length = _length(status, fields)
    keep = b"close" not in connection and length != _UNTIL_CLOSE
    if start[0] == b"HTTP/1.0":
        keep = keep and b"keep-alive" in connection
    after = fields.get(b"retry-after")
    head = _Head(status, length, keep, after.decode("latin-1") if after is not None else None)
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    if length >= 0 and status >= 200:
        _known[raw] = head
    return head


def _length(status: int, fields: dict[bytes, bytes]) -> int:
    if status < 200 or status in (204, 304):
        return 0
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        return _CHUNKED
    length = fields.get(b"content-length")
    if length is None:
        return _UNTIL_CLOSE
    if not length.isdigit() or len(length) > _MOST_DIGITS:
        raise HttpProtocolError(f"a Content-Length of {length[:20]!r}")
    return int(length)
