"""The freshness probe: a few events that are delivered last and polled for; nothing sleeps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

from trueup.conformance import requests
from trueup.conformance.datasets.event_values import EventBuilder
from trueup.conformance.datasets.operations import Deliver
from trueup.conformance.model import CheckContext
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import Row, as_int, as_str

__all__ = ["EVENTS", "are_visible", "probe_delivery", "probe_requests"]

EVENTS: Final = 3
"""Events of one probe; all but one are enough to be seen by."""
_USER: Final = "u-probe"


def probe_delivery(context: CheckContext, stage: str, at: datetime) -> Deliver:
    """Return the probe's events of one stage, at a moment of the target's time."""
    builder = EventBuilder(context, f"probe {stage}", "a")
    user = context.user(_USER)
    return Deliver(
        dataset=f"probe {stage}",
        events=tuple(builder.event(user=user, at=at) for _ in range(EVENTS)),
    )


def probe_requests(context: CheckContext) -> Sequence[ApiRequest]:
    """Return requests to the views in which the freshness probe must become visible."""
    user = context.user(_USER)
    return (requests.logs(user), requests.summaries(user))


def are_visible(
    ids: Collection[str], total: int, logs: Iterable[Row], summaries: Iterable[Row]
) -> bool:
    """Return whether logs and summaries show the probe's events, all but one of each stage.

    `ids`: of the events of this stage; `total`: how many the probe has delivered in all stages.
    """
    seen = {(as_str(row, "log_id") or "").lower() for row in logs} & set(ids)
    counted = sum(as_int(row, "log_summary_requests") or 0 for row in summaries)
    return len(seen) >= len(ids) - 1 and counted >= total - 1
