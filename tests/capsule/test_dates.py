"""When the parts of a capsule can be judged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trueup.conformance.checks.registry import CHECKS
from trueup.conformance.contract.capsule_dates import (
    PHASES,
    CapsulePhase,
    PhaseDates,
    PlantedTime,
    Timing,
    phase_dates,
    why_not_now,
)
from trueup.conformance.contract.interpretation import Interpretation

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
READING = Interpretation(
    values={"retention-lag-h": "1", "consolidation-lag-h": "24"},
    declared=frozenset(),
    claims=frozenset(),
)


def _dates() -> dict[CapsulePhase, PhaseDates]:
    """Of a capsule with an event of the noon of planting, and one of two days before."""
    planted = [
        PlantedTime(at=NOON, created=NOON),
        PlantedTime(at=NOON - timedelta(days=2), created=NOON),
    ]
    return {each.phase: each for each in phase_dates(READING, planted)}


@pytest.mark.parametrize(
    ("days", "check", "timing"),
    [
        (0, "logs-are-complete", Timing.NOW),
        (5.5, "logs-are-complete", Timing.IN_PART),
        (8, "logs-are-complete", Timing.TOO_LATE),
        (3, "logs-are-kept", Timing.TOO_EARLY),
        (4.5, "logs-are-kept", Timing.IN_PART),
        (8, "logs-are-kept", Timing.TOO_LATE),
        (4.9, "logs-are-removed", Timing.TOO_EARLY),
        (5.1, "logs-are-removed", Timing.IN_PART),
        (7.1, "logs-are-removed", Timing.NOW),
        (6, "summaries-equal-logs", Timing.NOW),
        (8, "summaries-equal-logs", Timing.IN_PART),
        (9, "summaries-equal-logs", Timing.TOO_LATE),
        (87, "summaries-keep-hostnames", Timing.NOW),
        (91, "summaries-keep-hostnames", Timing.TOO_LATE),
        (90, "consolidation-keeps-totals", Timing.TOO_EARLY),
        (91.1, "consolidation-keeps-totals", Timing.IN_PART),
        (92, "consolidation-keeps-totals", Timing.NOW),
        (0.4, "graph-equals-sent", Timing.NOW),
        (1, "graph-equals-sent", Timing.TOO_LATE),
        (1000, "ledger-usage-is-the-traffic", Timing.NOW),
    ],
)
def test_a_check_is_timely_or_its_dates_are_given(days: float, check: str, timing: Timing) -> None:
    dates, now = _dates(), NOON + timedelta(days=days)
    assert dates[PHASES[check][0]].timing(now) is timing
    why = why_not_now(dates.values(), check, now)
    assert why.partition(":")[0] == ("" if timing is Timing.NOW else timing)


def test_the_dates_are_given_to_the_minute() -> None:
    dates = _dates()
    assert dates[CapsulePhase.NO_LOGS].words() == (
        "from 2026-12-07 13:10, in part from 2026-12-05 13:10"
    )
    assert dates[CapsulePhase.LOGS].words() == (
        "until 2026-12-05 11:50, in part until 2026-12-07 11:50"
    )
    assert dates[CapsulePhase.OLD_LOGS].words() == (
        "in part from 2026-12-04 12:00 until 2026-12-07 11:50"
    )
    assert dates[CapsulePhase.ALWAYS].words() == "at any time"


def test_a_check_of_two_phases_is_timely_in_either() -> None:
    check, dates = "errors-are-the-failed-requests", _dates().values()
    assert [bool(why_not_now(dates, check, NOON + timedelta(days=d))) for d in (80, 91, 92)] == [
        False,
        True,
        False,
    ]


def test_a_capsule_of_which_nothing_was_accepted_has_no_dates() -> None:
    assert phase_dates(READING, ()) == ()


def test_every_check_of_a_capsule_exists() -> None:
    assert set(PHASES) <= {check.name for check in CHECKS}
