"""Incidents: minutes in which a whole network fails more often, for all of its users at once.

Time is divided into periods; each period of each network has one incident, whose begin and length
follow from a keyed word. So any worker knows the state of any network at any second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trueup.simulator.model.profile import Profile
from trueup.simulator.random.random_words import Ints, hash64, stream_key

__all__ = ["Incidents"]

_U = np.uint64


@dataclass(frozen=True, kw_only=True)
class Incidents:
    """The incidents of one fleet."""

    key: int
    every_s: int
    lasts_s: int
    """Mean length; lengths are uniform over 1 s … twice the mean."""
    retries: int
    """Rate of jobs of the network that begin in an incident, per mille of their usual rate."""

    @classmethod
    def of(cls, profile: Profile, seed: int) -> Incidents:
        """Return the incidents of a profile."""
        every_s = max(60, profile.integer("incident.every_s"))
        return cls(
            key=stream_key(seed, "incident"),
            every_s=every_s,
            lasts_s=min(every_s // 2, profile.integer("incident.lasts_s")),
            retries=int(1000 * profile.decimal("incident.retries")),
        )

    def active(self, network: Ints, second: Ints) -> npt.NDArray[np.bool_]:
        """Return whether each network has an incident at its Unix second."""
        number, into = np.divmod(second, self.every_s)
        word = hash64(self.key, (number * 4 + network).astype(np.uint64))
        length = 1 + (((word & _U(0xFFFF)).astype(np.int64) * (2 * self.lasts_s)) >> 16)
        room = np.maximum(1, self.every_s - length)
        begin = (((word >> _U(16)) & _U(0xFFFF)).astype(np.int64) * room) >> 16
        inside: npt.NDArray[np.bool_] = (into >= begin) & (into < begin + length)
        return inside
