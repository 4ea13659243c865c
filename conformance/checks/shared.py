"""What several laws need: whose data to ask for, and the usual questions about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.model import Event, Scene
from trueup.conformance.observed.observations import Facts
from trueup.conformance.requests import Ask
from trueup.conformance.rows import Row, whole
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

NOW: Final = "now"
LOG_LIFE: Final = timedelta(days=7)
"""How long a log is there for certain (guide)."""
_SEVERAL: Final[Mapping[str, int]] = {"interleave": 3, "range": 3, "tenants": 2}

Asker = Callable[[Scene, str], Sequence[Ask]]


def users_of(scene: Scene, *worlds: str) -> tuple[str, ...]:
    """Proxy users of the worlds, of tenant `a`."""
    return tuple(
        scene.user(world, n) for world in worlds for n in range(1, _SEVERAL.get(world, 1) + 1)
    )


def logs_of(*worlds: str, stages: tuple[str, ...] = (NOW,)) -> Asker:
    """Asks for all logs of the worlds' users."""
    return lambda scene, stage: (
        [requests.logs(user) for user in users_of(scene, *worlds)] if stage in stages else []
    )


def summaries_of(*worlds: str, stages: tuple[str, ...] = (NOW,)) -> Asker:
    """Asks for all summaries of the worlds' users."""
    return lambda scene, stage: (
        [requests.summaries(user) for user in users_of(scene, *worlds)] if stage in stages else []
    )


def all_of(*askers: Asker) -> Asker:
    """Everything that several askers ask."""
    return lambda scene, stage: [ask for asker in askers for ask in asker(scene, stage)]


def at_stages(stages: tuple[str, ...], asker: Callable[[Scene], Sequence[Ask]]) -> Asker:
    """Asks the same at each of the stages."""
    return lambda scene, stage: asker(scene) if stage in stages else ()


def of_user(
    facts: Facts, worlds: Sequence[str], user: str, outcome: Outcome = Outcome.ACCEPTED
) -> tuple[Event, ...]:
    """A user's planted events with an outcome, of tenant `a`."""
    own = facts.scene.customers.get("a")
    return tuple(
        event
        for event in facts.events(*worlds, outcome=outcome)
        if event["proxy_user_id"] == user and whole(event, "customer_id") == own
    )


def counted(facts: Facts) -> Callable[[Row], bool]:
    """Whether a log counts in summaries, as the target reads failed and empty requests."""
    failed_count = facts.reading("failed-requests", "counted") == "counted"
    empty_count = facts.reading("zero-byte-requests", "counted") == "counted"

    def counts(row: Row) -> bool:
        failed = (
            row.get("log_error_code") is not None or (whole(row, "log_status_code") or 0) >= 400
        )
        empty = whole(row, "log_total_bytes") == 0
        return (failed_count or not failed) and (empty_count or not empty)

    return counts
