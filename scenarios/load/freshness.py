"""Freshness under load: how long after its acknowledgement an event shows in a summary.

A marker is an event of a user of its own, planted beside the load; it is looked for until it
shows. How to plant and to look is the composition's, which knows the target.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

import numpy as np

from trueup.reports.metrics.histogram import Histogram

__all__ = ["NEVER_SEEN", "Marker", "watch_freshness"]

NEVER_SEEN: Final = "an acknowledged marker did not show in time"


class Marker(Protocol):
    """Plants markers, each an event that never was before, and looks for the last one.

    One marker may serve several watches: which event comes next is for it to know.
    """

    async def plant(self) -> bool:
        """Deliver another marker; True once it was acknowledged."""
        ...

    async def visible(self) -> bool:
        """Whether the summary of the marker's user counts the marker planted last."""
        ...


async def watch_freshness(
    marker: Marker,
    *,
    stop: asyncio.Event,
    every_s: float = 0.25,
    poll_s: float = 0.01,
    limit_s: float = 10.0,
) -> tuple[dict[str, int], int]:
    """Plant and look until `stop`; (sparse histogram in ns, markers that never showed).

    The figure is an upper bound: it ends with the first answer that shows the marker, so it
    includes that request and, on average, half a pause of `poll_s`.
    """
    shown, missing = Histogram(), 0
    while not stop.is_set():
        if await marker.plant():
            began = time.perf_counter_ns()
            limit = began + int(limit_s * 1e9)
            # Only asking shows it: there is no event to wait for.
            while not await marker.visible() and time.perf_counter_ns() < limit:  # noqa: ASYNC110
                await asyncio.sleep(poll_s)
            now = time.perf_counter_ns()
            if now < limit:
                shown.add(np.array([now - began], dtype=np.int64))
            else:
                missing += 1
        try:
            async with asyncio.timeout(every_s):
                await stop.wait()
        except TimeoutError:
            continue
    return shown.sparse(), missing
