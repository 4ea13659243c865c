"""Events of a fleet handed to a target, as its target file says; counted, not judged."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from trueup.conformance.target.model import Target
from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import Outcome
from trueup.scenarios.drivers import driver_of
from trueup.scenarios.errors import CouldNotTell, UsageProblem
from trueup.simulator.fleet import Fleet

__all__ = ["SendSummary", "recent_naming", "send_events"]

_BATCH: Final = 1000
_DAYS: Final = 6
"""Where no time is asked for: the last days that every target still keeps logs of."""
_UNKNOWN_MAX: Final = 3
"""Batches in a row without a response after which sending ends."""


class SendSummary(Counter[Outcome]):
    """How many events had each outcome, and the reasons of refusals."""

    reasons: Counter[str]


def recent_naming(
    target: Target, events: int, naming: dict[str, Any], given: set[str]
) -> dict[str, Any]:
    """Return the options of a fleet, with the target's tenants and the last six days as defaults.

    Raises UsageProblem where the target file does not name its tenants.
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
        filled["start"] = datetime.now(UTC) - timedelta(days=_DAYS)
    if "rate" not in given:
        filled["rate"] = max(1, events) / (_DAYS * 86400)
    return filled


def send_events(
    fleet: Fleet, first: int, events: int, target: Target, done: Callable[[int], None]
) -> SendSummary:
    """Hand events first … first+events-1 to the target, batch by batch.

    Returns the count of each outcome. Raises CouldNotTell where the target stops responding.
    """
    return asyncio.run(_send(fleet, first, events, target, done))


async def _send(
    fleet: Fleet, first: int, events: int, target: Target, done: Callable[[int], None]
) -> SendSummary:
    driver = driver_of(target)
    sent = SendSummary()
    sent.reasons = Counter()
    silent = 0
    try:
        for at in range(first, first + events, _BATCH):
            count = min(_BATCH, first + events - at)
            outcome = await driver.send_ndjson(fleet.batch(at, count).ndjson(compact=True), count)
            for part in outcome.ranges:
                sent[part.outcome] += part.count
                if part.outcome is not Outcome.ACCEPTED:
                    sent.reasons[part.reason] += part.count
            silent = 0 if any(map(_responded, outcome.ranges)) else silent + 1
            if silent == _UNKNOWN_MAX:
                why = sent.reasons.most_common(1)[0][0] if sent.reasons else "no response"
                raise CouldNotTell(
                    f"{target.path}: {_UNKNOWN_MAX} batches in a row without a response ({why}). "
                    f"{sent[Outcome.ACCEPTED]} events were accepted before. Is the target up?"
                )
            done(count)
    finally:
        await driver.close()
    return sent


def _responded(part: OutcomeRange) -> bool:
    """Return whether the target responded: it accepted events, or refused them itself."""
    own = part.outcome is Outcome.REFUSED and not part.reason.startswith("not delivered")
    return own or part.outcome is Outcome.ACCEPTED
