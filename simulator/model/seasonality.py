"""Daily and weekly cycles, and the clock that follows from them, in integers.

A cycle is 168 hourly factors that average to 1000. `SeasonalClock` adds them up: by fleet time `t`,
`demand(t)` seconds' worth of events at the mean rate have happened. Demand is never less than time,
so that no event is later than its number at the mean rate: the cycle takes events from the future
over the first day instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from trueup.simulator.model.observed import observed_cycle
from trueup.simulator.model.profile import Profile
from trueup.simulator.random.quantiles import cosine

__all__ = ["FRAME_S", "WEEK_HOURS", "SeasonalClock", "cycle"]

WEEK_HOURS: Final = 168
FRAME_S: Final = 4096
"""Length of a frame, the unit in which arrivals are computed."""
_HOUR: Final = 3600
_RAMP_S: Final = 86400
_MONDAY_1970_HOUR: Final = 96
"""The first Monday after 1970-01-01, in hours: weeks are counted from it."""


def week_hour(unix_s: int) -> int:
    """Return the hour of the week, 0 = Monday 00:00 UTC."""
    return (unix_s // _HOUR - _MONDAY_1970_HOUR) % WEEK_HOURS


def cycle(profile: Profile, kind: str) -> list[int]:
    """Return the 168 hourly factors of `auto`, `human` or `flat` traffic, per mille.

    In a profile with the hours of a log, all traffic has those.

    1 + a₁ cos(2π(t-φ)/24h) + a₂ cos(4π(t-φ)/24h), times a weekend factor. Form: Abdulla, Nayfeh &
    Fox, TR-97-19.
    """
    if (observed := observed_cycle(profile)) is not None:
        return observed
    if kind == "flat":
        return [1000] * WEEK_HOURS
    day = profile.decimal(f"cycle.{kind}.day")
    half = profile.decimal(f"cycle.{kind}.half_day")
    peak = profile.decimal(f"cycle.{kind}.peak_hour")
    weekend = profile.decimal(f"cycle.{kind}.weekend")
    factors = []
    for hour in range(WEEK_HOURS):
        turns = (hour + Decimal("0.5") - peak) / 24
        level = 1 + day * cosine(turns) + half * cosine(2 * turns)
        if hour >= 5 * 24:
            level *= weekend
        factors.append(max(20, int((1000 * level).to_integral())))
    return factors


@dataclass(frozen=True, kw_only=True)
class SeasonalClock:
    """Maps time to demand for one fleet: start, rate and the cycle of all traffic."""

    start: int
    """Unix seconds of fleet time 0."""
    rate: Fraction
    """Events a second, on average over a week."""
    _excess: tuple[int, ...]
    """Demand minus time at the hours of a week from Monday, at least 0, in seconds."""

    @classmethod
    def of(cls, profile: Profile, start: int, rate: Fraction) -> SeasonalClock:
        """Return the clock of a profile that starts at Unix second `start`."""
        shares = dict(profile.weights("archetype"))
        auto, human, flat = (cycle(profile, kind) for kind in ("auto", "human", "flat"))
        moving = shares.get("crawl", 0) + shares.get("misconfigured", 0)
        people, steady = shares.get("browse", 0), shares.get("monitor", 0) + shares.get("probe", 0)
        factors = [
            moving * a + people * h + steady * f for a, h, f in zip(auto, human, flat, strict=True)
        ]
        total, so_far, excess = sum(factors), 0, [0]
        for hour, factor in enumerate(factors, start=1):
            so_far += factor
            excess.append(so_far * WEEK_HOURS * _HOUR // total - hour * _HOUR)
        lowest = min(excess)
        return cls(start=start, rate=rate, _excess=tuple(value - lowest for value in excess))

    def demand(self, t: int) -> int:
        """Return seconds' worth of mean traffic by fleet time t; at least t, never decreasing."""
        unix = self.start + t
        hour, into = week_hour(unix), unix % _HOUR
        low, high = self._excess[hour], self._excess[hour + 1]
        excess = low + (high - low) * into // _HOUR + FRAME_S // 2
        return t + excess * min(t, _RAMP_S) // _RAMP_S

    def frame_first(self, frame: int) -> int:
        """Return the number of the first event of a frame; frames hold consecutive numbers."""
        return int(self.rate * self.demand(frame * FRAME_S))

    def frame_of(self, number: int) -> int:
        """Return the frame of event `number`."""
        high = int((number + 1) / self.rate) // FRAME_S + 1
        low = int(number / self.rate) // FRAME_S - (_RAMP_S + max(self._excess)) // FRAME_S
        low = max(0, low)
        while low < high:
            middle = (low + high + 1) // 2
            if self.frame_first(middle) <= number:
                low = middle
            else:
                high = middle - 1
        return low
