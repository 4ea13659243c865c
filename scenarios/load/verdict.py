"""What a load run's figures say of themselves: limits kept, generator limited, machine noisy. Pure.

A generator whose loop had no time left has measured itself: such a run never passes. A machine
that took the core away, or a loop that was late although it had time, makes a run noisy. Noise
only ever makes times and rates worse: a run that kept its limits in spite of it kept them, for one
that missed a limit on a time or a rate this is unknown, one that missed another missed it. The
exit status that follows is `trueup.reports.verdicts.load_status`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from trueup.reports.journal.records import LatencyHistograms, LoadResult
from trueup.scenarios.load.noise import NOISY
from trueup.scenarios.load.thresholds import check_thresholds, percentile_ms

__all__ = ["BUSY", "judged"]

BUSY: Final = 0.9
"""Busy share of a generator's loop above which it counts as the limit."""
_LATE_MS: Final = 5.0
_LATE_SHARE: Final = 0.05
"""Lateness p99 may be this share of the response p99, or `_LATE_MS`, whichever is more."""


def judged(result: LoadResult, limits: Mapping[str, float]) -> LoadResult:
    """Return the result with thresholds checked, and with what limited or disturbed it named."""
    lost = result.machine.lost_share
    noisy = (lost is not None and lost > NOISY) or _late(result.latency)
    return replace(
        result,
        thresholds=check_thresholds(result, limits),
        generator=replace(result.generator, limited=(result.generator.cpu_share or 0.0) > BUSY),
        machine=replace(result.machine, noisy=noisy),
    )


def _late(latency: LatencyHistograms) -> bool:
    """Whether the generator's own lateness is a visible part of the response times."""
    late = percentile_ms(latency.lateness_ns, 0.99)
    response = percentile_ms(latency.response_ns, 0.99)
    if late is None or response is None:
        return False
    return late > max(_LATE_MS, _LATE_SHARE * response)
