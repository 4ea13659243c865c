"""What a run does to a target, and how far it goes without being asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from trueup.conformance.target.model import Budget, HttpHook, HttpIngest, Target, Tenant
from trueup.scenarios.run.effects import LEVEL_UNASKED, describe_effects, within_level
from trueup.scenarios.scenario import ChecksPart, Scenario, StatefulPart

_HOOK = HttpHook(url="http://127.0.0.1:9/x")
_TARGET = Target(
    name="lab",
    base_url="http://127.0.0.1:9/1.0",
    tenants={"a": Tenant(public_key="p", private_key="q", customer_id=1)},
    ingest=HttpIngest(url="http://127.0.0.1:9/events"),
    clock=_HOOK,
    restart=_HOOK,
    budget=Budget(),
    path=Path("lab.toml"),
)


def _checks(level: int, only: tuple[str, ...] = ()) -> Scenario:
    return Scenario(name="check", what="", checks=ChecksPart(level=level, only=only))


def test_a_whole_run_says_that_it_moves_the_clock_and_restarts() -> None:
    assert describe_effects(_checks(4), _TARGET, level_lowered=False) == (
        "lab: injects events that stay, moves its clock forward by more than 90 days, for good, "
        "restarts it"
    )


@pytest.mark.parametrize(
    ("scenario", "target"),
    [
        (_checks(2), _TARGET),
        (_checks(4, ("RANGE",)), _TARGET),
        (_checks(4), replace(_TARGET, clock=None, restart=None)),
    ],
    ids=["level 2", "--only a check of level 2", "no hooks"],
)
def test_a_run_that_only_injects_says_only_that(scenario: Scenario, target: Target) -> None:
    said = describe_effects(scenario, target, level_lowered=False)
    assert said == "lab: injects events that stay"


def test_a_run_of_level_0_only_reads() -> None:
    assert describe_effects(_checks(0), _TARGET, level_lowered=False) == "lab: only reads"


def test_a_lowered_level_is_said_with_what_raises_it() -> None:
    whole = Scenario(
        name="x", what="", checks=ChecksPart(level=4), stateful=StatefulPart(examples=1)
    )
    within = within_level(whole, LEVEL_UNASKED)
    assert within.checks is not None
    assert within.stateful is not None
    assert (within.checks.level, within.stateful.level) == (2, 2)
    said = describe_effects(within, _TARGET, level_lowered=True)
    assert "--level 3" in said
    assert "disposable = true" in said
    assert "moves" not in said.replace("to move it", "")
