"""One named way to be wrong, or to be different and right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from trueup.reference.behaviour import Behaviour

__all__ = ["Mutant", "fresh", "swap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A fault or a variant: its id, what it does in one sentence, and which seams it replaces.

    It does not say which law it breaks: that stands with whoever judges it.
    """

    id: str
    what: str
    apply: Callable[[Behaviour], Behaviour]


def swap(id: str, what: str, **seams: Any) -> Mutant:
    """A specimen that replaces these seams."""
    return Mutant(id=id, what=what, apply=lambda correct: replace(correct, **seams))


def fresh(id: str, what: str, make: Callable[[], dict[str, Any]]) -> Mutant:
    """A specimen whose seams share a state, made anew for each start."""
    return Mutant(id=id, what=what, apply=lambda correct: replace(correct, **make()))
