"""The only module that rolls dice: identifiers and keys."""

from __future__ import annotations

import os
import secrets

__all__ = ["new_key", "new_password", "new_uuid"]


def new_uuid() -> str:
    """A random UUID (version 4) in lower case, for rows and requests; four times uuid.uuid4."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def new_key(prefix: str) -> str:
    """An unguessable key of 32 hexadecimal digits after `prefix`."""
    return f"{prefix}_{secrets.token_hex(16)}"


def new_password() -> str:
    """A password of 16 letters and digits, the middle of the documented 10 to 32."""
    return secrets.token_hex(8)
