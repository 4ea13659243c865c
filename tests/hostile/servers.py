"""Servers that misbehave on purpose, one function a kind, on the loopback.

Each takes a connected socket and the request that was read from it, and writes what it likes. A
server counts the requests that it gets, so that a test can say which host was asked.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

__all__ = [
    "BEHAVIOURS",
    "Behaviour",
    "HostileServer",
    "SeenRequest",
    "empty_api",
    "hostile",
    "listening",
    "moved_to",
    "redirect_to",
    "response",
]

PATIENCE_S: Final = 120.0
"""Longest life of one connection: no test lasts longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """A request as a server received it; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class HostileServer:
    """A listening server, and what it was asked."""

    port: int
    requests: list[SeenRequest] = field(default_factory=list)


Behaviour = Callable[[socket.socket, SeenRequest], None]


def response(body: bytes, *fields: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Return a response of HTTP/1.1 as bytes."""
    head = [
        f"HTTP/1.1 {status}",
        "Content-Type: application/json",
        f"Content-Length: {len(body) if length is None else length}",
        *fields,
    ]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def _drip_body(sock: socket.socket, _request: SeenRequest) -> None:
    """The head at once, the body a byte at a time, without an end."""
    sock.sendall(response(b"", length=1_000_000))
    while True:
        sock.sendall(b" ")
        time.sleep(0.2)


def _drip_head(sock: socket.socket, _request: SeenRequest) -> None:
    """A head that never ends, a byte at a time."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        sock.sendall(b"a")
        time.sleep(0.2)


def _endless(sock: socket.socket, _request: SeenRequest) -> None:
    """A chunked body without an end, as fast as it is taken."""
    sock.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    while True:
        sock.sendall(chunk)


def _large(sock: socket.socket, _request: SeenRequest) -> None:
    """500 MB of JSON."""
    sock.sendall(response(b"", length=500_000_000))
    piece = b"1" * 100_000
    sock.sendall(b'{"data":"')
    for _ in range(5_000):
        sock.sendall(piece)


@lru_cache(maxsize=1)
def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b" " * 1_000_000
    return b"".join(packer.compress(piece) for _ in range(1_000)) + packer.flush()


def _gzip_bomb(sock: socket.socket, _request: SeenRequest) -> None:
    """1 MB that inflates to 1 GB."""
    sock.sendall(response(_bomb(), "Content-Encoding: gzip"))


def _nesting(sock: socket.socket, _request: SeenRequest) -> None:
    """Four million brackets."""
    sock.sendall(response(b'{"data":' + b"[" * 4_000_000 + b"]" * 4_000_000 + b"}"))


def _digits(sock: socket.socket, _request: SeenRequest) -> None:
    """A number of four million digits."""
    number = b"7" * 4_000_000
    sock.sendall(
        response(b'{"data":[{"x":' + number + b'}],"accepted":' + number + b',"total_count":1}')
    )


def _rows(sock: socket.socket, _request: SeenRequest) -> None:
    """Seven megabytes of a million rows where one was asked for."""
    rows = b",".join([b'{"a":1}'] * 900_000)
    sock.sendall(response(b'{"data":[' + rows + b'],"refused":[' + rows[: 8 * 20_000 - 1] + b"]}"))


def _pages(sock: socket.socket, request: SeenRequest) -> None:
    """A list that says it has a billion rows, every page full and another one."""
    number = request.path.encode()
    row = b'{"log_id":"' + number.hex().encode() + b'"}'
    body = b'{"data":[' + b",".join([row] * 100) + b'],"total_count":1000000000,"per_page":100}'
    sock.sendall(response(body))


def _odd_head(sock: socket.socket, _request: SeenRequest) -> None:
    """Bytes in the head that no header may have."""
    sock.sendall(
        b"HTTP/1.1 200 \xff\xfe\x1b[31mOK\r\nContent-Type: \xff/\xfe\r\n"
        b"Server: \x1b]0;x\x07\xff\r\n"
        b"Location: \xc3\x28\r\nContent-Length: 2\r\n\r\n{}"
    )


def _latin_head(sock: socket.socket, _request: SeenRequest) -> None:
    """Legal but odd: bytes above ASCII in headers that are kept."""
    sock.sendall(
        b"HTTP/1.1 403 \xe9\xff\r\nContent-Type: \xff/\xfe; charset=\xff\r\n"
        b"Server: \xff\xfe\xc3\x28\r\n"
        b"WWW-Authenticate: \x80\x9b31m\xff\r\nRetry-After: \xb2\r\nContent-Length: 2\r\n\r\n{}"
    )


def _many_headers(sock: socket.socket, _request: SeenRequest) -> None:
    """A head of 100 MB."""
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    lines = b"".join(b"X-%d: " % n + b"a" * 1000 + b"\r\n" for n in range(100))
    for _ in range(1000):
        sock.sendall(lines)


def _interim(sock: socket.socket, _request: SeenRequest) -> None:
    """Interim responses without an end."""
    while True:
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def _dates(sock: socket.socket, _request: SeenRequest) -> None:
    """Times that no calendar has."""
    sock.sendall(
        response(
            b'{"data":[],"message":"later"}',
            "Date: Fri, 99 Foo 99999 99:99:99 GMT",
            "Retry-After: Fri, 31 Feb 9999 23:59:59 -9999",
            status="503 Busy",
        )
    )


def _far_future(sock: socket.socket, _request: SeenRequest) -> None:
    """A wait of a thousand years."""
    sock.sendall(response(b"{}", "Retry-After: 31536000000", status="429 Too Many"))


def _not_a_number(sock: socket.socket, _request: SeenRequest) -> None:
    """A wait that is no number."""
    sock.sendall(response(b"{}", "Retry-After: -inf, nan", status="429 Too Many"))


def _reset(sock: socket.socket, _request: SeenRequest) -> None:
    """The connection is reset instead of a response."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def _silent(sock: socket.socket, _request: SeenRequest) -> None:
    """Nothing, ever."""
    time.sleep(PATIENCE_S)
    del sock


def _escapes(sock: socket.socket, _request: SeenRequest) -> None:
    """Refused, with commands for a terminal in the reason and in `Location`."""
    said = (
        b'{"message":"\\u001b]0;owned\\u0007\\u001b[31mred\\u202e \\u009b31m","refused":[{"line":1,'
    )
    said += b'"reason":"\\u001b[2J"}]}'
    sock.sendall(response(said, "Location: http://127.0.0.1/\x9b31m", status="400 \x9b31mBad"))


def _loop(sock: socket.socket, request: SeenRequest) -> None:
    """A redirect to the same place."""
    sock.sendall(response(b"", f"Location: {request.path}", status="307 Again"))


BEHAVIOURS: Final[dict[str, Behaviour]] = {
    "drips a body": _drip_body,
    "drips a head": _drip_head,
    "never ends": _endless,
    "sends 500 MB": _large,
    "gzip bomb": _gzip_bomb,
    "nesting bomb": _nesting,
    "bomb of digits": _digits,
    "a million rows": _rows,
    "endless pages": _pages,
    "impossible header bytes": _odd_head,
    "odd header bytes": _latin_head,
    "head of 100 MB": _many_headers,
    "endless interim responses": _interim,
    "impossible dates": _dates,
    "waits of a thousand years": _far_future,
    "waits that are no numbers": _not_a_number,
    "resets every connection": _reset,
    "never responds": _silent,
    "terminal commands": _escapes,
    "redirects to itself": _loop,
}


def empty_api(sock: socket.socket, request: SeenRequest) -> None:
    """Respond as an API that has no data and accepts every event."""
    if request.method == "POST":
        said: Any = {"accepted": request.body.count(b"\n") or 1, "refused": []}
    elif "search" in request.path:
        said = {"data": [], "total_count": 0, "page": 1, "per_page": 100}
    else:
        said = {"data": {"points": []} if "graph" in request.path else {"customer_id": 1001}}
    sock.sendall(response(json.dumps(said).encode()))


def redirect_to(url: str, status: str = "307 Elsewhere") -> Behaviour:
    """Return a behaviour: every request is redirected to a URL."""

    def behave(sock: socket.socket, _request: SeenRequest) -> None:
        sock.sendall(response(b"", f"Location: {url}", status=status))

    return behave


def moved_to(path: str, status: str = "307 Elsewhere") -> Behaviour:
    """Return a behaviour: an empty API at a path, to which every other request is redirected."""
    elsewhere = redirect_to(path, status)

    def behave(sock: socket.socket, request: SeenRequest) -> None:
        (empty_api if request.path == path else elsewhere)(sock, request)

    return behave


def read_request(sock: socket.socket) -> SeenRequest | None:
    """Read one request; None at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {
        name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
    }
    while len(body) < int(fields.get("content-length", "0")):
        piece = sock.recv(65536)
        if not piece:
            return None
        body += piece
    method, path, *_ = first.split(" ")
    return SeenRequest(method=method, path=path, headers=fields, body=body)


def _unix_server(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()
    return listener


@contextlib.contextmanager
def listening(
    behave: Behaviour,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    unix_socket: str = "",
) -> Iterator[HostileServer]:
    """Serve a behaviour on a port of the loopback or a UNIX socket, a thread a connection."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        _unix_server(unix_socket)
        if unix_socket
        else socket.create_server((host, 0), family=family) as listener
    ):
        server = HostileServer(port=0 if unix_socket else listener.getsockname()[1])

        def serve(sock: socket.socket) -> None:
            sock.settimeout(PATIENCE_S)
            if tls is not None:
                try:
                    sock = tls.wrap_socket(sock, server_side=True)
                except OSError:
                    sock.close()
                    return
            with contextlib.suppress(OSError), sock:
                while (request := read_request(sock)) is not None:
                    server.requests.append(request)
                    behave(sock, request)
                    if behave is _reset:
                        return

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    threading.Thread(target=serve, args=(sock,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)


def hostile(name: str) -> contextlib.AbstractContextManager[HostileServer]:
    """Serve one of the behaviours."""
    return listening(BEHAVIOURS[name])
