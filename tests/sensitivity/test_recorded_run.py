"""Sensitivity of a real run: the checks at level 4 on the embedded reference, recorded once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from trueup.conformance.judge import BY_NAME
from trueup.conformance.sensitivity.blind_spots import load_unjudgeable
from trueup.conformance.sensitivity.measure import Effect, judge_mutant, rejudge_records
from trueup.conformance.sensitivity.mutants import enumerate_mutants, select
from trueup.conformance.sensitivity.recording import Recording
from trueup.reports.journal.storage import Journal, read_journal
from trueup.reports.metrics.sensitivity import read_sensitivity
from trueup.scenarios.cli.sensitivity import command
from trueup.scenarios.run.orchestrator import RunRequest, run_scenario
from trueup.scenarios.run.sensitivity import find_false_failures, measure_sensitivity
from trueup.scenarios.scenario import ChecksPart, Scenario

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run that conforms."""
    scenario = Scenario(name="check", what="the laws", checks=ChecksPart(level=4))
    request = RunRequest(scenario=scenario, seed=7, runs=tmp_path_factory.mktemp("runs"))
    result = run_scenario(request)
    assert result.exit_status == 0
    return result.folder


@pytest.fixture(scope="module")
def journal(run: Path) -> Journal:
    return read_journal(run)


def test_processes_find_what_one_finds_and_the_judge_bears_every_mutant(journal: Journal) -> None:
    alone = measure_sensitivity(journal, limit=90, seed=5, workers=1)
    assert measure_sensitivity(journal, limit=90, seed=5, workers=2) == alone
    assert alone.mutants == 90
    assert alone.broken == ()
    assert alone.noticed > 0


def test_every_listed_blind_spot_is_needed(journal: Journal) -> None:
    """An entry whose mutants are all noticed hides nothing and must go."""
    recording = Recording(journal.records)
    rejudge = rejudge_records(
        recording.records, [BY_NAME[name] for name in journal.header.checks if name in BY_NAME]
    )
    baseline = rejudge({})
    mutants = enumerate_mutants(recording)
    for entry in load_unjudgeable():
        covered = select([mutant for mutant in mutants if entry.covers(mutant)], 12)
        assert any(
            judge_mutant(rejudge, baseline, mutant.exchanges(recording))[0] is not Effect.NOTICED
            for mutant in covered
        ), f"not needed: {entry}"


def test_no_single_lost_response_fails_a_check_of_a_clean_run(journal: Journal) -> None:
    """`trueup sensitivity RUN --lost-responses --limit 0` tries every one."""
    tried, failed = find_false_failures(journal, limit=80, seed=1)
    assert tried == 80
    assert failed == ()


def test_the_command_writes_its_result_into_the_reports_of_the_run(run: Path) -> None:
    done = CliRunner().invoke(command, [str(run), "--limit", "40"], standalone_mode=False)
    assert done.return_value == 0, done.output
    found = read_sensitivity(run)
    assert found is not None
    assert found.mutants == 40
    assert f"Sensitivity of {found.run}" in done.output
    result = json.loads((run / "result.json").read_text())
    assert result["sensitivity"]["mutants"] == 40
    assert 'id="sensitivity"' in (run / "report.html").read_text()
