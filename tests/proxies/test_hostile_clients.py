"""Clients that send anything: the documented reply, bounded memory, others undisturbed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proxies.fleet import basic, connected, running_fleet
from tests.proxies.servers import get, running_origin
from trueup.simulator.proxies import UserNameSyntax
from trueup.simulator.proxies.destinations import read_authority
from trueup.simulator.proxies.failures import RequestFailed
from trueup.simulator.proxies.life import RequestState
from trueup.simulator.proxies.socks5 import (
    SocksError,
    read_credentials,
    read_greeting,
    read_request,
)

Reader = Callable[[bytes], tuple[object, int] | None]
READERS: tuple[Reader, ...] = (read_greeting, read_credentials, read_request)


@given(data=st.binary(max_size=600), reader=st.sampled_from(READERS))
def test_socks_messages_are_read_alike_whole_and_byte_by_byte(data: bytes, reader: Reader) -> None:
    def outcome(known: bytes) -> tuple[str, int] | None:
        try:
            found = reader(known)
        except SocksError as error:
            return str(error), -1
        return None if found is None else (str(found[0]), found[1])

    first = next((found for end in range(1, len(data) + 1) if (found := outcome(data[:end]))), None)
    whole = outcome(data) if data else None
    if whole is not None and first is not None and "address type" not in whole[0]:
        assert whole == first
    assert (whole is None) == (first is None)


@given(text=st.text(max_size=300))
def test_any_text_is_an_authority_and_a_user_name_or_refused(text: str) -> None:
    for read in (read_authority, UserNameSyntax().read):
        with contextlib.suppress(RequestFailed):
            read(text)


STARTS = (
    b"CONNECT shop.example:80 HTTP/1.1\r\nHost: shop.example:80\r\n",
    b"GET http://shop.example/bytes/10 HTTP/1.1\r\nHost: shop.example\r\n",
    b"POST http://shop.example/upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n",
)


def mutated(rng: random.Random, message: bytes) -> bytes:
    """Return a message with some bytes changed, removed, doubled, or cut at a place."""
    data = bytearray(message)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                del data[at : at + rng.randint(1, 5)]
            case 2:
                data[at:at] = data[at : at + rng.randint(1, 40)]
            case _:
                data[at:at] = rng.choice(
                    [b"\r\n", b"\0", b" ", b"\xff", b":", b"Content-Length: 7"]
                )
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
async def test_mutated_requests_never_disturb_the_proxy_or_its_counts(seed: int) -> None:
    """Errors of handlers that are not expected end the test: the server raises them at its end."""
    rng = random.Random(seed)
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("residential")
        login = basic(user).encode()
        socks = b"\x05\x01\x02\x01" + bytes((len(user.name),)) + user.name.encode()
        socks += bytes((len(user.password),)) + user.password.encode()
        socks += b"\x05\x01\x00\x03\x01a\x00\x50" + get("/bytes/3")
        whole = [start + login + b"\r\n" + b"5\r\nhello\r\n0\r\n\r\n" for start in STARTS]
        for _ in range(60):
            async with connected(proxy) as client:
                await client.send(mutated(rng, rng.choice([*whole, socks])))
                client.writer.write_eof()
                with contextlib.suppress(ConnectionError):
                    await client.rest()
        async with connected(proxy) as client:
            await client.send(STARTS[1] + login + b"Connection: close\r\n\r\n")
            assert (await client.rest()).startswith(b"HTTP/1.1 200 ")
        await fleet.usage.until(lambda: fleet.server.server.open == 0)
        assert fleet.server.engine.open == {}
    for request in fleet.usage.requests:
        counts = request.counts()
        assert min(counts.up, counts.down, counts.handshake_up, counts.handshake_down) >= 0
    assert {event["log_id"] for event in fleet.usage.begun} <= {
        event["log_id"] for event in fleet.usage.events
    }


async def test_a_client_that_reads_nothing_holds_back_the_origin_and_no_one_else() -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("mobile")
        async with connected(proxy) as slow:
            await slow.send(STARTS[0] + basic(user).encode() + b"\r\n")
            await slow.head()
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket
            await slow.send(get("/bytes/200000000"))
            for _ in range(20):
                async with connected(proxy) as quick:
                    await quick.send(
                        b"GET http://a/bytes/9 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                        + basic(user).encode() + b"\r\n"
                    )  # fmt: skip
                    assert (await quick.rest()).startswith(b"HTTP/1.1 200 ")
            await fleet.usage.ended(20)
            (open_request,) = fleet.server.engine.open
            counts = open_request.counts()
            assert counts.origin_down - counts.down <= 262_144
            assert counts.origin_down < 100_000_000
            slow.writer.transport.abort()
        ended = await fleet.usage.ended(21)
    assert [request.state for request in ended].count(RequestState.ABORTED) == 1


async def test_many_idle_tunnels_are_held_and_all_reported() -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("mobile")
        start = STARTS[0] + basic(user).encode() + b"\r\n"
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(proxy)) for _ in range(200)]
            for client in clients:
                await client.send(start)
            heads = [await client.head() for client in clients]
            assert all(head.startswith(b"HTTP/1.1 200 ") for head in heads)
            assert len(fleet.server.engine.open) == 200
            # One of them is used, and works.
            await clients[77].send(get("/bytes/5"))
            assert (await clients[77].rest()).endswith(b"\x00\x01\x02\x03\x04")
        await fleet.usage.ended(200)
    assert len({event["log_id"] for event in fleet.usage.events}) == 200


async def test_a_client_that_ends_its_side_early_leaves_nothing_open() -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("mobile")
        async with connected(proxy) as client:
            client.writer.write_eof()
            assert await client.rest() == b""
        async with connected(proxy) as client:
            await client.send(STARTS[0] + basic(user).encode() + b"\r\n")
            client.writer.write_eof()
            assert (await client.rest()).startswith(b"HTTP/1.1 200 ")
        await fleet.usage.ended()
        async with asyncio.timeout(5):
            await fleet.usage.until(lambda: fleet.server.engine.open == {})


@pytest.mark.parametrize("size", [10_000, 14_000])
async def test_credentials_of_ten_kilobytes_are_refused(size: int) -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("mobile")
        long = "x" * (size // 2)
        for field in (basic(user, password=long), basic(user, suffix=f"-{long}")):
            async with connected(proxy) as client:
                await client.send(STARTS[0] + field.encode() + b"\r\n")
                assert (await client.head()).split()[1] == b"407"
