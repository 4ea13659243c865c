"""Open a run: the identity of trueup at the target, the time there, and what the target allows.

A target that cannot be tested raises an error and gets no verdict.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.client.asked_time import ask_time
from trueup.conformance.client.clock import Clock
from trueup.conformance.client.control import TargetControl
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.client.target_time import TargetTime
from trueup.conformance.errors import NotAnApi, TargetClockUnknown, TargetUnreachable, WrongKeys
from trueup.conformance.model import CheckContext
from trueup.conformance.observed.observations import Observations
from trueup.conformance.observed.responses import data_of, latest_time
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import as_int, format_time
from trueup.conformance.target.model import Target
from trueup.conformance.target.placeholders import clock_values
from trueup.reports.journal.records import Exchange, JudgePlan, ReadingSeen
from trueup.reports.results import Reading
from trueup.reports.transport.foreign_text import foreign_text

__all__ = ["Session", "declare_readings", "first_request", "judge_plan", "open_session"]

CLOCK_LEAD: Final = timedelta(seconds=3)
"""How far the first move of the clock goes beyond the time that is known."""
HOOKS: Final = ("proxies", "ingest", "clock", "maintenance", "money", "restart")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a run talks to its target through, once `open_session` has opened it."""

    target: Target
    recorder: Recorder
    client: ReadClient
    control: TargetControl
    clock: Clock
    time: TargetTime

    @property
    def context(self) -> CheckContext:
        """The context of the checks, from everything that was recorded so far."""
        return Observations(self.recorder.records).context


async def open_session(
    target: Target,
    recorder: Recorder,
    client: ReadClient,
    clock: Clock,
    *,
    prefix: str,
    level: int,
) -> Session:
    """Establish the customers and the time at the target, and record the plan.

    Raises:
        TargetTrouble: the target cannot be tested, with what was tried and what came back.
    """
    control = TargetControl(target, recorder, clock)
    declare_readings(target, recorder)
    customers: dict[str, int] = {}
    for letter, tenant in target.tenants.items():
        exchange = await _authenticate(target, client, letter)
        told = as_int(data_of(exchange), "customer_id")
        number = tenant.customer_id if tenant.customer_id is not None else told
        if number is not None:
            customers[letter] = number
    moves = level >= 3 and target.clock is not None
    now = await ask_time(
        target, recorder, client, control, clock, stage="session", level=level, moves=moves
    )
    now = await _moved_clock(target, control, clock, now) if moves else now.replace(microsecond=0)
    recorder.write(
        judge_plan(
            target,
            now=now,
            customers=customers,
            prefix=prefix,
            level=level,
            hooks=tuple(name for name in HOOKS if getattr(target, name) is not None),
        )
    )
    time = TargetTime(control, clock)
    session = Session(
        target=target, recorder=recorder, client=client, control=control, clock=clock, time=time
    )
    time.is_at(session.context.now)
    return session


def declare_readings(target: Target, recorder: Recorder) -> None:
    """Record the readings that a target file declares."""
    for name, value in target.readings.items():
        recorder.write(ReadingSeen(reading=Reading(name=name, value=value, how="declared")))


def judge_plan(
    target: Target,
    *,
    now: datetime,
    customers: dict[str, int],
    prefix: str = "",
    level: int = 0,
    hooks: tuple[str, ...] = (),
    part: str = "",
    requests: int = 0,
) -> JudgePlan:
    """Return the context in which checks of a target run; for the fields see `JudgePlan`."""
    shape = target.graph
    return JudgePlan(
        prefix=prefix,
        now=format_time(now),
        level=level,
        customers=customers,
        claims=tuple(sorted(target.claims)),
        hooks=hooks,
        graph={
            "points": shape.points,
            "time": shape.time,
            "requests": shape.requests,
            "bytes": shape.bytes,
        },
        part=part,
        unsent=target.unsent,
        requests=requests,
    )


async def _authenticate(target: Target, client: ReadClient, tenant: str) -> Exchange:
    """Send the first requests for a tenant, and return the response that shows its customer.

    Raises TargetTrouble if its keys cannot be used.
    """
    await first_request(target, client, tenant, stage="session")
    (met,) = await client.ask(requests.customer(tenant=tenant), stage="session")
    return met


async def _moved_clock(
    target: Target, control: TargetControl, clock: Clock, told: datetime
) -> datetime:
    """Move the target's clock a few seconds forward, and return the time that it shows then.

    Raises TargetClockUnknown where the hook does not move it.
    """
    ours = told.replace(microsecond=0)
    goal = ours
    for _ in range(3):
        goal = max(goal, ours, clock.now().replace(microsecond=0)) + CLOCK_LEAD
        values = clock_values(goal, int(CLOCK_LEAD.total_seconds()))
        hook = await control.call("clock", values, stage="session")
        shown = latest_time(hook.response)
        if hook.ok:
            return shown if shown is not None and shown > goal else goal
        if shown is None:
            break
        goal = max(goal, shown)
    raise TargetClockUnknown(
        f"the clock hook of {target.path} does not move the clock: {hook.error}\n"
        "  expected: a clock that can be moved forward to the present; check [clock], or run "
        "with --level 2"
    )


async def first_request(target: Target, client: ReadClient, tenant: str, *, stage: str) -> None:
    """Request one summary row with the keys of a tenant.

    Raises:
        TargetTrouble: no response, rejected keys, or another API.
    """
    ask = ApiRequest(path="log_summary/search", query=(("per_page", "1"),), tenant=tenant)
    (first,) = await client.ask(ask, stage=stage)
    where = f"{target.base_url}{target.prefix}/{ask.path}"
    if first.status is None:
        raise TargetUnreachable(
            f"{where}: {first.error}\n  expected: a response of the target; check base_url in "
            f"{target.path}, and that the target runs"
        )
    if first.status in (401, 403):
        raise WrongKeys(
            f"{where}: status {first.status} for the keys of tenant `{tenant}`\n  expected: "
            f"200; check the environment variables that {target.path} names"
        )
    if first.error:
        raise NotAnApi(
            f"{where}: status {first.status}: {first.error}\n  expected: the API; check base_url "
            f"in {target.path}"
        )
    if first.status != 200:
        raise NotAnApi(_not_ok(where, first, target))
    if not isinstance(first.body, dict):
        raise NotAnApi(
            f"{where}: status {first.status} with {first.content_type or 'no content type'}, "
            f"not a JSON object\n  it begins: {foreign_text(first.body_text, 80)!r}\n"
            f"  expected: the API; check base_url in {target.path}"
        )


def _not_ok(where: str, first: Exchange, target: Target) -> str:
    """Return the error message for a first response whose status is not 200."""
    begins = first.body_text or ("" if first.body is None else json.dumps(first.body))
    return (
        f"{where}: status {first.status}\n  it begins: {foreign_text(begins, 80)!r}\n"
        f"  expected: status 200; check base_url in {target.path}, and the target's own log"
    )
