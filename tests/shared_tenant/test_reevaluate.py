"""Verdicts do not depend on the time of day and can be recomputed; a changed one is noticed."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.shared_tenant.environment import move_clock, run_environment, run_in_environment
from trueup.reports.journal.records import Footer, Record, Result
from trueup.reports.journal.storage import JOURNAL_NAME, JournalWriter, read_journal
from trueup.reports.results import Verdict

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("time", ["00:00:01", "12:00:00", "23:59:58"])
def test_no_verdict_depends_on_the_time_of_day(tmp_path: Path, time: str) -> None:
    """Just after and two seconds before midnight, and at noon: all pass."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with run_environment(tmp_path) as at:
        move_clock(at, f"{tomorrow:%Y-%m-%d} {time}")
        result = run_in_environment(at, tmp_path / "runs", level=3)
    assert result.error is None
    settled = (Verdict.PASS, Verdict.NOT_APPLICABLE)
    assert [r.check for r in result.report.results if r.verdict not in settled] == []


def judge(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trueup", "judge", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_verdict_that_was_changed_is_noticed(tmp_path: Path) -> None:
    """`trueup judge` agrees with the run, and not with a failure rewritten as a pass."""
    with run_environment(tmp_path, "--fault", "A2") as at:
        result = run_in_environment(at, tmp_path / "runs", level=2)
    assert result.exit_status == 1
    honest = judge(result.folder)
    assert honest.returncode == 1, honest.stdout + honest.stderr
    assert "agree with the journal" in honest.stdout
    forged = tmp_path / "forged"
    forged.mkdir()
    with JournalWriter(forged / JOURNAL_NAME) as writer:
        for record in read_journal(result.folder).records:
            if not isinstance(record, Footer):
                writer.write(_whitened(record))
        writer.finish(finished_at="-", exit_status=0)
    noticed = judge(forged)
    assert noticed.returncode == 3
    assert "in the journal pass" in noticed.stdout
    assert "judged again fail" in noticed.stdout


def _whitened(record: Record) -> Record:
    """Return a failure as a pass, any other record unchanged."""
    if isinstance(record, Result) and record.result.verdict is Verdict.FAIL:
        passed = msgspec.structs.replace(record.result, verdict=Verdict.PASS)
        return msgspec.structs.replace(record, result=passed)
    return record
