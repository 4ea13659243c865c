"""The stages of a run on the target's clock, as a table: when each is, and what happens in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.datasets.datasets import EVE_LEAD_S, day_start
from trueup.conformance.model import CheckContext

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
    at: Callable[[CheckContext], datetime] | None = None
    needs_hook: str = ""
    """Hook that the stage cannot be without."""
    maintenance: int = 0
    """How often maintenance is run before anything is asked."""


def _eve(context: CheckContext) -> datetime:
    midnight = day_start(context.now) + timedelta(days=1)
    eve = midnight - timedelta(seconds=EVE_LEAD_S)
    soon = context.now + timedelta(minutes=5)
    return eve if eve > soon else eve + timedelta(days=1)


def _morrow(context: CheckContext) -> datetime:
    return _eve(context) + timedelta(minutes=10)


def _after(span: timedelta) -> Callable[[CheckContext], datetime]:
    return lambda context: context.now + span


STAGES: Final = (
    Stage(name="baseline", level=0, what="reading what is there"),
    Stage(name="inject", level=2, what="planting events and reading them back"),
    Stage(name="money", level=2, what="buying and giving back data", needs_hook="money"),
    Stage(name="restart", level=4, what="restarting the target", needs_hook="restart"),
    Stage(
        name="before-midnight",
        level=3,
        what="ten seconds before midnight",
        at=_eve,
        needs_hook="clock",
    ),
    Stage(
        name="after-midnight",
        level=3,
        what="ten minutes after midnight",
        at=_morrow,
        needs_hook="clock",
    ),
    Stage(
        name="week",
        level=3,
        what="two hours before the logs are 7 days old",
        at=_after(WITHIN_A_WEEK),
        needs_hook="clock",
        maintenance=1,
    ),
    Stage(
        name="past-7",
        level=3,
        what="clearly after 7 days",
        at=_after(LONG_PAST_A_WEEK),
        needs_hook="clock",
        maintenance=1,
    ),
    Stage(
        name="near-90",
        level=3,
        what="before any summary is 90 days old",
        at=_after(BEFORE_90_DAYS),
        needs_hook="clock",
        maintenance=1,
    ),
    Stage(
        name="past-90",
        level=3,
        what="clearly after 90 days",
        at=_after(PAST_90_DAYS),
        needs_hook="clock",
        maintenance=1,
    ),
    Stage(
        name="repeat-maintenance",
        level=3,
        what="maintenance has run twice more",
        at=_after(PAST_90_DAYS + timedelta(hours=1)),
        needs_hook="clock",
        maintenance=2,
    ),
)


def stages_for(level: int, hooks: frozenset[str]) -> tuple[Stage, ...]:
    """The stages that a run of this level goes through, with the hooks that the target has."""
    return tuple(
        stage
        for stage in STAGES
        if stage.level <= level and (not stage.needs_hook or stage.needs_hook in hooks)
    )
