"""Deliveries that got nowhere: lost, or refused for what is not about their events. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trueup.reports.results import EventOutcome, Outcome
from trueup.reports.transport.limits import (
    LOST_DELIVERIES_MOST,
    LOST_DELIVERIES_S,
    REFUSED_DELIVERIES_MOST,
)

__all__ = ["LostDeliveries", "got_nowhere"]

_LOST: Final = (
    "no response",
    "no usable response",
    "not delivered",
    "no acknowledgement",
    "the command was killed",
    "cannot start",
)
"""How the reason of an attempt begins that no endpoint responded to."""
_WAITED: Final = ("HTTP 425", "HTTP 429", "HTTP 503")
"""How the reason of a refusal begins after all the waits that the target asked for."""
_NO_ACCESS: Final = ("HTTP 3", "HTTP 401", "HTTP 403")
"""How the reason of a refusal begins that is about the request, not about its events."""


class LostDeliveries:
    """Counts deliveries in a row that got nowhere, so that a run ends before it sends them all."""

    def __init__(self) -> None:
        self._lost = self._no_access = 0
        self._lost_s = 0.0
        self._responded = False

    def add(self, outcomes: Iterable[EventOutcome], elapsed_s: float = 0.0) -> str:
        """Count a delivery that took so long; return why no further one makes sense, or an empty
        string.

        A target that responded to a delivery before may be restarting, or hang for one of them: it
        is given LOST_DELIVERIES_MOST. Until then the time is bounded by LOST_DELIVERIES_S.
        """
        outcomes = list(outcomes)
        if _all_begin(outcomes, _WAITED):
            return f"it asks to wait for longer than a delivery waits: {outcomes[0].reason}"
        lost = _all_begin(outcomes, _LOST)
        self._lost = self._lost + 1 if lost else 0
        self._lost_s += elapsed_s
        self._responded = self._responded or not lost
        self._no_access = self._no_access + 1 if _all_begin(outcomes, _NO_ACCESS) else 0
        too_long = not self._responded and self._lost_s >= LOST_DELIVERIES_S
        too_many = self._lost >= LOST_DELIVERIES_MOST or self._no_access >= REFUSED_DELIVERIES_MOST
        if not too_long and not too_many:
            return ""
        count = max(self._lost, self._no_access)
        if too_long and count == 1:
            return f"it did not respond for {self._lost_s:.0f} s: {outcomes[0].reason}"
        what = (
            "got no response" if self._lost else "were refused for what is not about their events"
        )
        return f"{count} deliveries in a row {what}: {outcomes[0].reason}"


def got_nowhere(outcomes: Iterable[EventOutcome]) -> bool:
    """Return whether a delivery got no response, or one that is not about its events."""
    return _all_begin(list(outcomes), (*_LOST, *_WAITED, *_NO_ACCESS))


def _all_begin(outcomes: list[EventOutcome], starts: tuple[str, ...]) -> bool:
    return bool(outcomes) and all(
        one.outcome is not Outcome.ACCEPTED and one.reason.startswith(starts) for one in outcomes
    )
