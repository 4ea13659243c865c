"""docs/checks.md: every clause, check and fault is connected, and the page is up to date."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from trueup.conformance.checks.registry import CHECKS
from trueup.conformance.contract.clauses import clauses, read_clauses
from trueup.conformance.docgen.checks_page import PAGE, charges_of, checks_page, drift
from trueup.reports.results import Impact

_ROOT = Path(__file__).parents[2]
_CHARGES = charges_of((_ROOT / "scenarios" / "mutation" / "register.toml").read_text("utf-8"))
_KNOWN_GAPS = {
    # A false target file, not a faulty target: tests/third_party declares one.
    "law READING has no fault that its checks must detect",
}
"""What is still to be done or proven elsewhere, by name; nothing else may be missing."""


@dataclass(frozen=True, kw_only=True)
class _Check:
    name: str = "logs-equal-sent"
    law: str = "LOG=SENT"
    title: str = "All | logs."
    clauses: tuple[str, ...] = ("LOG-1",)
    level: int = 2
    impact: Impact = Impact.COSMETIC


_REGISTER = read_clauses(
    '[LOG-1]\nsentence = "It rains."\nlevel = "stated"\nsource = "guide"\nimpact = "cosmetic"\n'
)
_UNTESTED = read_clauses(
    '[LOG-1]\nsentence = "It rains."\nlevel = "stated"\nsource = "guide"\nimpact = "cosmetic"\n'
    'untested = "it is dry here"\n'
)


def test_every_clause_has_a_check_every_check_a_clause_and_every_law_a_fault() -> None:
    """Each clause has a check or a reason, each check a clause, each law a fault."""
    assert set(drift(CHECKS, clauses(), _CHARGES)) <= _KNOWN_GAPS


def test_the_page_is_up_to_date() -> None:
    """Otherwise: make docs"""
    assert checks_page(CHECKS, clauses(), _CHARGES) == (_ROOT / PAGE).read_text("utf-8")


def test_names_of_checks_are_unique() -> None:
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("checks", "register", "charges", "said"),
    [
        ([_Check()], _REGISTER, {"A1": ("LOG=SENT",)}, []),
        ([], _REGISTER, {}, ["clause LOG-1 has neither a check nor a reason why it is untested"]),
        ([], _UNTESTED, {}, []),
        (
            [_Check()],
            _UNTESTED,
            {"A1": ("LOG=SENT",)},
            ["clause LOG-1 states why it is untested, but logs-equal-sent tests it"],
        ),
        (
            [_Check(), _Check(name="idle", clauses=())],
            _REGISTER,
            {"A1": ("LOG=SENT",)},
            ["check idle cites no clause"],
        ),
        (
            [_Check(clauses=("LOG-1", "LOG-9"))],
            _REGISTER,
            {"A1": ("LOG=SENT",)},
            ["check logs-equal-sent cites LOG-9, which the register does not have"],
        ),
        (
            [_Check()],
            _REGISTER,
            {"A1": ("LOG=SENT",), "B1": ("DAY",)},
            ["fault B1 must be detected by DAY, which no check tests"],
        ),
        ([_Check()], _REGISTER, {}, ["law LOG=SENT has no fault that its checks must detect"]),
    ],
)
def test_each_missing_connection_is_reported(
    checks: list[_Check],
    register: dict[str, object],
    charges: dict[str, tuple[str, ...]],
    said: list[str],
) -> None:
    assert drift(checks, register, charges) == said  # type: ignore[arg-type]


def test_vertical_bars_are_escaped_in_tables() -> None:
    page = checks_page([_Check()], _REGISTER, {"A1": ("LOG=SENT",)})
    assert "| `logs-equal-sent` | LOG=SENT | All \\| logs. | L2 |" in page
