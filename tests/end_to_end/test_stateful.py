"""Stateful tests: no failure on the reference, a short and repeatable one on a fault."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from trueup.reports.journal.storage import read_journal
from trueup.reports.results import Verdict
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.run.orchestrator import RunRequest, RunResult, run_scenario
from trueup.scenarios.run.reevaluate import reevaluate
from trueup.scenarios.run.stateful import STEPS_FILE
from trueup.scenarios.scenario import Scenario, StatefulPart

pytestmark = pytest.mark.slow


def explored(folder: Path, part: StatefulPart, *options: str) -> RunResult:
    scenario = Scenario(name="explore", what="-", stateful=part)
    request = RunRequest(scenario=scenario, seed=5, runs=folder, reference_options=options)
    result = run_scenario(request)
    if result.error is not None:
        raise result.error
    return result


def verdict_again(result: RunResult) -> Verdict:
    (check,) = reevaluate(read_journal(result.folder))
    return check.verdict


def test_the_reference_agrees_with_the_oracle_in_any_order(tmp_path: Path) -> None:
    """A dozen sequences, no failure, and the same verdict from the journal alone."""
    result = explored(tmp_path, StatefulPart(examples=12))
    assert result.exit_status == 0
    assert verdict_again(result) is Verdict.PASS
    assert not (result.folder / STEPS_FILE).exists()


def test_a_fault_is_shrunk_to_a_sequence_that_fails_again(tmp_path: Path) -> None:
    """Summaries that are reset instead of added to: two deliveries are enough to show it."""
    found = explored(tmp_path, StatefulPart(examples=40), "--fault", "B2")
    assert found.exit_status == 1
    assert verdict_again(found) is Verdict.FAIL
    kept = found.folder / STEPS_FILE
    assert len(msgspec.json.decode(kept.read_bytes())) <= 4
    again = StatefulPart(replay=str(kept))
    assert explored(tmp_path, again, "--fault", "B2").exit_status == 1
    assert explored(tmp_path, again).exit_status == 0


def test_a_file_that_is_not_a_sequence_is_rejected(tmp_path: Path) -> None:
    """The message names the file and how such a file is made."""
    path = tmp_path / "h.json"
    path.write_text('[{"step": "dance"}]')
    with pytest.raises(UsageProblem, match=r"h\.json: not a sequence"):
        explored(tmp_path / "runs", StatefulPart(replay=str(path)))
