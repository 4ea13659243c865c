"""Where traffic leaves the network: block of addresses → ASN, city, country.

A place is one block of one ASN in one city. All geographic fields of an event follow from its
place, so they are consistent.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

import numpy as np

from trueup.simulator.errors import ProfileError
from trueup.simulator.model.profile import Profile
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.random.quantiles import apportion, data_bytes
from trueup.simulator.random.random_words import Ints, Words

__all__ = ["Place", "Places", "places"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A block of addresses and its attributes."""

    network: int
    """Index into `NETWORKS`."""
    country: str
    city: str
    asn: int
    asn_type: str
    prefix: str
    """Prefix of the block's addresses: `73.15.` or `73.15.2.`."""
    free_octets: int
    weight: int


@cache
def places() -> tuple[Place, ...]:
    """Return every place, by network and country."""
    rows = [
        Place(
            network=NETWORKS.index(row["network"]),
            country=row["country_id"],
            city=row["city_alias"],
            asn=int(row["asn_id"]),
            asn_type=row["asn_type"],
            prefix=row["prefix"],
            free_octets=int(row["free_octets"]),
            weight=int(row["weight"]),
        )
        for row in csv.DictReader(data_bytes("places.csv").decode().splitlines())
    ]
    return tuple(sorted(rows, key=lambda row: (row.network, row.country, row.asn, row.prefix)))


@dataclass(frozen=True, kw_only=True)
class Places:
    """The places of a profile, with tables to draw from."""

    rows: tuple[Place, ...]
    country_slots: tuple[Ints, ...]
    """By network: 1,024 slots → index into `countries`."""
    place_slots: tuple[Ints, ...]
    """By network: countries x 1,024 slots → place number, flat."""
    countries: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, profile: Profile) -> Places:
        """Return the places of a profile. Raises ProfileError for a country without address
        blocks.
        """
        rows = places()
        country_slots, place_slots, countries = [], [], []
        for number, network in enumerate(NETWORKS):
            here = [(k, row) for k, row in enumerate(rows) if row.network == number]
            known = {row.country for _k, row in here}
            asked = [(c, w) for c, w in profile.weights(f"place.{network}") if w]
            for country, _weight in asked:
                if country not in known:
                    raise ProfileError(
                        f"place.{network}: no address block of {country!r} is known; there are "
                        f"{', '.join(sorted(known))}"
                    )
            country_slots.append(apportion([weight for _c, weight in asked], 1024))
            countries.append(tuple(country for country, _w in asked))
            parts = []
            for country, _weight in asked:
                inside = [(k, row.weight) for k, row in here if row.country == country]
                slots = apportion([weight for _k, weight in inside], 1024)
                parts.append(np.array([k for k, _w in inside], dtype=np.int64).take(slots))
            place_slots.append(np.concatenate(parts))
        return cls(
            rows=rows,
            country_slots=tuple(country_slots),
            place_slots=tuple(place_slots),
            countries=tuple(countries),
        )

    def draw(self, network: int, word: Words, country: Ints | None = None) -> Ints:
        """Return a place for each word; `country` (indices into `countries`) restricts it."""
        low = (word & np.uint64(1023)).astype(np.int64)
        if country is None:
            slots = self.country_slots[network]
            country = slots.take(((word >> np.uint64(10)) & np.uint64(1023)).astype(np.int64))
        return self.place_slots[network].take(country * 1024 + low)

    def addresses(self, place: int) -> int:
        """Return the number of addresses in the place's block."""
        return int(256 ** self.rows[place].free_octets)

    def address(self, place: int, low: int) -> str:
        """Return an address of a place; `low` is its number, modulo the block's size."""
        row = self.rows[place]
        octets = [(low >> (8 * k)) & 255 for k in reversed(range(row.free_octets))]
        return row.prefix + ".".join(map(str, octets))
