"""A fleet as listening proxies: its users, its static proxies and its gateways, with addresses.

Static proxies have a loopback address each: 127.64.x.y (datacenter) and 127.65.x.y (isp); the
gateways of residential and mobile are 127.66.0.1 and 127.67.0.1. Each user has a client address
below 127.96 from which it, and no other user, may connect where it authenticates by address.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from trueup.simulator.fleet import Fleet
from trueup.simulator.model.fleet_model import FleetModel
from trueup.simulator.model.outcomes import HTTP_PORT, SOCKS_PORT
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.proxies.engine import ProxyEndpoint
from trueup.simulator.proxies.exits import ExitChooser, fixed_exit
from trueup.simulator.proxies.users import Authentication, FleetUser, Membership
from trueup.simulator.random.random_words import stream_key

__all__ = ["PROTOCOL_PORTS", "FleetEndpoint", "fleet_endpoints", "fleet_users"]

PROTOCOL_PORTS: Final = (HTTP_PORT, SOCKS_PORT)
"""Where a proxy listens unless asked otherwise; each port takes both protocols."""
_STATIC: Final = ("datacenter", "isp")
_OCTETS: Final = {"datacenter": 64, "isp": 65, "residential": 66, "mobile": 67}
_CLIENT_OCTET: Final = 96
_ADDRESSES: Final = 250 * 250


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetEndpoint:
    """A proxy of the fleet, and the address at which it listens."""

    host: str
    endpoint: ProxyEndpoint


def fleet_users(fleet: Fleet) -> tuple[FleetUser, ...]:
    """Return the users of a fleet, with passwords that follow from its seed."""
    model = fleet.model
    senders = model.senders
    memberships: list[dict[str, Membership]] = [{} for _ in senders.users]
    for sender in range(len(senders)):
        network = NETWORKS[int(senders.network[sender])]
        memberships[int(senders.user[sender])][network] = Membership(
            sender=sender,
            service_id=senders.service[sender],
            authentication=_authentication(int(senders.authentication[sender])),
            smartpath=bool(senders.smartpath[sender]),
        )
    return tuple(
        FleetUser(
            customer_id=model.customers[int(senders.user_customer[number])],
            name=name,
            password=f"{stream_key(fleet.seed, f'password/{name}'):032x}"[:20],
            addresses=(_address(_CLIENT_OCTET, number),),
            memberships=memberships[number],
        )
        for number, name in enumerate(senders.users)
    )


def fleet_endpoints(
    fleet: Fleet,
    *,
    static_proxies: int,
    networks: Iterable[str] = NETWORKS,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[FleetEndpoint, ...]:
    """Return the proxies of a fleet: `static_proxies` for each customer and static network that the
    customer has a service on, at most as many as it has, and a gateway for the other networks.
    """
    chosen = frozenset(networks)
    found: list[FleetEndpoint] = []
    for network in NETWORKS:
        if network not in chosen:
            continue
        if network not in _STATIC:
            chooser = ExitChooser(fleet.model, network, fleet.seed, clock)
            endpoint = ProxyEndpoint(network=network, chooser=chooser)
            found.append(FleetEndpoint(host=_address(_OCTETS[network], 0), endpoint=endpoint))
            continue
        for number, endpoint in enumerate(_static(fleet.model, network, static_proxies)):
            found.append(FleetEndpoint(host=_address(_OCTETS[network], number), endpoint=endpoint))
    return tuple(found)


def _static(model: FleetModel, network: str, most: int) -> Iterator[ProxyEndpoint]:
    """Yield the first proxies of each customer on a static network."""
    senders = model.senders
    left = dict.fromkeys(model.customers, most)
    for sender in range(len(senders)):
        if NETWORKS[int(senders.network[sender])] != network:
            continue
        customer_id = model.customers[int(senders.customer[sender])]
        first, count = int(senders.proxy_first[sender]), int(senders.proxy_count[sender])
        for proxy in senders.proxies[first : first + min(count, left[customer_id])]:
            left[customer_id] -= 1
            yield ProxyEndpoint(
                network=network, customer_id=customer_id, exit=fixed_exit(model, proxy)
            )


def _authentication(code: int) -> Authentication:
    """Return the kind of authentication of a code; codes of other profiles are by password."""
    return Authentication(code) if code in set(Authentication) else Authentication.PASSWORD


def _address(octet: int, number: int) -> str:
    """Return loopback address `number` of a range, from 127.octet.0.1 on."""
    block, number = divmod(number, _ADDRESSES)
    return f"127.{octet + block}.{number // 250}.{number % 250 + 1}"
