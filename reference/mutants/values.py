"""Wrong conversions of single values, for named faults and for generated mutants. Pure."""

from __future__ import annotations

import struct

__all__ = ["as_float32", "as_int31"]


def as_int31(value: int) -> int:
    """Return the lowest 31 bits of the value."""
    return value & 0x7FFFFFFF


def as_float32(value: int) -> int:
    """Return the value rounded to a 32-bit floating-point number."""
    return int(struct.unpack("f", struct.pack("f", value))[0])
