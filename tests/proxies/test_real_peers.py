"""Squid and Dante as proxies of a target: their logs, shipped to the reference, are judged."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal_header import header
from tests.proxies.peers import ADDRESS, PASSWORD, USER, Peer, running_dante, running_squid
from trueup.conformance.runner import run_checks
from trueup.conformance.target.load import load_target
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import CheckResult, Verdict
from trueup.scenarios.drivers import open_driver
from trueup.scenarios.embedded.process import Serving, embedded_reference
from trueup.scenarios.embedded.target import key_environment, target_file
from trueup.scenarios.mutation.proxied_trial import LAWS
from trueup.scenarios.run.log_shipper import LogShipper, ShippedAs
from trueup.scenarios.run.proxied_client import exact_client
from trueup.simulator.access_logs import FollowedLog, ReadOptions, line_parser

_BOTH = "%ts.%03tu %6tr %>a %Ss/%03>Hs %>st %<st %rm %ru %un"
"""A logformat with the bytes of both directions."""
_BYTES = "proxied-bytes-are-the-traffic"
_ACCESS = """
[proxies]
hostname = "127.80.0.{n}"
unreachable = "127.0.0.1:9"

[[proxies.access]]
network = "residential"
country = "us"
"""


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    with embedded_reference(options=("--control",)) as reference:
        yield reference.serving


def judged(
    serving: Serving, folder: Path, peer: Peer, log_format: str, access: str, **users: str
) -> dict[str, CheckResult]:
    """Check the reference at level 1 with a peer whose log is shipped to it meanwhile."""
    path = folder / "target.toml"
    path.write_text(target_file(serving, requests=2000) + _ACCESS + access)
    target = load_target(
        path, {**os.environ, **key_environment(serving), "TRUEUP_PEER_PASSWORD": PASSWORD}
    )

    async def run() -> dict[str, CheckResult]:
        assert target.proxies is not None
        log = FollowedLog(path=peer.log, parse=line_parser(ReadOptions(format=log_format)))
        stop = asyncio.Event()
        async with (
            open_driver(target) as driver,
            exact_client(target.proxies) as client,
            asyncio.TaskGroup() as group,
        ):
            shown = ShippedAs(
                customer_id=serving.tenants[0].customer_id, network="residential", users=users
            )
            group.create_task(LogShipper(log=log, driver=driver, shown=shown).run(stop))
            try:
                with JournalWriter(folder / "journal.ndjson") as writer:
                    writer.write(header(level=1))
                    outcome = await run_checks(
                        target, writer=writer, ingest=None, proxies=client, level=1, only=LAWS
                    )
            finally:
                stop.set()
        return {result.check: result for result in outcome.results}

    return asyncio.run(run())


_SQUID = f"""
address = "127.0.0.1:{{port}}"
protocols = ["connect", "forward"]
user = "{USER}"
password = {{{{ env = "TRUEUP_PEER_PASSWORD" }}}}
"""


def test_squid_counts_one_direction_by_default(serving: Serving, tmp_path: Path) -> None:
    """Uploads through it are free. Everything else of its log is right."""
    with running_squid("access_log stdio:{log} squid") as peer:
        results = judged(serving, tmp_path, peer, "squid", _SQUID.format(port=peer.port))
    failed = {name for name, result in results.items() if result.verdict is not Verdict.PASS}
    assert failed == {_BYTES}, results
    assert results[_BYTES].verdict is Verdict.FAIL
    assert results[_BYTES].reason.startswith("download by connect, residential · 127.80.0.1 · kim")
    assert "what the client received, and nothing that it sent" in results[_BYTES].reason


def test_squid_conforms_with_a_format_that_has_both_directions(
    serving: Serving, tmp_path: Path
) -> None:
    options = f"logformat both {_BOTH}\naccess_log stdio:{{log}} logformat=both"
    with running_squid(options) as peer:
        results = judged(serving, tmp_path, peer, f"squid:{_BOTH}", _SQUID.format(port=peer.port))
    assert {r.verdict for r in results.values()} == {Verdict.PASS}, results


def test_dante_conforms_by_the_bytes_of_its_sessions(serving: Serving, tmp_path: Path) -> None:
    access = f"""
address = "127.0.0.1:{{port}}"
protocols = ["socks"]
user = "sam"
client_address = "{ADDRESS}"
"""
    with running_dante() as peer:
        results = judged(
            serving, tmp_path, peer, "dante", access.format(port=peer.port), **{ADDRESS: "sam"}
        )
    assert {r.verdict for r in results.values()} == {Verdict.PASS}, results
