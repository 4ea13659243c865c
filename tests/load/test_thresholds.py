"""Thresholds, limits of the generator, comparison, the search for the knee: pure decisions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.factory import changed_load
from trueup.reports.comparison.compare import why_not_comparable
from trueup.reports.journal.records import (
    EventCounts,
    GeneratorUsage,
    LatencyHistograms,
    LoadResult,
    LoadTimeline,
    PlannedLoad,
    RequestCounts,
)
from trueup.reports.metrics.histogram import Histogram
from trueup.reports.metrics.load_metrics import error_share
from trueup.scenarios.load.aggregate import collect, load_result
from trueup.scenarios.load.capacity_search import RESOLUTION, Step, StepResult, knee, next_rate
from trueup.scenarios.load.execute import seen
from trueup.scenarios.load.freshness import watch_freshness
from trueup.scenarios.load.generator import INGEST
from trueup.scenarios.load.messages import GeneratorPlan, Report
from trueup.scenarios.load.noise import lost_share
from trueup.scenarios.load.plan import load_plan
from trueup.scenarios.load.thresholds import THRESHOLDS, check_thresholds, percentile_ms
from trueup.scenarios.load.verdict import judged
from trueup.simulator.delivery import HttpForm, ResponseRule
from trueup.simulator.delivery.responses import interpret_response
from trueup.simulator.reactor import Second


def sparse(*milliseconds: float) -> dict[str, int]:
    histogram = Histogram()
    histogram.add(np.array([int(value * 1e6) for value in milliseconds]))
    return histogram.sparse()


def result(**parts: Any) -> LoadResult:
    seconds = tuple(
        {"t": float(t), "requests": 10.0, "events": 1000.0, "errors": 0.0}
        | {"p50_ms": 1.0 + t % 3 / 10, "p99_ms": 5.0 + t % 4}
        for t in range(12)
    )
    plan = PlannedLoad(
        scenario="steady", shape="constant", duration_s=12.0, warmup_s=2.0, digest="x"
    )
    plain = LoadResult(
        plan=plan,
        generator=GeneratorUsage(engine="e"),
        requests=RequestCounts(completed=120),
        events=EventCounts(accepted=12_000),
        latency=LatencyHistograms(response_ns=sparse(1, 2, 3, 4, 100), lateness_ns=sparse(0.01)),
        timeline=LoadTimeline(seconds=seconds),
    )
    return changed_load(plain, **parts)


def test_a_threshold_is_kept_on_its_own_side_only() -> None:
    """Percentiles have a most, throughput a least."""
    rows = check_thresholds(
        result(),
        {"response_p50_ms": 3.1, "response_p99_ms": 50, "events_per_s": 900, "requests_per_s": 11},
    )
    assert [(row.name, row.ok) for row in rows] == [
        ("response_p50_ms", True),
        ("response_p99_ms", False),
        ("events_per_s", True),
        ("requests_per_s", False),
    ]
    assert rows[2].value == 1000


def test_what_was_not_measured_is_not_kept() -> None:
    """No freshness was watched: a limit on it cannot be ok."""
    (row,) = check_thresholds(result(), {"freshness_p99_ms": 1000})
    assert (row.value, row.ok) == (None, False)


@pytest.mark.parametrize("name", THRESHOLDS)
def test_every_threshold_can_be_read_off_a_result(name: str) -> None:
    """Each row of the table gives a number or says that there is none."""
    full = result(
        latency={"service_ns": sparse(1), "freshness_ns": sparse(1), "reads_ns": sparse(1)},
        events={"correct": 12_000},
    )
    assert isinstance(THRESHOLDS[name].read(full), int | float)


@pytest.mark.parametrize(
    "counts, share",
    [
        ({"completed": 120, "errors": {"HTTP 500": 120}}, 1.0),
        ({"completed": 120, "errors": {"HTTP 302": 60}}, 0.5),
        ({"completed": 0, "errors": {"timeout: no response": 7}, "unanswered": 7}, 1.0),
        ({"completed": 30, "errors": {"HTTP 500": 10, "cut": 10}, "unanswered": 10}, 0.5),
        ({"completed": 30, "reads": 30, "errors": {"HTTP 500": 30}}, 0.5),
        ({"completed": 30}, 0.0),
        ({"completed": 0}, None),
    ],
)
def test_the_error_share_is_failed_attempts_of_all_attempts(
    counts: dict[str, Any], share: float | None
) -> None:
    """A failed attempt with a response is one attempt, not two; one without counts too."""
    assert error_share(RequestCounts(**counts)) == share


@pytest.mark.parametrize("status, share", [(500, 1.0), (302, 1.0), (503, 1.0), (200, 0.0)], ids=str)
def test_the_status_of_every_response_reaches_the_error_share(status: int, share: float) -> None:
    """From a target's response through the generator's seconds to the share: 500 to all is 1."""
    answer = interpret_response(ResponseRule(), status, b"", 100)
    errors = {answer.reason: 10} if answer.reason else {}
    second = Second(t=0, requests=10, errors=errors)
    unanswered = {"timeout: no response within 10 s": 30}
    assert load_of(second) == share
    assert load_of(second, Second(t=1, errors=unanswered)) == (30 + 10 * share) / 40


def load_of(*seconds: Second) -> float | None:
    child = GeneratorPlan(
        plan=load_plan("steady"), form=HttpForm(url="http://127.0.0.1:9/i"), fleet=None
    )
    reports = [Report(worker=0, lane=INGEST, seconds=seconds)]
    return THRESHOLDS["error_share"].read(load_result(child, collect(reports), engine="e"))


def test_the_warm_up_counts_for_no_throughput() -> None:
    """Only seconds between the warm-up and the end are averaged."""
    slow_start = tuple(
        second | {"events": 0.0 if second["t"] < 2 else 1000.0}
        for second in result().timeline.seconds
    )
    assert THRESHOLDS["events_per_s"].read(result(timeline={"seconds": slow_start})) == 1000


@pytest.mark.parametrize(
    "parts, limited, noisy",
    [
        ({}, False, False),
        ({"generator": {"cpu_share": 0.95}}, True, False),
        ({"latency": {"lateness_ns": sparse(60)}}, False, True),
        ({"latency": {"lateness_ns": sparse(4), "response_ns": sparse(5)}}, False, False),
        ({"latency": {"lateness_ns": sparse(9), "response_ns": sparse(1000)}}, False, False),
        ({"machine": {"lost_share": 0.3}}, False, True),
        ({"machine": {"lost_share": 0.01}}, False, False),
    ],
)
def test_what_limited_or_disturbed_a_run_is_named(
    parts: dict[str, Any], limited: bool, noisy: bool
) -> None:
    """A busy loop is the generator's limit; lateness with time to spare is the machine's."""
    found = judged(result(**parts), {})
    assert (found.generator.limited, found.machine.noisy) == (limited, noisy)


@pytest.mark.parametrize(
    "parts, limits, expected",
    [
        ({}, {"response_p50_ms": 10}, StepResult.MET),
        ({}, {"response_p50_ms": 1}, StepResult.MISSED),
        ({"requests": {"unsent": 1}}, {}, StepResult.MISSED),
        ({"events": {"accepted": 0}}, {}, StepResult.MISSED),
        ({"machine": {"lost_share": 0.5}}, {"response_p50_ms": 10}, StepResult.MET),
        ({"machine": {"lost_share": 0.5}}, {"response_p50_ms": 1}, StepResult.DISTURBED),
        ({"generator": {"cpu_share": 0.99}}, {"response_p50_ms": 10}, StepResult.LIMITED),
        (
            {"machine": {"lost_share": 0.5}, "events": {"refused": 9}},
            {"refused_events": 0},
            StepResult.MISSED,
        ),
        (
            {"machine": {"lost_share": 0.5}, "events": {"unknown": 9}},
            {"unknown_events": 0},
            StepResult.MISSED,
        ),
        (
            {"machine": {"lost_share": 0.5}, "requests": {"errors": {"HTTP 500": 9}}},
            {"error_share": 0},
            StepResult.MISSED,
        ),
        (
            {"machine": {"lost_share": 0.5}, "requests": {"unsent": 9}},
            {"unsent_requests": 0},
            StepResult.DISTURBED,
        ),
        ({"machine": {"lost_share": 0.5}}, {"events_per_s": 9999}, StepResult.DISTURBED),
        (
            {"machine": {"lost_share": 0.5}, "events": {"refused": 9}},
            {"refused_events": 0, "response_p50_ms": 1},
            StepResult.MISSED,
        ),
    ],
)
def test_what_a_measurement_says_of_its_rate(
    parts: dict[str, Any], limits: dict[str, float], expected: StepResult
) -> None:
    """Kept in spite of noise is kept; a time or a rate that was missed under noise is measured
    again; an event that was refused or lost under noise was refused or lost."""
    assert seen(judged(result(**parts), limits)) is expected


def test_a_machine_that_spins_undisturbed_loses_a_share_between_nothing_and_all() -> None:
    """The canary gives a share, whatever the machine."""
    assert 0 <= lost_share(0.01) <= 1


# The search


def searched(
    limit: float, start: float, *, generator: float = 1e12, flaky: Collection[int] = ()
) -> list[Step]:
    """Search a target that keeps its limits up to `limit`; `flaky` steps lie."""
    steps: list[Step] = []
    while (rate := next_rate(steps, start=start)) is not None:
        kept = (rate <= limit) != (len(steps) in flaky)
        seen = (
            StepResult.LIMITED
            if rate > generator
            else StepResult.MET
            if kept
            else StepResult.MISSED
        )
        steps.append(Step(rate=rate, seen=seen))
    return steps


@given(limit=st.floats(10, 1e5), start=st.floats(5, 1e4))
def test_the_search_encloses_the_limit_and_has_measured_both_ends_twice(
    limit: float, start: float
) -> None:
    """Whatever the limit and the start: an interval of the promised width around it."""
    steps = searched(limit, start)
    found = knee(steps)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= limit < found.high
    assert found.high / found.low <= 1 + RESOLUTION + 1e-9 or len(steps) == 24
    if len(steps) < 24:
        assert found.verified
        times = Counter(step.rate for step in steps)
        assert times[found.low] >= 2
        assert times[found.high] >= 2


@given(lie=st.integers(0, 6))
def test_one_lie_of_a_noisy_machine_is_outvoted_or_left_unverified(lie: int) -> None:
    """A single wrong measurement must not end in a wrong interval that calls itself verified."""
    found = knee(searched(1000, 300, flaky={lie}))
    if found.verified:
        assert found.low is not None
        assert found.high is not None
        assert found.low <= 1000 * (1 + RESOLUTION) ** 2
        assert found.high >= 1000 / (1 + RESOLUTION) ** 2


def test_a_search_that_the_generator_ends_says_so() -> None:
    """The target's limit is above what we can send: a low end, no high one."""
    found = knee(searched(1e9, 100, generator=5000))
    assert found.low is not None
    assert 4000 < found.low <= 5000
    assert (found.high, found.verified) == (None, False)
    assert "generator" in found.why


def test_a_rate_between_kept_and_missed_that_the_generator_cannot_reach_is_an_end() -> None:
    """The search goes on below it, ends, and says what is in between."""
    steps = [Step(rate=100, seen=StepResult.MET), Step(rate=200, seen=StepResult.MISSED)]
    while (rate := next_rate(steps, start=100)) is not None:
        steps.append(Step(rate=rate, seen=StepResult.LIMITED if rate > 120 else StepResult.MET))
    rates = [step.rate for step in steps]
    assert len(rates) == len(set(rates)) < 10
    found = knee(steps)
    assert found.low is not None
    assert 100 < found.low <= 120
    assert (found.high, found.verified) == (200, False)
    assert "between the two the generator was the limit" in found.why


def test_an_end_that_the_generator_did_not_reach_again_is_left_unverified() -> None:
    """Kept once, then out of reach: it is not measured over and over."""
    steps = [
        Step(rate=100, seen=StepResult.MET),
        Step(rate=109, seen=StepResult.MISSED),
        Step(rate=100, seen=StepResult.LIMITED),
        Step(rate=109, seen=StepResult.LIMITED),
    ]
    assert next_rate(steps, start=100) is None
    assert (knee(steps).low, knee(steps).high, knee(steps).verified) == (100, 109, False)


@given(
    limit=st.floats(10, 1e5),
    start=st.floats(5, 1e4),
    moods=st.lists(st.sampled_from([None, None, None, *StepResult]), min_size=24, max_size=24),
)
def test_every_search_ends_whatever_its_steps_measure(
    limit: float, start: float, moods: list[StepResult | None]
) -> None:
    """Results of every kind: it ends, and a rate out of reach is tried twice at most."""
    steps: list[Step] = []
    while (rate := next_rate(steps, start=start)) is not None:
        told = StepResult.MET if rate <= limit else StepResult.MISSED
        steps.append(Step(rate=rate, seen=moods[len(steps)] or told))
    found = knee(steps)
    assert found.low is None or found.high is None or found.low < found.high
    limited = Counter(step.rate for step in steps if step.seen is StepResult.LIMITED)
    assert max(limited.values(), default=0) <= 1


def test_disturbed_measurements_are_repeated_and_then_given_up() -> None:
    """Three in a row are measured again; the fourth ends the search, which says why."""
    steps = [Step(rate=10, seen=StepResult.MET)]
    for _ in range(4):
        assert next_rate(steps, start=10) == 20
        steps.append(Step(rate=20, seen=StepResult.DISTURBED))
    assert next_rate(steps, start=10) is None
    assert "disturbed" in knee(steps).why
    assert knee(steps).low == 10


def test_a_target_that_keeps_nothing_ends_the_search() -> None:
    """Not even one request a second: said plainly."""
    found = knee(searched(0.01, 50))
    assert found.low is None
    assert "no rate" in found.why


# Comparison


@pytest.mark.parametrize(
    "parts, word",
    [
        ({"generator": {"limited": True}}, "generator was the limit"),
        ({"machine": {"noisy": True}}, "disturbed"),
        ({"timeline": {"stopped_by": "the target was gone"}}, "ended early"),
        (
            {"plan": {"duration_s": 6.0}, "timeline": {"seconds": result().timeline.seconds[:6]}},
            "for longer",
        ),
    ],
)
def test_a_run_that_says_nothing_is_not_fit_to_be_compared(
    parts: dict[str, Any], word: str
) -> None:
    """Own limit, noise, cut short, too short: the reason."""
    assert why_not_comparable(result()) == ""
    assert word in why_not_comparable(result(**parts))


# Freshness


class Delayed:
    """A probe whose events show after so many looks; the third never does."""

    def __init__(self, stop: asyncio.Event) -> None:
        self.looks: Counter[int] = Counter()
        self.stop = stop
        self.number = -1

    async def inject(self) -> bool:
        self.number += 1
        if self.number == 4:
            self.stop.set()
        return self.number != 1

    async def visible(self) -> bool:
        self.looks[self.number] += 1
        return self.number != 2 and self.looks[self.number] > 3


async def test_freshness_counts_the_events_that_show_and_those_that_never_do() -> None:
    """Injected 0, 2, 3, 4; 1 was not acknowledged; 2 is acknowledged and never shows."""
    stop = asyncio.Event()
    probe = Delayed(stop)
    shown, missing = await watch_freshness(
        probe, stop=stop, every_s=0.001, poll_s=0.0, limit_s=0.05
    )
    assert (sum(shown.values()), missing) == (3, 1)
    assert 1 not in probe.looks
    assert percentile_ms(shown, 1.0) is not None
