"""Build the `[proxies]` of a target file: its own proxies, their users, and the origin's names."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from trueup.conformance.target.fields import Fields, Table
from trueup.conformance.target.model import ProxyAccess, ProxyTraffic, Tenant
from trueup.conformance.target.placeholders import names_in
from trueup.reports.configuration import describe_value

__all__ = ["NUMBER", "is_loopback_host", "numbered_addresses", "proxy_traffic"]

NUMBER: Final = "{n}"
"""Stands for the number of a request in the template of the origin's hostnames."""
_USER_NAMES: Final = frozenset({"user", "session"})


def proxy_traffic(fields: Fields, table: Table, tenants: Mapping[str, Tenant]) -> ProxyTraffic:
    """Return the proxies of a target; problems are noted in `fields`."""
    hostname = str(table["hostname"])
    if hostname.count(NUMBER) != 1:
        expected = "a hostname with `{n}` in it, such as `127.80.0.{n}`"
        fields.note("proxies.hostname", expected, describe_value(hostname))
    listen = str(table.get("listen", "127.0.0.1"))
    if not _is_address(listen):
        fields.note("proxies.listen", "an IP address of this machine", describe_value(listen))
    ipv6 = str(table.get("ipv6", ""))
    if ipv6 and (not _is_address(ipv6) or ":" not in ipv6):
        fields.note("proxies.ipv6", "an IPv6 address of this machine", describe_value(ipv6))
    unreachable = str(table.get("unreachable", ""))
    if unreachable:
        fields.server("proxies.unreachable", unreachable)
    return ProxyTraffic(
        access=tuple(_access(fields, n, one, tenants) for n, one in enumerate(table["access"])),
        hostname=hostname,
        listen=listen,
        port=table.get("port", 0),
        ipv6=ipv6,
        unreachable=unreachable,
    )


def _access(fields: Fields, n: int, table: Table, tenants: Mapping[str, Tenant]) -> ProxyAccess:
    key = f"proxies.access[{n}]"
    host, port = _server(fields.server(f"{key}.address", table["address"]))
    tenant = table.get("tenant", "a")
    if tenant not in tenants:
        fields.note(f"{key}.tenant", "an account of the file", f'"{tenant}"', f"add [{tenant}]")
    named = table["user"]
    # Logs show user names: unlike passwords they are not redacted.
    user = (
        named
        if isinstance(named, str)
        else fields.from_env(f"{key}.user", named["env"], example="the user")
    )
    user_name = table.get("user_name", "{user}")
    used = set(names_in(user_name))
    if "user" not in used or used - _USER_NAMES:
        expected = "a template of {user} and, where the proxies know sessions, {session}"
        fields.note(f"{key}.user_name", expected, describe_value(user_name))
    address = table.get("client_address", "")
    if address and not _is_address(address):
        fields.note(f"{key}.client_address", "an IP address", describe_value(address))
    return ProxyAccess(
        network=table["network"],
        host=host,
        port=port,
        protocols=tuple(table.get("protocols", ("connect", "forward"))),
        tenant=tenant,
        user=user,
        user_name=user_name,
        password=(
            fields.secret(f"{key}.password", table["password"], example="the password")
            if "password" in table
            else ""
        ),
        proxy_user_id=table.get("proxy_user_id", user),
        client_address=address,
        country=table.get("country", ""),
        city=table.get("city", ""),
        asn=table.get("asn"),
    )


def _server(text: str) -> tuple[str, int]:
    """Return host and port; empty and 0 for what `Fields.server` has reported."""
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        return parts.hostname or "", parts.port or 0
    except ValueError:
        return "", 0


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback_host(host: str) -> bool:
    """Return whether a name or an address is this machine's own loopback."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def numbered_addresses(hostname: str) -> bool:
    """Return whether a template of hostnames gives IP addresses, which the origin listens at."""
    return _is_address(hostname.replace(NUMBER, "1"))
