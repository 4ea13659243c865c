"""The origin sends and takes exact numbers of bytes, fails as it is asked to, and records both."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import pytest

from tests.proxies.servers import TIMEOUT_S, exchange, get, running_origin
from trueup.simulator.errors import ListenError
from trueup.simulator.origin import Ending, Origin, RequestedResponse, read_target
from trueup.simulator.sockets import listen

PATTERN = bytes(range(256)) * 4096


def body(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_535, 65_536, 65_537, 1_000_003])
async def test_a_body_has_the_size_and_the_bytes_that_were_asked_for(size: int) -> None:
    async with running_origin() as (origin, recorded):
        request = get(f"/bytes/{size}")
        response = await exchange(origin.port, request)
        assert body(response) == PATTERN[:size]
        (record,) = await recorded.count(1)
    assert (record.received_bytes, record.sent_bytes) == (len(request), len(response))
    assert record.requests[0].response_body_bytes == size
    assert record.requests[0].complete


async def test_an_upload_is_counted_and_its_size_reported() -> None:
    head = (
        b"POST /upload HTTP/1.1\r\nHost: o\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n"
    )
    async with running_origin() as (origin, recorded):
        response = await exchange(origin.port, head, b"u" * 300_000, half_close=True)
        assert body(response) == b'{"received": 300000}\n'
        (record,) = await recorded.count(1)
    assert record.received_bytes == len(head) + 300_000
    assert record.requests[0].request_body_bytes == 300_000


async def test_a_chunked_upload_is_counted_without_its_framing() -> None:
    head = b"POST /upload HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with running_origin() as (origin, recorded):
        response = await exchange(
            origin.port, head, b"5\r\nhello\r\n", b"0\r\n\r\n", half_close=True
        )
        assert body(response) == b'{"received": 5}\n'
        (record,) = await recorded.count(1)
    assert record.requests[0].request_body_bytes == 5


async def test_requests_on_one_connection_are_all_recorded() -> None:
    async with running_origin() as (origin, recorded):
        await exchange(origin.port, get("/bytes/3", close=False) * 4 + get("/bytes/5"))
        (record,) = await recorded.count(1)
    assert [request.response_body_bytes for request in record.requests] == [3, 3, 3, 3, 5]
    assert record.request_count == 5


@pytest.mark.parametrize(
    ("target", "promised", "sent"),
    [
        ("/bytes/5000?cut=1000", b"Content-Length: 5000", 1000),
        ("/bytes/5000?cut=0", b"Content-Length: 5000", 0),
        ("/bytes/5000?cut=1000&chunk=100", b"chunked", 1000),
        ("/bytes/70?status=503&head=9000", b"HTTP/1.1 503 ", 70),
        ("/status/429", b"HTTP/1.1 429 ", 0),
        ("/redirect/9", b"Location: /bytes/9", 0),
        ("/silent", b"", 0),
        ("/garbage", b"not HTTP", 0),
    ],
)
async def test_a_response_goes_wrong_as_it_was_asked_to(
    target: str, promised: bytes, sent: int
) -> None:
    async with running_origin() as (origin, recorded):
        response = await exchange(origin.port, get(target))
        assert promised in response
        (record,) = await recorded.count(1)
    assert record.requests[0].response_body_bytes == sent
    assert record.sent_bytes == len(response)
    assert record.ended_by in ("origin", "client")


async def test_a_reset_reaches_the_client_after_the_bytes_before_it() -> None:
    async with running_origin() as (origin, recorded):
        reader, writer = await asyncio.open_connection("127.0.0.1", origin.port)
        writer.write(get("/bytes/9000?cut=100&end=reset"))
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        (record,) = await recorded.count(1)
    assert record.ended_by == "origin reset"
    assert record.requests[0].response_body_bytes == 100


async def test_a_stalled_response_ends_with_the_idle_limit() -> None:
    async with running_origin(idle_s=0.05) as (origin, recorded):
        response = await exchange(origin.port, get("/bytes/9000?cut=100&end=stall"))
        assert body(response) == PATTERN[:100]
        (record,) = await recorded.count(1)
    assert record.ended_by == "timeout"


async def test_tls_counts_the_bytes_of_its_records_and_knows_the_name_asked_for() -> None:
    async with running_origin(tls=True) as (origin, recorded):
        assert origin.authority is not None and origin.tls_port is not None
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", origin.tls_port, ssl=origin.authority.client_context(),
            server_hostname="shop.example",
        )  # fmt: skip
        writer.write(get("/bytes/100000"))
        async with asyncio.timeout(TIMEOUT_S):
            response = await reader.read()
        writer.close()
        (record,) = await recorded.count(1)
    assert body(response) == PATTERN[:100_000]
    assert record.server_name == "shop.example"
    assert record.sent_bytes > len(response) > record.requests[0].response_body_bytes


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x05\x01\x00",
        b"GET /" + b"x" * 100_000,
        b"POST /upload HTTP/1.1\r\nHost: o\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused_and_others_are_served(sent: bytes) -> None:
    async with running_origin() as (origin, _recorded):
        response = await exchange(origin.port, sent + b"\r\n\r\n")
        assert response.startswith(b"HTTP/1.1 4") and len(response) < 1000
        assert body(await exchange(origin.port, get("/bytes/2"))) == PATTERN[:2]


async def test_a_client_that_breaks_the_tls_handshake_does_not_disturb_the_others() -> None:
    async with running_origin(tls=True) as (origin, recorded):
        assert origin.authority is not None and origin.tls_port is not None
        await exchange(origin.tls_port, b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection(
                "127.0.0.1", origin.tls_port, ssl=origin.authority.client_context(),
                server_hostname="bad!name.example",
            )  # fmt: skip
        records = await recorded.count(2)
    assert {record.ended_by for record in records} <= {"error", "client", "client reset"}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/nowhere", "no resource '/nowhere'; there are /bytes"),
        ("/bytes/-1", "/bytes/N: expected a whole number"),
        ("/bytes/99999999999999999", "/bytes/N: expected a whole number"),
        ("/bytes/1?end=explode", "end: expected one of keep, close, reset, stall"),
        ("/bytes/1?colour=red", "no option 'colour'"),
        ("/status/100", "expected a final one"),
        ("/bytes/1?type=a%0Db", "printable"),
    ],
)
def test_a_target_that_is_wrong_is_refused_with_what_is_allowed(target: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        read_target(target)


def test_options_of_a_target_combine() -> None:
    assert read_target("/bytes/9?status=500&delay_ms=3&cut=4&end=reset&id=x") == RequestedResponse(
        size=9, status=500, delay_ms=3, cut=4, end=Ending.RESET
    )


def test_a_port_in_use_is_named_with_a_remedy() -> None:
    with listen("127.0.0.1", 0) as taken:
        origin = Origin(port=taken.getsockname()[1])
        with pytest.raises(ListenError, match=r"cannot listen: Address already in use\. Ano"):
            origin.open()


async def test_a_server_without_descriptors_goes_on_when_it_has_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, left = socket.socket.accept, 3

    def accept(self: socket.socket) -> tuple[socket.socket, object]:
        nonlocal left
        if left:
            left -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return real(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    async with running_origin() as (origin, _recorded):
        assert body(await exchange(origin.port, get("/bytes/2"))) == PATTERN[:2]
        assert origin.server.paused == 3
