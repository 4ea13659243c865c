"""Event ids: UUIDs that hide an event's number and can be inverted with the key.

The 122 free bits of a version 4 UUID are a keyed permutation of (event number, 0): four Feistel
rounds on two halves of 61 bits. An id of another fleet, or an invented one, inverts to a right half
that is not 0, except with probability 2^-61, and is foreign.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from trueup.simulator.random.random_words import Words, mix64, stream_key

__all__ = ["Ids"]

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_HALF: Final = (1 << 61) - 1
_MASK64: Final = (1 << 64) - 1
_ROUNDS: Final = 4
_U = np.uint64


class Ids:
    """The id permutation of one fleet."""

    def __init__(self, seed: int, scope: str) -> None:
        self.round_keys = tuple(
            stream_key(seed, f"log_id/{scope}/{k}") & _MASK64 for k in range(_ROUNDS)
        )

    def halves(self, number: Words) -> tuple[Words, Words]:
        """Return the two 61-bit halves for each event number."""
        left, right = number, np.zeros(len(number), dtype=np.uint64)
        for key in self.round_keys:
            left, right = right, left ^ (mix64(right + _U(key)) >> _U(3))
        return left, right

    def words(self, number: Words) -> tuple[Words, Words]:
        """Return the UUID of each event number as two 64-bit words, most significant first."""
        left, right = self.halves(number)
        high = ((left >> _U(13)) << _U(16)) | _U(0x4000) | ((left >> _U(1)) & _U(0xFFF))
        low = _U(1 << 63) | ((left & _U(1)) << _U(61)) | right
        return high, low

    def texts(self, number: Words) -> list[str]:
        """Return the id of each event number."""
        high, low = self.words(number)
        text = [f"{a:016x}{b:016x}" for a, b in zip(high.tolist(), low.tolist(), strict=True)]
        return ["-".join((t[:8], t[8:12], t[12:16], t[16:20], t[20:])) for t in text]

    def text(self, number: int) -> str:
        """Return the id of one event."""
        return self.texts(np.array([number], dtype=np.uint64))[0]

    def number(self, log_id: str) -> int | None:
        """Return the event number of an id; None if the id is foreign."""
        if not _UUID.fullmatch(log_id):
            return None
        value = int(log_id.replace("-", ""), 16)
        high, low = value >> 64, value & _MASK64
        left = ((high >> 16) << 13) | ((high & 0xFFF) << 1) | ((low >> 61) & 1)
        right = low & _HALF
        for key in reversed(self.round_keys):
            left, right = right ^ (_mix(left + key) >> 3), left
        return left if right == 0 else None


def _mix(value: int) -> int:
    """Return `mix64` of one Python integer."""
    value &= _MASK64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK64
    return value ^ (value >> 31)
