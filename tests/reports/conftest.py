"""Fixtures: one run of each kind, as reports see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reports import factory
from trueup.reports.model import RunReport, build_report


@pytest.fixture
def failing(tmp_path: Path) -> RunReport:
    """A run with every kind of verdict, hostile text and a load run that missed a threshold."""
    load = factory.load_result(missed=True)
    return build_report(factory.journal(tmp_path / "failing", load=(load,), exit_status=1))


@pytest.fixture
def passing(tmp_path: Path) -> RunReport:
    """A run in which everything passed, with a load run."""
    load = factory.load_result()
    return build_report(factory.journal(tmp_path / "passing", factory.PASSES, load=(load,)))


@pytest.fixture
def cut_short(tmp_path: Path) -> RunReport:
    """A run that died: no footer, two declared checks that never reported."""
    declared = ("never-reached", "nor-this")
    journal = factory.journal(tmp_path / "cut", factory.PASSES[:4], declared=declared, finish=False)
    return build_report(journal)
