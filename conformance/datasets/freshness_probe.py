"""The marker: events planted last and polled for, so that nobody sleeps a fixed time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.datasets.datasets import ENGAGED, event
from trueup.conformance.model import CheckContext, Dataset, EventBatch
from trueup.conformance.observed.observations import Observations
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import as_int

__all__ = ["EVENTS", "PROBE", "is_visible", "probe_requests", "settled"]

EVENTS: Final = 3


def _plant(context: CheckContext) -> Sequence[EventBatch]:
    at = context.now - timedelta(seconds=ENGAGED)
    return (
        EventBatch(
            events=tuple(event(context, "marker", n, bytes=4**n, at=at) for n in range(EVENTS))
        ),
    )


PROBE: Final = Dataset(name="marker", plant=_plant)
"""Three events in one batch: the middle one alone is enough to be seen by."""


def probe_requests(context: CheckContext) -> Sequence[ApiRequest]:
    """The views that the marker is looked for in."""
    user = context.user("marker")
    return (requests.logs(user), requests.summaries(user))


def is_visible(observations: Observations, stage: str) -> bool:
    """Whether logs and summaries show something of the marker."""
    logs, summaries = (
        observations.paged_result(stage, ask) for ask in probe_requests(observations.context)
    )
    counted = sum(
        as_int(row, "log_summary_requests") or 0 for row in (summaries.rows if summaries else ())
    )
    return logs is not None and len(logs.rows) >= EVENTS - 1 and counted >= EVENTS - 1


def settled(sights: int, wanted: int, waited_s: float, limit_s: float) -> bool:
    """Whether polling may end: seen often enough in a row, or time is up."""
    return sights >= wanted or waited_s >= limit_s
