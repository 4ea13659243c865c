"""Dimension tables of the contract: what events, payments, operations and requests may differ in.

The tables are data, in `dimensions.toml`. They hold no values: how a class becomes an event, a
payment or a request is decided by the module that builds it. A plan covers the classes by covering
arrays (`datasets.covering`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

__all__ = ["DIMENSIONS", "Dimension", "ValueClass", "dimension", "table"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueClass:
    """One class of values of a dimension."""

    name: str
    sentence: str
    level: int = 2
    """Lowest level at which it can be reached: 0 read, 2 inject, 3 move the clock, 4 restart."""
    claim: str = ""
    """Feature that the target must claim; empty for none."""
    hook: str = ""
    """Control hook that the target must have; empty for none."""

    def missing(self, level: int, claims: Collection[str], hooks: Collection[str]) -> str:
        """Return what a run lacks to reach this class, in words; empty if it lacks nothing."""
        if self.hook and self.hook not in hooks:
            return f"needs level {self.level}" if self.level > 2 else f"needs [{self.hook}]"
        if level < self.level:
            return f"needs level {self.level}"
        if self.claim and self.claim not in claims:
            return f"`{self.claim}` is not claimed"
        return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dimension:
    """One way in which the members of a table differ."""

    table: str
    """`event`, `payment`, `operation` or `request`."""
    name: str
    classes: tuple[ValueClass, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return tuple(each.name for each in self.classes)

    def reachable(
        self, level: int, claims: Collection[str], hooks: Collection[str]
    ) -> tuple[str, ...]:
        """Return the names of the classes that a run can reach."""
        return tuple(each.name for each in self.classes if not each.missing(level, claims, hooks))


def _read() -> tuple[Dimension, ...]:
    text = files(__package__).joinpath("dimensions.toml").read_text("utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)["dimension"]
    return tuple(
        Dimension(**row | {"classes": tuple(ValueClass(**each) for each in row["classes"])})
        for row in rows
    )


DIMENSIONS: Final[Sequence[Dimension]] = _read()
"""Every dimension, in the order of the coverage table."""


def table(name: str) -> tuple[Dimension, ...]:
    """Return the dimensions of one table, in order."""
    return tuple(each for each in DIMENSIONS if each.table == name)


def dimension(table_name: str, name: str) -> Dimension:
    """Return one dimension. Raises KeyError if there is none of that name."""
    for each in DIMENSIONS:
        if (each.table, each.name) == (table_name, name):
            return each
    raise KeyError(f"{table_name}.{name}")
