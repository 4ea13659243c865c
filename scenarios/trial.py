"""One trial: a reference of the zoo, started and judged in a process of its own.

`python -m scenarios.trial` reads a plan on its standard input and prints the trial; `prove` starts
many of these.
"""

from __future__ import annotations

import msgspec

from reports.facts import CheckResult

__all__ = ["Trial", "TrialPlan"]


class TrialPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to start and judge."""

    id: str
    options: tuple[str, ...]
    """Flags of the reference beside those that every trial gives."""
    seed: int
    level: int = 4


class Trial(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a trial showed. Without results it proves nothing."""

    results: tuple[CheckResult, ...] = ()
    error: str = ""
    timed_out: bool = False
    requests: int = 0
    wall_s: float = 0.0
