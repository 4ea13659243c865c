"""Host, port and scheme that requests are sent to. Pure."""

from __future__ import annotations

from typing import NamedTuple

from trueup.reports.transport.redirects import origin_of
from trueup.reports.transport.urls import host_port

__all__ = ["Address", "address_of"]


class Address(NamedTuple):
    """Host and port of a server, and whether it uses TLS."""

    host: str
    port: int
    tls: bool = False
    unix_socket: str = ""
    """Path of the UNIX socket to connect to instead; empty: none."""

    @property
    def origin(self) -> str:
        """Return scheme, host and port as the start of a URL."""
        return f"{'https' if self.tls else 'http'}://{host_port(self.host, self.port)}"


def address_of(url: str, unix_socket: str = "") -> Address:
    """Return the address of a URL, which a UNIX socket may stand for.

    Raises ValueError for a scheme other than http and https, and for a URL without a host.
    """
    scheme, host, port = origin_of(url)
    return Address(host, port, scheme == "https", unix_socket)
