"""Commands that work on a finished run: what they say where there is none, or not all of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import exit_status
from tests.journal_header import journal_in
from tests.sensitivity.recorded import recorded_run
from trueup.conformance.selection import checks_at
from trueup.reports.journal.records import Result
from trueup.reports.results import CheckResult, Verdict


@pytest.mark.parametrize("command", ["report", "judge", "sensitivity"])
@pytest.mark.parametrize(
    ("run", "message"),
    [
        (["nowhere"], "nowhere: no run here. Name a run's folder or its journal"),
        (["."], ".: there is no journal.ndjson in this folder. Name a run's folder"),
        ([], "runs/latest: no run here"),
    ],
)
def test_where_there_is_no_run_a_command_says_how_to_name_or_make_one(
    command: str,
    run: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same message of every command, with status 4."""
    monkeypatch.chdir(tmp_path)
    assert exit_status(command, *run) == 4
    said = capsys.readouterr().err
    assert message in said
    assert "make one with `trueup run`" in said


@pytest.mark.parametrize("removed", [0, 1])
def test_sensitivity_reports_a_check_that_was_removed_from_the_journal(
    removed: int, tmp_path: Path
) -> None:
    """The reports that it writes name the check, as `trueup report` does, and do not conform."""
    checks = checks_at({0})
    gone, kept = checks[:removed], checks[removed:]
    declared = tuple(check.name for check in kept)
    with journal_in(tmp_path, started_at="2026-03-01T12:00:00Z", checks=declared) as writer:
        for record in recorded_run():
            writer.write(record)
        for check in kept:
            result = CheckResult(
                check=check.name,
                law=check.law,
                title=check.title,
                verdict=Verdict.PASS,
                reason="As expected.",
                evidence=1,
            )
            writer.write(Result(result=result))
        writer.finish(finished_at="2026-03-01T12:00:52Z", exit_status=0)
    assert exit_status("sensitivity", str(tmp_path), "--limit", "3", "--workers", "1") == 0
    document = json.loads((tmp_path / "result.json").read_text())
    assert document["undeclared"] == [check.name for check in gone]
    assert document["sensitivity"]["mutants"] == 3
    assert document["exit_status"] == (2 if removed else 0)
