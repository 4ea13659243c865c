"""SOCKS5 as a proxy reads and writes it: RFC 1928, and user name and password by RFC 1929. Pure.

The `read_…` functions take what has arrived and return what they read and the bytes that it took,
or None where more must arrive. What is no SOCKS5 raises SocksError. Written here because the
SOCKS packages that are maintained are clients; a server needs four messages.
"""

from __future__ import annotations

import socket
from enum import IntEnum
from typing import Final, NamedTuple

from trueup.simulator.proxies.destinations import Destination, read_hostname
from trueup.simulator.proxies.failures import RequestFailed

__all__ = [
    "VERSION",
    "Method",
    "SocksCredentials",
    "SocksError",
    "choice",
    "credentials_reply",
    "read_credentials",
    "read_greeting",
    "read_request",
    "reply",
]

VERSION: Final = 5
_CREDENTIALS_VERSION: Final = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_CONNECT: Final = 1
_NO_COMMAND, _NO_ADDRESS_TYPE = 7, 8


class Method(IntEnum):
    """How a client authenticates."""

    NONE = 0
    PASSWORD = 2
    NOT_ACCEPTABLE = 255


class SocksError(Exception):
    """What arrived is not SOCKS5: there is nothing that could be replied."""


class SocksCredentials(NamedTuple):
    """A user name and a password."""

    user: str
    password: str


def read_greeting(data: bytes) -> tuple[frozenset[int], int] | None:
    """Return the methods that a client offers."""
    if data and data[0] != VERSION:
        raise SocksError(f"version {data[0]}, expected 5")
    if len(data) < 2 or len(data) < 2 + data[1]:
        return None
    return frozenset(data[2 : 2 + data[1]]), 2 + data[1]


def choice(method: Method) -> bytes:
    """Return the message that chooses a method."""
    return bytes((VERSION, method))


def read_credentials(data: bytes) -> tuple[SocksCredentials, int] | None:
    """Return the user name and password that a client sends; at most 255 bytes each."""
    if data and data[0] != _CREDENTIALS_VERSION:
        raise SocksError(f"version {data[0]} of user name and password, expected 1")
    if len(data) < 2 or len(data) < 3 + data[1]:
        return None
    after = 2 + data[1]
    end = after + 1 + data[after]
    if len(data) < end:
        return None
    user = data[2:after].decode("utf-8", "replace")
    return SocksCredentials(user, data[after + 1 : end].decode("utf-8", "replace")), end


def credentials_reply(*, accepted: bool) -> bytes:
    """Return the message that accepts or refuses credentials."""
    return bytes((_CREDENTIALS_VERSION, 0 if accepted else 1))


def read_request(data: bytes) -> tuple[Destination | RequestFailed, int] | None:
    """Return the destination of a request, or why it cannot be served: the client gets a reply."""
    if data and data[0] != VERSION:
        raise SocksError(f"version {data[0]} of a request, expected 5")
    if len(data) < 5:
        return None
    _version, command, _reserved, kind, first = data[:5]
    sizes = {_IPV4: 4, _IPV6: 16, _NAME: 1 + first}
    if kind not in sizes:
        text = f"address type {kind}, expected 1, 3 or 4"
        return RequestFailed("http_request_error", text, socks_reply=_NO_ADDRESS_TYPE), len(data)
    end = 4 + sizes[kind] + 2
    if len(data) < end:
        return None
    if command != _CONNECT:
        text = f"command {command}: only CONNECT (1) is served"
        return RequestFailed("http_request_error", text, socks_reply=_NO_COMMAND), end
    port = int.from_bytes(data[end - 2 : end])
    try:
        host = _host(kind, data[4 : end - 2])
        if not port:
            raise RequestFailed("http_request_error", "port 0")
    except RequestFailed as failed:
        return failed, end
    return Destination(host=host, port=port), end


def _host(kind: int, raw: bytes) -> str:
    match kind:
        case 1:
            return socket.inet_ntop(socket.AF_INET, raw)
        case 4:
            return socket.inet_ntop(socket.AF_INET6, raw)
        case _:
            return read_hostname(raw[1:].decode("ascii", "replace"))


def reply(code: int, address: tuple[str, int] = ("0.0.0.0", 0)) -> bytes:  # noqa: S104  # no bind
    """Return a reply: 0 or a failure, and the address that the proxy connects from."""
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = _IPV6 if family == socket.AF_INET6 else _IPV4
    return bytes((VERSION, code, 0, kind)) + socket.inet_pton(family, host) + port.to_bytes(2)
