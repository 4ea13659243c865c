"""The plan of a run: a pure function of the run's context, its depth and its seed.

It decides what is done to a target, when, and what is asked, and knows no expected response: the
contract's model predicts those from what was done. Stages follow the life of the data: injected,
paid for, restarted, over midnight, before and after the logs are gone, before and after the
hostnames are gone, and then over the chosen days of the calendar.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from trueup.conformance.datasets.age_stages import age_stages, calendar_part
from trueup.conformance.datasets.array_requests import AGES
from trueup.conformance.datasets.audit_stages import audit_stages
from trueup.conformance.datasets.budget import planned_requests
from trueup.conformance.datasets.depth import SETTINGS, Depth
from trueup.conformance.datasets.life_stages import (
    hour_later_stage,
    inject_stage,
    midnight_stages,
    money_stage,
    restart_stage,
)
from trueup.conformance.datasets.materials import Materials, materials
from trueup.conformance.datasets.operations import ClassName, Plan, Stage
from trueup.conformance.datasets.request_classes import (
    classes_of_follow_up,
    classes_of_request,
)
from trueup.conformance.model import CheckContext

__all__ = ["plan"]

BASELINE: Final = 20
"""Requests that a run makes before its plan, for the session, for interpretations and for probes
of late events, less those by which the pages of its lists are overestimated."""
SPARE: Final = 0.015
"""Share of the requests that is left for what has to be asked again."""
_SHARES: Final[Mapping[str, float]] = {"fresh": 0.47, "week": 0.37, "past-7": 0.08, "past-90": 0.08}


def plan(context: CheckContext, depth: Depth, seed: int, *, requests: int | None = None) -> Plan:
    """Return what a run does and asks after its baseline. Equal arguments give equal plans.

    `requests`: the most that the run may make where that is less than the depth allows.
    """
    if context.level < 2 or "a" not in context.customers:
        audit = tuple(replace(each, classes=_classes(each)) for each in audit_stages(context))
        return Plan(depth=depth, seed=seed, stages=audit)
    made = materials(context, depth, seed)
    most = min(
        (each for each in (SETTINGS[depth].requests, requests) if each is not None), default=None
    )
    if most is not None:
        bare = tuple(_stages(replace(made, array_most=dict.fromkeys(AGES, 0))))
        left = most * (1 - SPARE) - BASELINE - planned_requests(context.customers, bare)
        made = replace(made, array_most=_shares(max(0, int(left)), bare))
    stages = tuple(
        replace(each, classes=_classes(each), requests=tuple(dict.fromkeys(each.requests)))
        for each in _stages(made)
    )
    return Plan(depth=depth, seed=seed, stages=stages)


def _classes(stage: Stage) -> frozenset[ClassName]:
    """The classes that a stage reaches: those of its arrays, and those of its requests."""
    asked = [*stage.requests, *(each for snapshot in stage.snapshots for each in snapshot)]
    found = set(stage.classes)
    for request in asked:
        found |= classes_of_request(request)
    for follow_up in stage.follow_ups:
        found |= classes_of_follow_up(follow_up)
    return frozenset(found)


def _shares(left: int, stages: Sequence[Stage]) -> dict[str, int]:
    """How many requests of the arrays are made at each age that the stages reach."""
    names = {stage.name for stage in stages}
    ages = [age for age in AGES if age == "fresh" or age in names]
    total = sum(_SHARES[age] for age in ages)
    return {age: int(left * _SHARES[age] / total) for age in ages}


def _stages(made: Materials) -> Iterator[Stage]:
    """The stages that the run's level and the target's hooks allow, in order."""
    context = made.context
    yield inject_stage(made)
    yield money_stage(made)
    if context.level >= 4 and "restart" in context.hooks:
        yield restart_stage(made)
    if context.level >= 3 and "clock" in context.hooks:
        if made.settings.thorough:
            yield hour_later_stage(made)
        yield from midnight_stages(made)
        yield from age_stages(made)
        yield from calendar_part(made)
