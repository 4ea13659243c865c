"""A target whose clock is off: the run goes by the target's own time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from aiohttp import web

from tests.conformance.stub import bare_target, served_by
from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.control import TargetControl
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.preflight import preflight
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.client.session import open_session
from trueup.conformance.client.target_time import TargetTime
from trueup.conformance.errors import TargetClockMoved, TargetClockUnknown
from trueup.conformance.rows import parse_time
from trueup.conformance.target.model import ClockRead, HttpHook
from trueup.reports.journal.records import JudgePlan
from trueup.reports.journal.storage import JournalWriter


async def planned_now(tmp_path: Path, offsets: list[timedelta]) -> timedelta:
    """Open a session at a target whose responses carry such dates; return plan time minus ours."""
    told = iter(offsets)
    last = [offsets[-1]]

    async def respond(_request: web.Request) -> web.Response:
        last[0] = next(told, last[0])
        date = format_datetime(datetime.now(UTC) + last[0], usegmt=True)
        return web.json_response({"data": {"customer_id": 1}}, headers={"Date": date})

    async with served_by(respond) as url:
        target = bare_target(url)
        clock = WallClock()
        with JournalWriter(tmp_path / "journal.ndjson") as writer:
            recorder = Recorder(writer)
            async with ReadClient(target, recorder, clock) as client:
                await open_session(target, recorder, client, clock, prefix="cx00000000", level=2)
    plan = next(r for r in recorder.records if isinstance(r, JudgePlan))
    now = parse_time(plan.now)
    assert now is not None
    return now - datetime.now(UTC)


@pytest.mark.parametrize("minutes", [-1440, -7, 7, 1440, 95 * 1440])
async def test_the_time_of_the_responses_is_the_target_s(tmp_path: Path, minutes: int) -> None:
    off = await planned_now(tmp_path, [timedelta(minutes=minutes)])
    assert abs(off - timedelta(minutes=minutes)) < timedelta(seconds=5)


@pytest.mark.parametrize("offsets", [[timedelta(seconds=20)], [timedelta(0), -timedelta(hours=1)]])
async def test_a_small_difference_and_dates_that_disagree_are_no_clock(
    tmp_path: Path, offsets: list[timedelta]
) -> None:
    """A cache returns old dates."""
    assert abs(await planned_now(tmp_path, offsets)) < timedelta(seconds=5)


MOVED_TO = datetime(2031, 5, 1, 12, 0, 0, tzinfo=UTC)


async def time_before_traffic(
    tmp_path: Path, refusal: str, *, hook: bool = True
) -> tuple[datetime, list[dict[str, object]]]:
    """The preflight's time at a target whose rows are of the day of `MOVED_TO`, though its
    responses have our `Date`; and what its clock hook was sent."""
    moves: list[dict[str, object]] = []

    async def respond(request: web.Request) -> web.Response:
        if request.path == "/1.0/clock":
            moves.append(await request.json())
            return web.json_response({"message": refusal}, status=422)
        row = {"log_summary_period": f"{MOVED_TO:%Y-%m-%d} 00:00:00"}
        return web.json_response({"data": [row], "total_count": 1})

    async with served_by(respond) as url:
        target = bare_target(url)
        if hook:
            body = {"to": "{now}", "by": "{advance_s}"}
            target = replace(target, clock=HttpHook(url=f"{url}/clock", body=body))
        with JournalWriter(tmp_path / "journal.ndjson") as writer:
            return await preflight(target, Recorder(writer)), moves


async def test_a_clock_that_an_earlier_run_moved_is_asked_through_its_hook(tmp_path: Path) -> None:
    """The hook is asked to move into the past, so that nothing moves."""
    told, moves = await time_before_traffic(tmp_path, f"it is {MOVED_TO:%Y-%m-%d %H:%M:%S} now.")
    assert told == MOVED_TO
    (move,) = moves
    sent = parse_time(str(move["to"]))
    assert sent is not None
    assert sent <= datetime.now(UTC)
    assert move["by"] == 0


@pytest.mark.parametrize("hook", [True, False], ids=["hook tells nothing", "no hook"])
async def test_a_moved_clock_that_tells_nothing_ends_the_run(tmp_path: Path, hook: bool) -> None:
    with pytest.raises(TargetClockUnknown, match=r"2031-05-01 .*its clock was moved"):
        await time_before_traffic(tmp_path, "only forward", hook=hook)


@pytest.mark.parametrize(
    ("ahead", "moved"), [(timedelta(seconds=20), False), (timedelta(days=9), True)]
)
async def test_a_clock_that_another_client_moved_ends_the_run(
    tmp_path: Path, ahead: timedelta, moved: bool
) -> None:
    async def respond(_request: web.Request) -> web.Response:
        return web.json_response({"now": f"{datetime.now(UTC) + ahead:%Y-%m-%d %H:%M:%S}"})

    async with served_by(respond) as url:
        read = ClockRead(form=HttpHook(url=f"{url}/clock", method="GET"), at="now")
        target = replace(bare_target(url), clock_read=read)
        with JournalWriter(tmp_path / "journal.ndjson") as writer:
            clock = WallClock()
            time = TargetTime(TargetControl(target, Recorder(writer), clock), clock)
            if not moved:
                await time.check_unmoved("stage")
                return
            with pytest.raises(TargetClockMoved, match="moved by another client"):
                await time.check_unmoved("stage")
