"""A run's folder: never shared, always found through `latest`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.run.run_directory import make_run_folder

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_link_points_at_the_newest_run(tmp_path: Path) -> None:
    """Two runs in one second get two folders; `latest` is the second."""
    first = make_run_folder(tmp_path / "runs", scenario="main", seed=7, now=NOW)
    second = make_run_folder(tmp_path / "runs", scenario="main", seed=7, now=NOW)
    assert first.name == "20260102-030405-main-7"
    assert first != second
    assert (tmp_path / "runs" / "latest").resolve() == second.resolve()


def test_a_place_that_cannot_hold_runs_is_named(tmp_path: Path) -> None:
    """A file in the way is a usage problem with a remedy, not a traceback."""
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(UsageProblem, match="--runs"):
        make_run_folder(tmp_path / "runs", scenario="main", seed=7, now=NOW)


def test_a_folder_called_latest_is_not_replaced(tmp_path: Path) -> None:
    """A folder that is not a run's is left alone."""
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "mine").write_text("keep")
    with pytest.raises(UsageProblem, match="move it away"):
        make_run_folder(tmp_path, scenario="main", seed=7, now=NOW)
    assert (tmp_path / "latest" / "mine").read_text() == "keep"
