"""A log-linear histogram of durations: bounded relative error, exact merge, small in JSON.

The layout is that of HdrHistogram with seven bits after the leading one: a bucket is at most 1/128
of its own value wide, so that a percentile read from the middle of a bucket is within 0.4 % of a
recorded value. Bucket numbers are the top bits of the value as an IEEE 754 double, which makes
adding a block of values three vector operations, some nanoseconds a value. Counts are never
resampled or decayed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Self

import numpy as np
import numpy.typing as npt

__all__ = ["PERCENTILE_RULE", "Histogram", "bucket_bounds", "bucket_of"]

PERCENTILE_RULE: Final = (
    "nearest rank: the p-th percentile of n values is the ceil(p·n)-th smallest, "
    "read from the middle of its bucket (within 0.4 %)"
)
_SUB_BITS: Final = 7
_SUB: Final = 1 << _SUB_BITS
_SHIFT: Final = 52 - _SUB_BITS
_BIAS: Final = 1023 << _SUB_BITS
_BUCKETS: Final = 63 * _SUB

_KEYS: Final = tuple(str(bucket) for bucket in range(_BUCKETS))
"""Converted once: a second's histograms have a thousand keys, and requests wait meanwhile."""

IntArray = npt.NDArray[np.int64]


def bucket_of(value: int) -> int:
    """Return the bucket of one value, exact below 2^53; 0 and negative values count as 1."""
    value = max(value, 1)
    exponent = value.bit_length() - 1
    return exponent * _SUB + ((value << _SUB_BITS) >> exponent) - _SUB


def bucket_bounds(bucket: int) -> tuple[float, float]:
    """Return the lower (inclusive) and upper (exclusive) bound of a bucket, in the values' unit."""
    exponent, step = divmod(bucket, _SUB)
    scale = 2.0**exponent / _SUB
    return (_SUB + step) * scale, (_SUB + step + 1) * scale


class Histogram:
    """Counts of integers, 1 … 2^63-1. The unit is the caller's; load runs use nanoseconds."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: IntArray = np.zeros(_BUCKETS, dtype=np.int64)

    @classmethod
    def from_sparse(cls, sparse: Mapping[str, int] | Mapping[int, int]) -> Self:
        """Return a histogram of {bucket: count}; keys may be text, as in JSON.

        Raises ValueError where a bucket is outside the layout or a count is negative.
        """
        made = cls()
        for key, count in sparse.items():
            bucket = int(key)
            if not 0 <= bucket < _BUCKETS or count < 0:
                raise ValueError(f"bucket {key} with count {count} is not of this layout")
            made._counts[bucket] += count
        return made

    def add(self, values: IntArray) -> None:
        """Add a block of values (shape: one axis; any integer type)."""
        if len(values) == 0:
            return
        doubles = np.maximum(values, 1).astype(np.float64)
        buckets = (doubles.view(np.int64) >> _SHIFT) - _BIAS
        found = np.bincount(buckets)
        self._counts[: len(found)] += found

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram; exact, in any order."""
        self._counts += other._counts

    def minus(self, earlier: Histogram) -> Histogram:
        """Return what was added since `earlier`, a copy of this histogram at that time."""
        left = Histogram()
        np.subtract(self._counts, earlier._counts, out=left._counts)
        return left

    def sparse(self) -> dict[str, int]:
        """Return {bucket: count} of the buckets that are not empty, ascending, keys as text."""
        held = np.flatnonzero(self._counts)
        keys = [_KEYS[bucket] for bucket in held.tolist()]
        return dict(zip(keys, self._counts[held].tolist(), strict=True))

    def middles(self) -> tuple[npt.NDArray[np.float64], IntArray]:
        """Return (middle, count) of the buckets that are not empty, ascending: two arrays."""
        held = np.flatnonzero(self._counts)
        exponent, step = np.divmod(held, _SUB)
        return (_SUB + step + 0.5) * np.exp2(exponent) / _SUB, self._counts[held]

    @property
    def count(self) -> int:
        return int(self._counts.sum())

    def percentile(self, share: float) -> float | None:
        """Return the value at `share` (0 … 1) by `PERCENTILE_RULE`; None where it is empty."""
        total = self.count
        if total == 0:
            return None
        rank = min(max(math.ceil(share * total - 1e-9), 1), total)
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank))
        low, high = bucket_bounds(bucket)
        return low if high - low <= 1 else (low + high) / 2

    def mean(self) -> float | None:
        """Return the mean of the bucket middles; None where the histogram is empty."""
        middles, counts = self.middles()
        return float(np.dot(middles, counts) / counts.sum()) if len(counts) else None
