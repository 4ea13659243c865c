"""The rate limit: a token bucket for each customer."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from trueup.reference.clock import monotonic_s

__all__ = ["RateLimiter"]


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float
    refused_until_s: float = 0.0


class RateLimiter:
    """At most `per_s` requests per second, and as many in a burst; None: no limit."""

    def __init__(self, per_s: int | None, *, penalty_s: float = 0.0) -> None:
        self._per_s = per_s
        self._penalty_s = penalty_s
        self._buckets: dict[Hashable, _Bucket] = {}

    def wait_s(self, key: Hashable) -> float:
        """Return 0 where a request of this key may pass now, else the seconds to wait."""
        if self._per_s is None:
            return 0.0
        now_s = monotonic_s()
        bucket = self._buckets.setdefault(key, _Bucket(float(self._per_s), now_s))
        grown = bucket.tokens + (now_s - bucket.at_s) * self._per_s
        bucket.tokens, bucket.at_s = min(grown, float(self._per_s)), now_s
        if now_s < bucket.refused_until_s:
            return bucket.refused_until_s - now_s
        if bucket.tokens >= 1.0:
            bucket.tokens -= 1.0
            return 0.0
        bucket.refused_until_s = now_s + self._penalty_s
        return max(self._penalty_s, (1.0 - bucket.tokens) / self._per_s)
