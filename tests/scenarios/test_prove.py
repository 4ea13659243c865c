"""How trials become kills, survivors, voids and false alarms."""

from __future__ import annotations

import pytest

from trueup.reports.renderers.kill_matrix import FaultStatus
from trueup.reports.results import CheckResult, Verdict
from trueup.scenarios.mutation.prove import alarms, status_of
from trueup.scenarios.mutation.trial import Trial


def result(law: str, verdict: Verdict) -> CheckResult:
    return CheckResult(check=f"check-{law}", law=law, title="-", verdict=verdict, reason="-")


@pytest.mark.parametrize(
    ("trial", "status"),
    [
        (Trial(results=(result("KEY", Verdict.FAIL),)), FaultStatus.KILLED),
        (Trial(results=(result("PAGE", Verdict.FAIL),)), FaultStatus.KILLED_OTHER),
        (Trial(results=(result("KEY", Verdict.PASS),)), FaultStatus.SURVIVED),
        (Trial(results=(result("KEY", Verdict.INCONCLUSIVE),)), FaultStatus.SURVIVED),
        (Trial(results=(result("KEY", Verdict.BLOCKED),)), FaultStatus.SURVIVED),
        (Trial(), FaultStatus.VOID),
        (Trial(error="did not start"), FaultStatus.VOID),
        (Trial(timed_out=True), FaultStatus.TIMEOUT),
    ],
)
def test_a_fault_is_killed_only_by_a_law_that_is_expected_to_detect_it(
    trial: Trial, status: FaultStatus
) -> None:
    """Failing for another reason, not deciding, or not starting is no kill."""
    assert status_of(trial, ["KEY", "SUM=LOG"]) is status


def test_a_failed_check_of_a_correct_implementation_is_an_alarm() -> None:
    """Failures and not-testable checks count; doubt does not."""
    trial = Trial(
        results=(
            result("A", Verdict.FAIL),
            result("B", Verdict.NOT_TESTABLE),
            result("C", Verdict.INCONCLUSIVE),
            result("D", Verdict.PASS),
        )
    )
    assert alarms(trial) == ["check-A", "check-B"]


@pytest.mark.parametrize("trial", [Trial(), Trial(error="x"), Trial(timed_out=True)])
def test_a_variant_that_could_not_be_tried_is_an_alarm(trial: Trial) -> None:
    """A trial that was not held must not count as silence."""
    assert len(alarms(trial)) == 1
