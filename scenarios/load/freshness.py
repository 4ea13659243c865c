"""Freshness under load: how long after its acknowledgement an event shows in a summary.

Beside the load, one event after the other is injected for a proxy user of its own, and the
summaries are polled until they count it. How to inject and to look is up to the caller, which
knows the target.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final, Protocol

import numpy as np

from trueup.conformance.client.clock import Clock, WallClock
from trueup.conformance.client.polling import poll_until
from trueup.conformance.errors import BudgetExhausted
from trueup.reports.metrics.histogram import Histogram

__all__ = ["NEVER_SEEN", "FreshnessProbe", "watch_freshness"]

NEVER_SEEN: Final = "an acknowledged probe event did not become visible in time"
EVERY_S: Final = 0.25
"""Pause between two probe events."""
POLL_S: Final = 0.01
POLL_MOST_S: Final = 0.1
LIMIT_S: Final = 10.0
"""A probe event that does not show within so many seconds counts as missing."""


class FreshnessProbe(Protocol):
    """Injects probe events, each with an id of its own, and looks for all acknowledged ones.

    One probe may serve several measurements: which event comes next is for it to know.
    """

    async def inject(self) -> bool:
        """Deliver the next probe event; returns whether it was acknowledged."""
        ...

    async def visible(self) -> bool:
        """Return whether the summary of the probe's user counts every acknowledged event.

        Raises BudgetExhausted where the target allows no further request.
        """
        ...


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, bool]) -> bool | None:
    """Return what the work returns; None where it has not ended `LIMIT_S` after `stop` was set.

    A target that asks to wait for minutes must not keep a run that is over.
    """
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((task,), timeout=LIMIT_S)
        return task.result() if task.done() else None
    finally:
        stopped.cancel()
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def watch_freshness(
    probe: FreshnessProbe,
    *,
    stop: asyncio.Event,
    every_s: float = EVERY_S,
    poll_s: float = POLL_S,
    limit_s: float = LIMIT_S,
    clock: Clock | None = None,
) -> tuple[dict[str, int], int]:
    """Inject and look until `stop` is set, or the target allows no further request.

    Returns a sparse histogram of the delays, in nanoseconds, and the number of acknowledged events
    that did not show within `limit_s`. A delay is an upper bound: it ends with the first response
    that shows the event, so it includes that request and the pause before it.
    """
    clock = clock or WallClock()
    shown, missing = Histogram(), 0
    while not stop.is_set():
        if await _until(stop, probe.inject()):
            began = clock.monotonic()
            try:
                seen = await _until(
                    stop,
                    poll_until(
                        probe.visible,
                        clock=clock,
                        until=began + limit_s,
                        pause_s=poll_s,
                        most_pause_s=POLL_MOST_S,
                    ),
                )
            except BudgetExhausted:
                break
            if seen:
                delay_ns = round((clock.monotonic() - began) * 1e9)
                shown.add(np.array([delay_ns], dtype=np.int64))
            elif seen is not None:
                missing += 1
        try:
            async with asyncio.timeout(every_s):
                await stop.wait()
        except TimeoutError:
            continue
    return shown.sparse(), missing
