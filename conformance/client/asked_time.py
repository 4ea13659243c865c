"""The target's time at the start of a command, whatever an earlier run has done to its clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.client.clock import Clock
from trueup.conformance.client.control import TargetControl
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.client.waits import http_date
from trueup.conformance.errors import TargetClockUnknown
from trueup.conformance.observed.responses import latest_time
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import format_time, parse_time
from trueup.conformance.target.model import Target
from trueup.reports.journal.records import Exchange

__all__ = ["ask_time"]

LEAST_OFFSET: Final = timedelta(minutes=1)
"""Smallest difference between the target's clock and ours that is taken for one."""
DATES_AGREE: Final = timedelta(seconds=30)
"""Largest difference between offsets of one clock; a cached `Date` differs by more."""
ROWS_AHEAD: Final = timedelta(days=2)
"""How far a row may be dated ahead of our time before a moved clock is assumed."""
_NEWEST: Final = ApiRequest(
    path="log_summary/search",
    query=(("sort_by", "log_summary_period_desc"), ("per_page", "1")),
)


async def ask_time(
    target: Target,
    recorder: Recorder,
    client: ReadClient,
    control: TargetControl,
    clock: Clock,
    *,
    stage: str,
    level: int,
    moves: bool = False,
) -> datetime:
    """Return the target's time, UTC: as [clock.read] tells it, or by the `Date` of its responses.

    A target whose clock was moved may still send the `Date` of its machine; its newest summary is
    of the future then. That is looked at, unless the run `moves` the clock, and so tells where it
    stands. From level 2 on a clock hook is asked to move to our present, which is in the target's
    past: it refuses, and tells its own time.

    Raises:
        TargetClockUnknown: the clock was moved, and the hook does not tell where to.
    """
    told = await control.read_clock(stage=stage)
    if told is not None:
        return told
    if moves:
        return clock.now() + _offset(recorder)
    (summaries,) = await client.ask(_NEWEST, stage=stage)
    newest = latest_time(summaries.body)
    dated = clock.now() + _offset(recorder)
    if newest is None or newest < dated + ROWS_AHEAD:
        return dated
    if target.clock is not None and level >= 2:
        told = await control.read_clock_by_moving(clock.now(), stage=stage)
    if told is not None and told >= newest:
        return told
    raise TargetClockUnknown(
        f"{target.base_url}: the newest summary is of {format_time(newest)}, but by the target's "
        f"responses it is {format_time(dated)} now: its clock was moved\n"
        f"  expected: a way to ask for its time; add [clock.read] to {target.path}"
    )


def _offset(recorder: Recorder) -> timedelta:
    """Return how far the target's clock is ahead of ours, by the `Date` of its responses.

    Zero where it is less than a minute, or where the responses do not agree.
    """
    offsets = [
        told - at
        for record in recorder.records
        if isinstance(record, Exchange)
        and (told := http_date(record.headers.get("date", ""))) is not None
        and (at := parse_time(record.at)) is not None
    ]
    if len(offsets) < 2 or max(offsets) - min(offsets) > DATES_AGREE:
        return timedelta(0)
    return offsets[-1] if abs(offsets[-1]) >= LEAST_OFFSET else timedelta(0)
