"""Two runs: what changed, with intervals; runs that asked other questions are refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.reports.factory import PASSES, changed_load, journal, load_result
from trueup.reports.comparison.compare import Trend, bootstrap_difference, compare, comparison_text
from trueup.reports.errors import NotComparable
from trueup.reports.journal.records import LoadResult
from trueup.reports.model import RunReport, build_report
from trueup.reports.results import CheckResult, ExitStatus, Verdict


def run(
    folder: Path,
    results: tuple[CheckResult, ...] = PASSES,
    load: LoadResult | None = None,
    **header: Any,
) -> RunReport:
    return build_report(journal(folder, results, load=(load or load_result(),), **header))


def slower(factor: float) -> LoadResult:
    load = load_result()
    seconds = tuple(
        second | {"p99_ms": second["p99_ms"] * factor} for second in load.timeline.seconds
    )
    return changed_load(load, timeline={"seconds": seconds})


def steady(p99_ms: float) -> LoadResult:
    """Without the slow second, which would hide any difference."""
    load = load_result()
    seconds = tuple(
        second | {"p99_ms": p99_ms * (1 + 0.02 * math.sin(second["t"] * 1.7))}
        for second in load.timeline.seconds
    )
    return changed_load(load, timeline={"seconds": seconds})


def test_the_same_run_twice_shows_no_change(tmp_path: Path) -> None:
    """No verdict changed, no figure differs, nothing is worse."""
    made = compare(run(tmp_path / "a"), run(tmp_path / "b"))
    assert made.changes == ()
    assert {change.trend for change in made.load} == {Trend.SAME}
    assert made.status is ExitStatus.CONFORMS


def test_a_verdict_that_fell_makes_it_worse(tmp_path: Path) -> None:
    """From pass to fail is worse; from fail to pass is better."""
    failed = (msgspec.structs.replace(PASSES[0], verdict=Verdict.FAIL), *PASSES[1:])
    a, b = run(tmp_path / "a"), run(tmp_path / "b", failed)
    assert compare(a, b).status is ExitStatus.VIOLATES
    assert [change.trend for change in compare(b, a).changes] == [Trend.BETTER]
    assert "keys-required: pass → fail" in comparison_text(compare(a, b))


def test_a_check_that_is_gone_makes_it_worse(tmp_path: Path) -> None:
    """A check that no longer reports must not look like peace."""
    a, b = run(tmp_path / "a"), run(tmp_path / "b", PASSES[1:])
    assert compare(a, b).status is ExitStatus.VIOLATES
    assert compare(b, a).status is ExitStatus.CONFORMS


def test_a_clear_slowdown_is_found_and_a_small_one_is_not_worth_a_word(tmp_path: Path) -> None:
    """20 % more p99 with little noise is worse; 2 % more is below the floor."""
    base = run(tmp_path / "a", load=steady(5.0))
    trends = {
        share: {
            change.figure: change.trend
            for change in compare(base, run(tmp_path / str(share), load=steady(5 * share))).load
        }["p99 latency"]
        for share in (1.2, 1.02, 0.8)
    }
    assert trends == {1.2: Trend.WORSE, 1.02: Trend.SAME, 0.8: Trend.BETTER}


def test_noise_is_not_taken_for_a_difference(tmp_path: Path) -> None:
    """One slow second in twelve: ten per cent more is within the noise."""
    made = compare(run(tmp_path / "a"), run(tmp_path / "b", load=slower(1.1)))
    assert {change.figure: change.trend for change in made.load}["p99 latency"] is Trend.SAME


def test_too_few_seconds_say_nothing(tmp_path: Path) -> None:
    """Six seconds, of which two are warm-up."""
    seconds = load_result().timeline.seconds[:6]
    short = changed_load(load_result(), timeline={"seconds": seconds}, plan={"duration_s": 6.0})
    made = compare(run(tmp_path / "a", load=short), run(tmp_path / "b", load=short))
    assert {change.trend for change in made.load} == {Trend.UNKNOWN}


def test_runs_of_other_questions_are_refused(tmp_path: Path) -> None:
    """The error names each respect in which they differ."""
    other = changed_load(load_result(), plan={"digest": "feed"})
    with pytest.raises(NotComparable, match=r"seed \(7 and 8\), digest of the plan"):
        compare(run(tmp_path / "a"), run(tmp_path / "b", load=other, seed=8))


def test_the_interval_holds_the_true_difference_and_is_reproducible() -> None:
    """Known series; the same result every time; (0, 0) for empty ones."""
    first = [10 + math.sin(i * 2.1) for i in range(60)]
    second = [12 + math.sin(i * 1.3) for i in range(60)]
    low, high = bootstrap_difference(first, second)
    assert low < 2 < high
    assert high - low < 1.5
    assert bootstrap_difference(first, second) == (low, high)
    assert bootstrap_difference([], second) == (0.0, 0.0)
