"""How large a request is and how long it takes: integer quantile tables, read with one random word.

Body and tail by network; monitors and probes have no tail, browsing has three times its weight
(robots showed no heavy tail: Doran & Gokhale 2010).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from trueup.simulator.model.observed import BYTES_MAX, ObservedSizes
from trueup.simulator.model.profile import Profile
from trueup.simulator.random.quantiles import BODY_CELLS, body_tail, lognormal
from trueup.simulator.random.random_words import Ints, Words

__all__ = ["NETWORKS", "Sizes", "lognormal_laws", "size_laws"]

NETWORKS: Final = ("datacenter", "isp", "residential", "mobile")
TAIL_FACTORS: Final = (0, 1, 3)
"""Factors of the network's tail weight: light (monitor, probe), plain (crawl), heavy (browse)."""
TIME_CELLS: Final = 1024
_U = np.uint64


def size_laws(profile: Profile) -> Iterator[tuple[Decimal, Decimal, Decimal, Decimal, int]]:
    """Yield the parameters of the twelve body-and-tail laws, network by network, by tail factor."""
    for network in NETWORKS:
        for factor in TAIL_FACTORS:
            yield (
                profile.decimal(f"size.{network}.mu"),
                profile.decimal(f"size.{network}.sigma"),
                min(Decimal("0.5"), profile.decimal(f"size.{network}.tail") * factor),
                profile.decimal(f"size.{network}.alpha"),
                min(BYTES_MAX, profile.integer(f"size.{network}.cap")),
            )


def lognormal_laws(profile: Profile) -> Iterator[tuple[Decimal, Decimal, int]]:
    """Yield the parameters of every other lognormal law of the profile: median, sigma, cells."""
    for network in NETWORKS:
        for what in ("handshake", "answer"):
            name = f"time.{network}.{what}"
            yield profile.decimal(name), profile.decimal(f"{name}_sigma"), TIME_CELLS
    yield Decimal(64), profile.decimal("arrivals.rate_sigma"), TIME_CELLS
    yield Decimal(1000), profile.decimal("population.user_sigma"), TIME_CELLS


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The tables of one profile."""

    body: Ints
    """(12 x 2 x 4097) quantiles, flat: (network, tail factor), row, cell."""
    handshake: Ints
    """(4 x 1024), flat, milliseconds."""
    response: Ints
    """(4 x 1024), flat, milliseconds."""
    ms_per_gib: Ints
    """By network: milliseconds that 2^30 bytes take at the line rate."""
    overhead_low: int
    overhead_span: int
    observed: Mapping[int, ObservedSizes]
    """By number of the network: the sizes of a log, which replace payload and overhead."""

    @classmethod
    def of(cls, profile: Profile) -> Sizes:
        """Return the tables of a profile."""
        laws = [body_tail(*law) for law in size_laws(profile)]
        times = [lognormal(*law) for law in lognormal_laws(profile)][: 2 * len(NETWORKS)]
        middle, half = profile.integer("size.overhead"), profile.integer("size.overhead_spread")
        rates = [profile.decimal(f"time.{network}.line_rate") for network in NETWORKS]
        return cls(
            body=np.concatenate([law.ravel() for law in laws]),
            handshake=np.concatenate(times[0::2]),
            response=np.concatenate(times[1::2]),
            ms_per_gib=np.array(
                [-(-(8 * 2**30) // (int(rate * 1000) or 1)) for rate in rates], dtype=np.int64
            ),
            overhead_low=max(0, middle - half),
            overhead_span=2 * half + 1,
            observed={
                number: found
                for number, network in enumerate(NETWORKS)
                if (found := ObservedSizes.of(profile, network)) is not None
            },
        )

    def payload(self, law: Ints, word: Words) -> Ints:
        """Return payload bytes for law numbers (network * 3 + tail) and one word each.

        Bits 0-11 choose the cell, bits 12-23 subdivide the topmost cell, and bits 24-39
        interpolate; bits 40-63 are left to the caller.
        """
        cell = (word & _U(BODY_CELLS - 1)).astype(np.int64)
        base = law * (2 * (BODY_CELLS + 1))
        place = base + cell
        top = np.flatnonzero(cell == BODY_CELLS - 1)
        if len(top):
            finer = (word[top] >> _U(12)) & _U(BODY_CELLS - 1)
            place[top] = base[top] + (BODY_CELLS + 1) + finer.astype(np.int64)
        low = self.body.take(place)
        place += 1
        step = self.body.take(place)
        step -= low
        step *= ((word >> _U(24)) & _U(0xFFFF)).astype(np.int64)
        step >>= 16
        low += step
        return low

    def overhead(self, word: Words) -> Ints:
        """Return the bytes around the payload, from bits 40-55."""
        spread = ((word >> _U(40)) & _U(0xFFFF)).astype(np.int64)
        return ((spread * self.overhead_span) >> 16) + self.overhead_low
