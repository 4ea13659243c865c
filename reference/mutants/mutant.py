"""One named way to be wrong, or to be different and right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from trueup.reference.behaviour import Behaviour

__all__ = ["Mutant", "fresh", "layer", "swap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A fault or a variant: its id, what it does in one sentence, and how it changes the behaviour.

    It does not say which law it breaks: that stands with whoever judges it.
    """

    id: str
    what: str
    apply: Callable[[Behaviour], Behaviour]
    replaces: frozenset[str] = frozenset()
    """Fields whose earlier value is lost; two mutants that share one cannot be combined."""


def swap(id: str, what: str, **fields: Any) -> Mutant:
    """Return a mutant that replaces these fields of the behaviour."""
    return Mutant(
        id=id,
        what=what,
        apply=lambda correct: replace(correct, **fields),
        replaces=frozenset(fields),
    )


def layer(id: str, what: str, **fields: Callable[..., Any]) -> Mutant:
    """Return a mutant that changes the results of these fields, whatever the fields are.

    Each function takes the arguments of its field, of which the last is a value, and returns that
    value changed; in place of the value it is given what the field made of it.
    """

    def over(earlier: Callable[..., Any], change: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given: change(*given[:-1], earlier(*given))

    def apply(correct: Behaviour) -> Behaviour:
        changed: dict[str, Any] = {
            name: over(getattr(correct, name), change) for name, change in fields.items()
        }
        return replace(correct, **changed)

    return Mutant(id=id, what=what, apply=apply)


def fresh(id: str, what: str, make: Callable[[], dict[str, Any]]) -> Mutant:
    """Return a mutant whose fields share a state, made anew for each start."""
    return Mutant(
        id=id,
        what=what,
        apply=lambda correct: replace(correct, **make()),
        replaces=frozenset(make()),
    )
