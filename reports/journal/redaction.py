"""Redact API keys in bytes that are about to be written, in every encoding they may have.

The last line of defence: whoever records something redacts it before. But a target may echo a key
in a header, in an error message or percent-encoded, and a run's directory must be safe to pass on.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

__all__ = ["redact", "secret_forms"]

_REDACTED: Final = b"[key]"


def secret_forms(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """Return every form of the secrets that is searched for, the longest first.

    The forms are plain, percent-encoded and base64.
    """
    forms: set[bytes] = set()
    for secret in secrets:
        plain = secret.encode()
        forms |= {plain, quote(secret, safe="").encode(), base64.b64encode(plain).rstrip(b"=")}
    return tuple(sorted((form for form in forms if form), key=len, reverse=True))


def redact(data: bytes, forms: Iterable[bytes]) -> bytes:
    """Return the bytes with every form replaced by `[key]`.

    JSON stays valid: keys are within strings.
    """
    for form in forms:
        if form in data:
            data = data.replace(form, _REDACTED)
    return data
