"""What a request asks the origin for: path and query → the response, and how it goes wrong. Pure.

`/bytes/N` is the one resource; its options combine. The other paths are short forms. The byte at
place `i` of a body is `i & 255`, so that a client can tell a wrong byte from a missing one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl, urlsplit

__all__ = ["OPTIONS", "PATHS", "Ending", "RequestedResponse", "read_target"]

BYTES_MAX: Final = 1 << 40
MS_MAX: Final = 300_000
_HEAD_MAX: Final = 1 << 20
_PAGE_MAX: Final = 1000


class Ending(StrEnum):
    """What happens after the response, or where it is cut."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    STALL = "stall"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedResponse:
    """A response, as the request asked for it."""

    status: int = 200
    size: int = 0
    """Bytes of the body that the head promises."""
    content: bytes | None = None
    """The body; None: the counting pattern."""
    content_type: str = "application/octet-stream"
    location: str | None = None
    chunk: int = 0
    """Bytes of a chunk of the chunked coding; 0: with Content-Length."""
    piece: int = 0
    """Bytes that are sent before each pause; 0: without pauses."""
    pause_ms: int = 0
    delay_ms: int = 0
    """Between the request and the response."""
    head_bytes: int = 0
    """Bytes of a header field that pads the head."""
    cut: int | None = None
    """Bytes of the body after which `end` happens; None: at the end of the body."""
    end: Ending = Ending.KEEP
    early: bool = False
    """Respond without reading the request's body."""
    silent: bool = False
    """Send no response: `end` happens after the request."""
    garbage: bool = False
    """Send bytes that are not HTTP, and close."""
    report: bool = False
    """The body says how many bytes the request's body had, as JSON."""

    @property
    def sent_size(self) -> int:
        """Return the bytes of the body that are sent."""
        return self.size if self.cut is None else min(self.cut, self.size)


def read_target(target: str) -> RequestedResponse:
    """Return what a request target asks for. Raises ValueError with what is wrong and allowed."""
    parts = urlsplit(target)
    name, _, rest = parts.path.lstrip("/").partition("/")
    if name not in PATHS:
        known = " ".join(f"/{path}" for path in PATHS)
        raise ValueError(f"no resource {parts.path[:80]!r}; there are {known}")
    found = PATHS[name](rest)
    for option, text in parse_qsl(parts.query, keep_blank_values=True):
        if option == "id":
            continue
        if option not in OPTIONS:
            raise ValueError(f"no option {option[:80]!r}; there are id {' '.join(OPTIONS)}")
        found = OPTIONS[option](found, text)
    if found.pause_ms and not found.piece:
        found = replace(found, piece=found.chunk or 1024)
    return found


def _whole(what: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 15 or int(text) > most:
        raise ValueError(f"{what}: expected a whole number from 0 to {most}, found {text[:40]!r}")
    return int(text)


def _bytes(rest: str) -> RequestedResponse:
    return RequestedResponse(size=_whole("/bytes/N", rest, BYTES_MAX))


def _status(rest: str) -> RequestedResponse:
    return _with_status(RequestedResponse(), rest)


def _page(rest: str) -> RequestedResponse:
    """Return a page whose N images have 1,000, 2,000, … bytes."""
    count = _whole("/page/N", rest, _PAGE_MAX)
    images = "".join(f'<img src="/bytes/{1000 * n}?type=image/png&id={n}">\n' for n in
                     range(1, count + 1))  # fmt: skip
    text = f"<!doctype html><title>{count} resources</title>\n{images}".encode()
    return RequestedResponse(size=len(text), content=text, content_type="text/html; charset=utf-8")


def _upload(rest: str) -> RequestedResponse:
    del rest
    return RequestedResponse(report=True, content_type="application/json")


def _redirect(rest: str) -> RequestedResponse:
    return RequestedResponse(
        status=302, location=f"/bytes/{_whole('/redirect/N', rest, BYTES_MAX)}"
    )


def _silent(rest: str) -> RequestedResponse:
    del rest
    return RequestedResponse(silent=True, end=Ending.CLOSE)


def _garbage(rest: str) -> RequestedResponse:
    del rest
    return RequestedResponse(garbage=True, end=Ending.CLOSE)


def _with_status(found: RequestedResponse, text: str) -> RequestedResponse:
    status = _whole("status", text, 999)
    if status < 200:
        raise ValueError(f"status: expected a final one, from 200 to 999, found {status}")
    return replace(found, status=status)


def _with_end(found: RequestedResponse, text: str) -> RequestedResponse:
    try:
        return replace(found, end=Ending(text))
    except ValueError:
        raise ValueError(f"end: expected one of {', '.join(Ending)}, found {text[:40]!r}") from None


def _with_type(found: RequestedResponse, text: str) -> RequestedResponse:
    if not text.isascii() or not text.isprintable() or len(text) > 200:
        raise ValueError("type: expected at most 200 printable ASCII characters")
    return replace(found, content_type=text)


def _with_cut(found: RequestedResponse, text: str) -> RequestedResponse:
    end = Ending.CLOSE if found.end is Ending.KEEP else found.end
    return replace(found, cut=_whole("cut", text, BYTES_MAX), end=end)


PATHS: Final[Mapping[str, Callable[[str], RequestedResponse]]] = {
    "bytes": _bytes,
    "upload": _upload,
    "status": _status,
    "page": _page,
    "redirect": _redirect,
    "silent": _silent,
    "garbage": _garbage,
}
"""First part of the path → the response that the rest of it asks for."""

OPTIONS: Final[Mapping[str, Callable[[RequestedResponse, str], RequestedResponse]]] = {
    "status": _with_status,
    "chunk": lambda found, text: replace(found, chunk=_whole("chunk", text, BYTES_MAX)),
    "piece": lambda found, text: replace(found, piece=_whole("piece", text, BYTES_MAX)),
    "pause_ms": lambda found, text: replace(found, pause_ms=_whole("pause_ms", text, MS_MAX)),
    "delay_ms": lambda found, text: replace(found, delay_ms=_whole("delay_ms", text, MS_MAX)),
    "head": lambda found, text: replace(found, head_bytes=_whole("head", text, _HEAD_MAX)),
    "cut": _with_cut,
    "end": _with_end,
    "early": lambda found, text: replace(found, early=bool(_whole("early", text, 1))),
    "type": _with_type,
}
"""Option of the query → the response with it."""
