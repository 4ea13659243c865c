"""Poll until something is seen: the only loop that repeats a question to a target while waiting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from trueup.conformance.client.clock import Clock

__all__ = ["poll_until"]

_GROWTH: Final = 1.5
"""Each pause is so many times the one before."""


async def poll_until(
    seen: Callable[[], Awaitable[bool]],
    *,
    clock: Clock,
    until: float,
    pause_s: float,
    most_pause_s: float,
    sights: int = 1,
) -> bool:
    """Call `seen` until it returned True `sights` times in a row, or `clock` reaches `until`.

    `until` is a time of `clock.monotonic()`. Pauses between misses grow from `pause_s` to
    `most_pause_s`; after a hit there is none. `seen` is called at least once, and for the last time
    when `until` is reached. Returns whether it was seen often enough; raises what `seen` raises.
    """
    hits = 0
    while True:
        hits = hits + 1 if await seen() else 0
        left = until - clock.monotonic()
        if hits >= sights or left <= 0:
            return hits >= sights
        if not hits:
            await clock.sleep(min(pause_s, left))
            pause_s = min(pause_s * _GROWTH, most_pause_s)
