"""How a run ends, and the counts with their denominators."""

from __future__ import annotations

import pytest

from tests.reports.factory import changed_load, load_result
from trueup.reports.results import CheckResult, ExitStatus, LoadThreshold, Verdict
from trueup.reports.verdict_styles import VERDICTS
from trueup.reports.verdicts import count_verdicts, load_status, overall


def result(verdict: Verdict, check: str = "c") -> CheckResult:
    return CheckResult(check=check, law="L", title="t", verdict=verdict, reason="r")


@pytest.mark.parametrize(
    ("verdicts", "missing", "interrupted", "expected"),
    [
        ("pass", "", False, ExitStatus.CONFORMS),
        ("pass warn not-applicable", "", False, ExitStatus.CONFORMS),
        ("pass fail", "", False, ExitStatus.VIOLATES),
        ("fail inconclusive", "x", True, ExitStatus.VIOLATES),
        ("pass not-testable", "", False, ExitStatus.VIOLATES),
        ("pass inconclusive", "", False, ExitStatus.COULD_NOT_TELL),
        ("pass blocked-by", "", False, ExitStatus.COULD_NOT_TELL),
        ("pass", "x", False, ExitStatus.OUR_ERROR),
        ("pass inconclusive", "x", False, ExitStatus.OUR_ERROR),
        ("pass", "x", True, ExitStatus.COULD_NOT_TELL),
        ("pass", "", True, ExitStatus.COULD_NOT_TELL),
        ("not-applicable", "", False, ExitStatus.COULD_NOT_TELL),
        ("", "", False, ExitStatus.OUR_ERROR),
        ("", "", True, ExitStatus.COULD_NOT_TELL),
    ],
)
def test_the_weightiest_fact_decides_how_a_run_ends(
    verdicts: str, missing: str, interrupted: bool, expected: ExitStatus
) -> None:
    """Fail outranks all, missing reports are ours, doubt outranks pass, not applicable is not a
    pass, and no result at all is ours."""
    results = [result(Verdict(verdict)) for verdict in verdicts.split()]
    assert overall(results, missing=missing.split(), interrupted=interrupted) is expected


LOAD = load_result()


def missed(*, timed: bool, value: float | None = 9.0) -> LoadThreshold:
    return LoadThreshold(name="n", limit=1, value=value, unit="events", ok=False, timed=timed)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ExitStatus.CONFORMS),
        ({"events": {"correct": LOAD.events.accepted - 1}}, ExitStatus.VIOLATES),
        (
            {"events": {"correct": LOAD.events.accepted - 1}, "generator": {"limited": True}},
            ExitStatus.VIOLATES,
        ),
        ({"generator": {"limited": True}}, ExitStatus.COULD_NOT_TELL),
        ({"events": {"correct": None}}, ExitStatus.COULD_NOT_TELL),
        ({"timeline": {"stopped_by": "backlog"}}, ExitStatus.COULD_NOT_TELL),
        ({"thresholds": load_result(missed=True).thresholds}, ExitStatus.VIOLATES),
        (
            {"thresholds": load_result(missed=True).thresholds, "machine": {"noisy": True}},
            ExitStatus.COULD_NOT_TELL,
        ),
        (
            {"thresholds": (missed(timed=False),), "machine": {"noisy": True}},
            ExitStatus.VIOLATES,
        ),
        (
            {"thresholds": (missed(timed=True), missed(timed=False)), "machine": {"noisy": True}},
            ExitStatus.VIOLATES,
        ),
        (
            {"thresholds": (missed(timed=False, value=None),), "machine": {"noisy": True}},
            ExitStatus.COULD_NOT_TELL,
        ),
        (
            {
                "thresholds": (missed(timed=False),),
                "requests": {"completed": 0},
                "events": {"sent": 0, "accepted": 0, "correct": 0},
            },
            ExitStatus.COULD_NOT_TELL,
        ),
        (
            {"events": {"correct": 0}, "machine": {"noisy": True}},
            ExitStatus.VIOLATES,
        ),
        (
            {"thresholds": (LoadThreshold(name="n", limit=1, value=None, unit="ms", ok=False),)},
            ExitStatus.COULD_NOT_TELL,
        ),
    ],
)
def test_a_load_run_passes_only_on_figures_that_mean_something(
    changes: dict[str, object], expected: ExitStatus
) -> None:
    """Wrong data fails; a limited generator is undetermined, a disturbed machine for times only."""
    load = changed_load(LOAD, **changes)
    assert load_status(load) is expected
    assert overall([], [load]) is expected


def test_counts_are_shown_with_all_four_numbers() -> None:
    """No count stands without its denominators."""
    results = [result(verdict) for verdict in Verdict]
    made = count_verdicts(results, missing=2)
    assert (made.passed, made.tested, made.testable, made.total) == (1, 3, 7, 9)
    assert str(made) == "1 passed / 3 tested / 7 testable / 9 total"
    assert sum(count for _, count in made.by_verdict) + made.missing == made.total


def test_every_verdict_has_a_style() -> None:
    """A new verdict must be given words before it can be shown."""
    assert set(VERDICTS) == set(Verdict)
    assert len({look.weight for look in VERDICTS.values()}) == len(VERDICTS)
    assert all(look.ascii_mark.isascii() for look in VERDICTS.values())
