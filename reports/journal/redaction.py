"""Keys, struck out of bytes that are about to be written, however they are spelt.

The last net: whoever records something strikes it before, but an answer may echo a key in a header,
in a reason or percent-encoded, and a run's folder must be fit to be handed to a stranger.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

__all__ = ["redact", "secret_forms"]

_REDACTED: Final = b"[key]"


def secret_forms(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """Every form that is looked for: plain, percent-encoded, base64; the longest first."""
    forms: set[bytes] = set()
    for secret in secrets:
        plain = secret.encode()
        forms |= {plain, quote(secret, safe="").encode(), base64.b64encode(plain).rstrip(b"=")}
    return tuple(sorted((form for form in forms if form), key=len, reverse=True))


def redact(data: bytes, forms: Iterable[bytes]) -> bytes:
    """The bytes with every form replaced; JSON stays JSON, since keys stand within texts."""
    for form in forms:
        if form in data:
            data = data.replace(form, _REDACTED)
    return data
