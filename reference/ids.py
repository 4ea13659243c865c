"""The only module that rolls dice: identifiers and keys."""

from __future__ import annotations

import secrets
import uuid

__all__ = ["new_key", "new_password", "new_uuid"]


def new_uuid() -> str:
    """A random UUID in lower case, for rows and requests."""
    return str(uuid.uuid4())


def new_key(prefix: str) -> str:
    """An unguessable key of 32 hexadecimal digits after `prefix`."""
    return f"{prefix}_{secrets.token_hex(16)}"


def new_password() -> str:
    """A password of 16 letters and digits, the middle of the documented 10 to 32."""
    return secrets.token_hex(8)
