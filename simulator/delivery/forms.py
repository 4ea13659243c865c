"""The form in which a target accepts events: URL, body and headers. Frozen values.

Encoding is pure: takes events or our NDJSON, returns the bytes of the target's form.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import msgspec

from trueup.reports.event_format import BODY_FORMS, BodyForm, EventFormat, Framing
from trueup.reports.results import Json
from trueup.reports.transport.credentials import NO_FILES, Credentials, TlsFiles
from trueup.simulator.delivery.responses import ResponseRule
from trueup.simulator.delivery.retry import RetryPolicy

__all__ = [
    "COMPRESSIONS",
    "BodyForm",
    "EventFormat",
    "Framing",
    "HttpForm",
    "compress",
    "encode_events",
    "encode_ndjson",
    "event_of",
    "events_of",
]

_EVENT: Final = msgspec.json.Decoder(dict[str, Json])


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpForm:
    """An HTTP ingestion endpoint. Header values are resolved and may be secret: never print
    them.
    """

    url: str
    method: str = "POST"
    format: EventFormat = field(default_factory=EventFormat)
    compression: str = "none"
    """A key of `COMPRESSIONS`."""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    event_headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Header → template with fields of the event in braces, where a request has one event."""
    credentials: Credentials | None = None
    """A token or a signature besides the headers."""
    tls: TlsFiles = NO_FILES
    unix_socket: str = ""
    """Path of the UNIX socket to connect to instead of the URL's host; empty: none."""
    response_rule: ResponseRule = field(default_factory=ResponseRule)
    timeout_s: float = 10.0
    """For one attempt, from connecting to the complete response."""
    max_events: int = 1_000
    """Events in one request; more are sent in several."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    @property
    def one_by_one(self) -> bool:
        """Return whether a request has one event."""
        return self.format.framing is Framing.SINGLE or bool(self.event_headers)

    @property
    def events_per_request(self) -> int:
        """Return the most events of one request."""
        return 1 if self.one_by_one else self.max_events

    def head_fields(self, event: Mapping[str, Json] | None = None) -> dict[str, str]:
        """Return the header fields but Host and Content-Length; those of the form replace
        defaults. `event` is that of the request, where headers are made from one.
        """
        kind = BODY_FORMS[self.format.form].content_type
        fields = {"Content-Type": kind, "Accept": "application/json"}
        if self.compression != "none":
            fields["Content-Encoding"] = self.compression
        given = {name.lower() for name in self.headers}
        kept = {name: value for name, value in fields.items() if name.lower() not in given}
        return {**kept, **self.headers, **self.header_values(event or {})}

    def header_values(self, event: Mapping[str, Json]) -> dict[str, str]:
        """Return the header fields that are made from an event."""
        return {
            name: self.format.fill_text(text, event) for name, text in self.event_headers.items()
        }


def encode_events(form: HttpForm, events: Sequence[Mapping[str, Json]]) -> bytes:
    """Return the request body for some events, in the target's format and compressed."""
    return compress(form, form.format.encode(events))


def encode_ndjson(form: HttpForm, body: bytes) -> bytes:
    """Return the request body for events given as NDJSON lines.

    Where events are sent as they are, the lines are not parsed: a JSON text on one line holds no
    raw newline.
    """
    if not form.format.is_plain:
        return encode_events(form, events_of(body))
    before, between, after = form.format.frame()
    if form.format.framing is not Framing.LINES:
        body = before + body.rstrip(b"\n").replace(b"\n", between) + after
    return compress(form, body)


def event_of(line: bytes) -> dict[str, Json]:
    """Return the event of a line of our NDJSON."""
    return _EVENT.decode(line)


def events_of(body: bytes) -> list[dict[str, Json]]:
    """Return the events of a body of our NDJSON."""
    return [event_of(line) for line in body.splitlines() if line]


def compress(form: HttpForm, body: bytes) -> bytes:
    """Return the body compressed as the form says."""
    return COMPRESSIONS[form.compression](body)


def _gzip(body: bytes) -> bytes:
    squeezer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return squeezer.compress(body) + squeezer.flush()


def _zstd(body: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.compress(body, 1)


COMPRESSIONS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "none": lambda body: body,
    "gzip": _gzip,
    "zstd": _zstd,
}
"""Content-Encoding → function; at the fastest level, which costs a load generator least."""
