"""Reconciliation of fleet traffic: the reference ties out, a faulty one does not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from tests.conformance.embedded import PlainIngest, started, target_of
from tests.conformance.listed import ListedTraffic
from tests.journal_header import journal_in
from trueup.conformance.reconciliation.evaluate import judge_traffic
from trueup.conformance.reconciliation.run import TrafficOutcome, read_baseline, reconcile_traffic
from trueup.reports.journal.records import Exchange
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import Json, Outcome, Verdict

NETWORKS = ("datacenter", "isp", "residential", "mobile")


def events_of(customers: Sequence[int], count: int) -> list[dict[str, Json]]:
    """Events of several tenants, users, networks, hosts and days."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
    return [
        {
            "log_id": str(UUID(int=(0xC0FFEE << 64) + n)),
            "customer_id": customers[n // 4 % len(customers)],
            "proxy_user_id": f"traffic-user-{n % 5}",
            "log_network": NETWORKS[n % 4],
            "log_protocol": "http",
            "log_hostname": f"h{n % 2}.example",
            "log_client_ip_address": "198.51.100.9",
            "log_total_bytes": 100 + n,
            "log_request_datetime": str(start + timedelta(minutes=20 * n))[:19],
            "log_authentication_type": 1,
            "country_id": "us",
            "city_alias": "dallas",
            "asn_id": 7018,
            "log_status_code": 200,
        }
        for n in range(count)
    ]


async def reconciled(
    folder: Path, *options: str, unsent: int = 0, part: str = "fleet"
) -> tuple[TrafficOutcome, Any]:
    """Send 200 events and reconcile; the last `unsent` are not sent and of unknown outcome.

    Accounts are read before.
    """
    with started(*options) as serving:
        target = target_of(serving, folder, readings={"freshness-s": "1"})
        events = events_of([tenant["customer_id"] for tenant in serving["tenants"]], 200)
        lost = {str(event["log_id"]): Outcome.UNKNOWN for event in events[200 - unsent :]}
        sent = ListedTraffic(events, lost)
        with journal_in(folder) as writer:
            baseline = await read_baseline(target, writer=writer, part=part)
            async with PlainIngest(serving["ingest_url"]) as ingest:
                for first in range(0, 200 - unsent, 50):
                    await ingest.send(events[first : min(first + 50, 200 - unsent)])
            outcome = await reconcile_traffic(
                target, writer=writer, sent=sent, part=part, baseline=baseline
            )
    return outcome, sent


@pytest.mark.slow
async def test_traffic_ties_out_in_every_view(tmp_path: Path) -> None:
    """Logs, summaries, ledgers and graph equal what was sent, also from the journal alone."""
    outcome, sent = await reconciled(tmp_path)
    assert [r.reason for r in outcome.results if r.verdict is not Verdict.PASS] == []
    assert {row.view for row in outcome.tie_outs} == {
        "logs",
        "summaries",
        "graph",
        "residential_ledger",
        "mobile_ledger",
        "account",
    }
    assert all(row.ok for row in outcome.tie_outs)
    again, rows = judge_traffic(read_journal(tmp_path / "journal.ndjson").records, sent, "fleet")
    assert tuple(again) == outcome.results
    assert tuple(rows) == outcome.tie_outs


@pytest.mark.slow
async def test_traffic_through_proxies_ties_out_by_network_up_to_the_account(
    tmp_path: Path,
) -> None:
    """Each network has logs with bytes; an account that rose by another sum than its ledger is off,
    whatever both had before.
    """
    outcome, sent = await reconciled(tmp_path, part="proxied")
    assert [r.reason for r in outcome.results if r.verdict is not Verdict.PASS] == []
    for network in NETWORKS:
        views = {row.view for row in outcome.tie_outs if row.scope.startswith(f"{network} · ")}
        pooled = {f"{network}_ledger", "account"} if network in ("residential", "mobile") else set()
        assert views == {"logs", "summaries", "graph"} | pooled
    logs = [row for row in outcome.tie_outs if row.view == "logs"]
    assert sum(row.seen_bytes or 0 for row in logs) == sum(100 + n for n in range(200))
    records = [
        replace(record, body={"data": {"mobile_bytes_used": 10**9}})
        if isinstance(record, Exchange)
        and (record.stage, record.path) == ("traffic proxied", "/public/user/mobile/summary")
        else record
        for record in read_journal(tmp_path / "journal.ndjson").records
    ]
    found, rows = judge_traffic(records, sent, "proxied")
    assert [(r.check, r.verdict) for r in found if r.verdict is not Verdict.PASS] == [
        ("proxied-ledgers-equal-sent", Verdict.FAIL)
    ]
    assert {row.view for row in rows if not row.ok} == {"account"}


@pytest.mark.slow
async def test_unknown_outcomes_are_neither_lost_nor_stored(tmp_path: Path) -> None:
    """Events whose outcome is unknown and that never arrived fail no view."""
    outcome, _ = await reconciled(tmp_path, unsent=9)
    assert [r.reason for r in outcome.results if r.verdict is not Verdict.PASS] == []
    assert any(row.slack_requests for row in outcome.tie_outs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "check"), [("A3", "fleet-logs-equal-sent"), ("B2", "fleet-summaries-equal-sent")]
)
async def test_lost_events_are_found(tmp_path: Path, fault: str, check: str) -> None:
    """A batch's last event lost; a summary reset instead of added to."""
    outcome, _ = await reconciled(tmp_path, "--fault", fault)
    failed = {result.check for result in outcome.results if result.verdict is Verdict.FAIL}
    assert check in failed
