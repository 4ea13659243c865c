"""The register of clauses: which ones it rejects, and that the installed one is valid."""

from __future__ import annotations

import re

import pytest

from trueup.conformance.contract.clauses import (
    ClauseLevel,
    clause,
    clauses,
    load_clauses,
    read_clauses,
)
from trueup.conformance.errors import ConformanceError

_GOOD = """
[LOG-1]
sentence = "It rains."
level = "stated"
source = "guide"
impact = "cosmetic"
"""


def test_a_clause_is_found_by_its_id() -> None:
    assert clause("RET-1").level is ClauseLevel.STATED


def test_no_two_clauses_have_the_same_sentence() -> None:
    """Except those of the two pools; otherwise a check could cite the wrong one."""
    ours = [one.sentence for one in load_clauses() if not re.match(r"LEDGER-|ACC-[RM]-", one.id)]
    assert len(ours) > 100
    assert len(ours) == len(set(ours))


def test_the_two_pools_have_the_same_clauses() -> None:
    ids = set(clauses())
    assert {one for one in ids if one.startswith("LEDGER-M-")} == {
        one.replace("-R-", "-M-") for one in ids if one.startswith("LEDGER-R-")
    }


def test_an_unknown_clause_is_rejected_with_its_name() -> None:
    with pytest.raises(ConformanceError, match='no clause "LOG-999"'):
        clause("LOG-999")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("LOG-1", "log1", 'clause "log1": expected an id'),
        ("source", "sauce", "clause LOG-1: source missing"),
        ('impact = "cosmetic"', 'impact = "huge"', "clause LOG-1: 'huge'"),
        ('level = "stated"', 'level = "must"', "clause LOG-1: 'must'"),
        ("rains.", "rains", "clause LOG-1: expected a sentence"),
        (
            'impact = "cosmetic"',
            'impact = "cosmetic"\nmood = "x"',
            "clause LOG-1: unknown key mood",
        ),
    ],
)
def test_an_invalid_register_is_rejected_with_the_clause(
    before: str, after: str, said: str
) -> None:
    read_clauses(_GOOD)
    with pytest.raises(ConformanceError, match=said):
        read_clauses(_GOOD.replace(before, after))
