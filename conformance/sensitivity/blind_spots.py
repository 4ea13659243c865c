"""Mutants that no verdict can notice, each with the sentence of the contract that says why.

An entry of `blind_spots.toml` is a pattern over view, field, operator and stage (`*` and `?` as in
file names; a list means any of them). A mutant that no verdict notices and no entry explains is a
gap of the checks.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files

from trueup.conformance.errors import JudgeBroken
from trueup.conformance.sensitivity.mutants import ResponseMutant
from trueup.conformance.sensitivity.operators import ResponseOperator

__all__ = ["Unjudgeable", "load_unjudgeable", "why_unjudgeable"]

_TABLE = "blind_spots.toml"
_ANY = ("*",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unjudgeable:
    """Mutants that no verdict can notice, and why."""

    views: tuple[str, ...]
    fields: tuple[str, ...]
    operators: tuple[str, ...]
    stages: tuple[str, ...]
    why: str
    """One sentence."""
    source: str
    """Where the contract, or its silence, is written down."""

    def covers(self, mutant: ResponseMutant) -> bool:
        """Return whether the patterns match a mutant."""
        return (
            _matches(mutant.view, self.views)
            and _matches(mutant.field, self.fields)
            and mutant.operator in self.operators
            and _matches(mutant.stage, self.stages)
        )


def load_unjudgeable() -> tuple[Unjudgeable, ...]:
    """Return the entries of the table in order. Raises JudgeBroken for an invalid one."""
    text = files("trueup.conformance.sensitivity").joinpath(_TABLE).read_text(encoding="utf-8")
    known = {str(operator) for operator in ResponseOperator}
    found = []
    for number, entry in enumerate(tomllib.loads(text)["blind_spot"], start=1):
        operators = tuple(entry.get("operators", sorted(known)))
        if unknown := set(operators) - known:
            raise JudgeBroken(f"{_TABLE}: entry {number}: no such operator: {sorted(unknown)}")
        found.append(
            Unjudgeable(
                views=tuple(entry.get("views", _ANY)),
                fields=tuple(entry.get("fields", _ANY)),
                operators=operators,
                stages=tuple(entry.get("stages", _ANY)),
                why=entry["why"],
                source=entry["source"],
            )
        )
    return tuple(found)


def why_unjudgeable(entries: Sequence[Unjudgeable], mutant: ResponseMutant) -> Unjudgeable | None:
    """Return the first entry that covers a mutant, or None."""
    return next((entry for entry in entries if entry.covers(mutant)), None)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
