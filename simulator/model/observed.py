"""What a profile that was fitted from a log has beside the laws: sizes and hours as they were.

`size.NETWORK.observed` is a table of bytes and how many requests had them; it replaces the
network's lognormal body, tail and overhead. `cycle.observed` is a table of weights by hour, UTC: of
the day (0 to 23), or of the week from Monday (0 to 167). The default profile has neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from trueup.simulator.errors import ProfileError
from trueup.simulator.model.profile import Profile
from trueup.simulator.random.random_words import Ints, Words

__all__ = ["BYTES_MAX", "CYCLE", "ObservedSizes", "observed_cycle", "size_table"]

CYCLE: Final = "cycle.observed"
BYTES_MAX: Final = 2**39
"""No drawn request is larger, whatever the profile: rows have twelve digits for bytes."""
_DAY_HOURS: Final = 24
_WEEK_HOURS: Final = 168
_U = np.uint64


def size_table(network: str) -> str:
    """Return the name of the parameter with a network's sizes."""
    return f"size.{network}.observed"


@dataclass(frozen=True, kw_only=True)
class ObservedSizes:
    """The sizes of one network, drawn as often as they occurred."""

    cumulative: Words
    """Shares of 2^32, ascending; the last is 2^32."""
    values: Ints

    @classmethod
    def of(cls, profile: Profile, network: str) -> Self | None:
        """Return the sizes of a network; None if the profile has none.

        Raises ProfileError for a key that is no number of bytes.
        """
        name = size_table(network)
        if name not in profile.parameters:
            return None
        rows = sorted((_number(profile, name, key, BYTES_MAX), weight)
                      for key, weight in profile.weights(name) if weight)  # fmt: skip
        total, so_far, ends = sum(weight for _, weight in rows), 0, []
        for _, weight in rows:
            so_far += weight
            ends.append((so_far << 32) // total)
        return cls(
            cumulative=np.array(ends, dtype=np.uint64),
            values=np.array([size for size, _ in rows], dtype=np.int64),
        )

    def draw(self, word: Words) -> Ints:
        """Return the bytes that 32-bit words stand for."""
        return self.values.take(np.searchsorted(self.cumulative, word, side="right"))


def observed_cycle(profile: Profile) -> list[int] | None:
    """Return 168 hourly factors that average to about 1000; None if the profile has none.

    Raises ProfileError for a key that is no hour.
    """
    if CYCLE not in profile.parameters:
        return None
    weights = {
        _number(profile, CYCLE, key, _WEEK_HOURS - 1): weight
        for key, weight in profile.weights(CYCLE)
    }
    hours = _DAY_HOURS if max(weights) < _DAY_HOURS else _WEEK_HOURS
    total = sum(weights.values())
    day = [max(1, weights.get(hour, 0) * 1000 * hours // total) for hour in range(hours)]
    return day * (_WEEK_HOURS // hours)


def _number(profile: Profile, name: str, key: str, most: int) -> int:
    if not (key.isascii() and key.isdecimal() and int(key) <= most):
        raise ProfileError(
            f"{profile.name}: {name}: expected whole numbers from 0 to {most} as keys, not "
            f'"{key[:60]}"'
        )
    return int(key)
