"""The judgement of a load run from its figures alone. Pure: it can be made again offline.

A generator that was itself the limit has measured itself: such a run never passes. Noise of the
machine only ever makes figures worse, so a run that kept its limits in spite of noise kept them;
one that missed them under noise could not be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from reports.facts import Verdict
from reports.records import LoadResult
from scenarios.load.machine import NOISY
from scenarios.load.thresholds import check_thresholds, percentile_ms

__all__ = ["BUSY", "judged", "load_verdict"]

BUSY: Final = 0.9
"""Busy share of a generator's loop above which it counts as the limit."""
_LATE_MS: Final = 5.0
_LATE_SHARE: Final = 0.05
"""Lateness p99 may be this share of the response p99, or `_LATE_MS`, whichever is more."""


def judged(result: LoadResult, limits: Mapping[str, float]) -> LoadResult:
    """The result with thresholds checked and its own limits named."""
    share = result.machine_lost_share
    return msgspec.structs.replace(
        result,
        thresholds=check_thresholds(result, limits),
        generator_limited=_limited(result),
        machine_noisy=share is not None and share > NOISY,
    )


def _limited(result: LoadResult) -> bool:
    """Whether the generator, not the target, set the figures. A closed loop may use all of it
    only where the target waits: a busy loop means that we were the slower one."""
    if (result.generator_cpu_share or 0.0) > BUSY:
        return True
    late = percentile_ms(result.lateness_ns, 0.99)
    response = percentile_ms(result.response_ns, 0.99)
    if late is None or response is None:
        return False
    return late > max(_LATE_MS, _LATE_SHARE * response)


def load_verdict(result: LoadResult) -> tuple[Verdict, str]:
    """Verdict and one sentence that says why. Wrong data outranks everything else."""
    wrong = result.correct_events is not None and result.correct_events < result.events_accepted
    if wrong:
        missing = result.events_accepted - (result.correct_events or 0)
        return Verdict.FAIL, f"{missing} of {result.events_accepted} accepted events do not tie out"
    if not result.events_accepted:
        return Verdict.INCONCLUSIVE, "the target accepted nothing, so nothing was measured"
    if result.stopped_by:
        return Verdict.FAIL if "waited" in result.stopped_by else Verdict.INCONCLUSIVE, (
            f"the run ended early: {result.stopped_by}"
        )
    if result.generator_limited:
        return Verdict.INCONCLUSIVE, "the generator itself was the limit; its figures are its own"
    missed = [row for row in result.thresholds if not row.ok]
    if any(row.value is None for row in missed):
        names = ", ".join(row.name for row in missed if row.value is None)
        return Verdict.INCONCLUSIVE, f"not measured: {names}"
    if missed and result.machine_noisy:
        return Verdict.INCONCLUSIVE, "limits were missed, but the machine was disturbed meanwhile"
    if missed:
        row = missed[0]
        return Verdict.FAIL, f"{row.name} is {row.value:g} {row.unit}; the limit is {row.limit:g}"
    if result.correct_events is None:
        return Verdict.INCONCLUSIVE, "limits were kept, but the events were not reconciled"
    return Verdict.PASS, "every accepted event ties out and all limits were kept"
