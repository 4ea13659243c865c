"""A target that trueup did not start, killed and started again by a hook of its own under load."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trueup.reports.journal.records import Hook, LoadResult
from trueup.reports.journal.storage import read_journal
from trueup.scenarios.embedded.process import embedded_reference
from trueup.scenarios.embedded.restart import restart_socket
from trueup.scenarios.embedded.target import key_environment, target_file
from trueup.scenarios.run.orchestrator import RunRequest, run_scenario
from trueup.scenarios.scenario import LoadPart, Scenario

pytestmark = pytest.mark.slow


def test_a_foreign_target_is_restarted_by_its_own_hook_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell script named in the target file; its two restarts are in the journal, connections
    broke on them, and every event is still counted once."""
    with (
        embedded_reference(data=tmp_path / "data", options=("--control",)) as reference,
        restart_socket(reference.restart) as door,
    ):
        script = f"exec {sys.executable} -m trueup.scenarios.embedded.restart {door}\n"
        (tmp_path / "restart.sh").write_text(script)
        target = tmp_path / "target.toml"
        text = target_file(reference.serving, requests=5000)
        target.write_text(f'{text}\n[restart]\nargv = ["sh", "{{dir}}/restart.sh"]\n')
        for name, value in key_environment(reference.serving).items():
            monkeypatch.setenv(name, value)
        load = LoadPart(scenario="retry-storm", rate=15, duration_s=8)
        done = run_scenario(
            RunRequest(
                scenario=Scenario(name="foreign", what="restarted by its own hook", load=load),
                seed=3,
                runs=tmp_path / "runs",
                target=target,
            )
        )
    records = read_journal(done.folder).records
    pulled = [one for one in records if isinstance(one, Hook) and one.hook == "restart"]
    result = [one for one in records if isinstance(one, LoadResult)][-1]
    assert [one.ok for one in pulled] == [True, True]
    assert sum(result.requests.errors.values()) > 0
    assert result.events.correct == result.events.accepted > 3000
    assert (done.exit_status, result.timeline.stopped_by) == (0, "")
