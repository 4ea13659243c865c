"""The requests of level 1: which are planned, and what a client notes of proxies that misbehave."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from trueup.conformance.datasets.proxied_requests import (
    ADDRESSES_MAX,
    CASES,
    ProxiedOutcome,
    proxied_connections,
)
from trueup.conformance.target.model import ProxyAccess, ProxyTraffic
from trueup.reports.journal.records import ProxiedRequestSeen
from trueup.scenarios.run.proxied_client import exact_client

_ACCESS = ProxyAccess(
    network="isp",
    host="127.0.0.1",
    port=9,
    protocols=("connect", "forward", "socks"),
    tenant="a",
    user="ann",
    password="word-of-ann",
    proxy_user_id="u-ann",
)
_OTHER = replace(_ACCESS, user="bob", proxy_user_id="u-bob")
_PROXIES = ProxyTraffic(access=(_ACCESS,), hostname="r{n}.test", unreachable="127.0.0.1:9")


def test_every_case_is_planned_for_every_protocol_that_it_is_for() -> None:
    made = proxied_connections(replace(_PROXIES, ipv6="::1"), name="t")
    planned = Counter((c.requests[0].case, c.requests[0].protocol) for c in made)
    assert planned == {
        (case.name, protocol): case.times for case in CASES for protocol in case.protocols
    }
    requests = [request for connection in made for request in connection.requests]
    assert [request.number for request in requests] == list(range(1, len(requests) + 1))


def test_each_connection_has_hostnames_of_its_own_unless_its_case_is_repeated() -> None:
    made = proxied_connections(_PROXIES, name="t")
    hosts = Counter(
        request.hostname
        for connection in made
        for request in connection.requests
        if request.outcome is not ProxiedOutcome.UNREACHABLE
    )
    assert sorted(set(hosts.values())) == [1, 2]
    twice = {c.requests[0].hostname for c in made if c.requests[0].case == "repeated"}
    assert {host for host, times in hosts.items() if times == 2} == twice


def test_users_of_one_proxy_take_turns_on_a_connection() -> None:
    made = proxied_connections(replace(_PROXIES, access=(_ACCESS, _OTHER)), name="t")
    kept = [c for c in made if c.requests[0].case == "requests-of-one-connection"]
    assert [[request.access.user for request in c.requests] for c in kept] == [
        ["ann", "bob", "ann"],
        ["bob", "ann", "bob"],
    ]


def test_what_the_target_file_does_not_allow_is_left_out() -> None:
    bare = replace(_ACCESS, password="")
    made = proxied_connections(replace(_PROXIES, access=(bare,), unreachable=""), name="t")
    cases = {connection.requests[0].case for connection in made}
    assert {case.name for case in CASES} - cases == {"refused", "unreachable", "ipv6"}


def test_addresses_that_run_out_leave_the_last_cases_out() -> None:
    many = tuple(replace(_ACCESS, port=port) for port in range(1, 20))
    made = proxied_connections(replace(_PROXIES, access=many, hostname="127.80.0.{n}"), name="t")
    hosts = {r.hostname for c in made for r in c.requests} - {"127.0.0.1:9"}
    assert len(hosts) <= ADDRESSES_MAX
    assert "127.80.0.250" in hosts
    assert "silent" not in {c.requests[0].case for c in made}


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _proxy(serve: Serve) -> AsyncIterator[int]:
    """Run a proxy that does what `serve` does; yields its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _sent(port: int, timeout_s: float = 20.0) -> list[ProxiedRequestSeen]:
    proxies = replace(_PROXIES, access=(replace(_ACCESS, port=port),))
    async with exact_client(proxies) as client:
        client.timeout_s = timeout_s
        return list(await client.perform(proxied_connections(proxies, name="t")))


async def _close(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """End the connection at once."""


async def _stall(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.test ESMTP\r\n\r\n")


@pytest.mark.parametrize(("serve", "timeout_s"), [(_close, 20.0), (_stall, 0.2), (_talk, 20.0)])
async def test_a_proxy_that_is_none_is_an_error_of_each_request_and_never_a_hang(
    serve: Serve, timeout_s: float
) -> None:
    async with asyncio.timeout(60), _proxy(serve) as port:
        seen = await _sent(port, timeout_s)
    wrong = [one for one in seen if one.outcome not in ("refused", "unreachable")]
    assert all(one.error for one in wrong)
    assert all(one.origin_sent is None for one in seen)


async def test_a_proxy_that_cannot_be_connected_to_is_given_up() -> None:
    async with _proxy(_close) as port:
        pass
    seen = await _sent(port)
    assert all(one.error for one in seen)
    refused = [one for one in seen if one.error.startswith("ConnectionRefusedError")]
    assert 3 <= len(refused) < 12
    assert seen[-1].error == "not tried: 3 connections to that proxy broke before"
