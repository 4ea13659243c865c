"""The fleet's requests, sent through its proxies, and the comparison of what was counted."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from tests.proxies.fleet import running_fleet
from tests.proxies.servers import running_origin
from tests.simulator.fleets import common
from trueup.scenarios.cli import trueup
from trueup.simulator.origin import OriginConnection, OriginRequest
from trueup.simulator.proxies import (
    ClientCounts,
    FleetPlanner,
    ProxiedTieOut,
    ProxiedTieOutRow,
    ProxyClient,
    UserNameSyntax,
    fleet_requests,
    fleet_users,
)
from trueup.simulator.proxies.usage import Protocol

USERS = {user.name: user for user in fleet_users(common())}


def test_requests_have_what_the_events_say() -> None:
    first = common().model.coverage.count
    rows = common().batch(first, 500).rows()
    requests = list(fleet_requests(common(), USERS, 0, 500, bytes_max=10_000))
    assert [request.user.name for request in requests] == [row["proxy_user_id"] for row in rows]
    assert [request.hostname for request in requests] == [row["log_hostname"] for row in rows]
    assert {request.protocol for request in requests} == set(Protocol)
    assert max(request.download_bytes for request in requests) == 10_000
    again = fleet_requests(common(), USERS, 100, 5, bytes_max=10_000)
    assert list(again) == requests[100:105]


@pytest.mark.parametrize("planned", [False, True])
async def test_all_that_is_sent_ties_out_also_with_failures_and_cuts(planned: bool) -> None:
    planner = FleetPlanner(common().model, 3, delay_factor=0.001) if planned else None
    async with running_origin() as (origin, recorded):
        async with running_fleet(origin, behaviour=planner) as fleet:
            client = ProxyClient(proxies=tuple(fleet.server.proxies), syntax=UserNameSyntax())
            tie_out = ProxiedTieOut(client=client.counts)
            requests = fleet_requests(common(), USERS, 0, 300, bytes_max=20_000)
            await client.send_all(requests, 8)
            for request in await fleet.usage.ended(300):
                tie_out.add_request(request)
        connected = sum(bool(request.origin_address) for request in fleet.usage.requests)
        for record in await recorded.count(connected):
            tie_out.add_connection(record)
    rows = tie_out.rows()
    assert sum(row.proxy_requests for row in rows) == 300
    assert all(row.ties_out for row in rows), rows
    assert sum(row.failed for row in rows) == 300 - connected


ROW = ProxiedTieOutRow(
    network="mobile", client_requests=2, proxy_requests=2, failed=0, client_bytes=10,
    proxy_bytes=10, proxy_origin_bytes=9, origin_bytes=9, cut_bytes=0, different=0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("row", "ties_out"),
    [
        (ROW, True),
        (replace(ROW, origin_bytes=12, cut_bytes=3), True),
        (replace(ROW, origin_bytes=13, cut_bytes=3), False),
        (replace(ROW, client_bytes=11), False),
        (replace(ROW, proxy_requests=3), False),
        (replace(ROW, different=1), False),
    ],
)
def test_a_row_ties_out_where_all_counted_alike(row: ProxiedTieOutRow, ties_out: bool) -> None:
    assert row.ties_out is ties_out


def test_a_connection_that_no_proxy_counted_is_different() -> None:
    tie_out = ProxiedTieOut(client=ClientCounts())
    request = OriginRequest(
        method="GET", target="/bytes/1?id=isp.7", host="a", status=200, request_body_bytes=0,
        response_body_bytes=1, complete=True,
    )  # fmt: skip
    tie_out.add_connection(
        OriginConnection(
            number=1, peer="127.0.0.1:9", port=1, tls=False, server_name=None, received_bytes=50,
            sent_bytes=60, elapsed_ms=1, ended_by="client", requests=(request,), request_count=1,
        )
    )  # fmt: skip
    (row,) = tie_out.rows()
    assert (row.network, row.origin_bytes, row.different, row.ties_out) == ("isp", 110, 1, False)


def test_the_command_sends_compares_and_ends() -> None:
    arguments = ("proxies", "--requests", "60", "--port", "0", "--bytes-max", "5000", "--json")
    found = CliRunner().invoke(trueup, arguments)
    assert found.exit_code == 0, found.output
    _announcement, rows = map(json.loads, found.stdout.splitlines())
    assert sum(row["proxy_requests"] for row in rows) == 60


def test_requests_need_an_origin_of_their_own() -> None:
    found = CliRunner().invoke(trueup, ["proxies", "--requests", "1", "--network", "mobile"])
    assert "leave --origin and --network out" in found.output
