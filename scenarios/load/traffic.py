"""The fleet of a load run: whose events, from when, and how fast its own clock runs. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from reports.records import FleetDeclared
from scenarios.load.plan import LoadPlan
from simulator.fleet import Fleet
from simulator.profile import load_profile
from simulator.reactor import Schedule

__all__ = ["LOAD_FLEET", "arrivals_per_second", "load_fleet"]

LOAD_FLEET: Final = "load"
"""Name of the fleet of a load run in the journal."""
_CLOSED_EVENTS_PER_S: Final = 1_000_000.0
"""Faster than any target: as fast as possible never outruns the fleet's clock."""
_BLOCK: Final = 200_000
_MOST_DRAWN: Final = 20_000_000


def load_fleet(plan: LoadPlan, *, customers: tuple[int, ...], now: datetime) -> Fleet:
    """The fleet whose events a plan sends to a target whose clock shows `now` (UTC).

    Its events keep pace with the plan, so none lies in the target's future; a plan that crosses
    midnight begins half a run before the target's last one.
    Raises FleetError, ProfileError where the plan's overrides do not fit the profile.
    """
    profile = load_profile(plan.fleet.profile, plan.fleet.overrides or None)
    start = now.astimezone(UTC)
    if plan.fleet.start == "before-midnight":
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        start = midnight - timedelta(seconds=plan.shape.duration_s / 2)
    return Fleet(
        profile,
        seed=plan.seed,
        start=start,
        customers=customers,
        events_per_s=_events_per_s(plan),
    )


def _events_per_s(plan: LoadPlan) -> float:
    if not plan.open_loop:
        return _CLOSED_EVENTS_PER_S
    requests = Schedule(plan.curve()).total * (1 - plan.reads.share)
    return max(requests * plan.requests.batch / plan.shape.duration_s, 0.01)


def arrivals_per_second(declared: FleetDeclared, plan: LoadPlan, first: int) -> list[float]:
    """Requests due in each second of the run, as the fleet's own events fall.

    Shape: one entry a second. The events from number `first` on are counted by second and
    divided by the batch; at most twenty million are drawn. A fleet whose clock runs slower or
    faster than the plan has its time stretched to fit.
    """
    fleet = Fleet.from_identity(declared)
    seconds = int(np.ceil(plan.shape.duration_s))
    pace = _events_per_s(plan) / fleet.events_per_s
    counts = np.zeros(seconds + 1, dtype=np.int64)
    begin, number = None, first
    while number - first < _MOST_DRAWN:
        moments = fleet.batch(number, _BLOCK).columns().second
        begin = int(moments.min()) if begin is None else begin
        at = ((np.asarray(moments, dtype=np.int64) - begin) / pace).astype(np.int64)
        counts += np.bincount(np.clip(at, 0, seconds), minlength=seconds + 1)
        number += _BLOCK
        if int(at.min()) >= seconds or int(at[-1]) >= seconds:
            break
    return [count / plan.requests.batch for count in counts[:seconds].tolist()]
