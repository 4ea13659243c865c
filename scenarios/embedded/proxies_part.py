"""The `[proxies]` of a target file for the fleet's own proxies: where they are, and their users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trueup.reports.transport.urls import host_port
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.proxies import (
    Authentication,
    FleetUser,
    ListeningProxy,
    UserNameSyntax,
)

__all__ = ["PROTOCOLS", "ProxiesPart", "proxies_part"]

PROTOCOLS: Final = ("connect", "forward", "socks")
_USERS: Final = {"residential": 2}
"""Users of a network, who share its proxies; one of the others."""
_VARIABLE: Final = "TRUEUP_PROXY_PASSWORD_{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxiesPart:
    """Text of a target file, and the environment variables that it names."""

    text: str
    environment: Mapping[str, str]


def proxies_part(
    proxies: Sequence[ListeningProxy],
    users: Sequence[FleetUser],
    syntax: UserNameSyntax,
    *,
    customers: Mapping[str, int],
    port: int = 0,
    ipv6: str = "",
    unreachable: tuple[str, int] | None = None,
    protocols: Sequence[str] = PROTOCOLS,
) -> ProxiesPart:
    """Return the part for users who give a password, of each customer and network.

    `customers`: tenant letter → customer. `port`: of the origin that the checks start; the fleet's
    proxies lead every hostname to their own. `ipv6`: an address of this machine. `unreachable`: an
    address that they may try to reach.
    """
    lines = ["[proxies]", 'hostname = "r{n}.level1.example"', f"port = {port}"]
    if ipv6:
        lines.append(f'ipv6 = "{ipv6}"')
    if unreachable is not None:
        lines.append(f'unreachable = "{host_port(*unreachable)}"')
    environment: dict[str, str] = {}
    for letter, proxy, user in _access(proxies, users, customers):
        variable = _VARIABLE.format(len(environment) + 1)
        environment[variable] = user.password
        words = ", ".join(f'"{name}"' for name in protocols)
        lines += [
            "",
            "[[proxies.access]]",
            f'network = "{proxy.endpoint.network}"',
            f'address = "{host_port(proxy.host, proxy.http_port)}"',
            f"protocols = [{words}]",
            f'tenant = "{letter}"',
            f'user = "{user.name}"',
            f'password = {{ env = "{variable}" }}',
        ]
        if (exit_ := proxy.endpoint.exit) is not None:
            lines += [
                f'country = "{exit_.country}"',
                f'city = "{exit_.city}"',
                f"asn = {exit_.asn}",
            ]
        elif session := _with_session(syntax):
            lines.append(f'user_name = "{session}"')
    return ProxiesPart(text="\n".join(lines) + "\n", environment=environment)


def _with_session(syntax: UserNameSyntax) -> str:
    """Return the template of a user name with a session, where a gateway knows sessions."""
    word = next((word for word, key in syntax.keys.items() if key == "session"), None)
    mark = syntax.separator
    return f"{{user}}{mark}{word}{mark}{{session}}" if word is not None else ""


def _access(
    proxies: Sequence[ListeningProxy], users: Sequence[FleetUser], customers: Mapping[str, int]
) -> Iterator[tuple[str, ListeningProxy, FleetUser]]:
    """Yield tenant, proxy and user for each network that has both."""
    for letter, customer_id in customers.items():
        for network in NETWORKS:
            able = [
                user
                for user in users
                if user.customer_id == customer_id
                and network in user.memberships
                and user.memberships[network].authentication is Authentication.PASSWORD
            ]
            proxy = next(
                (
                    each
                    for each in proxies
                    if each.endpoint.network == network
                    and each.endpoint.customer_id in (None, customer_id)
                ),
                None,
            )
            if proxy is not None:
                for user in able[: _USERS.get(network, 1)]:
                    yield letter, proxy, user
