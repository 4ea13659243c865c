"""Load run after load run against one target, which keeps what the first one sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from trueup.reports.journal.records import FleetDeclared, LoadResult
from trueup.reports.journal.storage import read_journal
from trueup.scenarios.embedded.process import embedded_reference
from trueup.scenarios.embedded.target import key_environment, target_file
from trueup.scenarios.run.orchestrator import RunRequest, run_scenario
from trueup.scenarios.scenario import LoadPart, Scenario

pytestmark = pytest.mark.slow


def test_a_second_run_with_the_same_seed_is_not_compared_with_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same people would have used the API twice; every run's users are its own."""
    with embedded_reference(data=tmp_path / "data", options=("--control",)) as reference:
        target = tmp_path / "target.toml"
        target.write_text(target_file(reference.serving, requests=5000))
        for name, value in key_environment(reference.serving).items():
            monkeypatch.setenv(name, value)
        runs = [
            run_scenario(
                RunRequest(
                    scenario=Scenario(
                        name="twice",
                        what="the same load again",
                        load=LoadPart(scenario="steady", rate=40, duration_s=2),
                    ),
                    seed=7,
                    runs=tmp_path / "runs",
                    target=target,
                )
            )
            for _ in range(2)
        ]
    assert [run.exit_status for run in runs] == [0, 0], [
        result.reason for run in runs for result in run.report.results
    ]
    for run in runs:
        records = read_journal(run.folder).records
        result = [one for one in records if isinstance(one, LoadResult)][-1]
        assert result.events.correct == result.events.accepted == 8000
        assert [
            one.parameters["namespace"] for one in records if isinstance(one, FleetDeclared)
        ] == [run.folder.name]
