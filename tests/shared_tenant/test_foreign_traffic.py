"""Foreign traffic and a second run on the same account change no verdict and hide no fault."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.shared_tenant.environment import (
    Environment,
    run_environment,
    run_in_environment,
    verdicts,
)
from tests.shared_tenant.foreign import Foreign
from trueup.reports.results import Verdict

pytestmark = pytest.mark.slow

ENOUGH = 10_000
"""Foreign events that must have arrived by the end; half of them before the checks begin."""
RATE, BATCH = 6000.0, 600
"""Events a second, and in a delivery: bursts with a tenth of a second of quiet between them."""
LEVEL = 3
LIMIT_S = 120
_UNSHARED = {"account-requests-are-the-traffic", "ledger-requests-are-the-traffic"}
"""Weak checks that are not applied where others use the account at the same time."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, str]]:
    """Verdicts of a run without foreign traffic, by level."""
    found = {}
    for level in (2, LEVEL):
        folder = tmp_path_factory.mktemp(f"alone-{level}")
        with run_environment(folder) as at:
            result = run_in_environment(at, folder / "runs", level=level)
        assert result.error is None
        found[level] = verdicts(result.report.results)
        assert set(found[level].values()) <= {"pass", "not-applicable"}
    return found


def test_ten_thousand_foreign_events_change_no_verdict(
    tmp_path: Path, alone: dict[int, dict[str, str]]
) -> None:
    """The events share account, days, networks and hostnames with the injected ones."""
    with run_environment(tmp_path) as at, Foreign(at, rate=RATE, batch=BATCH) as foreign:
        foreign.wait_for(ENOUGH // 2)
        result = run_in_environment(at, tmp_path / "runs", level=LEVEL)
        arrived, days = foreign.events, len(foreign.accepted)
    assert result.error is None
    assert arrived >= ENOUGH
    assert days >= 4, "they kept arriving while the clock moved"
    assert foreign.on_the_judges_hosts >= arrived // 4
    found = verdicts(result.report.results)
    assert found.keys() == alone[LEVEL].keys()
    differ = {check for check in found if found[check] != alone[LEVEL][check]}
    assert differ == set()


def test_a_steady_stream_changes_no_verdict(
    tmp_path: Path, alone: dict[int, dict[str, str]]
) -> None:
    """Level 2 under constant traffic: account figures are compared with a range."""
    with run_environment(tmp_path) as at, Foreign(at, rate=3000, batch=50) as foreign:
        result = run_in_environment(at, tmp_path / "runs", level=2)
        arrived = foreign.events
    assert result.error is None
    assert arrived >= ENOUGH // 10
    assert verdicts(result.report.results) == alone[2]


@pytest.mark.parametrize(("fault", "law"), [("A2", "SUM=LOG"), ("E1", "LEDGER=SUM")])
def test_a_fault_is_detected_among_foreign_events(tmp_path: Path, fault: str, law: str) -> None:
    """The law that must detect the fault still fails, for the same reason."""
    with (
        run_environment(tmp_path, "--fault", fault) as at,
        Foreign(at, rate=RATE, batch=BATCH) as foreign,
    ):
        result = run_in_environment(at, tmp_path / "runs", level=2)
        arrived = foreign.events
    assert result.error is None
    assert arrived >= ENOUGH // 4, "a run of level 2 is short"
    failed = [r for r in result.report.results if r.verdict is Verdict.FAIL]
    assert law in {result.law for result in failed}
    assert all(result.counterexample for result in failed)


def test_two_runs_at_once_have_the_verdicts_of_one_run(
    tmp_path: Path, alone: dict[int, dict[str, str]]
) -> None:
    """At level 2 neither run moves the clock that both share."""
    with run_environment(tmp_path) as at:
        children = [_start(at, tmp_path / f"runs-{n}", seed=n) for n in (1, 2)]
        ended = [child.communicate(timeout=LIMIT_S) for child in children]
    for child, (said, complained) in zip(children, ended, strict=True):
        assert child.returncode == 0, complained
        found = {row["check"]: row["verdict"] for row in json.loads(said)["checks"]}
        assert {c: v for c, v in found.items() if c not in _UNSHARED} == {
            c: v for c, v in alone[2].items() if c not in _UNSHARED
        }


@pytest.mark.parametrize("later_s", [0.0, 1.5])
def test_two_runs_that_move_the_same_clock_never_fail_a_check(
    tmp_path: Path, later_s: float
) -> None:
    """Each conforms, or ends with status 2: also where one finds the clock moved in its middle."""
    with run_environment(tmp_path) as at:
        children = [_start(at, tmp_path / "runs-1", seed=1, level=3)]
        time.sleep(later_s)
        children.append(_start(at, tmp_path / "runs-2", seed=2, level=3))
        ended = [child.communicate(timeout=LIMIT_S) for child in children]
    for child, (_, complained) in zip(children, ended, strict=True):
        assert child.returncode in (0, 2), complained
        assert "Traceback" not in complained


def _start(at: Environment, runs: Path, *, seed: int, level: int = 2) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "trueup", "check", "--json", "--quiet"),
            *("--target", str(at.target), "--level", str(level)),
            *("--runs", str(runs), "--seed", str(seed)),
        ],
        env={**os.environ, **at.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
