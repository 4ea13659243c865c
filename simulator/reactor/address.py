"""Host, port and scheme that requests are sent to. Pure."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = ["Address", "address_of"]

_PORTS = {"http": 80, "https": 443}


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
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def address_of(url: str, unix_socket: str = "") -> Address:
    """Return the address of a URL, which a UNIX socket may stand for.

    Raises ValueError for a scheme other than http and https, and for a URL without a host.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url}: expected an http:// or https:// URL with a host")
    port = parts.port or _PORTS[parts.scheme]
    return Address(parts.hostname, port, parts.scheme == "https", unix_socket)
