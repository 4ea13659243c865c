"""Exact integers of any size in a store whose integers have 64 bits.

An amount is kept as two limbs, `high` and `low`, with value = high · 2^32 + low and 0 ≤ low < 2^32.
Limbs are added separately, so that sums stay exact far beyond 2^63, and a pair of limbs sorts as
its value does. A pair holds |value| < 2^94.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LIMB", "LIMIT", "join", "split"]

LIMB: Final = 32
LIMIT: Final = 1 << 94
_MASK: Final = (1 << LIMB) - 1


def split(value: int) -> tuple[int, int]:
    """Return the limbs (high, low) of a value of either sign."""
    return value >> LIMB, value & _MASK


def join(high: int | None, low: int | None) -> int:
    """Return the value of two limbs, which need not be normalised; None counts as zero."""
    return ((high or 0) << LIMB) + (low or 0)
