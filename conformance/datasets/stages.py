"""The stages of a run on the target's clock, as a table: when each is, and what happens in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.datasets.datasets import EVE_LEAD_S, day_start
from trueup.conformance.model import Scene

__all__ = ["STAGES", "Stage", "stages_for"]

LONG_PAST_A_WEEK: Final = timedelta(days=9, hours=6)
"""Clearly older than 7 days: whole calendar days and a sweep of most of a day are past."""
WITHIN_A_WEEK: Final = timedelta(days=6, hours=22)
BEFORE_90_DAYS: Final = timedelta(days=88, hours=12)
"""Half a day short of 89, so that a midnight that passes meanwhile leaves rows to look at."""
PAST_90_DAYS: Final = timedelta(days=93, hours=12)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stage. Where `at` gives a time, the target's clock is moved there first."""

    name: str
    level: int
    what: str
    at: Callable[[Scene], datetime] | None = None
    lever: str = ""
    """Hook that the stage cannot be without."""
    maintenance: int = 0
    """How often maintenance is run before anything is asked."""


def _eve(scene: Scene) -> datetime:
    midnight = day_start(scene.now) + timedelta(days=1)
    eve = midnight - timedelta(seconds=EVE_LEAD_S)
    soon = scene.now + timedelta(minutes=5)
    return eve if eve > soon else eve + timedelta(days=1)


def _morrow(scene: Scene) -> datetime:
    return _eve(scene) + timedelta(minutes=10)


def _after(span: timedelta) -> Callable[[Scene], datetime]:
    return lambda scene: scene.now + span


STAGES: Final = (
    Stage(name="open", level=0, what="reading what is there"),
    Stage(name="now", level=2, what="planting events and reading them back"),
    Stage(name="money", level=2, what="buying and giving back data", lever="money"),
    Stage(name="restart", level=4, what="restarting the target", lever="restart"),
    Stage(name="eve", level=3, what="ten seconds before midnight", at=_eve, lever="clock"),
    Stage(name="morrow", level=3, what="ten minutes after midnight", at=_morrow, lever="clock"),
    Stage(
        name="week",
        level=3,
        what="two hours before the logs are 7 days old",
        at=_after(WITHIN_A_WEEK),
        lever="clock",
        maintenance=1,
    ),
    Stage(
        name="past-7",
        level=3,
        what="clearly after 7 days",
        at=_after(LONG_PAST_A_WEEK),
        lever="clock",
        maintenance=1,
    ),
    Stage(
        name="near-90",
        level=3,
        what="before any summary is 90 days old",
        at=_after(BEFORE_90_DAYS),
        lever="clock",
        maintenance=1,
    ),
    Stage(
        name="past-90",
        level=3,
        what="clearly after 90 days",
        at=_after(PAST_90_DAYS),
        lever="clock",
        maintenance=1,
    ),
    Stage(
        name="again",
        level=3,
        what="maintenance has run twice more",
        at=_after(PAST_90_DAYS + timedelta(hours=1)),
        lever="clock",
        maintenance=2,
    ),
)


def stages_for(level: int, levers: frozenset[str]) -> tuple[Stage, ...]:
    """The stages that a run of this level goes through, with the hooks that the target has."""
    return tuple(
        stage
        for stage in STAGES
        if stage.level <= level and (not stage.lever or stage.lever in levers)
    )
