"""The audit of an account that can only be read: it reads, it never writes, it can convict."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.runner import RunOutcome
from reports.facts import Verdict
from reports.journal import read_journal
from reports.records import Delivered, Exchange, Hook
from tests.conformance.embedded import PlainIngest, judged, started, target_of
from tests.conformance.test_traffic import events_of


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
