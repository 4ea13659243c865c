"""The ingestion endpoint: takes NDJSON, returns the number accepted and the refused lines."""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

from trueup.reference.api.context import Answer, Call
from trueup.reference.errors import ApiProblem
from trueup.reference.store.record import record

__all__ = ["BODY_LIMIT", "DECODED_LIMIT", "ingest", "unpack"]

BODY_LIMIT: Final = 32 << 20
"""Most bytes of a delivery as it travels."""
DECODED_LIMIT: Final = 64 << 20
"""Most bytes of a delivery once decompressed."""


def unpack(raw: bytes) -> bytes:
    """Return the decompressed gzip body, at most DECODED_LIMIT bytes.

    Raises ApiProblem (400, 413).
    """
    parts: list[bytes] = []
    room = DECODED_LIMIT + 1
    rest = raw
    try:
        while rest:
            decoder = zlib.decompressobj(wbits=31)
            parts.append(decoder.decompress(rest, room))
            room -= len(parts[-1])
            if room <= 0 or decoder.unconsumed_tail:
                raise ApiProblem(413, f"The body unpacks to more than {DECODED_LIMIT} bytes.")
            if not decoder.eof:
                raise ApiProblem(400, "The gzip body ends too early.")
            rest = decoder.unused_data
    except zlib.error as error:
        raise ApiProblem(
            400, f"The body is not gzip, as its Content-Encoding says: {error}."
        ) from None
    return b"".join(parts)


async def ingest(call: Call) -> Answer:
    """Take a delivery; the response is sent once every accepted event is committed.

    Raises ApiProblem (400 no text, 413 too large, 415 unknown encoding, 503 shutting down).
    """
    context, request = call.context, call.request
    if context.closing:
        raise ApiProblem(503, "The server is shutting down.", headers={"Retry-After": "1"})
    if (request.content_length or 0) > BODY_LIMIT:
        raise ApiProblem(413, f"The body is larger than {BODY_LIMIT} bytes; send smaller batches.")
    body = await request.read()
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "gzip":
        body = await asyncio.to_thread(unpack, body)
    elif encoding != "identity":
        raise ApiProblem(415, f"Content-Encoding must be gzip or absent, not {encoding[:40]!r}.")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise ApiProblem(400, f"The body must be NDJSON in UTF-8: {error}.") from None
    customers = frozenset(tenant.customer_id for tenant in context.store.tenants)
    result = await context.write(
        lambda connection: record(
            connection,
            body,
            behaviour=context.behaviour,
            now_us=context.clock.now_us(),
            customers=customers,
        )
    )
    return 200, {
        "accepted": result.accepted,
        "duplicates": result.duplicates,
        "refused": [{"line": line, "reason": reason} for line, reason in result.refused],
    }
