"""Time, waiting and randomness: the only module of conformance that uses them."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "WallClock", "fresh_prefix"]


class Clock(Protocol):
    """The local clock; tests replace it."""

    def now(self) -> datetime:
        """Return the time in UTC, with its zone."""

    def monotonic(self) -> float:
        """Return seconds that never decrease."""

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time in UTC, with its zone."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never decrease."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        await asyncio.sleep(seconds)


def fresh_prefix() -> str:
    """Return a prefix of names that no earlier run used: `cx` and eight hexadecimal digits.

    It is the only part of a run that the seed does not determine, because a target keeps the events
    of earlier runs with the same seed.
    """
    return f"cx{secrets.token_hex(4)}"
