"""Secrets that become known while a process runs: tokens. Every redactor redacts them."""

from __future__ import annotations

from typing import Final

__all__ = ["add_secret", "known_secrets"]

_LEAST: Final = 12
"""Characters below which a token is not looked for."""
_KEPT: Final = 64
"""Tokens that are remembered; older ones have run out."""
_known: list[str] = []


def add_secret(secret: str) -> None:
    """Have a secret redacted from now on."""
    global _known
    if len(secret) >= _LEAST and secret not in _known:
        _known = [*_known, secret][-_KEPT:]


def known_secrets() -> list[str]:
    """Return the secrets that were added: another list whenever one is added."""
    return _known
