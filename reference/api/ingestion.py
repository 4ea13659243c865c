"""The ingestion endpoint: takes NDJSON, returns the number accepted and the refused lines."""

from __future__ import annotations

from typing import Final

from trueup.reference.api.context import Answer, Call
from trueup.reference.errors import ApiProblem

__all__ = ["BODY_LIMIT", "DECODED_LIMIT", "LINES_LIMIT", "REFUSED_SHOWN", "ingest"]

BODY_LIMIT: Final = 32 << 20
"""Most bytes of a delivery as it travels."""
DECODED_LIMIT: Final = 64 << 20
"""Most bytes of a delivery once decompressed."""
LINES_LIMIT: Final = 200_000
"""Most lines of a delivery."""
REFUSED_SHOWN: Final = 100
"""Most refused lines that a response lists; the others are counted."""


async def ingest(call: Call) -> Answer:
    """Take a delivery; the response is sent once every accepted event is committed.

    The first REFUSED_SHOWN refused lines are listed, all are counted. Raises ApiProblem (400 no
    text, 408 too slow, 413 too large, 415 unknown encoding, 503 shutting down or no memory).
    """
    context, request = call.context, call.request
    if context.closing:
        raise ApiProblem(503, "The server is shutting down.", headers={"Retry-After": "1"})
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("gzip", "identity"):
        raise ApiProblem(415, f"Content-Encoding must be gzip or absent, not {encoding[:40]!r}.")
    async with context.bodies.receive(request, BODY_LIMIT) as body:
        if encoding == "gzip":
            await body.unpack(DECODED_LIMIT)
        await body.check_text()
        if body.raw.count(b"\n") > LINES_LIMIT:
            raise ApiProblem(413, f"A delivery has at most {LINES_LIMIT} lines; send smaller ones.")
        async with context.bodies.decoding(len(body.raw)):
            result = await context.store.delivered(body.raw)
    context.counts.events.update(
        accepted=result.accepted, duplicates=result.duplicates, refused=len(result.refused)
    )
    return 200, {
        "accepted": result.accepted,
        "duplicates": result.duplicates,
        "refused": [
            {"line": line, "reason": reason} for line, reason in result.refused[:REFUSED_SHOWN]
        ],
        "refused_count": len(result.refused),
    }
