"""A search for the limit, step by step, with a stand-in for the load run itself."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.load.test_thresholds import result, sparse
from tests.reports.factory import changed_load
from trueup.reports.errors import ConfigurationError
from trueup.reports.journal.records import FleetDeclared, LoadResult, OutcomeRange
from trueup.reports.results import Outcome
from trueup.scenarios.errors import OwnError
from trueup.scenarios.load import execute
from trueup.scenarios.load.capacity_search import Step, StepResult
from trueup.scenarios.load.execute import CapacityStep, at_knee, execute_load, workers_text
from trueup.scenarios.load.job import LoadJob, Locust
from trueup.scenarios.load.plan import LoadPlan, load_plan, with_changes
from trueup.scenarios.load.verdict import judged
from trueup.scenarios.scenario import load_scenario
from trueup.simulator.delivery import HttpForm

FLEET = FleetDeclared(
    fleet="load",
    profile="default",
    profile_sha256="0",
    model_version="1",
    seed=7,
    start="2026-05-04 12:00:00",
    customers=(1, 2),
)
PER_STEP = 500


class FakeRuns:
    """Plays the load run: a target that keeps its limits up to 150 requests/s."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **fails: object) -> None:
        self.plans: list[LoadPlan] = []
        self.sent: list[tuple[int, int]] = []
        self.kept: list[LoadResult] = []
        self.said: list[str] = []
        self.fails = fails
        monkeypatch.setattr(execute, "run_load", self.run_load)

    async def run_load(
        self, job: LoadJob, *, keep: Any
    ) -> tuple[LoadResult, tuple[OutcomeRange, ...]]:
        plan, first_event, probe = job.plan, job.first_event, job.probe
        self.plans.append(plan)
        rate, step = plan.shape.rate, len(self.plans)
        fresh = sparse(5) if probe is not None else {}
        p50 = 1 if rate <= 150 else 100
        measured = result(
            plan={"rate_rps": rate},
            latency={"response_ns": sparse(*[p50] * 9), "freshness_ns": fresh},
        )
        ranges = (OutcomeRange(first=first_event, count=PER_STEP, outcome=Outcome.ACCEPTED),)
        if step == self.fails.get("interrupted_at"):
            keep(changed_load(measured, timeline={"stopped_by": "interrupted"}), ranges)
            raise asyncio.CancelledError
        if step == self.fails.get("broken_at"):
            raise OwnError("Locust ended with status 1 and reported no results")
        return judged(measured, plan.thresholds), ranges

    async def search(
        self, limits: dict[str, float], *, probe: Any = None
    ) -> tuple[LoadResult, tuple[OutcomeRange, ...]]:
        plan = with_changes(load_plan("steady"), rate=100)
        job = LoadJob(
            plan=msgspec.structs.replace(plan, thresholds=limits),
            ingest=HttpForm(url="http://127.0.0.1:9/i"),
            fleet=FLEET,
            out_dir=Path(),
            probe=probe,
            say=self.said.append,
            sent=lambda ranges: self.sent.extend((one.first, one.count) for one in ranges),
        )
        return await execute_load(job, calibrated=False, find_limit=True, keep=self.kept.append)


@pytest.mark.parametrize(
    "name, limit", [("correct_share", 1.0), ("freshness_p99_ms", 100), ("read_p99_ms", 100)]
)
async def test_a_step_is_not_held_to_what_it_cannot_measure(
    monkeypatch: pytest.MonkeyPatch, name: str, limit: float
) -> None:
    """Correctness shows at the end, reads and freshness only where something measures them."""
    told = FakeRuns(monkeypatch)
    found, _ = await told.search({"response_p99_ms": 50, name: limit})
    assert all(list(plan.thresholds) == ["response_p99_ms"] for plan in told.plans)
    assert found.knee is not None
    assert 130 < (found.knee.low_rps or 0) <= 150 < (found.knee.high_rps or 0) < 170


async def test_a_step_is_held_to_freshness_where_a_probe_measures_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What can be measured counts."""
    told = FakeRuns(monkeypatch)
    found, _ = await told.search({"freshness_p99_ms": 1}, probe=object())
    assert found.knee is not None
    assert found.knee.low_rps is None
    assert not found.thresholds[0].ok


async def test_the_events_of_each_step_are_reported_at_its_end_and_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The journal has them before the next step begins, and not again at the end."""
    told = FakeRuns(monkeypatch)
    _, ranges = await told.search({"response_p99_ms": 50})
    assert len(told.plans) > 3
    assert told.sent == [(step * PER_STEP, PER_STEP) for step in range(len(told.plans))]
    assert sum(one.count for one in ranges) == PER_STEP * len(told.plans)
    assert told.kept == []


async def test_every_step_of_a_search_is_in_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rate, outcome, what was measured, and the thresholds that were missed."""
    told = FakeRuns(monkeypatch)
    found, _ = await told.search({"response_p99_ms": 50})
    assert found.knee is not None
    steps = found.knee.steps
    assert [step.rate_rps for step in steps] == [plan.shape.rate for plan in told.plans]
    assert [step.seen for step in steps[:2]] == ["met", "missed"]
    assert (steps[0].events_per_s, steps[0].missed) == (1000.0, ())
    assert [(row.name, row.limit) for row in steps[1].missed] == [("response_p99_ms", 50)]


async def test_a_search_says_what_each_step_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate before, what came of it after: kept, or the limit that was missed."""
    told = FakeRuns(monkeypatch)
    await told.search({"response_p99_ms": 50})
    assert told.said[:4] == [
        "step 1: 100 requests/s …",
        "step 1: 100 requests/s met: 1,000 events/s accepted, p99 1.0 ms",
        "step 2: 200 requests/s …",
        "step 2: 200 requests/s missed: 1,000 events/s accepted, p99 99.9 ms, "
        "response_p99_ms: 99.9 ms, limit 50 ms",
    ]


def test_the_command_that_starts_workers_is_shown() -> None:
    """The command for their hosts, how many, and how long the master waits."""
    said = workers_text(Locust(master_bind="192.0.2.1", workers=3))
    assert "waiting 60 s for 3 workers" in said
    assert "locust -f scenarios/locustfiles/reactor.py --worker --master-host 192.0.2.1" in said
    everywhere = workers_text(Locust(master_bind="0.0.0.0", workers=1))
    assert "0.0.0.0" not in everywhere
    assert "1 worker;" in everywhere


async def test_the_address_of_the_web_page_is_shown_once_it_is_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not before: whoever follows it finds the page."""
    told: list[str] = []
    up = asyncio.Event()

    async def run_load(job: LoadJob, *, keep: Any) -> tuple[LoadResult, tuple[OutcomeRange, ...]]:
        assert not told
        with socket.create_server(("127.0.0.1", port)):
            async with asyncio.timeout(5):
                await up.wait()
        return result(), ()

    def tell(words: str) -> None:
        told.append(words)
        up.set()

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(execute, "run_load", run_load)
    job = LoadJob(
        plan=load_plan("steady"),
        ingest=HttpForm(url="http://127.0.0.1:9/i"),
        fleet=FLEET,
        out_dir=Path(),
        locust=Locust(web_port=port),
        tell=tell,
    )
    await execute_load(job, calibrated=False, find_limit=False, keep=lambda _: None)
    assert told == [f"Locust's web page: http://127.0.0.1:{port}"]


async def test_a_later_step_that_fails_leaves_what_the_earlier_ones_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Events of every finished step, and the knee as far as it was known, before the error."""
    told = FakeRuns(monkeypatch, broken_at=3)
    with pytest.raises(OwnError):
        await told.search({"response_p99_ms": 50})
    assert told.sent == [(0, PER_STEP), (PER_STEP, PER_STEP)]
    (kept,) = told.kept
    assert kept.knee is not None
    assert (kept.plan.rate_rps, kept.knee.low_rps, kept.knee.high_rps) == (100, 100, 200)
    assert "cut short" in kept.knee.why


async def test_a_search_that_is_interrupted_tells_the_events_of_the_open_step_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The open step's events are reported; its partial result is not the knee's."""
    told = FakeRuns(monkeypatch, interrupted_at=3)
    with pytest.raises(asyncio.CancelledError):
        await told.search({"response_p99_ms": 50})
    assert told.sent == [(0, PER_STEP), (PER_STEP, PER_STEP), (2 * PER_STEP, PER_STEP)]
    assert [one.plan.rate_rps for one in told.kept] == [100]


async def test_a_search_that_is_interrupted_in_its_first_step_tells_what_that_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing else is known."""
    told = FakeRuns(monkeypatch, interrupted_at=1)
    with pytest.raises(asyncio.CancelledError):
        await told.search({"response_p99_ms": 50})
    assert told.sent == [(0, PER_STEP)]
    assert [one.timeline.stopped_by for one in told.kept] == ["interrupted"]


def measured(rate: float, seen: StepResult, events: int = 0) -> CapacityStep:
    return CapacityStep(
        step=Step(rate=rate, seen=seen),
        result=result(plan={"rate_rps": rate}, events={"accepted": events}),
    )


def test_a_rate_that_was_kept_once_and_missed_twice_is_not_the_result() -> None:
    """The knee is 141 to 154: the result is that of 141, not of the 200 that was outvoted."""
    steps = [
        measured(100, StepResult.MET),
        measured(200, StepResult.MET),
        measured(200, StepResult.MISSED),
        measured(200, StepResult.MISSED),
        measured(141, StepResult.MET, events=1),
        measured(154, StepResult.MISSED),
        measured(141, StepResult.MISSED),
        measured(141, StepResult.MET, events=2),
    ]
    assert (at_knee(steps).plan.rate_rps, at_knee(steps).events.accepted) == (141, 2)


def test_a_search_that_kept_nothing_gives_a_result_that_kept_nothing() -> None:
    """A rate that was kept once and missed once proves nothing."""
    steps = [
        measured(1, StepResult.MET),
        measured(2, StepResult.MISSED),
        measured(1, StepResult.MISSED),
    ]
    assert at_knee(steps).plan.rate_rps == 1
    assert at_knee(steps) is steps[2].result


def test_a_scenario_file_cannot_ask_for_a_search_with_workers_elsewhere(tmp_path: Path) -> None:
    """As on the command line: refused, with the keys."""
    path = tmp_path / "s.toml"
    path.write_text(
        "name = 's'\nwhat = '-'\n[load]\nscenario = 'steady'\nfind_limit = true\n"
        "master_bind = '127.0.0.1'\nworkers = 2\n"
    )
    with pytest.raises(ConfigurationError, match=r"(?s)load\.find_limit.*load\.master_bind"):
        load_scenario(str(path))
