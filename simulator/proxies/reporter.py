"""Deliver usage from the spool to a target, batch by batch, through a driver.

At least once: a batch whose outcome is unknown, or that got no response about its events, is
delivered again, with the same ids, until the target responds; it may store an event twice, unless
it recognises ids. At most once: a batch counts as delivered before it is sent, and is sent again
only where it certainly was not received; an unknown outcome stays unknown.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from trueup.reports.results import EventOutcome, Json, Outcome
from trueup.reports.transport.lost import got_nowhere
from trueup.simulator.delivery import Driver
from trueup.simulator.proxies.spool import Spool

__all__ = ["DeliveryGuarantee", "UsageReporter"]

_REASONS_MAX: Final = 20
_PAUSE_S: Final = 0.5
"""Between deliveries of a batch whose outcome is unknown; the driver has retried it before."""


class DeliveryGuarantee(StrEnum):
    """How often a usage event is delivered where responses are lost."""

    AT_LEAST_ONCE = "at-least-once"
    AT_MOST_ONCE = "at-most-once"


@dataclass(slots=True, kw_only=True)
class UsageReporter:
    """Reports the usage of a spool while it grows."""

    spool: Spool
    driver: Driver
    guarantee: DeliveryGuarantee = DeliveryGuarantee.AT_LEAST_ONCE
    batch_events: int = 500
    every_s: float = 0.2
    """How long usage waits for more at most."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    """Batches that were sent again because the target did not respond about them."""
    retry_reason: str = ""
    """Why the present batch is sent again."""
    on_delivered: Callable[[dict[str, Json], EventOutcome], None] = lambda event, outcome: None
    """Called with each usage event that needs no delivery any more, before the spool forgets it:
    after a kill, with some of them again."""

    async def run(self) -> None:
        """Deliver what there is, again and again, until cancelled."""
        while True:
            if not await self.deliver_next():
                await asyncio.sleep(self.every_s)

    async def flush(self) -> None:
        """Deliver until nothing waits. Limit it by a timeout: the target may be down."""
        while await self.deliver_next():
            pass

    async def deliver_next(self) -> bool:
        """Deliver the next batch; returns whether there was one."""
        batch = self.spool.next_batch(self.batch_events)
        if batch is None:
            return False
        at_least_once = self.guarantee is DeliveryGuarantee.AT_LEAST_ONCE
        if not at_least_once:
            self.spool.delivered(batch)
        outcomes = await self.driver.send(batch.events)
        while _send_again(outcomes, at_least_once=at_least_once):
            self.repeated += 1
            self.retry_reason = outcomes[0].reason
            await asyncio.sleep(_PAUSE_S)
            outcomes = await self.driver.send(batch.events)
        self.retry_reason = ""
        for event, outcome in zip(batch.events, outcomes, strict=True):
            self.on_delivered(event, outcome)
        if at_least_once:
            self.spool.delivered(batch)
        self._count(outcomes)
        return True

    def _count(self, outcomes: Sequence[EventOutcome]) -> None:
        for outcome in outcomes:
            self.outcomes[outcome.outcome] += 1
            reason = outcome.reason[:200]
            known = reason in self.reasons or len(self.reasons) < _REASONS_MAX
            if outcome.outcome is not Outcome.ACCEPTED and known:
                self.reasons[reason] += 1


def _send_again(outcomes: Sequence[EventOutcome], *, at_least_once: bool) -> bool:
    unknown = any(outcome.outcome is Outcome.UNKNOWN for outcome in outcomes)
    if at_least_once:
        return unknown or got_nowhere(outcomes)
    return not unknown and got_nowhere(outcomes)
