"""The register of clauses: every sentence of the contract, with its level, source and impact.

The text is data, in `clauses.toml`. Which check tests which clause is said by the checks; the
page that joins them is made by `trueup.conformance.docgen.checks_page`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from trueup.conformance.errors import ConformanceError
from trueup.reports.results import Impact

__all__ = ["Clause", "ClauseLevel", "clause", "clauses", "load_clauses", "read_clauses"]

_FILE: Final = Path(__file__).parent / "clauses.toml"
_ID: Final = re.compile(r"[A-Z]+(-[A-Z])?-[1-9][0-9]*")


class ClauseLevel(StrEnum):
    """How firmly the contract says it."""

    STATED = "stated"
    DERIVED = "derived"
    WEAK = "weak"
    """Inferred, or from one sample: a breach is a warning, never a failure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """One sentence of the contract."""

    id: str
    sentence: str
    level: ClauseLevel
    source: str
    impact: Impact
    untested: str = ""
    """Why no check tests it; empty for a clause that at least one check must test."""


@cache
def clauses() -> Mapping[str, Clause]:
    """Return id → clause, in the order of the register."""
    return read_clauses(_FILE.read_text("utf-8"))


def load_clauses() -> tuple[Clause, ...]:
    """Return all clauses, in the order of the register."""
    return tuple(clauses().values())


def clause(clause_id: str) -> Clause:
    """Return the clause with this id. Raises ConformanceError if there is none."""
    try:
        return clauses()[clause_id]
    except KeyError:
        raise ConformanceError(
            f'conformance/contract/clauses.toml has no clause "{clause_id}"; '
            "a check may cite only clauses of the register"
        ) from None


def read_clauses(text: str) -> Mapping[str, Clause]:
    """Return the register from its TOML text.

    Raises ConformanceError, naming the clause, for a wrong id, a missing or unknown key, a level
    or an impact that does not exist, or a sentence that is none.
    """
    rows = {name: _clause(name, row) for name, row in tomllib.loads(text).items()}
    return MappingProxyType(rows)


_KEYS: Final = frozenset({"sentence", "level", "source", "impact"})


def _clause(name: str, row: Mapping[str, Any]) -> Clause:
    if _ID.fullmatch(name) is None:
        raise ConformanceError(f'clause "{name}": expected an id such as LOG-3 or LEDGER-R-4')
    keys = set(row)
    if missing := sorted(_KEYS - keys):
        raise ConformanceError(f"clause {name}: {', '.join(missing)} missing")
    if unknown := sorted(keys - _KEYS - {"untested"}):
        raise ConformanceError(f"clause {name}: unknown key {', '.join(unknown)}")
    if not row["sentence"].endswith(".") or not row["source"]:
        raise ConformanceError(f"clause {name}: expected a sentence with a full stop, and a source")
    try:
        return Clause(
            id=name,
            sentence=row["sentence"],
            level=ClauseLevel(row["level"]),
            source=row["source"],
            impact=Impact(row["impact"]),
            untested=row.get("untested", ""),
        )
    except ValueError as error:
        raise ConformanceError(f"clause {name}: {error}") from error
