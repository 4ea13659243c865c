"""Random words by address: word `i` of stream `name` is a pure function of (seed, name, i).

A stream is Philox4x64-10 keyed by BLAKE2b of its *name*, so that a new field changes no other.
numpy guarantees Philox's raw words, not its distributions; so nothing here draws from a
distribution, and nothing uses floats.

numpy increments the counter *before* the first block: `Philox(counter=c)` emits block `c + 1`. The
streams are defined that way: word `i` is in block `i // 4 + 1`.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "MODEL_VERSION",
    "Ints",
    "Words",
    "hash64",
    "mix64",
    "stream_key",
    "stream_words",
    "words",
]

Words: TypeAlias = npt.NDArray[np.uint64]
Ints: TypeAlias = npt.NDArray[np.int64]

MODEL_VERSION: Final = "1"
"""Version of the traffic model: part of every key, raised when any event would change."""

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_M1: Final = np.uint64(0xBF58476D1CE4E5B9)
_M2: Final = np.uint64(0x94D049BB133111EB)
_KEYS_KEPT: Final = 64
_WORDS_AT_ONCE: Final = 4096
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)


def stream_key(seed: int, name: str) -> int:
    """Return the 128-bit key of the stream `name`, for any integer seed."""
    digest = hashlib.blake2b(
        name.encode(),
        digest_size=16,
        key=str(seed).encode()[:64],
        person=f"trueup-{MODEL_VERSION}".encode(),
    )
    return int.from_bytes(digest.digest(), "little")


class _Generators(threading.local):
    """A thread's own Philox, set to a key and a block through its state: creating one costs ten
    times as much, because numpy collects entropy for it first.
    """

    def __init__(self) -> None:
        self._philox = np.random.Philox(key=0)
        self._states: dict[int, Any] = {}

    def at(self, key: int, block: int) -> np.random.Philox:
        """Return the generator of a key, before block `block + 1`; blocks are below 2^64."""
        state = self._states.get(key)
        if state is None:
            if len(self._states) >= _KEYS_KEPT:
                self._states.clear()
            state = self._states[key] = np.random.Philox(key=key).state
        state["state"]["counter"][0] = block
        self._philox.state = state
        return self._philox


_GENERATORS: Final = _Generators()


def words(key: int, first: int, count: int) -> Words:
    """Return words `first … first+count-1` of the stream with this key, in O(count)."""
    block, skip = divmod(first, 4)
    raw: Words = _GENERATORS.at(key, block).random_raw(count + skip)
    return raw[skip:] if skip else raw


def stream_words(seed: int, name: str) -> Iterator[int]:
    """Yield the 64-bit words of the stream `name`, one after the other."""
    key, first = stream_key(seed, name), 0
    while True:
        yield from words(key, first, _WORDS_AT_ONCE).tolist()
        first += _WORDS_AT_ONCE


def mix64(values: Words) -> Words:
    """Return SplitMix64's finaliser of each value: a bijection of 64-bit words.

    Source: Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    mixed = values ^ (values >> _S30)
    mixed *= _M1
    mixed ^= mixed >> _S27
    mixed *= _M2
    mixed ^= mixed >> _S31
    return mixed


def hash64(key: int, values: Words) -> Words:
    """Return a keyed word for each value: for what belongs to a job or a session, not to an
    event.
    """
    low, high = np.uint64(key & (2**64 - 1)), np.uint64(key >> 64)
    mixed = mix64(values * _GOLDEN + low)
    mixed ^= high
    return mix64(mixed)
