"""The audit of an account that can only be read: it reads, it never writes, it can convict."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.conformance.embedded import PlainIngest, judged, started, target_of
from tests.conformance.observations_of import NOW, Story, summary, user
from tests.conformance.test_reconciliation import events_of
from trueup.conformance import requests
from trueup.conformance.checks.audit import ANY_LOG, CHECKS, closed_summaries
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.evaluate import judge_all
from trueup.conformance.requests import ApiRequest
from trueup.conformance.runner import RunOutcome
from trueup.reports.journal.records import Delivered, Exchange, Hook
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import Verdict


async def audited(folder: Path, *options: str) -> RunOutcome:
    """Someone else's traffic of three days, then an audit."""
    with started(*options) as serving:
        target = target_of(serving, folder)
        events = events_of([tenant["customer_id"] for tenant in serving["tenants"]], 200)
        async with PlainIngest(serving["ingest_url"]) as ingest:
            for first in range(0, 200, 50):
                await ingest.send(events[first : first + 50])
        journal = folder / "journal.ndjson"
        return await judged(target, serving["ingest_url"], journal, level=0)


@pytest.mark.slow
async def test_an_audit_only_reads_and_raises_nothing(tmp_path: Path) -> None:
    """No event, no hook, nothing but GET; nothing fails, and most laws are seen to hold."""
    outcome = await audited(tmp_path)
    assert [r.check for r in outcome.results if r.verdict is Verdict.FAIL] == []
    assert sum(r.verdict is Verdict.PASS for r in outcome.results) >= 14
    records = read_journal(tmp_path / "journal.ndjson").records
    assert not [r for r in records if isinstance(r, Delivered | Hook)]
    assert {r.method for r in records if isinstance(r, Exchange)} == {"GET"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "law"),
    [("E1", "LEDGER=SUM"), ("G4", "FILTER"), ("G7", "SORT"), ("H2", "TENANT")],
)
async def test_an_audit_convicts(tmp_path: Path, fault: str, law: str) -> None:
    """Faults that show in data that is there already."""
    outcome = await audited(tmp_path, "--fault", fault)
    assert law in {r.law for r in outcome.results if r.verdict is Verdict.FAIL}


SUMS_TIE = next(check for check in CHECKS if check.law == "SUM=LOG")


def looked(check: Check, *, logs: int, summaries_of: str = "2025-04-09 00:00:00") -> Story:
    """One user with a summary of three requests yesterday and `logs` logs of some other user."""
    story = Story(level=0).stage("baseline")
    scene = story.observations.context
    row = summary("comb", 3, 21, log_summary_period="2025-04-09 00:00:00")
    for ask in check.requests(scene, "baseline"):
        match ask:
            case ApiRequest(path="log/search") if ask == ANY_LOG:
                story.told(ask, *[{"log_request_datetime": NOW}] * logs)
            case ApiRequest(path="log_summary/search") if "sort_by" in dict(ask.query):
                story.told(ask, row)
            case ApiRequest(path="log_summary/search") if "min_log_summary_period" in dict(
                ask.query
            ):
                story.told(ask, *([{"log_summary_period": summaries_of}] if logs else []))
            case _:
                pass
    story.told(closed_summaries(scene, user("comb")), row)
    for ask in check.follow_ups(story.observations, "baseline"):
        if ask.path == requests.logs(user("comb")).path:
            story.told(ask)
    return story


@pytest.mark.parametrize(
    ("logs", "newest", "verdict", "said"),
    [
        (1, "2025-04-09 00:00:00", Verdict.FAIL, "expected 0 requests"),
        (0, "2025-04-09 00:00:00", Verdict.INCONCLUSIVE, "clock is more than 7 days ahead"),
        (1, "2025-05-09 00:00:00", Verdict.INCONCLUSIVE, "reports 2025-05-09 00:00:00"),
    ],
)
def test_an_audit_convicts_by_the_targets_clock(
    logs: int, newest: str, verdict: Verdict, said: str
) -> None:
    """Logs are missed where others are listed, and where no time lies ahead of our clock."""
    story = looked(SUMS_TIE, logs=logs, summaries_of=newest)
    (result,) = judge_all(story.observations, [SUMS_TIE])
    assert result.verdict is verdict
    assert said in result.reason


@pytest.mark.slow
async def test_an_audit_clears_a_target_whose_clock_was_moved(tmp_path: Path) -> None:
    """Ten days on, its logs are gone and its summaries are not: nothing is broken."""
    with started() as serving:
        events = events_of([tenant["customer_id"] for tenant in serving["tenants"]], 100)
        async with PlainIngest(serving["ingest_url"]) as ingest:
            await ingest.send(events)
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{serving['control_url']}/clock",
                json={"advance_s": 10 * 86_400},
                headers={"X-Control-Key": serving["control_key"]},
            ) as answer,
        ):
            assert answer.status == 200
        target = target_of(serving, tmp_path, hooks=())
        outcome = await judged(target, serving["ingest_url"], tmp_path / "j", level=0)
    assert [r.check for r in outcome.results if r.verdict is Verdict.FAIL] == []
    (tied,) = [r for r in outcome.results if r.check == "audit-summaries-equal-logs"]
    assert "the target's clock" in tied.reason
