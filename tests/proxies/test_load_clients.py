"""Clients of proxies as a transport of the load, and whole runs through proxies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.end_to_end.test_main_job import trueup
from tests.proxies.fleet import running_fleet
from tests.proxies.servers import running_origin
from tests.simulator.fleets import common
from trueup.conformance.target.load import load_target
from trueup.reports.errors import ConfigurationError
from trueup.reports.journal.records import ProxiedDeclared
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import Outcome, Verdict
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.load.plan import load_plan
from trueup.scenarios.proxied.clients import ProxiedClients, ProxiedForm, all_client_records
from trueup.scenarios.run.orchestrator import RunRequest, run_scenario
from trueup.scenarios.run.preconditions import check_target
from trueup.scenarios.run.proxied import read_places
from trueup.scenarios.scenario import LoadPart, ProxiedPart, Scenario
from trueup.simulator.proxies import ClientEnd, FleetPlanner, ProxyAddress, RequestShape

PLAN = """
name = "mine"
what = "requests"
breaks = "nothing in particular"
[shape]
rate = 5
[requests]
batch = 1
[proxied]
"""


def lines(first: int, count: int) -> list[bytes]:
    """Events of the common fleet, after its coverage events, as the load's bodies have them."""
    start = common().model.coverage.count + first
    return [json.dumps(row).encode() + b"\n" for row in common().batch(start, count).rows()]


async def test_each_event_is_sent_as_its_request_and_its_end_is_its_outcome(
    tmp_path: Path,
) -> None:
    """What is aborted or cut as planned is accepted, what a proxy refuses is refused."""
    shape = RequestShape(bytes_max=3000, cut_share=0.1, abort_share=0.1)
    async with running_origin() as (origin, _):
        planner = FleetPlanner(common().model, 1, delay_factor=0.0)
        async with running_fleet(origin, behaviour=planner) as fleet:
            form = ProxiedForm(
                proxies=tuple(proxy.address for proxy in fleet.server.proxies),
                shape=shape,
                folder=str(tmp_path),
                timeout_s=30.0,
            )
            clients = ProxiedClients(form, common().identity("proxied"), worker=3)
            await clients.check()
            outcomes = [(await clients.send_ndjson(line, 1)).ranges[0] for line in lines(0, 150)]
            await clients.close()
    records = list(all_client_records(tmp_path))
    assert form.records(3).name == "clients-3.ndjson"
    assert len(records) == len(outcomes) == 150
    for record, outcome in zip(records, outcomes, strict=True):
        assert outcome.reason == record.reason
        match record.end:
            case ClientEnd.COMPLETE | ClientEnd.ABORTED:
                assert outcome.outcome is Outcome.ACCEPTED
            case ClientEnd.REFUSED:
                assert outcome.outcome is Outcome.REFUSED
            case _:
                planned = Outcome.UNKNOWN if record.reason else Outcome.ACCEPTED
                assert outcome.outcome is planned
    assert {ClientEnd.COMPLETE, ClientEnd.ABORTED, ClientEnd.BROKEN} <= {r.end for r in records}


async def test_a_proxy_that_does_not_listen_gets_no_request(tmp_path: Path) -> None:
    nowhere = tuple(
        ProxyAddress(network=network, customer_id=None, host="127.0.0.1", http_port=1, socks_port=1)
        for network in ("datacenter", "isp", "residential", "mobile")
    )
    form = ProxiedForm(
        proxies=nowhere, shape=RequestShape(bytes_max=9), folder=str(tmp_path), connect_s=0.0
    )
    clients = ProxiedClients(form, common().identity("proxied"), worker=0)
    (found,) = (await clients.send_ndjson(lines(0, 1)[0], 1)).ranges
    await clients.close()
    assert found.outcome is Outcome.REFUSED
    assert found.reason.startswith("the proxy cannot be connected to")
    assert list(all_client_records(tmp_path)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (PLAN.replace("batch = 1", ""), "requests.batch"),
        (PLAN.replace("batch = 1", "batch = 1\nduplicate_every = 5"), "requests.duplicate_every"),
        (PLAN + "[reads]\nshare = 0.1\npaths = ['x']", "reads.share"),
        (PLAN + "cut_share = 1.5", "proxied.cut_share"),
        (PLAN + "protocol = 'ftp'", "proxied.protocol"),
    ],
)
def test_what_does_not_go_with_proxies_is_a_mistake_of_the_plan(
    tmp_path: Path, changed: str, said: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(PLAN)
    assert load_plan(str(path)).proxied is not None
    path.write_text(changed)
    with pytest.raises(ConfigurationError, match=said):
        load_plan(str(path))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"find_limit": True}, "--find-limit"),
        ({"calibrate": True}, "--calibrate"),
        ({"locustfile": "users.py"}, "--locustfile"),
        ({"master_bind": "127.0.0.1"}, "--master"),
    ],
)
def test_what_needs_the_ingestion_endpoint_is_refused_before_the_run(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    (tmp_path / "target.toml").write_text(
        'name = "t"\nbase_url = "http://127.0.0.1:9/1.0"\n'
        '[tenants.a]\npublic_key.env = "A"\nprivate_key.env = "A"\ncustomer_id = 1\n'
        '[ingest]\nvia = "command"\nargv = ["cat"]\n'
    )
    target = load_target(tmp_path / "target.toml", {"A": "abcd"})
    part = LoadPart(scenario="proxied")
    check_target(part, target)
    with pytest.raises(UsageProblem, match=f"cannot be combined with {said}"):
        check_target(replace(part, **changes), target)


def test_a_run_has_requests_through_proxies_once(tmp_path: Path) -> None:
    scenario = Scenario(
        name="twice", what="both", proxied=ProxiedPart(), load=LoadPart(scenario="proxied")
    )
    found = None
    try:
        run_scenario(RunRequest(scenario=scenario, seed=1, runs=tmp_path))
    except UsageProblem as error:
        found = str(error)
    assert found is not None and "would be reconciled under one name" in found


@pytest.mark.slow
def test_long_tunnels_tie_out_across_midnight_and_a_kill_of_the_proxies(tmp_path: Path) -> None:
    """What the kill lost is known by request, and nothing else differs, also read again."""
    options = ("--rate", "6", "--duration", "10", "--json", "--quiet")  # midnight after 5 s
    done = trueup("load", "proxied-long", *options, cwd=tmp_path, timeout_s=240)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert {check["verdict"] for check in result["checks"]} == {"pass"}
    rows = [row for row in result["tie_outs"] if row["part"] == "proxied"]
    assert all(row["ok"] for row in rows)
    folder = (tmp_path / "runs" / "latest").resolve()
    journal = read_journal(folder)
    (declared,) = (r for r in journal.records if isinstance(r, ProxiedDeclared))
    assert len(declared.kills) == 1
    places = read_places(folder, declared).rows()
    assert sum(row.killed for row in places) > 0
    assert sum(row.different for row in places) == 0
    events = (folder / "usage.ndjson").read_text().splitlines()
    days = {json.loads(line)["log_request_datetime"][:10] for line in events}
    assert len(days) == 2
    assert len(events) > sum(row.client_requests for row in places)
    again = trueup("judge", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.slow
def test_a_target_that_loses_usage_of_requests_through_proxies_is_found(tmp_path: Path) -> None:
    """The last event of each batch is lost: places of ours agree, the target's logs do not."""
    part = ProxiedPart(requests=60, counting="with-handshake")
    scenario = Scenario(name="lossy", what="usage that is lost", proxied=part)
    order = RunRequest(
        scenario=scenario, seed=3, runs=tmp_path, reference_options=("--fault", "A3")
    )
    ended = run_scenario(order)
    assert ended.error is None
    failed = {r.check for r in ended.report.results if r.verdict is Verdict.FAIL}
    assert "proxied-logs-equal-sent" in failed
    off = {row.row.view for row in ended.report.tie_outs if not row.row.ok}
    assert "logs" in off
    assert off.isdisjoint({"client", "proxy", "origin"})
