"""Where a request leaves: the egress address of a fixed proxy, or one that a gateway chooses."""

from __future__ import annotations

import bisect
from collections import OrderedDict
from collections.abc import Callable
from itertools import accumulate
from typing import Final, NamedTuple

from trueup.simulator.model.fleet_model import FleetModel
from trueup.simulator.model.population import PLACE_SLOTS, Proxy
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.proxies.failures import RequestFailed
from trueup.simulator.proxies.users import Identified
from trueup.simulator.random.random_words import stream_words

__all__ = ["ExitChooser", "ProxyExit", "fixed_exit"]

SESSIONS_MAX: Final = 100_000
"""Sessions that are remembered; of more, those that were not used for longest are forgotten."""
_TTL_S: Final = 600
"""Lifetime of a session where neither the user name nor the fleet's sender states one."""


class ProxyExit(NamedTuple):
    """Where a request leaves the network, as its log says."""

    country: str
    city: str
    asn: int
    address: str
    proxy_id: str | None = None
    session: str | None = None


class _Session(NamedTuple):
    """A session that a user has begun."""

    exit: ProxyExit
    until: float
    place: tuple[str, str]
    """Country and city that were asked for."""


def fixed_exit(model: FleetModel, proxy: Proxy) -> ProxyExit:
    """Return the exit of a proxy whose address never changes."""
    row = model.places.rows[proxy.place]
    address = model.places.address(proxy.place, proxy.address_index)
    return ProxyExit(row.country, row.city, row.asn, address, proxy.proxy_id)


class ExitChooser:
    """Chooses the exits of one gateway: as its users ask, and the same for the same session."""

    def __init__(
        self, model: FleetModel, network: str, seed: int, clock: Callable[[], float]
    ) -> None:
        """`clock` returns seconds that do not go backwards."""
        self._model = model
        self._network = NETWORKS.index(network)
        self._name = network
        self._clock = clock
        self._numbers = stream_words(seed, f"exit/{network}")
        self._sessions: OrderedDict[tuple[str, str], _Session] = OrderedDict()
        self._pools: dict[tuple[str, str], tuple[list[int], list[int]]] = {}

    def choose(self, who: Identified) -> ProxyExit:
        """Return the exit of a request.

        A session keeps its exit until its lifetime has passed, or it asks for another place. Raises
        RequestFailed where this network has no exit in the place that was asked for.
        """
        wanted = who.targeting
        if not wanted.session:
            return self._draw(who)
        key = (who.user.name, wanted.session)
        place = (wanted.country, wanted.city)
        now = self._clock()
        known = self._sessions.get(key)
        if known is not None and now < known.until and known.place == place:
            self._sessions.move_to_end(key)
            return known.exit
        ttl_s = wanted.ttl_s or int(self._model.senders.ttl_s[who.membership.sender]) or _TTL_S
        session = _Session(self._draw(who)._replace(session=wanted.session), now + ttl_s, place)
        self._sessions[key] = session
        self._sessions.move_to_end(key)
        if len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return session.exit

    def _draw(self, who: Identified) -> ProxyExit:
        """Return a new exit in the place asked for, else where the fleet's sender has its own."""
        word = next(self._numbers)
        wanted = who.targeting
        if wanted.country or wanted.city:
            rows, sums = self._pool(wanted.country, wanted.city)
            at = bisect.bisect_right(sums, word % sums[-1])
            place = rows[at]
        else:
            slot = who.membership.sender * PLACE_SLOTS + word % PLACE_SLOTS
            place = int(self._model.senders.place_slots[slot])
        row = self._model.places.rows[place]
        address = self._model.places.address(place, word >> 32)
        return ProxyExit(row.country, row.city, row.asn, address)

    def _pool(self, country: str, city: str) -> tuple[list[int], list[int]]:
        """Return the places of a country or city, and the running sums of their weights."""
        key = (country, city)
        if key not in self._pools:
            found = [
                (number, row.weight)
                for number, row in enumerate(self._model.places.rows)
                if row.network == self._network
                and (not country or row.country == country)
                and (not city or row.city == city)
            ]
            if not found:
                where = ", ".join(part for part in (city, country) if part)
                raise RequestFailed(
                    "destination_unavailable", f"no {self._name} exit in {where[:80]!r}"
                )
            self._pools[key] = [n for n, _ in found], list(accumulate(w for _, w in found))
        return self._pools[key]
