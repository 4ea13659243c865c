"""The fleet's requests, sent through its proxies, and the comparison of what was counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from tests.proxies.fleet import running_fleet
from tests.proxies.servers import running_origin
from tests.simulator.fleets import common
from trueup.scenarios.cli import trueup
from trueup.simulator.origin import OriginConnection, OriginRequest
from trueup.simulator.proxies import (
    ByteCounting,
    ClientEnd,
    ClientRecord,
    FleetPlanner,
    KilledAt,
    OpenRequest,
    Protocol,
    ProxiedTieOut,
    ProxiedTieOutRow,
    ProxyClient,
    ProxyRecord,
    RecoveredRecord,
    RequestShape,
    UserNameSyntax,
    fleet_requests,
    fleet_users,
)

USERS = {user.name: user for user in fleet_users(common())}
SMALL = RequestShape(bytes_max=10_000)


def test_requests_have_what_the_events_say() -> None:
    first = common().model.coverage.count
    rows = common().batch(first, 500).rows()
    requests = list(fleet_requests(common(), USERS, 0, 500, shape=SMALL))
    assert [request.id for request in requests] == [row["log_id"] for row in rows]
    assert [request.user.name for request in requests] == [row["proxy_user_id"] for row in rows]
    assert [request.hostname for request in requests] == [row["log_hostname"] for row in rows]
    assert {request.protocol for request in requests} == set(Protocol)
    assert max(request.download_bytes for request in requests) == 10_000
    assert not any(request.cut or request.abort_after is not None for request in requests)
    again = fleet_requests(common(), USERS, 100, 5, shape=SMALL)
    assert list(again) == requests[100:105]


def test_uploads_cuts_and_aborts_have_their_share() -> None:
    shape = RequestShape(
        bytes_max=5000, protocol=Protocol.SOCKS, upload_share=0.3, cut_share=0.1, abort_share=0.2
    )
    requests = list(fleet_requests(common(), USERS, 0, 2000, shape=shape))
    assert {request.protocol for request in requests} == {Protocol.SOCKS}
    assert 450 < sum(request.upload_bytes > 0 for request in requests) < 750
    assert 140 < sum(request.cut for request in requests) < 260
    aborted = [request for request in requests if request.abort_after is not None]
    assert 280 < len(aborted) < 440
    assert not any(request.cut for request in aborted)


@pytest.mark.parametrize("counting", list(ByteCounting))
@pytest.mark.parametrize("planned", [False, True])
async def test_all_that_is_sent_ties_out_also_with_failures_cuts_and_aborts(
    planned: bool, counting: ByteCounting
) -> None:
    planner = FleetPlanner(common().model, 3, delay_factor=0.001) if planned else None
    shape = RequestShape(bytes_max=20_000)
    if planned:
        shape = RequestShape(bytes_max=90_000, upload_share=0.3, cut_share=0.1, abort_share=0.1)
    tie_out = ProxiedTieOut(counting=counting)
    async with running_origin() as (origin, recorded):
        async with running_fleet(origin, behaviour=planner, counting=counting) as fleet:
            client = ProxyClient(
                proxies=tuple(proxy.address for proxy in fleet.server.proxies),
                syntax=UserNameSyntax(),
                on_end=tie_out.clients.append,
            )
            await client.send_all(fleet_requests(common(), USERS, 0, 300, shape=shape), 8)
            tie_out.proxies += [request.record() for request in await fleet.usage.ended(300)]
            tie_out.usage = {
                str(event["log_id"]): int(str(event["log_total_bytes"]))
                for event in fleet.usage.events
            }
        connected = sum(bool(each.origin_address) for each in tie_out.proxies)
        tie_out.connections += await recorded.count(connected)
    rows = tie_out.rows()
    assert sum(row.proxy_requests for row in rows) == 300
    assert sum(row.origin_requests for row in rows) == connected
    assert all(row.ties_out for row in rows), rows
    assert sum(row.failed for row in rows) >= 300 - connected
    if planned:
        ends = {each.end for each in tie_out.clients}
        assert {ClientEnd.COMPLETE, ClientEnd.BROKEN, ClientEnd.ABORTED} <= ends
    else:
        assert {each.end for each in tie_out.clients} == {ClientEnd.COMPLETE}
        assert sum(row.cut_bytes + row.unread_by_client for row in rows) == 0


# The comparison, with records as values.

CLIENT = ClientRecord(
    id="one", network="isp", customer_id=7, client="127.0.0.1:9", proxy="127.65.0.1:8080",
    began_s=10.0, ended_s=11.0, handshake_up=80, handshake_down=30, up=50, down=60,
    end=ClientEnd.COMPLETE,
)  # fmt: skip
OF = OpenRequest(
    network="isp", customer_id=7, client="127.0.0.1:9", proxy="127.65.0.1:8080", began_s=10.5,
    log_ids=("a",),
)  # fmt: skip
PROXY = ProxyRecord(
    request=OF, state="complete", error=None, handshake_up=80, handshake_down=30, up=50, down=60,
    origin_up=50, origin_down=60, origin_address="127.0.0.1:77",
)  # fmt: skip
ORIGIN = OriginConnection(
    number=1, peer="127.0.0.1:77", port=1, tls=False, server_name=None, received_bytes=50,
    sent_bytes=60, elapsed_ms=1, ended_by="client", request_count=1,
    requests=(
        OriginRequest(
            method="GET", target="/bytes/1?id=one", host="a", status=200, request_body_bytes=0,
            response_body_bytes=1, complete=True,
        ),
    ),
)  # fmt: skip
KILL = KilledAt(before_s=10.7, after_s=10.8)


def one_row(**records: Any) -> ProxiedTieOutRow:
    """Return the row of records; those that are not given agree with each other."""
    agreeing: dict[str, Any] = {
        "clients": [CLIENT], "proxies": [PROXY], "connections": [ORIGIN], "usage": {"a": 110},
    }  # fmt: skip
    (row,) = ProxiedTieOut(**(agreeing | records)).rows()
    return row


def test_records_that_agree_tie_out() -> None:
    row = one_row()
    assert (row.ties_out, row.client_bytes, row.proxy_bytes, row.origin_bytes) == (
        True, 110, 110, 110,
    )  # fmt: skip


@pytest.mark.parametrize(
    "records",
    [
        {"clients": [replace(CLIENT, down=61)]},
        {"clients": [replace(CLIENT, down=59)]},
        {"clients": [replace(CLIENT, up=49)]},
        {"proxies": [replace(PROXY, origin_down=59)]},
        {"connections": [replace(ORIGIN, sent_bytes=59)]},
        {"connections": []},
        {"usage": {"a": 109}},
        {"usage": {}},
    ],
)
def test_each_place_that_counts_otherwise_is_a_difference(records: dict[str, Any]) -> None:
    row = one_row(**records)
    assert (row.different, row.ties_out) == (1, False)


def test_a_request_of_which_a_place_knows_nothing_is_a_difference() -> None:
    assert not one_row(proxies=[], connections=[], usage={}).ties_out
    assert not one_row(clients=[], connections=[]).ties_out
    unknown = ProxiedTieOut(
        clients=[CLIENT], proxies=[PROXY], connections=[ORIGIN], usage={"a": 110, "b": 5}
    )
    assert [row.ties_out for row in unknown.rows()] == [True, False]
    assert not one_row(connections=[ORIGIN, ORIGIN]).ties_out


def test_what_a_broken_connection_left_unread_is_explained() -> None:
    row = one_row(
        clients=[replace(CLIENT, down=40, end=ClientEnd.ABORTED)],
        proxies=[replace(PROXY, state="aborted")],
        connections=[replace(ORIGIN, sent_bytes=99)],
    )
    assert (row.ties_out, row.unread_by_client, row.cut_bytes) == (True, 20, 39)


def test_a_request_that_a_kill_left_open_loses_what_its_usage_does_not_have() -> None:
    killed = RecoveredRecord(request=OF)
    row = one_row(proxies=[], recovered=[killed], usage={"a": 70}, kills=[KILL])
    assert (row.ties_out, row.killed, row.killed_bytes, row.killed_origin_bytes) == (
        True, 1, 40, 110,
    )  # fmt: skip
    # It had ended, but its usage was not written: the usage is that of an open request.
    row = one_row(recovered=[killed], usage={"a": 70}, kills=[KILL])
    assert (row.ties_out, row.proxy_requests, row.killed_bytes) == (True, 1, 40)


def test_a_request_that_a_killed_proxy_had_not_read_is_explained_and_no_other() -> None:
    unread = replace(CLIENT, up=0, down=0, end=ClientEnd.BROKEN)
    nothing: dict[str, Any] = {"proxies": [], "connections": [], "usage": {}}
    row = one_row(clients=[unread], kills=[KILL], **nothing)
    assert (row.ties_out, row.unserved) == (True, 1)
    assert not one_row(clients=[unread], **nothing).ties_out
    later = replace(unread, began_s=10.9)
    assert not one_row(clients=[later], kills=[KILL], **nothing).ties_out


def test_a_request_that_its_client_aborted_before_a_proxy_read_it_is_explained() -> None:
    nothing: dict[str, Any] = {"proxies": [], "connections": [], "usage": {}}
    aborted = replace(CLIENT, down=0, end=ClientEnd.ABORTED)
    row = one_row(clients=[aborted], **nothing)
    assert (row.ties_out, row.unserved, row.unread_by_proxy) == (True, 1, 50)
    assert not one_row(clients=[replace(aborted, down=1)], **nothing).ties_out


def test_a_port_that_is_used_again_is_joined_by_time() -> None:
    again = replace(CLIENT, id="two", began_s=20.0, ended_s=21.0, up=500)
    later = replace(PROXY, request=replace(OF, began_s=20.1, log_ids=("b",)), up=500,
                    origin_up=500)  # fmt: skip
    second = replace(ORIGIN, received_bytes=500, requests=(
        replace(ORIGIN.requests[0], target="/bytes/1?id=two"),))  # fmt: skip
    row = one_row(
        clients=[again, CLIENT], proxies=[PROXY, later], connections=[second, ORIGIN],
        usage={"a": 110, "b": 560},
    )  # fmt: skip
    assert (row.ties_out, row.client_requests) == (True, 2)


def test_the_command_sends_compares_and_ends() -> None:
    arguments = ("proxies", "--requests", "60", "--port", "0", "--bytes-max", "5000", "--json")
    found = CliRunner().invoke(trueup, arguments)
    assert found.exit_code == 0, found.output
    _announcement, rows = map(json.loads, found.stdout.splitlines())
    assert sum(row["proxy_requests"] for row in rows) == 60


def test_requests_need_an_origin_of_their_own() -> None:
    found = CliRunner().invoke(trueup, ["proxies", "--requests", "1", "--network", "mobile"])
    assert "leave --origin and --network out" in found.output
