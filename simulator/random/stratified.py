"""Evenly spread words: event numbers to 32-bit words of which any run of events has its fair share.

Independent words repeat a measured distribution only on average: a total that a few large values
make differs by ten percent over 10,000 events. These words are a (0,1)-sequence in base 2 (van der
Corput) with a nested scrambling, so that of n consecutive events almost exactly n·p fall into a
share p of the values; within blocks of 256 events the order is shuffled, so that neighbours are
unrelated.

Source: Owen, "Randomly permuted (t,m,s)-nets", 1995; Laine & Karras, "Stratified sampling for
stochastic transparency", 2011, for the scrambling by a hash whose bits depend on lower bits only.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trueup.simulator.random.random_words import Words, mix64

__all__ = ["stratified"]

_U = np.uint64
_LOW: Final = _U(0xFFFFFFFF)
_MULTIPLIERS: Final = tuple(_U(m) for m in (0x6C50B47C, 0xB82F1E52, 0xC7AFE638, 0x8D22F6E6))
_SWAPS: Final = (
    (_U(1), _U(0x55555555)),
    (_U(2), _U(0x33333333)),
    (_U(4), _U(0x0F0F0F0F)),
    (_U(8), _U(0x00FF00FF)),
    (_U(16), _U(0x0000FFFF)),
)
_ROUNDS: Final = 4


def stratified(key: int, first: int, count: int) -> Words:
    """Return 32-bit words of events first … first+count-1, for a stream's key."""
    number = np.arange(first, first + count, dtype=np.uint64)
    seed = _U(key & 0xFFFFFFFF)
    word = (_shuffled(number, _U((key >> 64) & (2**64 - 1))) + seed) & _LOW
    for multiplier in _MULTIPLIERS:
        word ^= (word * multiplier) & _LOW
    for shift, mask in _SWAPS:
        word = ((word >> shift) & mask) | ((word & mask) << shift)
    return word


def _shuffled(number: Words, key: Words | np.uint64) -> Words:
    """Return the numbers, shuffled within blocks of 256: a Feistel network of 2 x 4 bits."""
    block: Words = number >> _U(8)
    left, right = (number >> _U(4)) & _U(15), number & _U(15)
    for turn in range(_ROUNDS):
        half = mix64((block << _U(8)) + (right << _U(4)) + _U(turn) + key) >> _U(60)
        left, right = right, left ^ half
    shuffled: Words = (block << _U(8)) | (left << _U(4)) | right
    return shuffled
