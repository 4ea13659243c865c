"""Who sends the traffic: customers, their proxy users, and senders.

A sender is one proxy user on one network: it determines the service, the client addresses, the kind
of authentication, the targets, the countries and the session policy. Senders are drawn once, from
streams keyed by name; an event looks up everything about its sender.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Final

import numpy as np

from trueup.simulator.errors import ProfileError
from trueup.simulator.model.geography import Places
from trueup.simulator.model.hostnames import PROBE_HOSTS, Hosts
from trueup.simulator.model.profile import Profile
from trueup.simulator.model.sizes import NETWORKS, TIME_CELLS
from trueup.simulator.random.quantiles import apportion, data_bytes, lognormal, zipf_weights
from trueup.simulator.random.random_words import Ints, Words, hash64, stream_key, words

__all__ = [
    "CLIENTS",
    "HOST_SLOTS",
    "PLACE_SLOTS",
    "WIDE",
    "Proxy",
    "Senders",
    "build_senders",
    "user_tag",
]

HOST_SLOTS: Final = 256
PLACE_SLOTS: Final = 256
CLIENTS: Final = 4
"""Client-address slots of a sender; a sender with fewer addresses repeats them."""
WIDE: Final = -1
"""A host slot that stands for all hostnames, by popularity."""
_CUSTOMER_SPREAD: Final = 200
_TINY: Final = Decimal("0.05")
_U = np.uint64


@dataclass(frozen=True, kw_only=True, slots=True)
class Proxy:
    """A fixed proxy of a datacenter or isp service: its address never changes."""

    proxy_id: str
    place: int
    address_index: int
    """Number of the address within the place's block."""


@dataclass(frozen=True, kw_only=True)
class Senders:
    """All senders of a fleet, one array entry or one row of slots each."""

    customer: Ints
    user: Ints
    network: Ints
    users: tuple[str, ...]
    user_customer: Ints
    service: tuple[str, ...]
    authentication: Ints
    smartpath: Ints
    weight: Ints
    clients: tuple[tuple[str, ...], ...]
    """By sender: CLIENTS addresses, the first ones distinct."""
    host_slots: Ints
    """(senders + 1) x HOST_SLOTS hostnames, flat; WIDE for all hostnames. Last row: probes."""
    place_slots: Ints
    """senders x PLACE_SLOTS places, flat; not used for static networks."""
    ttl_s: Ints
    """By sender: lifetime of a sticky session; 0 if addresses rotate or are fixed."""
    churn: Ints
    """By sender: sessions per mille that lose their peer."""
    proxy_first: Ints
    proxy_count: Ints
    """By sender: its fixed proxies; 0 on residential and mobile."""
    proxies: tuple[Proxy, ...]

    def __len__(self) -> int:
        return len(self.network)


def user_tag(seed: int, namespace: str) -> str:
    """Return the end of the names of a fleet's users, which no other fleet's have.

    `namespace` distinguishes fleets of one seed that are sent to one target one after the other.
    """
    key = stream_key(seed, f"user.tag/{namespace}" if namespace else "user.tag")
    return f"{key & 0xFFFFFFFFFF:010x}" if namespace else f"{key & 0xFFFFF:05x}"


def build_senders(
    profile: Profile, seed: int, customers: int, places: Places, hosts: Hosts, tag: str
) -> Senders:
    """Draw and return senders of `customers` customers, from 0; `tag` ends users' names.

    Raises ProfileError for authentication kinds or session lifetimes that are not integers.
    """
    user_customer, user_weight = _users(profile, seed, customers)
    user, network = _memberships(profile, seed, len(user_customer))
    number = np.arange(len(user), dtype=np.uint64)
    hash_value = hash64(stream_key(seed, "lane"), number)
    customer = user_customer.take(user)
    weight = np.maximum(
        1, user_weight.take(user) * (1 + (hash_value & _U(3)).astype(np.int64)) // 2
    )
    names = _user_names(seed, len(user_customer), tag)
    user_hash = hash64(stream_key(seed, "user"), np.arange(len(names), dtype=np.uint64))
    codes = profile.weights("auth")
    auth_slots = apportion([w for _c, w in codes], 1024)
    if not all(c.isdecimal() for c, _w in codes):
        raise ProfileError("auth: kinds of authentication are whole numbers, such as 1")
    code = np.array([int(c) for c, _w in codes], dtype=np.int64)
    user_word = user_hash.take(user)
    ttl, churn = _sessions(profile, network, hash_value)
    first, count, proxies = _proxies(profile, seed, network, places)
    return Senders(
        customer=customer,
        user=user,
        network=network,
        users=names,
        user_customer=user_customer,
        service=tuple(
            _service(seed, c, n) for c, n in zip(customer.tolist(), network.tolist(), strict=True)
        ),
        authentication=code.take(auth_slots.take(_bits(user_word, 0, 10))),
        smartpath=(
            _bits(user_word, 10, 10) * 1000 < profile.integer("smartpath.enabled") * 1024
        ).astype(np.int64),
        weight=weight,
        clients=_clients(profile, seed, user, places),
        host_slots=_host_slots(profile, seed, len(user), hosts),
        place_slots=_place_slots(profile, seed, network, places),
        ttl_s=ttl,
        churn=churn,
        proxy_first=first,
        proxy_count=count,
        proxies=proxies,
    )


def _bits(word: Words, shift: int, width: int) -> Ints:
    return ((word >> _U(shift)) & _U((1 << width) - 1)).astype(np.int64)


def _users(profile: Profile, seed: int, customers: int) -> tuple[Ints, Ints]:
    """Return the customer and the weight of each user: uneven over customers and within them."""
    order = np.argsort(words(stream_key(seed, "customer"), 0, customers), kind="stable")
    alpha = profile.decimal("population.customer_alpha")
    sizes = np.empty(customers, dtype=np.int64)
    sizes[order] = [_pareto(rank, customers, alpha) for rank in range(customers)]
    mean = max(2, profile.integer("population.users_per_customer"))
    total = int(sizes.sum())
    counts = np.maximum(2, sizes * (mean * customers) // total)
    user_customer = np.repeat(np.arange(customers, dtype=np.int64), counts)
    table = lognormal(Decimal(1000), profile.decimal("population.user_sigma"), TIME_CELLS)
    hashes = words(stream_key(seed, "user.weight"), 0, len(user_customer))
    return user_customer, np.maximum(1, table.take(_bits(hashes, 0, 10)))


def _pareto(rank: int, count: int, alpha: Decimal) -> int:
    """Return quantile (rank + 1/2) / count of a Pareto law from 1000, at most 200 times that."""
    with localcontext(prec=18):
        over = 1 - (2 * Decimal(rank) + 1) / (2 * Decimal(count))
        return min(1000 * _CUSTOMER_SPREAD, int(1000 * (-over.ln() / max(alpha, _TINY)).exp()))


def _user_names(seed: int, count: int, tag: str) -> tuple[str, ...]:
    """Return user names that other fleets' users do not have: a name, a number, the fleet's tag."""
    frozen = json.loads(data_bytes("names.json"))["proxy_users"]
    hashes = words(stream_key(seed, "user.name"), 0, count).tolist()
    return tuple(
        f"{frozen[hash_value % len(frozen)]}-{number}-{tag}"
        for number, hash_value in enumerate(hashes)
    )


def _memberships(profile: Profile, seed: int, users: int) -> tuple[Ints, Ints]:
    """Return (user, network) of each sender: a first network by the mix, a second one for some."""
    names = dict(profile.weights("mix"))
    mix = apportion([names.get(network, 0) for network in NETWORKS], 1024)
    hashes = words(stream_key(seed, "user.networks"), 0, users)
    first = mix.take(_bits(hashes, 0, 10))
    live = np.unique(mix)
    spread = min(users, 2 * len(live))
    first[:spread] = live[np.arange(spread) % len(live)]
    second = live.take(_bits(hashes, 10, 16) % len(live))
    share = profile.integer("population.second_network")
    with_second = (_bits(hashes, 30, 10) * 1000 < share * 1024) & (second != first)
    user = np.concatenate([np.arange(users), np.flatnonzero(with_second)])
    network = np.concatenate([first, second[with_second]])
    order = np.lexsort((network, user))
    return user[order], network[order]


def _service(seed: int, customer: int, network: int) -> str:
    hash_value = stream_key(seed, f"service/{customer}/{network}")
    return f"API-{hash_value % 9000 + 1000}-{(hash_value >> 32) % 9000 + 1000}"


def _sessions(profile: Profile, network: Ints, hash_value: Words) -> tuple[Ints, Ints]:
    """Return sticky lifetime in seconds (0: none) and churn of each sender."""
    ttl = np.zeros(len(network), dtype=np.int64)
    churn = np.zeros(len(network), dtype=np.int64)
    sticky = dict(profile.weights("session.sticky"))
    lost = dict(profile.weights("session.churn"))
    for name in ("residential", "mobile"):
        minutes = profile.weights(f"session.ttl_min.{name}")
        if not all(m.isdecimal() and int(m) for m, _w in minutes):
            raise ProfileError(f"session.ttl_min.{name}: lifetimes are whole minutes, such as 10")
        slots = apportion([weight for _m, weight in minutes], 1024)
        seconds = np.array([60 * int(m) for m, _w in minutes], dtype=np.int64)
        here = (network == NETWORKS.index(name)) & (
            _bits(hash_value, 20, 10) * 1000 < sticky.get(name, 0) * 1024
        )
        ttl[here] = seconds.take(slots.take(_bits(hash_value[here], 30, 10)))
        churn[here] = lost.get(name, 0)
    return ttl, churn


def _clients(
    profile: Profile, seed: int, user: Ints, places: Places
) -> tuple[tuple[str, ...], ...]:
    """Return client addresses by sender: few, of the user's own servers, mostly in hosting
    networks.
    """
    key = stream_key(seed, "client")
    users = int(user.max()) + 1
    hashes = hash64(key, np.arange(users * CLIENTS, dtype=np.uint64))
    networks = (0,) * 27 + (1,) * 4 + (3,)
    by_user: list[tuple[str, ...]] = []
    for number in range(users):
        own = [int(word) for word in hashes[number * CLIENTS : (number + 1) * CLIENTS]]
        count = (1, 1, 1, 1, 2, 2, 3, 4)[own[0] & 7]
        found = []
        for word in own[:count]:
            network = networks[(word >> 3) & 31]
            place = int(places.draw(network, np.array([word >> 8], dtype=np.uint64))[0])
            if (word >> 40) % 1000 < profile.integer("client.ipv6"):
                found.append(f"2001:db8:{place:x}:{word >> 48:x}::{word & 0xFF or 1:x}")
            else:
                found.append(places.address(place, word >> 28))
        by_user.append(tuple(found[slot % count] for slot in range(CLIENTS)))
    return tuple(by_user[number] for number in user.tolist())


def _host_slots(profile: Profile, seed: int, senders: int, hosts: Hosts) -> Ints:
    """Return each sender's hostnames: its own targets by Zipf, assets, and a share of all
    hostnames.
    """
    most = min(64, max(1, profile.integer("host.targets")))
    counts = apportion(zipf_weights(most, profile.decimal("host.targets_exponent")), 1024) + 1
    wide = min(HOST_SLOTS, profile.integer("host.wide") * HOST_SLOTS // 1000)
    assets = min(HOST_SLOTS - wide, profile.integer("host.assets") * HOST_SLOTS // 1000)
    own = max(1, HOST_SLOTS - wide - assets)
    patterns = {
        n: apportion(zipf_weights(n, profile.decimal("host.user_exponent")), own)
        for n in range(1, most + 1)
    }
    key = stream_key(seed, "host.targets")
    table = np.empty((senders + 1, HOST_SLOTS), dtype=np.int64)
    table[:, own:] = WIDE
    pool = len(hosts.assets)
    for sender in range(senders):
        hashes = hash64(key, np.arange(sender * 128, sender * 128 + 128, dtype=np.uint64))
        count = int(counts[int(hashes[0]) & 1023])
        targets = hosts.draw_popular(hashes[1 : count + 1])
        table[sender, :own] = targets.take(patterns[count])
        low, high = _bits(hashes[64:], 0, 16) % pool, _bits(hashes[64:], 16, 16) % pool
        picks = hosts.assets.take(np.minimum(low, high) * np.minimum(low, high) // pool)
        table[sender, own : own + assets] = np.resize(picks[:8], assets)
    table[senders] = np.arange(HOST_SLOTS) % len(PROBE_HOSTS)
    return table.ravel()


def _place_slots(profile: Profile, seed: int, network: Ints, places: Places) -> Ints:
    """Return each sender's places: of one country if it wants one, else of all."""
    key = stream_key(seed, "place")
    table = np.empty((len(network), PLACE_SLOTS), dtype=np.int64)
    targeted = profile.integer("place.targeted")
    for sender, number in enumerate(network.tolist()):
        start = sender * PLACE_SLOTS
        hashes = hash64(key, np.arange(start, start + PLACE_SLOTS, dtype=np.uint64))
        slots = places.country_slots[number]
        one = int(slots[int(hashes[0] >> _U(40)) & 1023])
        asked = (int(hashes[0]) >> 30) & 1023
        country = np.full(PLACE_SLOTS, one) if asked * 1000 < targeted * 1024 else None
        table[sender] = places.draw(number, hashes, country)
    return table.ravel()


def _proxies(
    profile: Profile, seed: int, network: Ints, places: Places
) -> tuple[Ints, Ints, tuple[Proxy, ...]]:
    """Return the fixed proxies of each datacenter and isp sender; all of a sender in one
    country.
    """
    means = dict(profile.weights("proxy.pool"))
    first = np.zeros(len(network), dtype=np.int64)
    count = np.zeros(len(network), dtype=np.int64)
    found: list[Proxy] = []
    for sender, number in enumerate(network.tolist()):
        mean = means.get(NETWORKS[number], 0)
        if not mean:
            continue
        key = stream_key(seed, f"proxy/{sender}")
        first[sender] = len(found)
        count[sender] = size = max(1, mean // 2 + key % mean)
        hashes = hash64(key, np.arange(size, dtype=np.uint64))
        country = np.full(size, int(places.country_slots[number][(key >> 64) & 1023]))
        chosen = places.draw(number, hashes, country).tolist()
        for place, hash_value in zip(chosen, hashes.tolist(), strict=True):
            token = f"{stream_key(seed, f'proxy/{sender}/{hash_value}'):032x}"
            proxy_id = f"{token[:8]}-{token[8:12]}-4{token[13:16]}-a{token[17:20]}-{token[20:]}"
            index = (hash_value >> 24) % places.addresses(place)
            found.append(Proxy(proxy_id=proxy_id, place=place, address_index=index))
    return first, count, tuple(found)
