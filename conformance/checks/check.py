"""What a check is: a law, the clauses that it tests, and the evidence below which it says nothing.

A check of trueup holds no code. The contract (`trueup.conformance.contract`) compares every
response with what it predicts and attributes each comparison to a check by name. A check that
another package adds makes its comparisons itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from trueup.conformance.checks.law import RecordedRun
from trueup.reports.results import Impact

__all__ = ["AddedLaw", "Check"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AddedLaw:
    """What a check of another package has besides: where it comes from, and its function."""

    package: str
    """Name and version."""
    clause_texts: Mapping[str, str]
    compare: Callable[[RecordedRun], Iterable[object]]
    """Its values have to be `Comparison`; those of a faulty package may not be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One row of the register of checks."""

    name: str
    law: str
    title: str
    """The law in one sentence."""
    clauses: tuple[str, ...]
    level: int = 2
    """Lowest level at which it can be tested."""
    impact: Impact = Impact.COSMETIC
    needed: int = 1
    """Least number of comparisons that could have refuted it; below it the check says nothing.

    0 for what a target need not show, or a run need not reach: without any comparison the check is
    not applicable.
    """
    claim: str = ""
    """Feature that the target must claim."""
    needs_hook: str = ""
    """Hook that the check needs beside those of its level."""
    second_customer: bool = False
    """Whether it needs the keys of two customers."""
    timed: bool = False
    """Whether the target's time plays a part; the evidence is then graded."""
    weak: bool = False
    """Whether its clauses are weak: a breach is a warning, never a failure."""
    audit: bool = False
    """Whether it can also be tested at level 0, on what an account already holds."""
    added: AddedLaw | None = None
    """The law of another package; None for a check of trueup."""
