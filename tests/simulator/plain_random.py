"""Philox4x64-10 and SplitMix64 in plain Python, written independently from the two papers.

Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011; Steele, Lea &
Flood, 2014. Nothing here is imported from the simulator.
"""

from __future__ import annotations

MASK = 2**64 - 1
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)


def philox(counter: int, key: int) -> tuple[int, int, int, int]:
    """Return the four 64-bit words of one block, for a 256-bit counter and a 128-bit key."""
    c = [(counter >> (64 * k)) & MASK for k in range(4)]
    k0, k1 = key & MASK, key >> 64
    for _round in range(10):
        p0, p1 = MULTIPLIERS[0] * c[0], MULTIPLIERS[1] * c[2]
        c = [(p1 >> 64) ^ c[1] ^ k0, p1 & MASK, (p0 >> 64) ^ c[3] ^ k1, p0 & MASK]
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return c[0], c[1], c[2], c[3]


def word(key: int, number: int) -> int:
    """Return word `number` of a stream: blocks count from 1, as numpy increments before it
    draws.
    """
    return philox(number // 4 + 1, key)[number % 4]


def mix(value: int) -> int:
    """Return SplitMix64's finaliser of a value."""
    value &= MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def hash64(key: int, value: int) -> int:
    """Return the keyed word of a value."""
    return mix(mix(value * 0x9E3779B97F4A7C15 + (key & MASK)) ^ (key >> 64))


def uuid_of(round_keys: tuple[int, ...], number: int) -> str:
    """Return an event's id: four Feistel rounds over 61-bit halves, written as a version 4 UUID."""
    left, right = number, 0
    for key in round_keys:
        left, right = right, left ^ (mix(right + key) >> 3)
    value = left << 61 | right
    bits = f"{value:0122b}"
    whole = bits[:48] + "0100" + bits[48:60] + "10" + bits[60:]
    text = f"{int(whole, 2):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
