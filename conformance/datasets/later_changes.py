"""Payments and changes of proxy users at later stages: what goes wrong only then shows in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trueup.conformance.datasets.materials import Materials
from trueup.conformance.datasets.operations import Operation
from trueup.conformance.datasets.payment_plan import later_payments
from trueup.conformance.datasets.user_changes import later_user_changes
from trueup.conformance.requests import ApiRequest

__all__ = ["LaterChanges", "later_changes"]

_USER_STAGES: Final = ("week", "past-7", "past-90")
"""Stages at which proxy users are created, edited and deleted once more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaterChanges:
    """What a later stage changes, and the requests that show it beside what the stage reads."""

    operations: tuple[Operation, ...]
    requests: tuple[ApiRequest, ...] = ()


def later_changes(made: Materials, stage: str, turn: int) -> LaterChanges:
    """Return a payment for each pool and customer, and changes of proxy users where depth allows.

    `turn`: a number that is another one at each stage, so that other kinds and values have theirs.
    """
    context = made.context
    payments = later_payments(context, stage, turn)
    if stage not in _USER_STAGES or not made.settings.thorough:
        return LaterChanges(operations=payments)
    changes, requests = later_user_changes(context, made.user_classes, turn)
    return LaterChanges(operations=(*payments, *changes), requests=requests)
