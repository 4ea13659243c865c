"""The form in which a target accepts events: URL, body and field names. Frozen values.

Encoding is pure: takes events or our NDJSON, returns the bytes of the target's form.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from trueup.reports.results import Json
from trueup.simulator.delivery.responses import ResponseRule
from trueup.simulator.delivery.retry import RetryPolicy
from trueup.simulator.field_map import FieldMap

__all__ = ["CONTENT_TYPE", "BodyForm", "FieldMap", "HttpForm", "encode_events", "encode_ndjson"]

_JSON: Final = msgspec.json.Encoder()
_EVENTS: Final = msgspec.json.Decoder(dict[str, object])


class BodyForm(StrEnum):
    """The body of one request."""

    NDJSON = "ndjson"
    JSON_ARRAY = "json-array"
    JSON_OBJECT = "json-object"
    """One event a request."""


CONTENT_TYPE: Final[Mapping[BodyForm, str]] = {
    BodyForm.NDJSON: "application/x-ndjson",
    BodyForm.JSON_ARRAY: "application/json",
    BodyForm.JSON_OBJECT: "application/json",
}

_FRAME: Final[Mapping[BodyForm, tuple[bytes, bytes, bytes]]] = {
    BodyForm.NDJSON: (b"", b"\n", b"\n"),
    BodyForm.JSON_ARRAY: (b"[", b",", b"]"),
    BodyForm.JSON_OBJECT: (b"", b"", b""),
}
"""Before the events, between them, after them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpForm:
    """An HTTP ingestion endpoint. Header values are resolved and may be secret: never print
    them.
    """

    url: str
    method: str = "POST"
    body: BodyForm = BodyForm.NDJSON
    gzip: bool = False
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    fields: FieldMap = field(default_factory=FieldMap)
    response_rule: ResponseRule = field(default_factory=ResponseRule)
    timeout_s: float = 10.0
    """For one attempt, from connecting to the complete response."""
    max_events: int = 1_000
    """Events in one request; more are sent in several."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def head_fields(self) -> dict[str, str]:
        """Return the header fields but Host and Content-Length; those of the form replace
        defaults.
        """
        fields = {"Content-Type": CONTENT_TYPE[self.body], "Accept": "application/json"}
        if self.gzip:
            fields["Content-Encoding"] = "gzip"
        given = {name.lower() for name in self.headers}
        kept = {name: value for name, value in fields.items() if name.lower() not in given}
        return {**kept, **self.headers}


def encode_events(form: HttpForm, events: Sequence[Mapping[str, Json]]) -> bytes:
    """Return the request body for some events, with field map and compression applied."""
    before, between, after = _FRAME[form.body]
    rows = [form.fields.apply(event) for event in events] if form.fields else events
    body = before + between.join(_JSON.encode(row) for row in rows) + after
    return compress(body) if form.gzip else body


def encode_ndjson(form: HttpForm, body: bytes) -> bytes:
    """Return the request body for events given as NDJSON lines.

    Without a field map the lines are not parsed: a JSON text on one line holds no raw newline.
    """
    if form.fields:
        rows = [_EVENTS.decode(line) for line in body.splitlines() if line]
        return encode_events(form, rows)  # type: ignore[arg-type]  # decoded JSON is Json
    before, between, after = _FRAME[form.body]
    if form.body is not BodyForm.NDJSON:
        body = before + body.rstrip(b"\n").replace(b"\n", between) + after
    return compress(body) if form.gzip else body


def compress(body: bytes) -> bytes:
    """Return the body compressed by gzip at its fastest level, which costs a load generator
    least.
    """
    squeezer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return squeezer.compress(body) + squeezer.flush()
