"""Limits of everything that a target may send, with a name each. Pure.

A response beyond one of them is not read further, and counts as a response that did not come.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "BODY_MOST",
    "CHUNKS_MOST",
    "HEAD_MOST",
    "INTERIM_MOST",
    "LOST_DELIVERIES_MOST",
    "LOST_DELIVERIES_S",
    "LOST_MOST",
    "REDIRECTS_MOST",
    "REFUSED_DELIVERIES_MOST",
    "TEXT_MOST",
    "VALUES_MOST",
    "body_limit_error",
    "too_many_values",
]

HEAD_MOST: Final = 64 << 10
"""Bytes of the head of a response."""
BODY_MOST: Final = 8 << 20
"""Bytes of the body of a response, after decompression; a page of 100 rows is much smaller."""
VALUES_MOST: Final = 500_000
"""JSON values of one response: in memory each takes up to a hundred times its bytes."""
CHUNKS_MOST: Final = 100_000
"""Chunks of a chunked body: each costs as much time as some hundred bytes."""
INTERIM_MOST: Final = 16
"""Interim responses (1xx) before the final one."""
REDIRECTS_MOST: Final = 5
"""Redirects that are followed for one request."""
TEXT_MOST: Final = 300
"""Characters of a target's text that are kept in a reason or an error message."""
LOST_MOST: Final = 24
"""Requests in a row without a usable response after which a run asks whether the target is there
at all, and ends if it is not."""
LOST_DELIVERIES_MOST: Final = 3
"""Deliveries in a row without a usable response, each tried again, after which a run ends."""
LOST_DELIVERIES_S: Final = 29.0
"""Seconds that a run's first deliveries may take in all without a usable response: a delivery is
tried again for up to 30 s, and no attempt begins after that."""
REFUSED_DELIVERIES_MOST: Final = 8
"""Deliveries in a row that are refused with 401, 403 or a redirect, after which a run ends."""


def body_limit_error(most: int = BODY_MOST) -> str:
    """Return the error of a response whose body is longer than `most` bytes."""
    return f"the response was cut: it is longer than {most:,} bytes"


def too_many_values(raw: bytes, most: int = VALUES_MOST) -> str:
    """Return the error of a JSON text with more than `most` values, or an empty string.

    Counts separators and brackets: an upper bound of the values, without decoding them.
    """
    if len(raw) <= most:
        return ""
    values = raw.count(b",") + raw.count(b"[") + raw.count(b"{") + raw.count(b":")
    return f"the response was cut: it holds more than {most:,} JSON values" if values > most else ""
