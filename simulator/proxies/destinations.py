"""Where requests may lead: the name and port of a request → an address that the proxy was given.

Every name leads to the origin, so that the hostnames of the simulated traffic can be used and no
connection ever leaves the machine. Nothing else is reached, unless it was allowed by name.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final

from trueup.reports.transport.urls import host_port
from trueup.simulator.proxies.failures import RequestFailed

__all__ = ["Destination", "Destinations", "read_authority", "read_hostname"]

TLS_PORTS: Final = frozenset((443, 8443))
_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOSTNAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_HOSTNAME_MAX: Final = 253


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A host and a port, as a request names them."""

    host: str
    """A name or an address; IPv6 without brackets."""
    port: int

    def __str__(self) -> str:
        return host_port(self.host, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """The addresses that requests lead to."""

    plain: tuple[str, int]
    """Address and port of the origin."""
    tls: tuple[str, int] | None
    """The same for requests to ports 443 and 8443, and to its own port."""
    allowed: frozenset[tuple[str, int]] = field(default_factory=frozenset)
    """Names and ports that are reached themselves; port 0: all ports of the name."""

    def resolve(self, wanted: Destination) -> tuple[str, int]:
        """Return the host and port to connect to.

        Raises RequestFailed where the origin has no TLS and the request is for TLS.
        """
        name = wanted.host.lower().rstrip(".")
        if (name, wanted.port) in self.allowed or (name, 0) in self.allowed:
            return wanted.host, wanted.port
        if self.tls is not None and wanted.port in TLS_PORTS | {self.tls[1]}:
            return self.tls
        if wanted.port in TLS_PORTS:
            raise RequestFailed("connection_refused", f"{wanted}: the origin has no TLS port")
        return self.plain


def read_hostname(text: str) -> str:
    """Return a hostname or an address, IPv6 without brackets.

    Raises RequestFailed for what is neither.
    """
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
        if ":" not in text:
            raise RequestFailed("http_request_error", "expected an IPv6 address in brackets")
    if ":" in text:
        try:
            return str(ipaddress.IPv6Address(text))
        except ValueError:
            raise RequestFailed("http_request_error", f"{text[:80]!r} is no host") from None
    if len(text) > _HOSTNAME_MAX or not _HOSTNAME.fullmatch(text):
        raise RequestFailed("http_request_error", f"{text[:80]!r} is no hostname")
    return text


def read_authority(text: str, default_port: int | None = None) -> Destination:
    """Return the host and port of `host:port`. Raises RequestFailed for what is none."""
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = text, ""
    if not port and default_port is not None:
        return Destination(host=read_hostname(host), port=default_port)
    if not (port.isascii() and port.isdecimal()) or len(port) > 5 or not 0 < int(port) < 65536:
        raise RequestFailed("http_request_error", f"{text[:80]!r}: expected HOST:PORT")
    return Destination(host=read_hostname(host), port=int(port))
