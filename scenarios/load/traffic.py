"""The fleet of a load run: whose events, from when, and how fast its own clock runs. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from trueup.reports.journal.records import FleetDeclared
from trueup.scenarios.load.plan import LoadPlan
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.profile import load_profile
from trueup.simulator.reactor import Schedule

__all__ = ["LOAD_FLEET", "arrivals_per_second", "load_fleet"]

LOAD_FLEET: Final = "load"
"""Name of the fleet of a load run in the journal."""
SPAN_S: Final = 3000.0
"""The events of a plan are spread over so many seconds of the target's time …"""
REACH_S: Final = 3600.0
"""… which begin so long before its present: a run that outgrows its plan by a fifth still sends
nothing from the target's future."""
_SPARE: Final = 1.25
"""Room for so many times the planned events: a worker that is ahead of the others skips theirs."""
_FREE_EVENTS_PER_S: Final = 1_000_000
"""Events a second that a run as fast as possible is given room for."""
_BLOCK: Final = 200_000
_MOST_DRAWN: Final = 20_000_000


def load_fleet(
    plan: LoadPlan, *, customers: tuple[int, ...], now: datetime, namespace: str = ""
) -> Fleet:
    """Return the fleet whose events a plan sends to a target whose clock shows `now` (UTC).

    `namespace`: a name of this run alone, so that no earlier run had the same users.

    All its events lie in the target's recent past, however fast the plan sends them; a plan that
    crosses midnight has the target's last one in the middle of its events.
    Raises FleetError, ProfileError where the plan's overrides do not fit the profile.
    """
    rate = _events_per_s(plan) if plan.open_loop else _FREE_EVENTS_PER_S
    events = max(rate * plan.shape.duration_s * _SPARE, 1000.0)
    start = now.astimezone(UTC) - timedelta(seconds=REACH_S)
    if plan.fleet.start == "before-midnight":
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        start = midnight - timedelta(seconds=SPAN_S / _SPARE / 2)
    return Fleet(
        load_profile(plan.fleet.profile, plan.fleet.overrides or None),
        seed=plan.seed,
        start=start,
        customers=customers,
        events_per_s=events / SPAN_S,
        namespace=namespace,
    )


def _events_per_s(plan: LoadPlan) -> float:
    """Mean over the run of the events that an open plan sends."""
    requests = Schedule(plan.curve()).total * (1 - plan.reads.share)
    return max(requests * plan.requests.batch / plan.shape.duration_s, 0.01)


def arrivals_per_second(declared: FleetDeclared, plan: LoadPlan, first: int) -> list[float]:
    """Return the requests due in each second of the run, as the fleet's own events fall.

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
