"""What a run will do to a target, and how far it may go without being asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from trueup.conformance.selection import checks_for
from trueup.conformance.target.load import levels
from trueup.conformance.target.model import Target
from trueup.scenarios.scenario import Scenario

__all__ = ["LEVEL_MOST", "LEVEL_UNASKED", "default_level", "describe_effects", "within_level"]

LEVEL_MOST: Final = 4
"""Level of a run that puts its target through everything."""
LEVEL_UNASKED: Final = 2
"""Highest level of a run that names none, unless the target is disposable."""


def default_level(target: Target) -> int:
    """Return the highest level of a run against a target that names none."""
    return LEVEL_MOST if target.disposable else LEVEL_UNASKED


def within_level(scenario: Scenario, level: int) -> Scenario:
    """Return a scenario whose parts keep to a level."""
    checks, stateful = scenario.checks, scenario.stateful
    if checks is not None:
        checks = replace(checks, level=min(checks.level, level))
    if stateful is not None:
        stateful = replace(stateful, level=min(stateful.level, level))
    return replace(scenario, checks=checks, stateful=stateful)


def describe_effects(scenario: Scenario, target: Target, *, level_lowered: bool) -> str:
    """Return what a run does to its target, as one line.

    `level_lowered`: its level was lowered because none was asked for.
    """
    found = list(_effects(scenario, target))
    text = f"{target.name}: {', '.join(found) if found else 'only reads'}"
    if level_lowered and target.clock is not None:
        text += (
            "; its clock stays as it is: to move it, name --level 3 or more, or write "
            "`disposable = true` in the target file"
        )
    return text


def _effects(scenario: Scenario, target: Target) -> Iterator[str]:
    checks, proxied = 0, False
    if scenario.checks is not None:
        part = scenario.checks
        asked = checks_for(target, level=part.level, only=part.only)
        checks = min(part.level, max((check.level for check in asked), default=0))
        proxied = any(check.level == 1 for check in asked)
    stateful = 0
    if scenario.stateful is not None and target.ingest is not None:
        stateful = max(level for level in levels(target) if level <= scenario.stateful.level)
    level = max(checks, stateful)
    plants = scenario.capsule is not None and not scenario.capsule.harvest
    traffic = scenario.fleet or scenario.proxied or scenario.load
    if target.proxies is not None and proxied:
        yield "sends requests through its proxies"
    if target.ingest is not None and (level >= 2 or traffic or plants):
        yield "injects events that stay"
    if target.ingest is not None and level >= 2 and target.money is not None:
        yield "makes payments"
    if level >= 3 and target.clock is not None:
        yield "moves its clock forward by more than 90 days, for good"
    if level >= 4 and target.restart is not None:
        yield "restarts it"
