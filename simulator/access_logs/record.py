"""What is read from an access log: one record a request, or the reason of a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

__all__ = ["SHOWN", "SIZE_MAX", "AccessRecord", "BadLine", "Parsed", "RefusedLine", "shorten"]

SHOWN: Final = 60
"""Characters of a value or a line that a message shows."""
SIZE_MAX: Final = 2**63 - 1
"""Most bytes that one request can have."""


class AccessRecord(msgspec.Struct, frozen=True, gc=False):
    """One request. A text is empty, and a number is None, where the log does not have it."""

    time_us: int
    """When the program logged it: microseconds since 1970-01-01, UTC."""
    size: int | None = None
    """Bytes in both directions, as far as the log has them."""
    host: str = ""
    """Where the request went: a hostname or an address, without the port."""
    user: str = ""
    client: str = ""
    """Address of the client, without the port."""
    method: str = ""
    status: int | None = None
    duration_ms: int | None = None
    network: str = ""
    protocol: str = ""
    """`http` or `socks`."""
    error: str = ""
    """Error code, where the request failed in the proxy."""
    authentication: int | None = None
    customer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedLine:
    """A line, row or entry that cannot be read."""

    line: int
    """Its number, from 1. Of a HAR file the entry's, of a Parquet file the row's."""
    reason: str
    """Why. May quote a value."""


Parsed: TypeAlias = AccessRecord | RefusedLine


class BadLine(Exception):
    """A line that is no record; the message says why."""


def shorten(value: object) -> str:
    """Return a value for a message, truncated if it is long."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"
