"""What several laws need: whose data to ask for, and the usual questions about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.observed.observations import Observations
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import Row, as_int
from trueup.reports.results import Outcome

__all__ = [
    "LOG_LIFE",
    "NOW",
    "Asker",
    "all_of",
    "at_stages",
    "counted",
    "logs_of",
    "of_user",
    "summaries_of",
    "users_of",
]

NOW: Final = "inject"
LOG_LIFE: Final = timedelta(days=7)
"""How long a log is there for certain (guide)."""
_SEVERAL: Final[Mapping[str, int]] = {"interleave": 3, "range": 3, "tenants": 2}

Asker = Callable[[CheckContext, str], Sequence[ApiRequest]]


def users_of(context: CheckContext, *datasets: str) -> tuple[str, ...]:
    """Proxy users of the worlds, of tenant `a`."""
    return tuple(
        context.user(dataset, n)
        for dataset in datasets
        for n in range(1, _SEVERAL.get(dataset, 1) + 1)
    )


def logs_of(*datasets: str, stages: tuple[str, ...] = (NOW,)) -> Asker:
    """Asks for all logs of the worlds' users."""
    return lambda context, stage: (
        [requests.logs(user) for user in users_of(context, *datasets)] if stage in stages else []
    )


def summaries_of(*datasets: str, stages: tuple[str, ...] = (NOW,)) -> Asker:
    """Asks for all summaries of the worlds' users."""
    return lambda context, stage: (
        [requests.summaries(user) for user in users_of(context, *datasets)]
        if stage in stages
        else []
    )


def all_of(*askers: Asker) -> Asker:
    """Everything that several askers ask."""
    return lambda context, stage: [ask for asker in askers for ask in asker(context, stage)]


def at_stages(
    stages: tuple[str, ...], asker: Callable[[CheckContext], Sequence[ApiRequest]]
) -> Asker:
    """Asks the same at each of the stages."""
    return lambda context, stage: asker(context) if stage in stages else ()


def of_user(
    observations: Observations,
    datasets: Sequence[str],
    user: str,
    outcome: Outcome = Outcome.ACCEPTED,
) -> tuple[Event, ...]:
    """A user's planted events with an outcome, of tenant `a`."""
    own = observations.context.customers.get("a")
    return tuple(
        event
        for event in observations.events(*datasets, outcome=outcome)
        if event["proxy_user_id"] == user and as_int(event, "customer_id") == own
    )


def counted(observations: Observations) -> Callable[[Row], bool]:
    """Whether a log counts in summaries, as the target reads failed and empty requests."""
    failed_count = observations.reading("failed-requests", "counted") == "counted"
    empty_count = observations.reading("zero-byte-requests", "counted") == "counted"

    def counts(row: Row) -> bool:
        failed = (
            row.get("log_error_code") is not None or (as_int(row, "log_status_code") or 0) >= 400
        )
        empty = as_int(row, "log_total_bytes") == 0
        return (failed_count or not failed) and (empty_count or not empty)

    return counts
