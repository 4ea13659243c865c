"""Parse HTTP/1.x responses from received bytes. Pure: opens no socket.

Supports status lines and fields, Content-Length, chunked bodies with extensions and trailers,
bodies that end with the connection, responses without a body (1xx, 204, 304), interim responses
and keep-alive. Does not support pipelining, other transfer codings, protocol switches (101) and
folded header lines: each is refused, as are bytes after the end of a response.

Parsing is strict where a lenient parser could disagree with the server about where a response
ends: RFC 9112, sections 2 to 7. `tests/load/test_http1_against_h11.py` compares it with h11.

Time is linear in the size of a response, however it is split. A server repeats its responses
(the Date changes once a second), so complete small responses and parsed heads are cached by their
bytes: a known response that arrives in one piece costs one dictionary lookup.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from trueup.reports.transport.limits import BODY_MOST, CHUNKS_MOST, HEAD_MOST, INTERIM_MOST

__all__ = ["HttpProtocolError", "Response", "ResponseParser"]

MAX_HEAD: Final = HEAD_MOST
"""Maximum size of a response head, of a chunk-size line and of trailers, in bytes."""
MAX_BODY: Final = BODY_MOST
"""Maximum size of a response body, in bytes."""
_REDIRECT: Final = range(300, 400)
_CACHE_ENTRIES: Final = 256
_CACHED_SIZE_MAX: Final = 1_024
"""Maximum size of a complete response that is cached, in bytes."""
_LENGTH_DIGITS_MAX: Final = 18
_END_OF_HEAD: Final = b"\r\n\r\n"
_CHUNKED: Final = -1
_UNTIL_CLOSE: Final = -2

_FIELD: Final = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*"
_HEAD_SYNTAX: Final = re.compile(
    rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?(?:\r\n" + _FIELD + rb")*"
)
_FIELD_SYNTAX: Final = re.compile(_FIELD)
_USED_FIELDS: Final = re.compile(
    rb"\r\n((?i:connection|content-length|location|retry-after|transfer-encoding)):[ \t]*([^\r]*)"
)
_FRAMING_FIELDS: Final = (b"content-length", b"transfer-encoding")
"""Fields that must not be in trailers: they say where a body ends."""
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?[ \t]*")


class HttpProtocolError(Exception):
    """The received bytes are not a supported HTTP/1.x response; the message says why."""


class Response(NamedTuple):
    """A complete response."""

    status: int
    body: bytes
    keep_alive: bool
    retry_after: str | None
    location: str | None = None
    """Where a status 3xx redirects to, as the target sent it: not to be shown or recorded."""


class _Head(NamedTuple):
    status: int
    length: int
    """Size of the body in bytes, `_CHUNKED` or `_UNTIL_CLOSE`."""
    keep_alive: bool
    retry_after: str | None
    location: str | None


_heads: dict[bytes, _Head] = {}
_responses: dict[bytes, Response] = {}


class ResponseParser:
    """Parse the responses of one connection, one after another."""

    __slots__ = (
        "_body",
        "_buffer",
        "_chunk_left",
        "_chunks",
        "_head",
        "_interim",
        "_trailer_size",
    )

    def __init__(self) -> None:
        self._buffer = bytearray()
        """Received bytes of an incomplete head or line."""
        self._head: _Head | None = None
        self._interim = 0
        """Interim responses since the last final one."""
        self._body = bytearray()
        self._chunk_left = 0
        """Bytes that the current chunk still lacks, its line end included."""
        self._chunks = 0
        """Chunks of the body so far."""
        self._trailer_size = -1
        """Bytes of trailers so far; -1 before the last chunk."""

    @property
    def idle(self) -> bool:
        """Return whether no byte of the next response was received."""
        return self._head is None and not self._buffer

    def feed(self, data: bytes) -> Response | None:
        """Parse received bytes.

        Returns the response once it is complete, else None. Raises HttpProtocolError if the bytes
        cannot be the response to one request; the parser cannot be used after that.
        """
        if self._head is None and not self._buffer:
            known = _responses.get(data)
            if known is not None:
                return known
            response = self._parse(data)
            if response is not None and len(data) <= _CACHED_SIZE_MAX:
                if len(_responses) >= _CACHE_ENTRIES:
                    _responses.clear()
                _responses[data] = response
            return response
        return self._parse(data)

    def eof(self) -> Response | None:
        """Handle the end of the connection.

        Returns the response if its body ends with the connection, else None: what was received
        is no complete response.
        """
        head = self._head
        if head is None or head.length != _UNTIL_CLOSE:
            return None
        return self._finish(head)

    def _parse(self, data: bytes) -> Response | None:
        head, at = self._head, 0
        if head is None:
            head, data, at = self._read_head(data)
            if head is None:
                return None
            if len(data) - at == head.length:  # the usual case: all of it in one piece
                return _response_of(head, data[at:])
            self._head = head
        if head.length == _CHUNKED:
            return self._read_chunks(head, data, at)
        self._append(data, at, len(data))
        if head.length == _UNTIL_CLOSE or len(self._body) < head.length:
            return None
        if len(self._body) > head.length:
            raise _excess(len(self._body) - head.length)
        return self._finish(head)

    def _read_head(self, data: bytes) -> tuple[_Head | None, bytes, int]:
        """Parse the head, and interim ones before it.

        Returns the head, or None while it is incomplete, and the bytes and the position at which
        the body begins.
        """
        if self._buffer:
            start = max(len(self._buffer) - 3, 0)
            self._buffer += data
            end = self._buffer.find(_END_OF_HEAD, start)
            if end < 0 and len(self._buffer) <= MAX_HEAD:
                return None, b"", 0
            data = bytes(self._buffer)
            self._buffer.clear()
        else:
            end = data.find(_END_OF_HEAD)
        begin = 0
        while 0 <= end - begin <= MAX_HEAD:
            raw = data[begin:end]
            head = _heads.get(raw) or _parse_head(raw)
            if head.status >= 200:
                self._interim = 0
                return head, data, end + 4
            self._interim += 1
            if self._interim > INTERIM_MOST:
                raise HttpProtocolError(f"more than {INTERIM_MOST} interim responses")
            begin = end + 4
            end = data.find(_END_OF_HEAD, begin)
        if end >= 0 or len(data) - begin > MAX_HEAD:
            raise HttpProtocolError(f"a response head of more than {MAX_HEAD} bytes")
        self._buffer += data[begin:]
        return None, b"", 0

    def _read_chunks(self, head: _Head, data: bytes, at: int) -> Response | None:
        while True:
            if self._chunk_left > 2:
                take = min(self._chunk_left - 2, len(data) - at)
                self._append(data, at, at + take)
                self._chunk_left -= take
                at += take
                if self._chunk_left > 2:
                    return None
            line, at = self._read_line(data, at)
            if line is None:
                return None
            if self._chunk_left:
                if line:
                    raise HttpProtocolError(f"{line[:40]!r} after the end of a chunk")
                self._chunk_left = 0
            elif self._trailer_size >= 0:
                if not line:
                    break
                self._read_trailer(line)
            elif size := _parse_chunk_size(line):
                self._chunks += 1
                if self._chunks > CHUNKS_MOST:
                    raise HttpProtocolError(f"a response body of more than {CHUNKS_MOST} chunks")
                if len(self._body) + size > MAX_BODY:
                    raise _too_large()
                if data[at + size : at + size + 2] == b"\r\n":  # the usual case: all of it is here
                    self._body += data[at : at + size]
                    at += size + 2
                else:
                    self._chunk_left = size + 2
            elif data[at:] == b"\r\n":  # the usual case: no trailers
                return self._finish(head)
            else:
                self._trailer_size = 0
        if at < len(data):
            raise _excess(len(data) - at)
        return self._finish(head)

    def _read_line(self, data: bytes, at: int) -> tuple[bytes | None, int]:
        """Read a line that may have begun in an earlier piece.

        Returns the line without its end, and the position after it; None if it is incomplete.
        """
        if not self._buffer:
            end = data.find(b"\r\n", at)
            if end >= 0:
                return data[at:end], end + 2
            self._buffer += data[at:]
        else:
            known = len(self._buffer)
            self._buffer += data[at:]
            end = self._buffer.find(b"\r\n", known - 1)
            if end >= 0:
                line = bytes(self._buffer[:end])
                self._buffer.clear()
                return line, at + end + 2 - known
        if len(self._buffer) > MAX_HEAD:
            raise HttpProtocolError(f"a line of more than {MAX_HEAD} bytes in a chunked body")
        return None, len(data)

    def _read_trailer(self, line: bytes) -> None:
        self._trailer_size += len(line) + 2
        if self._trailer_size > MAX_HEAD:
            raise HttpProtocolError(f"trailers of more than {MAX_HEAD} bytes")
        name = line.partition(b":")[0].lower()
        if name in _FRAMING_FIELDS or not _FIELD_SYNTAX.fullmatch(line):
            raise HttpProtocolError(f"{line[:60]!r} is not a valid trailer")

    def _append(self, data: bytes, start: int, stop: int) -> None:
        if len(self._body) + stop - start > MAX_BODY:
            raise _too_large()
        self._body += data[start:stop] if start or stop < len(data) else data

    def _finish(self, head: _Head) -> Response:
        body = bytes(self._body)
        self._head, self._chunk_left, self._trailer_size = None, 0, -1
        self._chunks = 0
        self._body.clear()
        return _response_of(head, body)


def _response_of(head: _Head, body: bytes) -> Response:
    return Response(head.status, body, head.keep_alive, head.retry_after, head.location)


def _excess(count: int) -> HttpProtocolError:
    return HttpProtocolError(f"{count} bytes after the end of a response")


def _too_large() -> HttpProtocolError:
    return HttpProtocolError(f"a response body of more than {MAX_BODY} bytes")


def _parse_chunk_size(line: bytes) -> int:
    found = _CHUNK_SIZE.fullmatch(line)
    if found is None:
        raise HttpProtocolError(f"{line[:40]!r} is not a chunk size")
    return int(found[1], 16)


def _parse_head(raw: bytes) -> _Head:
    """Parse a status line and fields; `raw` ends before the empty line."""
    syntax = _HEAD_SYNTAX.fullmatch(raw)
    if syntax is None:
        raise HttpProtocolError(_syntax_error(raw))
    status = int(syntax[2])
    if status == 101:
        raise HttpProtocolError("status 101: a change of protocol was not requested")
    lengths: list[bytes] = []
    codings: list[bytes] = []
    connection = b""
    retry_after = location = None
    for name, value in _USED_FIELDS.findall(raw):
        match name.lower():
            case b"content-length":
                lengths.append(value)
            case b"transfer-encoding":
                codings.append(value)
            case b"connection":
                connection += b"," + value
            case b"location":
                location = value.decode("latin-1").strip(" \t") if status in _REDIRECT else None
            case _:
                retry_after = value.decode("latin-1").strip(" \t")
    length = _body_length(status, lengths, codings)
    keep_alive = length != _UNTIL_CLOSE and not _has_option(connection, b"close")
    if syntax[1] == b"0":
        keep_alive = keep_alive and _has_option(connection, b"keep-alive")
    if codings and lengths:
        keep_alive = False  # two lengths: RFC 9112, 6.3, asks for the connection to be closed
    head = _Head(status, length, keep_alive, retry_after, location)
    if len(_heads) >= _CACHE_ENTRIES:
        _heads.clear()
    if status >= 200:
        _heads[raw] = head
    return head


def _syntax_error(raw: bytes) -> str:
    """Describe the first line of a head that is not valid."""
    first, *fields = raw.split(b"\r\n")
    for line in fields if _HEAD_SYNTAX.fullmatch(first) else ():
        if not _FIELD_SYNTAX.fullmatch(line):
            return f"{line[:60]!r} is not a valid header field"
    return f"{first[:60]!r} is not an HTTP/1.x status line"


def _has_option(connection: bytes, option: bytes) -> bool:
    """Return whether an option is in the comma-separated values of Connection."""
    lowered = connection.lower()
    return option in lowered and option in [one.strip(b" \t") for one in lowered.split(b",")]


def _body_length(status: int, lengths: list[bytes], codings: list[bytes]) -> int:
    """Return the size of the body in bytes, `_CHUNKED` or `_UNTIL_CLOSE`.

    Raises HttpProtocolError for an invalid length, for two that differ, and for a transfer coding
    other than chunked.
    """
    if codings and [coding.strip(b" \t").lower() for coding in codings] != [b"chunked"]:
        raise HttpProtocolError(f"Transfer-Encoding {b', '.join(codings)[:40]!r} is not supported")
    length = _UNTIL_CLOSE
    if lengths:
        text = lengths[0].strip(b" \t")
        if len(lengths) > 1 or b"," in text:
            distinct = {one.strip(b" \t") for value in lengths for one in value.split(b",")}
            text = distinct.pop()
            if distinct:
                raise HttpProtocolError("Content-Length fields that differ")
        if not text.isdigit() or len(text) > _LENGTH_DIGITS_MAX:
            raise HttpProtocolError(f"{text[:20]!r} is not a Content-Length")
        length = int(text)
    if status < 200 or status in (204, 304):
        return 0
    if codings:
        return _CHUNKED
    if length > MAX_BODY:
        raise _too_large()
    return length
