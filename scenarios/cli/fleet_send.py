"""Events of a fleet handed to a target, as its target file says; counted, not judged."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.deadline import Deadline
from trueup.conformance.client.preflight import preflight
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.errors import NotAnApi, TargetUnreachable, WrongKeys
from trueup.conformance.target.model import Target
from trueup.reports.results import Outcome
from trueup.reports.transport.lost import LostDeliveries
from trueup.scenarios.drivers import check_ingest, open_driver
from trueup.scenarios.errors import CouldNotTell, UsageProblem
from trueup.scenarios.run.ingestion_access import try_ingestion
from trueup.scenarios.run.run_directory import temporary_journal
from trueup.simulator.fleet import Fleet

__all__ = ["SendSummary", "recent_naming", "send_events"]

_BATCH: Final = 1000
_DAYS: Final = 6
"""Where no time is asked for: the last days that every target still keeps logs of."""


class SendSummary(Counter[Outcome]):
    """How many events had each outcome, and the reasons of refusals."""

    reasons: Counter[str]


def recent_naming(
    target: Target, events: int, naming: dict[str, Any], given: set[str]
) -> dict[str, Any]:
    """Return the options of a fleet, with the target's tenants and its last six days as defaults.

    Raises UsageProblem where the target file does not name its tenants, and TargetClockUnknown
    where the target's clock was moved and does not tell its time.
    """
    filled = dict(naming)
    if "customers" not in given:
        known = [tenant.customer_id for tenant in target.tenants.values()]
        if not known or None in known:
            raise UsageProblem(
                f"{target.path}: no customer_id below [tenants.a]; add it, or give --customers"
            )
        filled["customers"] = tuple(known)
    if "start" not in given:
        filled["start"] = _target_now(target) - timedelta(days=_DAYS)
    if "rate" not in given:
        filled["rate"] = max(1, events) / (_DAYS * 86400)
    return filled


def _target_now(target: Target) -> datetime:
    """Return the target's time; ours where only its ingestion can be reached."""
    with temporary_journal(target) as writer:
        try:
            return asyncio.run(preflight(target, Recorder(writer, secrets=target.secrets)))
        except (NotAnApi, TargetUnreachable, WrongKeys):
            return datetime.now(UTC)


def send_events(
    fleet: Fleet, first: int, events: int, target: Target, done: Callable[[int], None]
) -> SendSummary:
    """Hand events first … first+events-1 to the target, batch by batch.

    Returns the count of each outcome. Raises CouldNotTell where the target stops responding,
    TransportUnreachable where its broker cannot be used, and DeadlineReached after the minutes
    that the target file allows.
    """
    work = _send(fleet, first, events, target, done)
    minutes = target.budget.minutes
    return asyncio.run(work if minutes is None else Deadline(WallClock(), minutes).within(work))


async def _send(
    fleet: Fleet, first: int, events: int, target: Target, done: Callable[[int], None]
) -> SendSummary:
    await check_ingest(target)
    await try_ingestion(target)
    sent = SendSummary()
    sent.reasons = Counter()
    lost = LostDeliveries()
    async with open_driver(target) as driver:
        for at in range(first, first + events, _BATCH):
            count = min(_BATCH, first + events - at)
            outcome = await driver.send_ndjson(fleet.batch(at, count).ndjson(compact=True), count)
            for part in outcome.ranges:
                sent[part.outcome] += part.count
                if part.outcome is not Outcome.ACCEPTED:
                    sent.reasons[part.reason] += part.count
            if why := lost.add(outcome.events(), outcome.elapsed_ms / 1e3):
                raise CouldNotTell(
                    f"{target.path}: {why}. {sent[Outcome.ACCEPTED]} events were accepted before. "
                    "Is the target up, and [ingest] right?"
                )
            done(count)
    return sent
