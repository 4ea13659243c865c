"""The marker: events planted last and polled for, so that nobody sleeps a fixed time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.datasets.datasets import ENGAGED, event
from trueup.conformance.model import Batch, Scene, World
from trueup.conformance.observed.observations import Facts
from trueup.conformance.requests import Ask
from trueup.conformance.rows import whole

__all__ = ["EVENTS", "MARKER", "marker_asks", "seen_marker", "settled"]

EVENTS: Final = 3


def _plant(scene: Scene) -> Sequence[Batch]:
    at = scene.now - timedelta(seconds=ENGAGED)
    return (
        Batch(events=tuple(event(scene, "marker", n, bytes=4**n, at=at) for n in range(EVENTS))),
    )


MARKER: Final = World(name="marker", plant=_plant)
"""Three events in one batch: the middle one alone is enough to be seen by."""


def marker_asks(scene: Scene) -> Sequence[Ask]:
    """The views that the marker is looked for in."""
    user = scene.user("marker")
    return (requests.logs(user), requests.summaries(user))


def seen_marker(facts: Facts, stage: str) -> bool:
    """Whether logs and summaries show something of the marker."""
    logs, summaries = (facts.walk(stage, ask) for ask in marker_asks(facts.scene))
    counted = sum(
        whole(row, "log_summary_requests") or 0 for row in (summaries.rows if summaries else ())
    )
    return logs is not None and len(logs.rows) >= EVENTS - 1 and counted >= EVENTS - 1


def settled(sights: int, wanted: int, waited_s: float, limit_s: float) -> bool:
    """Whether polling may end: seen often enough in a row, or time is up."""
    return sights >= wanted or waited_s >= limit_s
