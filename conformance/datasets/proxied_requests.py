"""The requests that a run sends through the target's own proxies: one table of cases. Pure.

Each request has a hostname of its own, by which its log and its summary are found; a case that is
repeated has one for all of its requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count, cycle, islice
from typing import Final

from trueup.conformance.target.model import ProxyAccess, ProxyTraffic
from trueup.conformance.target.proxies import NUMBER, numbered_addresses

__all__ = [
    "ADDRESSES_MAX",
    "CASES",
    "ExactConnection",
    "ExactRequest",
    "OriginExchange",
    "ProxiedCase",
    "ProxiedOutcome",
    "proxied_connections",
]

ADDRESSES_MAX: Final = 250
"""Requests that can have a hostname of their own where hostnames are IPv4 addresses."""
_HOSTNAMES_MAX: Final = 100_000
_TUNNELS: Final = ("connect", "socks")
_ALL: Final = ("connect", "forward", "socks")


class ProxiedOutcome(StrEnum):
    """How a request is planned to end."""

    COMPLETE = "complete"
    CUT = "cut"
    """The origin ends the connection before its response is complete."""
    ABORTED = "aborted"
    """The client leaves while the response is still being sent."""
    UNREACHABLE = "unreachable"
    """Nothing listens at its destination."""
    REFUSED = "refused"
    """Its password is wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OriginExchange:
    """One HTTP request to the origin."""

    path: str
    """With options; see docs/proxies.md."""
    method: str = "GET"
    upload_bytes: int = 0
    read_most: int | None = None
    """Bytes of the response after which the client leaves; None: it reads all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxiedCase:
    """One row of the table."""

    name: str
    origin: tuple[OriginExchange, ...]
    """What is asked for: in a tunnel one after the other; of a forwarded case the first."""
    outcome: ProxiedOutcome = ProxiedOutcome.COMPLETE
    protocols: tuple[str, ...] = _ALL
    times: int = 1
    """Connections, each with the same request to the same hostname."""
    ipv6: bool = False
    """Whether the origin is asked for by its IPv6 address; those requests share it."""
    on_one_connection: int = 1
    """Requests of a connection, to hostnames of their own; users take turns if there are more."""


def _get(path: str) -> tuple[OriginExchange, ...]:
    return (OriginExchange(path=path),)


def _post(path: str, upload_bytes: int) -> tuple[OriginExchange, ...]:
    return (OriginExchange(path=path, method="POST", upload_bytes=upload_bytes),)


CASES: Final = (
    ProxiedCase(name="download", origin=_get("/bytes/262147?end=close")),
    ProxiedCase(name="upload", origin=_post("/upload?end=close", 70_001)),
    ProxiedCase(
        name="aborted",
        origin=(
            OriginExchange(
                path="/bytes/2000000?piece=16384&pause_ms=10&end=close", read_most=100_000
            ),
        ),
        outcome=ProxiedOutcome.ABORTED,
    ),
    ProxiedCase(name="refused", origin=_get("/bytes/1?end=close"), outcome=ProxiedOutcome.REFUSED),
    ProxiedCase(name="unreachable", origin=_get("/bytes/1"), outcome=ProxiedOutcome.UNREACHABLE),
    ProxiedCase(
        name="cut",
        origin=_get("/bytes/50000?cut=20011&end=close"),
        outcome=ProxiedOutcome.CUT,
    ),
    ProxiedCase(
        name="requests-of-one-connection",
        origin=_get("/bytes/2111"),
        protocols=("forward",),
        on_one_connection=3,
    ),
    ProxiedCase(
        name="kept-tunnel",
        origin=(*_get("/bytes/2203"), *_post("/bytes/911", 401), *_get("/bytes/77?end=close")),
        protocols=_TUNNELS,
    ),
    ProxiedCase(name="ipv6", origin=_get("/bytes/1999?end=close"), ipv6=True),
    ProxiedCase(name="repeated", origin=_get("/bytes/4099?end=close"), times=2),
    ProxiedCase(name="small", origin=_get("/bytes/11?end=close")),
    ProxiedCase(name="both-ways", origin=_post("/bytes/2003?end=close", 3001)),
    ProxiedCase(name="not-found", origin=_get("/status/404?end=close")),
    ProxiedCase(name="server-error", origin=_get("/status/503?end=close")),
    ProxiedCase(name="redirect", origin=_get("/redirect/100?end=close")),
    ProxiedCase(name="idle-tunnel", origin=(), protocols=_TUNNELS),
    ProxiedCase(name="silent", origin=_get("/silent"), outcome=ProxiedOutcome.CUT),
)
"""The cases, the most telling first: where hostnames run out, the last are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExactRequest:
    """One request to make."""

    number: int
    case: str
    outcome: ProxiedOutcome
    access: ProxyAccess
    protocol: str
    hostname: str
    """Of the origin, without its port; of an unreachable destination, with its port."""
    user_name: str
    session: str
    origin: tuple[OriginExchange, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExactConnection:
    """Requests that are made one after the other on one connection to a proxy."""

    requests: tuple[ExactRequest, ...]


def proxied_connections(proxies: ProxyTraffic, *, name: str) -> tuple[ExactConnection, ...]:
    """Return the connections of all cases, for each proxy and protocol.

    `name` begins the sessions. Where the hostnames are addresses, the last cases may be left out.
    """
    most = ADDRESSES_MAX if numbered_addresses(proxies.hostname) else _HOSTNAMES_MAX
    hostnames = (proxies.hostname.replace(NUMBER, str(n)) for n in range(1, most + 1))
    numbers = count(1)
    made: list[ExactConnection] = []
    for case, access, protocol in _places(proxies):
        users = islice(cycle(_users(proxies.access, access)), case.on_one_connection)
        if case.outcome is ProxiedOutcome.UNREACHABLE:
            hosts = [proxies.unreachable]
        elif case.ipv6:
            hosts = [proxies.ipv6]
        else:
            hosts = list(islice(hostnames, case.on_one_connection))
        if len(hosts) < case.on_one_connection:
            break
        asked = list(zip(users, hosts, strict=True))
        for _ in range(case.times):
            requests = (
                _request(case, user, protocol, host, next(numbers), name) for user, host in asked
            )
            made.append(ExactConnection(requests=tuple(requests)))
    return tuple(made)


def _places(proxies: ProxyTraffic) -> Iterator[tuple[ProxiedCase, ProxyAccess, str]]:
    """Yield each case with each proxy and protocol that it can be made with."""
    for case in CASES:
        if case.outcome is ProxiedOutcome.UNREACHABLE and not proxies.unreachable:
            continue
        if case.ipv6 and not proxies.ipv6:
            continue
        for access in proxies.access:
            if case.outcome is ProxiedOutcome.REFUSED and not access.password:
                continue
            for protocol in access.protocols:
                if protocol in case.protocols:
                    yield case, access, protocol


def _users(access: Sequence[ProxyAccess], first: ProxyAccess) -> list[ProxyAccess]:
    """Return the users of one proxy, the given one first: they may share a connection."""
    alike = [one for one in access if one.server == first.server and one.network == first.network]
    return [first, *(one for one in alike if one is not first and not one.client_address)]


def _request(
    case: ProxiedCase,
    access: ProxyAccess,
    protocol: str,
    hostname: str,
    number: int,
    name: str,
) -> ExactRequest:
    session = f"{name}{number}"
    user_name = access.user_name.replace("{user}", access.user).replace("{session}", session)
    wrong = case.outcome is ProxiedOutcome.REFUSED
    return ExactRequest(
        number=number,
        case=case.name,
        outcome=case.outcome,
        access=replace(access, password=f"{access.password}-wrong") if wrong else access,
        protocol=protocol,
        hostname=hostname,
        user_name=user_name,
        session=session if "{session}" in access.user_name else "",
        origin=case.origin,
    )
