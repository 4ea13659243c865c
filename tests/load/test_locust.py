"""Whole load runs through Locust as a child process, against a small sink."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from tests.load.chaos_proxy import FINE, MISHAPS, ChaosProxy
from tests.load.sink import Sink, serving
from trueup.reports.journal.records import Hook, OutcomeRange
from trueup.reports.results import ExitStatus, Outcome
from trueup.reports.verdicts import load_status
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.load import execute
from trueup.scenarios.load.execute import calibrate, execute_load
from trueup.scenarios.load.job import LoadJob, Locust, Progress
from trueup.scenarios.load.messages import ReadsFrom
from trueup.scenarios.load.plan import LoadPlan, load_plan, with_changes
from trueup.scenarios.load.run import LOAD_FILE, run_load
from trueup.scenarios.load.traffic import load_fleet
from trueup.simulator.delivery import HttpForm, ResponseRule
from trueup.simulator.fleet import Fleet

pytestmark = pytest.mark.slow

RULE = ResponseRule(accepted="accepted")
LOCUSTFILES = Path("scenarios/locustfiles").resolve()


def planned(name: str = "steady", **changes: Any) -> tuple[LoadPlan, Fleet]:
    plan = with_changes(load_plan(name), **{"rate": 40, "duration_s": 2, **changes})
    fleet = load_fleet(plan, customers=(1, 2), now=datetime.now(UTC))
    return plan, fleet


def with_limits(plan: LoadPlan, **limits: Any) -> LoadPlan:
    return msgspec.structs.replace(plan, thresholds=limits)


def form(port: int) -> HttpForm:
    return HttpForm(url=f"http://127.0.0.1:{port}/ingest", response_rule=RULE, timeout_s=2)


def job(plan: LoadPlan, fleet: Fleet, port: int, folder: Path, **more: Any) -> LoadJob:
    """A load of a fleet's events on the sink at a port; what is written goes to a folder."""
    return LoadJob(
        plan=plan, ingest=form(port), fleet=fleet.identity("load"), out_dir=folder, **more
    )


def ids(
    fleet: Fleet, ranges: Iterable[OutcomeRange], outcome: Outcome = Outcome.ACCEPTED
) -> set[str]:
    return {
        log_id
        for part in ranges
        if part.outcome is outcome
        for log_id in fleet.batch(part.first, part.count).log_ids()
    }


@pytest.mark.parametrize("processes", [1, 2])
async def test_what_is_said_to_be_accepted_is_what_the_sink_holds(
    tmp_path: Path, processes: int
) -> None:
    """In one process, and as a master with two workers: the same events, each sent once."""
    plan, fleet = planned(rate=80, duration_s=1)
    sink = Sink()
    seen: list[Progress] = []
    with serving(sink.handle) as port:
        generators = Locust(processes=processes)
        result, ranges = await run_load(
            job(plan, fleet, port, tmp_path, progress=seen.append, locust=generators)
        )
    assert result.events.accepted == 80 * 100
    assert ids(fleet, ranges) == set(sink.stored)
    assert set(sink.seen.values()) == {1}
    assert result.generator.workers == processes
    assert (result.requests.unsent, result.requests.errors) == (0, {})
    assert seen[-1].events == result.events.accepted
    assert (tmp_path / "locust.html").exists()


async def test_settings_for_other_locust_tests_do_not_influence_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`locust.conf`, `pyproject.toml` and variables `LOCUST_*` say something else of everything: a
    run of one process is as long, as fast and as single as its plan."""
    settings = "master = true\nheadless = false\nusers = 1\nrun-time = 1s\nlocustfile = x.py\n"
    (tmp_path / "locust.conf").write_text(settings)
    (tmp_path / ".locust.conf").write_text(settings)
    (tmp_path / "pyproject.toml").write_text("[tool.locust]\nmaster = true\nusers = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("LOCUST_MODE_WORKER", "LOCUST_MODE_MASTER", "LOCUST_AUTOSTART"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("LOCUST_RUN_TIME", "1s")
    plan, fleet = planned()
    sink = Sink()
    with serving(sink.handle) as port:
        result, _ = await run_load(job(plan, fleet, port, tmp_path))
    assert (result.events.accepted, result.requests.unsent) == (40 * 2 * 100, 0)
    assert result.timeline.stopped_by == ""
    assert (tmp_path / "locust.html").exists()


async def test_faults_reads_duplicates_and_malformed_lines_still_reconcile(
    tmp_path: Path,
) -> None:
    """Everything at once over the chaos proxy: what is accepted is stored, nothing else is."""
    plan, fleet = planned(
        requests={"duplicate_every": 3, "malformed_every": 4, "timeout_s": 0.3, "batch": 20}
    )
    sink = Sink()
    proxy = ChaosProxy(sink, (*MISHAPS, *[FINE] * 9))
    with serving(proxy.handle) as port:
        result, ranges = await run_load(job(plan, fleet, port, tmp_path))
    assert result.events.accepted == 40 * 2 * 20
    assert ids(fleet, ranges) == set(sink.stored)
    assert result.requests.errors


async def test_reads_are_mixed_in_at_their_share(tmp_path: Path) -> None:
    """One request in five is a read, and none of them counts as an event."""
    plan, fleet = planned("mixed-reads", rate=50)
    sink = Sink()
    with serving(sink.handle) as port:
        reads = ReadsFrom(url=f"http://127.0.0.1:{port}/1.0", headers={"X-Key": "k"})
        result, _ = await run_load(job(plan, fleet, port, tmp_path, reads=reads))
    assert result.requests.reads == sink.reads
    assert 0.1 < result.requests.reads / (result.requests.reads + result.requests.completed) < 0.3
    assert result.latency.reads_ns


async def test_an_interrupted_run_says_what_it_sent_and_leaves_no_child(tmp_path: Path) -> None:
    """Cancelled in the middle: the ranges so far, and no process is left."""
    plan, fleet = planned(duration_s=30)
    sink = Sink()
    kept = []
    with serving(sink.handle) as port:
        task = asyncio.ensure_future(
            run_load(
                job(plan, fleet, port, tmp_path, locust=Locust(processes=2)),
                keep=lambda result, ranges: kept.append((result, ranges)),
            )
        )
        async with asyncio.timeout(30):
            while len(sink.stored) < 2000:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    ((result, ranges),) = kept
    accepted, unknown = ids(fleet, ranges), ids(fleet, ranges, Outcome.UNKNOWN)
    assert accepted <= set(sink.stored) <= accepted | unknown
    assert accepted
    assert result.timeline.stopped_by
    assert not _locusts_of(tmp_path)


async def test_a_killed_generator_leaves_unknown_events_never_forgotten_ones(
    tmp_path: Path,
) -> None:
    """SIGKILL of Locust: what it announced and did not account for is unknown."""
    plan, fleet = planned(duration_s=30)
    sink = Sink()
    with serving(sink.handle) as port:
        task = asyncio.ensure_future(run_load(job(plan, fleet, port, tmp_path)))
        async with asyncio.timeout(30):
            while len(sink.stored) < 6000:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            for pid in _locusts_of(tmp_path):
                os.kill(pid, signal.SIGKILL)
            result, ranges = await task
    accepted, unknown = ids(fleet, ranges), ids(fleet, ranges, Outcome.UNKNOWN)
    assert accepted <= set(sink.stored) <= accepted | unknown
    assert unknown
    assert "ended by signal 9" in result.timeline.stopped_by
    assert "1 of 1 generators" in result.timeline.stopped_by


async def test_fewer_connections_than_generators_are_refused(tmp_path: Path) -> None:
    """One without a connection would send nothing, and the run would look whole."""
    plan, fleet = planned(requests={"connections": 1})
    with pytest.raises(UsageProblem, match="connections"):
        await run_load(job(plan, fleet, 9, tmp_path, locust=Locust(processes=2)))


async def test_a_fault_that_did_not_happen_keeps_the_run_from_being_whole(tmp_path: Path) -> None:
    """A restart that failed, and one that was not reached."""
    plan, fleet = planned(duration_s=2, faults={"restart_at_share": [0.2, 1.0]})
    failed = Hook(hook="restart", at="2026-05-04 13:00:00", ok=False, error="exit status 3: no")
    with serving(Sink().handle) as port:
        result, _ = await run_load(
            job(plan, fleet, port, tmp_path, hooks={"restart": lambda: failed})
        )
    assert "restart at 0.4 s did not work: exit status 3: no" in result.timeline.stopped_by
    assert load_status(result) is ExitStatus.COULD_NOT_TELL


def _locusts_of(folder: Path) -> list[int]:
    """Processes whose environment names the folder's file of reports."""
    mark = f"TRUEUP_OUT={folder / LOAD_FILE}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            environ = (entry / "environ").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if mark in environ.split(b"\0"):
            found.append(int(entry.name))
    return found


async def test_a_missing_control_hook_is_refused_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    """A scenario that restarts the target needs to know how."""
    plan, fleet = planned("retry-storm")
    with pytest.raises(UsageProblem, match="restart"):
        await run_load(job(plan, fleet, 9, tmp_path))


async def test_the_search_finds_the_limit_of_a_slow_sink(tmp_path: Path) -> None:
    """A sink that takes 20 ms a request on one connection holds 50 a second, not more."""
    plan, fleet = planned(
        rate=30, duration_s=1, requests={"batch": 2, "connections": 1, "drain_s": 0.5}
    )
    sink = Sink()
    plain = sink.handle

    class Slow:
        def __init__(self, writer: asyncio.StreamWriter) -> None:
            self.writer = writer

        def write(self, data: bytes) -> None:
            time.sleep(0.02)
            self.writer.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.writer, name)

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await plain(reader, cast(asyncio.StreamWriter, Slow(writer)))

    with serving(slow) as port:
        search = job(with_limits(plan, response_p99_ms=400), fleet, port, tmp_path, resolution=1.0)
        result, ranges = await execute_load(
            search, calibrated=False, find_limit=True, keep=lambda *_: None
        )
    # On a machine that others use, a search may rightly end without a high end, saying why.
    assert result.knee is not None
    low, high = result.knee.low_rps, result.knee.high_rps
    honest = ("disturbed" in result.knee.why) or ("generator" in result.knee.why)
    assert high is not None or honest
    assert (low or 0) < 70
    assert high is None or high > 10
    assert ids(fleet, ranges) == set(sink.stored)
    assert set(sink.seen.values()) == {1}


async def test_calibration_measures_the_generator_against_a_sink_that_stores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figure is in requests per second, well above what the sink tests need."""
    monkeypatch.setattr(execute, "CALIBRATE_S", 2.0)
    plan, fleet = planned()
    assert await calibrate(job(plan, fleet, 9, tmp_path)) > 100


async def test_the_example_for_people_who_extend_works_and_accounts_for_its_events(
    tmp_path: Path,
) -> None:
    """FastHttpUser with the fleet's own events, killed where it stands when its time is over."""
    plan, fleet = planned(duration_s=3, requests={"connections": 4})
    sink = Sink()
    plain = sink.handle

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0)
        await plain(reader, writer)

    with serving(slow) as port:
        result, ranges = await run_load(
            job(plan, fleet, port, tmp_path, locust=Locust(locustfile=LOCUSTFILES / "fasthttp.py"))
        )
    accepted, unknown = ids(fleet, ranges), ids(fleet, ranges, Outcome.UNKNOWN)
    assert accepted <= set(sink.stored) <= accepted | unknown
    assert len(accepted) >= 400
    assert "fasthttp.py" in result.generator.engine
    assert not result.timeline.stopped_by
    assert len(result.timeline.seconds) >= 3


def test_a_locustfile_that_is_started_without_a_run_says_how(tmp_path: Path) -> None:
    """A newcomer's first try gets a sentence, not a traceback."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("TRUEUP_")}
    said = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(LOCUSTFILES / "fasthttp.py"), "--headless"],
        env=bare,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert said.returncode == 4
    assert "trueup load SCENARIO --locustfile FILE" in said.stderr
    assert "Traceback" not in said.stderr
