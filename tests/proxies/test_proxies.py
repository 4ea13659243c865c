"""Requests through the listening proxies: who may send them, where they lead, what is counted."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.proxies.fleet import RawClient, RunningFleet, basic, connected, running_fleet
from tests.proxies.servers import get, running_origin
from trueup.reports.results import Json
from trueup.simulator.proxies import Authentication, ByteCounting, ListeningProxy, ProxyLimits
from trueup.simulator.proxies.life import RequestState

NETWORKS = ("datacenter", "isp", "residential", "mobile")
CONNECT = "CONNECT shop.example:80 HTTP/1.1\r\nHost: shop.example:80\r\n"
TWO_LENGTHS = b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"


async def open_tunnel(client: RawClient, fields: str) -> bytes:
    await client.send(f"{CONNECT}{fields}\r\n".encode())
    return await client.head()


@asynccontextmanager
async def tunnel(fleet: RunningFleet, network: str = "mobile") -> AsyncIterator[RawClient]:
    """Connect as a user of a network and open a tunnel to `shop.example`."""
    proxy, user = fleet.proxy_and_user(network)
    async with connected(proxy) as client:
        assert (await open_tunnel(client, basic(user))).startswith(b"HTTP/1.1 200 ")
        yield client


@pytest.mark.parametrize("network", NETWORKS)
async def test_a_tunnel_is_counted_alike_by_client_proxy_and_origin(network: str) -> None:
    request = get("/bytes/100000?id=one")
    async with running_origin() as (origin, recorded), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user(network)
        async with connected(proxy) as client:
            head = await open_tunnel(client, basic(user))
            assert head.startswith(b"HTTP/1.1 200 ")
            sent, received = client.sent, client.received
            await client.send(request)
            await client.rest()
            up, down = client.sent - sent, client.received - received
            await client.send(b"")
        (ended,) = await fleet.usage.ended()
        (record,) = await recorded.count(1)
    counts = ended.counts()
    assert (counts.up, counts.down) == (up, down)
    assert (counts.origin_up, counts.origin_down) == (up, down)
    assert (record.received_bytes, record.sent_bytes) == (up, down)
    assert record.peer == ended.origin_address
    assert (counts.handshake_up, counts.handshake_down) == (sent, received)
    (event,) = fleet.usage.events
    assert event["log_total_bytes"] == up + down
    assert event["proxy_user_id"] == user.name
    assert event["customer_id"] == user.customer_id
    assert event["log_network"] == network
    assert event["log_hostname"] == "shop.example"
    assert (event["log_method"], event["log_status_code"]) == ("CONNECT", 200)
    assert (event["log_protocol"], event["log_error_code"]) == ("http", None)
    assert (event["proxy_id"] is not None) == (network in ("datacenter", "isp"))
    assert ended.state is RequestState.COMPLETE


@pytest.mark.parametrize("network", NETWORKS)
async def test_a_forwarded_request_is_counted_on_both_sides(network: str) -> None:
    async with running_origin() as (origin, recorded), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user(network)
        async with connected(proxy) as client:
            await client.send(
                f"GET http://a.example/bytes/5000?id=x HTTP/1.1\r\nHost: b.example\r\n"
                f"{basic(user)}Connection: close\r\n\r\n".encode()
            )
            response = await client.rest()
        (ended,) = await fleet.usage.ended()
        (record,) = await recorded.count(1)
    assert response.startswith(b"HTTP/1.1 200 ") and b"via: 1.1 trueup" in response.lower()
    assert response.endswith(bytes(range(256))[:136])
    counts = ended.counts()
    assert (counts.up, counts.down) == (client.sent, client.received)
    assert (counts.origin_up, counts.origin_down) == (record.received_bytes, record.sent_bytes)
    assert record.requests[0].host == "a.example"
    assert record.requests[0].target == "/bytes/5000?id=x"
    (event,) = fleet.usage.events
    assert event["log_total_bytes"] == client.sent + client.received
    assert (event["log_method"], event["log_hostname"]) == ("GET", "a.example")


async def test_requests_of_two_users_on_one_connection_are_charged_to_each() -> None:
    """Three requests, pipelined; the second one is another user's."""
    async with running_origin() as (origin, recorded), running_fleet(origin) as fleet:
        proxy = fleet.proxy("residential")
        users = [
            user
            for user in fleet.users
            if "residential" in user.memberships
            and user.memberships["residential"].authentication is Authentication.PASSWORD
        ][:2]
        parts = [
            f"GET http://a.example/bytes/{size} HTTP/1.1\r\nHost: a.example\r\n"
            f"{basic(user)}\r\n".encode()
            for size, user in ((10, users[0]), (20, users[1]), (30, users[0]))
        ]
        async with connected(proxy) as client:
            await client.send(b"".join(parts))
            await fleet.usage.ended(3)
        ended = await fleet.usage.ended(3)
        (record,) = await recorded.count(1)
    assert [request.counts().up for request in ended] == [len(part) for part in parts]
    assert [event["proxy_user_id"] for event in fleet.usage.events] == [
        users[0].name, users[1].name, users[0].name,
    ]  # fmt: skip
    assert [request.response_body_bytes for request in record.requests] == [10, 20, 30]


@pytest.mark.parametrize("framing", ["Content-Length: 70000", "Transfer-Encoding: chunked"])
async def test_an_upload_is_forwarded_in_full(framing: str) -> None:
    body = b"u" * 70_000
    if "chunked" in framing:
        body = b"11170\r\n" + body + b"\r\n0\r\n\r\n"
    async with running_origin() as (origin, recorded), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("mobile")
        async with connected(proxy) as client:
            await client.send(
                f"POST http://a.example/upload HTTP/1.1\r\nHost: a.example\r\n{basic(user)}"
                f"{framing}\r\nConnection: close\r\n\r\n".encode()
                + body
            )
            assert (await client.rest()).endswith(b'{"received": 70000}\n')
        (ended,) = await fleet.usage.ended()
        (record,) = await recorded.count(1)
    assert ended.counts().up == client.sent
    assert record.requests[0].request_body_bytes == 70_000


async def test_a_client_that_expects_100_continue_gets_it() -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("mobile")
        async with connected(proxy) as client:
            await client.send(
                f"POST http://a.example/upload HTTP/1.1\r\nHost: a.example\r\n{basic(user)}"
                "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n".encode()
            )
            assert (await client.head()).startswith(b"HTTP/1.1 100 ")
            await client.send(b"hello")
            assert (await client.head()).startswith(b"HTTP/1.1 200 ")
        await fleet.usage.ended()


# SOCKS5


async def socks_login(client: RawClient, user: str, password: str) -> bytes:
    await client.send(b"\x05\x02\x00\x02")
    assert await client.read(2) == b"\x05\x02"
    pair = [text.encode() for text in (user, password)]
    await client.send(b"\x01" + b"".join(bytes((len(part),)) + part for part in pair))
    return await client.read(2)


ADDRESSES = {
    "shop.example": b"\x03\x0cshop.example",
    "127.0.0.1": b"\x01\x7f\x00\x00\x01",
    "2001:db8::7": b"\x04" + socket.inet_pton(socket.AF_INET6, "2001:db8::7"),
}


@pytest.mark.parametrize("hostname", ADDRESSES)
async def test_socks_reaches_names_and_addresses_of_both_families(hostname: str) -> None:
    async with running_origin() as (origin, recorded), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("isp")
        async with connected(proxy) as client:
            assert await socks_login(client, user.name, user.password) == b"\x01\x00"
            await client.send(b"\x05\x01\x00" + ADDRESSES[hostname] + b"\x00\x50")
            reply = await client.read(10)
            assert reply[:4] == b"\x05\x00\x00\x01"
            handshake = (client.sent, client.received)
            await client.send(get("/bytes/777"))
            await client.rest()
        (ended,) = await fleet.usage.ended()
        (record,) = await recorded.count(1)
    counts = ended.counts()
    assert (counts.handshake_up, counts.handshake_down) == handshake
    assert (counts.up, counts.down) == (
        client.sent - handshake[0], client.received - handshake[1],
    )  # fmt: skip
    assert (record.received_bytes, record.sent_bytes) == (counts.up, counts.down)
    (event,) = fleet.usage.events
    assert event["log_hostname"] == hostname
    assert (event["log_protocol"], event["log_protocol_version"]) == ("socks", "5")
    assert (event["log_status_code"], event["log_method"]) == (None, None)


@pytest.mark.parametrize(
    ("command", "address", "code"),
    [
        (1, b"\x03\x05bad!!", 1),
        (1, b"\x03\x00", 1),
        (2, b"\x01\x7f\x00\x00\x01", 7),
        (3, b"\x01\x7f\x00\x00\x01", 7),
        (9, b"\x01\x7f\x00\x00\x01", 7),
        (1, b"\x09\x7f\x00\x00\x01", 8),
    ],
)
async def test_other_socks_commands_and_addresses_are_replied_to(
    command: int, address: bytes, code: int
) -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("isp")
        async with connected(proxy) as client:
            await socks_login(client, user.name, user.password)
            await client.send(b"\x05" + bytes((command, 0)) + address + b"\x00\x50")
            assert (await client.rest())[:2] == bytes((5, code))
    assert fleet.server.engine.unattributed == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00",
        b"\x05\x00",
        b"\x05\x01\x00",
        b"\x05\x01\x02\x07garbage",
        b"\x05\x01\x02\x01\x03abc\x02xx",
        b"\x05",
        b"\x05" + b"\xff" * 600,
    ],
)
async def test_broken_socks_handshakes_end_without_a_request(sent: bytes) -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        async with connected(fleet.proxy("mobile")) as client:
            await client.send(sent)
            client.writer.write_eof()
            assert len(await client.rest()) <= 12
        assert fleet.server.engine.malformed == 1
    assert fleet.usage.events == []


# Who may use a proxy


async def status_of(proxy: ListeningProxy, fields: str, *, source: str | None = None) -> int:
    """Return the status of the response to CONNECT with these fields."""
    async with connected(proxy, source=source) as client:
        head = await open_tunnel(client, fields)
        return int(head.split()[1])


async def test_a_password_is_needed_and_must_be_right() -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("residential")
        assert await status_of(proxy, "") == 407
        assert await status_of(proxy, basic(user, password="wrong")) == 407
        assert await status_of(proxy, basic(user, password="")) == 407
        assert await status_of(proxy, "Proxy-Authorization: Basic %%%\r\n") == 407
        assert await status_of(proxy, "Proxy-Authorization: Digest x\r\n") == 407
        assert await status_of(proxy, 2 * basic(user)) == 407
        assert await status_of(proxy, basic(user)) == 200
        await fleet.usage.ended(7)
    # Those that named the user are the user's, with the error and no relayed byte.
    refused = [event for event in fleet.usage.events if event["log_status_code"] == 407]
    assert [event["log_error_code"] for event in refused] == 2 * ["http_request_denied"]
    assert [event["log_total_bytes"] for event in refused] == [0, 0]
    assert fleet.server.engine.unattributed == 4


async def test_an_address_alone_is_enough_where_the_user_has_chosen_that() -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("residential", Authentication.ADDRESS)
        (address,) = user.addresses
        assert await status_of(proxy, "", source=address) == 200
        assert await status_of(proxy, basic(user), source="127.0.0.1") == 403
        async with connected(proxy, source=address) as client:
            await client.send(b"\x05\x01\x00")
            assert await client.read(2) == b"\x05\x00"
        await fleet.usage.ended(2)
    (tunnel,) = [event for event in fleet.usage.events if event["log_status_code"] == 200]
    assert tunnel["log_client_ip_address"] == address
    assert tunnel["log_authentication_type"] == 2


async def test_a_user_who_has_chosen_both_needs_password_and_address() -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("datacenter", Authentication.BOTH)
        (address,) = user.addresses
        assert await status_of(proxy, basic(user), source=address) == 200
        assert await status_of(proxy, basic(user)) == 403
        assert await status_of(proxy, "", source=address) == 407


async def test_a_static_proxy_serves_its_own_customer_only() -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        user = fleet.user("datacenter")
        other = next(c for c in (1955, 1956) if c != user.customer_id)
        assert await status_of(fleet.proxy("datacenter", user.customer_id), basic(user)) == 200
        assert await status_of(fleet.proxy("datacenter", other), basic(user)) == 403


# Targeting and sessions


async def exits(fleet: RunningFleet, suffixes: list[str]) -> list[dict[str, Json]]:
    """Return the events of a request with each suffix of a user name."""
    proxy, user = fleet.proxy_and_user("residential")
    for suffix in suffixes:
        await status_of(proxy, basic(user, suffix=suffix))
    await fleet.usage.ended(len(suffixes))
    return fleet.usage.events


async def test_a_user_name_chooses_country_and_city() -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        found = await exits(fleet, ["-country-us-city-new-york-city", "-country-de", "-country-DE"])
    assert [event["country_id"] for event in found] == ["us", "de", "de"]
    assert found[0]["city_alias"] == "new-york-city"
    assert len({event["proxy_user_id"] for event in found}) == 1


async def test_a_session_keeps_its_exit_and_other_requests_do_not() -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        sticky = ["-session-one-ttl-10"] * 4
        found = await exits(fleet, [*sticky, "", "", "", ""])
    addresses = [event["log_egress_ip_address"] for event in found]
    assert len(set(addresses[:4])) == 1
    assert len(set(addresses[4:])) > 1
    assert [event["log_session_id"] for event in found] == ["one"] * 4 + [None] * 4


@pytest.mark.parametrize(
    ("suffix", "status"),
    [
        ("-country-atlantis", 503),
        ("-planet-mars", 400),
        ("-country", 400),
        ("-ttl-10", 400),
        ("-session-a-ttl-9999", 400),
        ("-country-us-country-de", 503),
        ("-session-" + "x" * 65, 400),
    ],
)
async def test_targeting_that_is_wrong_is_refused(suffix: str, status: int) -> None:
    async with running_origin() as (origin, _), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("residential")
        assert await status_of(proxy, basic(user, suffix=suffix)) == status
        await fleet.usage.ended()
    assert fleet.usage.events[0]["log_status_code"] == status


# What clients and origins do wrong


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:99999 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT [::zz]:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a..b:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"GET http://a:b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http://[/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\n" + TWO_LENGTHS, 400),
        (b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501),
        (b"GET http://a/ HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ],
)  # fmt: skip
async def test_malformed_requests_are_refused_and_the_proxy_goes_on(
    sent: bytes, status: int
) -> None:
    async with running_origin() as (origin, recorded), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("mobile")
        async with connected(proxy) as client:
            await client.send(sent)
            head = await client.head()
            assert int(head.split()[1]) == status
            assert b"Proxy-Status: trueup; error=http_request_error" in head
        assert recorded.ended == []
        assert await status_of(proxy, basic(user)) == 200


async def test_a_head_that_never_ends_is_refused_in_time() -> None:
    limits = ProxyLimits(handshake_s=0.05)
    async with running_origin() as (origin, _), running_fleet(origin, limits=limits) as fleet:
        async with connected(fleet.proxy("mobile")) as client:
            await client.send(b"GET http://a/ HT")
            assert (await client.rest()).startswith(b"HTTP/1.1 408 ")
        async with connected(fleet.proxy("mobile")) as client:
            await client.send(b"\x05\x01")
            assert await client.rest() == b""
        assert fleet.server.engine.malformed == 2


async def test_an_idle_tunnel_is_ended_and_counted() -> None:
    limits = ProxyLimits(idle_s=0.05)
    async with running_origin() as (origin, _), running_fleet(origin, limits=limits) as fleet:
        async with tunnel(fleet) as client:
            await client.send(b"GET ")
            assert await client.rest() == b""
        (ended,) = await fleet.usage.ended()
    assert (ended.state, ended.counts().up) == (RequestState.CUT, 4)


async def test_a_side_that_ends_first_does_not_end_the_other_one() -> None:
    async with running_origin() as (origin, recorded), running_fleet(origin) as fleet:
        async with tunnel(fleet) as client:
            await client.send(get("/bytes/300000?delay_ms=50"))
            client.writer.write_eof()
            assert (await client.rest()).endswith(bytes(range(256))[: 300_000 % 256])
        (ended,) = await fleet.usage.ended()
        (record,) = await recorded.count(1)
    assert ended.state is RequestState.COMPLETE
    assert ended.counts().down == record.sent_bytes


@pytest.mark.parametrize(
    ("target", "status", "error", "state"),
    [
        ("/bytes/9000?cut=100", 200, "http_response_incomplete", RequestState.CUT),
        ("/bytes/9000?cut=100&end=reset", 200, "connection_terminated", RequestState.CUT),
        ("/bytes/9000?cut=100&chunk=10", 200, "http_response_incomplete", RequestState.CUT),
        ("/silent", 502, "connection_terminated", RequestState.CUT),
        ("/garbage", 502, "http_protocol_error", RequestState.CUT),
        ("/bytes/5?end=stall&cut=1", 200, "http_response_timeout", RequestState.CUT),
        ("/bytes/5?delay_ms=60000", 504, "http_response_timeout", RequestState.CUT),
        ("/status/503", 503, None, RequestState.COMPLETE),
        ("/status/204", 204, None, RequestState.COMPLETE),
        ("/bytes/70?head=200000", 502, "http_protocol_error", RequestState.CUT),
    ],
)
async def test_an_origin_that_goes_wrong_is_logged_as_such(
    target: str, status: int, error: str | None, state: RequestState
) -> None:
    limits = ProxyLimits(idle_s=0.2)
    async with running_origin() as (origin, _), running_fleet(origin, limits=limits) as fleet:
        proxy, user = fleet.proxy_and_user("mobile")
        async with connected(proxy) as client:
            await client.send(
                f"GET http://a.example{target} HTTP/1.1\r\nHost: a\r\n{basic(user)}\r\n".encode()
            )
            if state is RequestState.CUT and status == 200:
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await client.read(1_000_000)
            else:
                assert int((await client.head()).split()[1]) == status
        (ended,) = await fleet.usage.ended()
    assert (ended.status, ended.error, ended.state) == (status, error, state)
    assert fleet.usage.events[0]["log_error_code"] == error


async def test_an_origin_that_does_not_listen_is_a_refused_connection() -> None:
    async with running_origin() as (origin, _):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        listening, origin.port = origin.port, port
        async with running_fleet(origin) as fleet:
            proxy, user = fleet.proxy_and_user("mobile")
            assert await status_of(proxy, basic(user)) == 502
            async with connected(proxy) as client:
                await socks_login(client, user.name, user.password)
                await client.send(b"\x05\x01\x00\x03\x01a\x00\x50")
                assert (await client.rest())[:2] == b"\x05\x05"
            await fleet.usage.ended(2)
        origin.port = listening
    assert {event["log_error_code"] for event in fleet.usage.events} == {"connection_refused"}


async def test_what_a_client_left_unread_is_not_counted_as_received() -> None:
    """The client resets with most of the response unread; the counts are what the kernel took."""
    async with running_origin() as (origin, recorded), running_fleet(origin) as fleet:
        async with tunnel(fleet) as client:
            await client.send(get("/bytes/100000000"))
            await client.read(1000)
            sock = client.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.writer.transport.abort()
        (ended,) = await fleet.usage.ended()
        (record,) = await recorded.count(1)
    counts = ended.counts()
    assert ended.state is RequestState.ABORTED
    assert 1000 <= counts.down <= counts.origin_down <= record.sent_bytes < 100_000_000
    # The tunnel keeps no more than one chunk.
    assert counts.origin_down - counts.down <= 262_144


async def test_a_client_that_goes_away_during_an_upload_is_counted() -> None:
    async with running_origin() as (origin, recorded), running_fleet(origin) as fleet:
        proxy, user = fleet.proxy_and_user("mobile")
        async with connected(proxy) as client:
            await client.send(
                f"POST http://a.example/upload HTTP/1.1\r\nHost: a\r\n{basic(user)}"
                "Content-Length: 1000\r\n\r\nonly this".encode()
            )
            client.writer.write_eof()
            await client.rest()
        (ended,) = await fleet.usage.ended()
        await recorded.count(1)
    assert (ended.state, ended.counts().up) == (RequestState.ABORTED, client.sent)


@pytest.mark.parametrize("counting", ByteCounting)
async def test_events_have_the_bytes_of_the_declared_counting(counting: ByteCounting) -> None:
    async with (
        running_origin() as (origin, _),
        running_fleet(origin, counting=counting) as fleet,
    ):
        async with tunnel(fleet, "isp") as client:
            handshake = client.sent + client.received
            await client.send(get("/bytes/5000"))
            response = await client.rest()
        await fleet.usage.ended()
    both = client.sent + client.received - handshake
    expected = {"both": both, "down": len(response), "with-handshake": both + handshake}
    assert fleet.usage.events[0]["log_total_bytes"] == expected[counting]


async def test_a_long_tunnel_is_reported_in_parts_that_add_up() -> None:
    async with (
        running_origin() as (origin, _),
        running_fleet(origin, report_every_s=0.05) as fleet,
    ):
        async with tunnel(fleet) as client:
            before = client.sent + client.received
            await client.send(get("/bytes/100000?piece=50000&pause_ms=5", close=False))
            await client.read(90_000)
            await fleet.usage.until(lambda: bool(fleet.usage.parts))
            await client.send(get("/bytes/7"))
            await client.rest()
        await fleet.usage.ended()
    events = [*fleet.usage.parts, *fleet.usage.events]
    sizes = [event["log_total_bytes"] for event in events]
    assert sum(map(int, sizes)) == client.sent + client.received - before  # type: ignore[arg-type]
    assert len({event["log_id"] for event in events}) == len(events) >= 2


async def test_stopping_ends_open_tunnels_with_their_bytes() -> None:
    request = get("/bytes/500", close=False)
    async with (
        running_origin() as (origin, _),
        running_fleet(origin) as fleet,
        tunnel(fleet) as client,
    ):
        before = client.received
        await client.send(request)
        await client.head()
        await client.read(500)
        fleet.stop.set()
        assert await client.rest() == b""
        (ended,) = await fleet.usage.ended()
    assert ended.state is RequestState.STOPPED
    assert (ended.counts().up, ended.counts().down) == (len(request), client.received - before)
    assert fleet.usage.events[0]["log_error_code"] == "connection_terminated"


async def test_connections_beyond_the_limit_wait_and_are_served() -> None:
    async with (
        running_origin() as (origin, _),
        running_fleet(origin, connections_max=1) as fleet,
    ):
        proxy, user = fleet.proxy_and_user("mobile")
        async with tunnel(fleet) as first, connected(proxy) as second:
            await second.send(f"{CONNECT}{basic(user)}\r\n".encode())
            await fleet.usage.until(lambda: fleet.server.server.paused > 0)
            assert fleet.server.server.accepted == 1
            first.writer.close()
            assert (await second.head()).startswith(b"HTTP/1.1 200 ")


async def test_a_user_with_too_many_open_requests_gets_429() -> None:
    limits = ProxyLimits(requests_per_user=1)
    async with running_origin() as (origin, _), running_fleet(origin, limits=limits) as fleet:
        proxy, user = fleet.proxy_and_user("mobile")
        async with tunnel(fleet):
            assert await status_of(proxy, basic(user)) == 429
        await fleet.usage.ended(2)
        assert await status_of(proxy, basic(user)) == 200
    assert fleet.usage.events[0]["log_error_code"] == "connection_limit_reached"
    assert fleet.usage.events[0]["log_concurrency"] == 2
