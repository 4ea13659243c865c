"""Foreign traffic, and another run at the same time, change no verdict."""

from __future__ import annotations

import asyncio
import contextlib
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.conformance.embedded import PlainIngest, judged, started, target_of
from trueup.conformance.runner import RunOutcome
from trueup.reports.results import Json, Outcome, Verdict

FOREIGN = 50_000
"""At most so many events; others are at work for as long as the judge is."""
PAUSE_S = 0.01


def foreign(customer: int, first: int, count: int) -> list[dict[str, Json]]:
    """Events of other users and hosts on the days that the checks use."""
    draw = random.Random(first)
    now = datetime.now(UTC)
    return [
        {
            "log_id": str(UUID(int=(0xF0 << 100) + first + n)),
            "customer_id": customer,
            "proxy_user_id": f"foreign-user-{draw.randrange(20)}",
            "log_network": draw.choice(("datacenter", "isp", "residential", "mobile")),
            "log_protocol": "http",
            "log_hostname": f"h{draw.randrange(5)}.foreign.example",
            "log_client_ip_address": "203.0.113.5",
            "log_total_bytes": draw.randrange(1_000_000),
            "log_request_datetime": str(now - timedelta(seconds=draw.randrange(6 * 86_400)))[:19],
            "log_authentication_type": 1,
            "country_id": "fr",
            "city_alias": "paris",
            "asn_id": 3215,
            "log_status_code": 200,
        }
        for n in range(count)
    ]


def verdicts(outcome: RunOutcome) -> dict[str, Verdict]:
    return {result.check: result.verdict for result in outcome.results}


@pytest.mark.slow
async def test_foreign_traffic_changes_no_verdict(tmp_path: Path) -> None:
    """Foreign events arrive on the same tenant during the run."""
    with started() as serving:
        target = target_of(serving, tmp_path)
        customer = serving["tenants"][0]["customer_id"]
        quiet = await judged(target, serving["ingest_url"], tmp_path / "quiet", level=2)

        poured = 0

        async def pour() -> None:
            nonlocal poured
            async with PlainIngest(serving["ingest_url"]) as ingest:
                for first in range(0, FOREIGN, 50):
                    outcomes = await ingest.send(foreign(customer, first, 50))
                    poured += sum(each.outcome is Outcome.ACCEPTED for each in outcomes)
                    await asyncio.sleep(PAUSE_S)

        pouring = asyncio.create_task(pour())
        noisy = await judged(target, serving["ingest_url"], tmp_path / "noisy", level=2)
        pouring.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pouring
    assert poured > 2_000
    assert verdicts(noisy) == verdicts(quiet)


@pytest.mark.slow
async def test_two_runs_at_once_agree(tmp_path: Path) -> None:
    """Two runs on the same tenants in parallel reach the verdicts of one alone."""
    with started() as serving:
        target = target_of(serving, tmp_path)
        async with asyncio.TaskGroup() as group:
            runs = [
                group.create_task(
                    judged(target, serving["ingest_url"], tmp_path / str(n), level=2, seed=n)
                )
                for n in range(2)
            ]
    one, two = (verdicts(run.result()) for run in runs)
    assert one == two
    assert Verdict.FAIL not in one.values()
    assert Verdict.INCONCLUSIVE not in one.values()
