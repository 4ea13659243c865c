"""The machine canary: how much of a core the machine takes away from a loop that only spins."""

from __future__ import annotations

import time
from typing import Final

__all__ = ["NOISY", "lost_share"]

NOISY: Final = 0.2
"""Lost share above which a machine is called noisy."""
_GAP_NS: Final = 1_000_000


def lost_share(duration_s: float = 0.2) -> float:
    """Return the share of `duration_s` in gaps of over 1 ms between two readings of the clock.

    A spinning process on a machine of its own sees gaps of microseconds; longer ones are time
    that another process or the host took.
    """
    clock = time.perf_counter_ns
    began = last = clock()
    end = began + int(duration_s * 1e9)
    lost = 0
    while last < end:
        now = clock()
        if now - last > _GAP_NS:
            lost += now - last
        last = now
    return lost / (last - began)
