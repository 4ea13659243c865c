"""A client's side of opening a tunnel: CONNECT, and SOCKS5 with user name and password."""

from __future__ import annotations

import base64
import ipaddress
import re
from typing import Final

from trueup.reports.transport.urls import bracketed
from trueup.simulator.sockets import CountedSocket

__all__ = ["authorization_field", "open_by_connect", "open_by_socks"]

_HEAD_MAX: Final = 65_536
_REFUSED: Final = 300
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,8})\r\n", re.IGNORECASE)
_REPLY: Final = {1: 4, 4: 16}
"""Type of an address of a SOCKS reply → its bytes."""


def authorization_field(name: str, password: str) -> str:
    """Return the header field of a user's credentials, with its end of line."""
    pair = base64.b64encode(f"{name}:{password}".encode()).decode()
    return f"Proxy-Authorization: Basic {pair}\r\n"


async def open_by_connect(
    client: CountedSocket, host: str, port: int, credentials: tuple[str, str] | None
) -> int | None:
    """Ask for a tunnel by CONNECT; return the status of the response, None where it has none.

    A refusal is read to its end; of an open tunnel nothing that follows the head is read. Raises
    ConnectionResetError where the proxy ends the connection before.
    """
    authority = f"{bracketed(host)}:{port}"
    fields = f"Host: {authority}\r\n"
    if credentials is not None:
        fields += authorization_field(*credentials)
    await client.send(f"CONNECT {authority} HTTP/1.1\r\n{fields}\r\n".encode())
    response = b""
    while b"\r\n\r\n" not in response and len(response) < _HEAD_MAX:
        # Byte for byte at the end, so that nothing after the head is read here.
        response += await _exactly(client, 1 if response else 12)
    if not response[9:12].isdigit():
        return None
    status = int(response[9:12])
    if status >= _REFUSED:
        # The proxy may keep the connection: read to the end of its response, and not on.
        length = _LENGTH.search(response)
        await _exactly(client, int(length[1]) if length else 0)
    return status


async def open_by_socks(
    client: CountedSocket, host: str, port: int, credentials: tuple[str, str] | None
) -> int | None:
    """Ask for a tunnel by SOCKS5; return the code of the reply, 0 where it is open.

    None where the proxy refused the credentials. Raises ConnectionResetError where it ends the
    connection.
    """
    method = b"\x00" if credentials is None else b"\x02"
    await client.send(b"\x05\x01" + method)
    if await _exactly(client, 2) != b"\x05" + method:
        return None
    if credentials is not None:
        user, word = (text.encode() for text in credentials)
        await client.send(bytes((1, len(user))) + user + bytes((len(word),)) + word)
        if await _exactly(client, 2) != b"\x01\x00":
            return None
    await client.send(b"\x05\x01\x00" + _address(host) + port.to_bytes(2, "big"))
    reply = await _exactly(client, 4)
    length = _REPLY.get(reply[3]) or (await _exactly(client, 1))[0]
    await _exactly(client, length + 2)
    return reply[1]


def _address(host: str) -> bytes:
    """Return a destination as SOCKS5 has it: its type, and the address or the name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode()
        return bytes((3, len(name))) + name
    return bytes((1 if address.version == 4 else 4,)) + address.packed


async def _exactly(client: CountedSocket, count: int) -> bytes:
    """Return so many bytes. Raises ConnectionResetError where there are fewer."""
    data = b""
    while len(data) < count:
        more = await client.receive(count - len(data))
        if not more:
            raise ConnectionResetError("the proxy ended the connection")
        data += more
    return data
