"""The hostnames of simulated traffic: names of real sites by popularity, then synthetic ones.

Rank 1 is the most popular. Popularity follows Zipf–Mandelbrot over all ranks; each hostname also
has a difficulty (how often it blocks robots), which follows from its number and the seed.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from trueup.simulator.model.profile import Profile
from trueup.simulator.random.quantiles import apportion, data_bytes, zipf_weights
from trueup.simulator.random.random_words import Ints, Words, hash64, stream_key

__all__ = ["PROBE_HOSTS", "Hosts"]

PROBE_HOSTS: Final = ("api.ipify.org", "httpbin.org", "ip-api.com", "ifconfig.me")
"""Targets of health checks and address checks; they have no rank."""


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """All hostnames of a fleet: probes first, then by popularity."""

    names: tuple[str, ...]
    difficulty: Ints
    """By hostname: 0 easy, 1 medium, 2 hard, 3 extreme."""
    _threshold: npt.NDArray[np.uint32]
    _alias: Ints
    assets: Ints
    """Numbers of the third-party hostnames, most used first."""

    @classmethod
    def of(cls, profile: Profile, seed: int) -> Hosts:
        """Return the hostnames of a profile."""
        probes = len(PROBE_HOSTS)
        real = [(row["hostname"], row["category"]) for row in _csv("hosts.csv")]
        sites = [name for name, category in real if category != "Asset"]
        third = [name for name, category in real if category == "Asset"]
        count = max(profile.integer("host.count"), 64)
        ranked = _ranked(sites, third, count)
        names = (*PROBE_HOSTS, *ranked)
        weights = [0] * probes
        weights += zipf_weights(
            count, profile.decimal("host.exponent"), profile.decimal("host.shift")
        )
        threshold, alias = _alias_table(weights)
        classes = apportion([weight for _name, weight in profile.weights("host.difficulty")], 1024)
        hashes = hash64(stream_key(seed, "host.difficulty"), np.arange(len(names), dtype=np.uint64))
        difficulty = classes.take((hashes & np.uint64(1023)).astype(np.int64))
        difficulty[:probes] = 0
        where = {name: number for number, name in enumerate(names)}
        return cls(
            names=names,
            difficulty=difficulty,
            _threshold=threshold,
            _alias=alias,
            assets=np.array([where[name] for name in third if name in where][:256] or [probes]),
        )

    def draw_popular(self, word: Words) -> Ints:
        """Return a hostname by popularity for each word (Walker's alias method)."""
        count = np.uint64(len(self.names))
        low = word & np.uint64(0xFFFFFFFF)
        column = ((low * count) >> np.uint64(32)).astype(np.int64)
        keep = (word >> np.uint64(32)).astype(np.uint32) <= self._threshold.take(column)
        return np.where(keep, column, self._alias.take(column))


def _csv(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(data_bytes(name).decode().splitlines()))


def _ranked(sites: list[str], third: list[str], count: int) -> list[str]:
    """Return `count` names: sites and third parties, two to one, then `{word}{n}.{domain}`."""
    merged: list[str] = []
    rest = iter(third)
    for position, site in enumerate(sites):
        merged.append(site)
        if position % 2:
            merged.extend(name for name in (next(rest, ""),) if name)
    merged.extend(rest)
    frozen = json.loads(data_bytes("names.json"))
    words, domains = frozen["words"], frozen["top_level_domains"]
    number = 0
    while len(merged) < count:
        word = words[number % len(words)]
        merged.append(f"{word}{number // len(words) + 1}.{domains[number * 7 % len(domains)]}")
        number += 1
    return merged[:count]


def _alias_table(weights: list[int]) -> tuple[npt.NDArray[np.uint32], Ints]:
    """Return Walker's tables as integers: column → 32-bit threshold and alternative column."""
    count, total = len(weights), sum(weights)
    share = [weight * count for weight in weights]
    threshold = np.full(count, 0xFFFFFFFF, dtype=np.uint32)
    alias = np.arange(count, dtype=np.int64)
    small = [column for column, part in enumerate(share) if part < total]
    large = [column for column, part in enumerate(share) if part >= total]
    while small and large:
        poor, rich = small.pop(), large[-1]
        threshold[poor] = max(0, (share[poor] << 32) // total - 1)
        alias[poor] = rich
        share[rich] -= total - share[poor]
        if share[rich] < total:
            small.append(large.pop())
    return threshold, alias
