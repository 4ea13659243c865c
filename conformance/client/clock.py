"""The only module of the judge that knows the time of day, waits, or draws from chance."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "WallClock", "fresh_prefix"]


class Clock(Protocol):
    """Our own time; tests put another one here."""

    def now(self) -> datetime:
        """UTC, aware."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    async def sleep(self, seconds: float) -> None: ...


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def fresh_prefix() -> str:
    """A name that no earlier run used: `cx` and eight hexadecimal digits.

    It is the one thing about a run that its seed does not decide: a target keeps what an earlier
    run with the same seed planted.
    """
    return f"cx{secrets.token_hex(4)}"
