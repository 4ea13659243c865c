"""The judge against the reference: all in order, and the journal alone says the same."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.conformance.embedded import judged, started, target_of
from trueup.conformance.judge import BY_NAME, disagreements, judge_journal, judge_records
from trueup.reports.journal.records import Exchange
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import ExitStatus, Verdict


@pytest.mark.slow
async def test_the_reference_conforms_and_the_journal_says_so_too(tmp_path: Path) -> None:
    """A whole run of level 3: no alarm, nothing left open, and every verdict recomputed."""
    with started() as serving:
        target = target_of(serving, tmp_path)
        outcome = await judged(target, serving["ingest_url"], tmp_path / "journal.ndjson")
    wrong = [r for r in outcome.results if r.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE)]
    assert wrong == []
    assert outcome.exit_status is ExitStatus.CONFORMS
    assert outcome.requests <= 1200
    journal = read_journal(tmp_path / "journal.ndjson")
    again = judge_journal(journal)
    assert [result.check for result in again] == list(journal.header.checks)
    assert disagreements(journal, again) == []
    for prefix in ("", "/api", "/v2/shop/proxies"):
        moved = [
            msgspec.structs.replace(record, path=record.path.replace("/public/user", prefix, 1))
            if isinstance(record, Exchange)
            else record
            for record in journal.records
        ]
        found = judge_records(moved, [BY_NAME[result.check] for result in again])
        assert found == again, f"below the prefix {prefix!r}"
