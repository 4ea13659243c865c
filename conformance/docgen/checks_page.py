"""Generate `docs/checks.md`, which connects clauses, checks and faults; report missing links.

Pure: clauses, checks and the laws that must detect each fault are given as plain values. `python -m
trueup.conformance.docgen.checks_page scenarios/mutation/register.toml` writes the page.
"""

from __future__ import annotations

import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from trueup.conformance.contract.clauses import Clause, clauses
from trueup.conformance.docgen.pages import table
from trueup.reports.results import Impact

__all__ = ["PAGE", "AnyCheck", "charges_of", "checks_page", "drift"]

PAGE: Final = Path("docs/checks.md")
"""Relative to the repository."""

_SECTIONS: Final[Mapping[str, str]] = {
    "LOG": "Raw logs",
    "RET": "Retention of logs",
    "SUM": "Daily summaries",
    "CON": "Consolidation of summaries",
    "LEDGER-R": "The residential ledger",
    "LEDGER-M": "The mobile ledger",
    "ACC": "Account figures",
    "GRAPH": "The graph",
    "BREAK": "The breakdown",
    "AUTH": "Keys",
    "ENV": "Bodies and errors",
    "PAGE": "Pages",
    "FILTER": "Filters",
    "SORT": "Order",
    "RETR": "Retrieval",
    "TEN": "Accounts kept apart",
    "RATE": "Rate limit",
    "RANGE": "Impossible events",
    "FRESH": "Freshness",
    "MONEY": "Money",
    "SAFE": "Safety",
    "READ": "Declared readings",
    "GUIDE": "Sentences that describe and promise nothing",
}
"""Beginning of a clause's id → title of its section, in the order of the page."""


class AnyCheck(Protocol):
    """What the page needs to know of a check."""

    @property
    def name(self) -> str: ...
    @property
    def law(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def clauses(self) -> tuple[str, ...]: ...
    @property
    def level(self) -> int: ...
    @property
    def impact(self) -> Impact: ...


def charges_of(register_toml: str) -> Mapping[str, tuple[str, ...]]:
    """Return fault id → laws that must detect it, from the text of
    `scenarios/mutation/register.toml`.
    """
    register = tomllib.loads(register_toml)
    faults = {**register["faults"], **register["proxied"]["faults"]}
    return {fault: tuple(charge["laws"]) for fault, charge in faults.items()}


def drift(
    checks: Sequence[AnyCheck],
    register: Mapping[str, Clause],
    charges: Mapping[str, tuple[str, ...]],
) -> list[str]:
    """Return each missing connection between clauses, checks and faults as a sentence."""
    citing = _citing(checks)
    laws = {check.law for check in checks}
    charged = {law for of_fault in charges.values() for law in of_fault}
    return [
        *(
            f"clause {one.id} has neither a check nor a reason why it is untested"
            for one in register.values()
            if not citing[one.id] and not one.untested
        ),
        *(
            f"clause {one.id} states why it is untested, but {citing[one.id][0]} tests it"
            for one in register.values()
            if citing[one.id] and one.untested
        ),
        *(f"check {check.name} cites no clause" for check in checks if not check.clauses),
        *(
            f"check {check.name} cites {cited}, which the register does not have"
            for check in checks
            for cited in check.clauses
            if cited not in register
        ),
        *(
            f"fault {fault} must be detected by {law}, which no check tests"
            for fault, of_fault in charges.items()
            for law in of_fault
            if law not in laws
        ),
        *(f"law {law} has no fault that its checks must detect" for law in sorted(laws - charged)),
    ]


def checks_page(
    checks: Sequence[AnyCheck],
    register: Mapping[str, Clause],
    charges: Mapping[str, tuple[str, ...]],
) -> str:
    """Return the page as Markdown."""
    untested = sum(bool(one.untested) for one in register.values())
    head = f"""\
# Clauses, checks and faults

Made by `make docs`; do not edit.

{len(register)} clauses, of which {len(register) - untested} are tested and {untested} are not;
{len(checks)} checks of {len({check.law for check in checks})} laws; {len(charges)} faults.
Clauses are *stated* by a document, *derived* from what is stated, or *weak*. Sources: sections of
the guide; items of [open-points.md](open-points.md) (C and S); `docs:` pages of the public
documentation; `sdk:` its public client; `architecture:` [architecture.md](architecture.md).
What each fault does, and which check detected it: [kill-matrix.md](kill-matrix.md); those of
proxies: [kill-matrix-proxies.md](kill-matrix-proxies.md).
"""
    laws = _laws(checks, charges)
    return "\n".join([head, *_clause_tables(checks, register), _check_table(checks), laws])


def _citing(checks: Iterable[AnyCheck]) -> defaultdict[str, list[str]]:
    citing: defaultdict[str, list[str]] = defaultdict(list)
    for check in checks:
        for cited in check.clauses:
            citing[cited].append(check.name)
    return citing


def _clause_tables(checks: Sequence[AnyCheck], register: Mapping[str, Clause]) -> Iterator[str]:
    citing = _citing(checks)
    sections: defaultdict[str, list[Clause]] = defaultdict(list)
    for one in register.values():
        sections[_section(one.id)].append(one)
    yield "## Clauses\n"
    for prefix, title in _SECTIONS.items():
        if sections[prefix]:
            yield f"### {title}\n"
            yield table(
                ("clause", "says", "level", "impact", "source", "tested by"),
                (
                    (
                        one.id,
                        one.sentence,
                        one.level,
                        one.impact,
                        one.source,
                        ", ".join(f"`{name}`" for name in citing[one.id])
                        or f"*not tested: {one.untested}*",
                    )
                    for one in sections[prefix]
                ),
            )


def _section(clause_id: str) -> str:
    """Return the longest known beginning of an id. Raises LookupError if there is none."""
    fitting = [prefix for prefix in _SECTIONS if clause_id.startswith(prefix + "-")]
    if not fitting:
        raise LookupError(f"clause {clause_id} belongs to no section of docs/checks.md")
    return max(fitting, key=len)


def _check_table(checks: Sequence[AnyCheck]) -> str:
    rows = (
        (
            f"`{check.name}`",
            check.law,
            check.title,
            f"L{check.level}",
            check.impact,
            ", ".join(check.clauses),
        )
        for check in checks
    )
    return "## Checks\n\n" + table(("check", "law", "says", "from", "impact", "clauses"), rows)


def _laws(checks: Sequence[AnyCheck], charges: Mapping[str, tuple[str, ...]]) -> str:
    laws = dict.fromkeys(check.law for check in checks)
    rows = (
        (
            law,
            ", ".join(f"`{check.name}`" for check in checks if check.law == law),
            ", ".join(fault for fault, of_fault in charges.items() if law in of_fault),
        )
        for law in laws
    )
    return "## Laws and the faults that they must detect\n\n" + table(
        ("law", "checks", "faults"), rows
    )


def _main(register_file: Path) -> None:
    from trueup.conformance.checks.registry import CHECKS

    charges = charges_of(register_file.read_text("utf-8"))
    PAGE.write_text(checks_page(CHECKS, clauses(), charges), "utf-8")
    for problem in drift(CHECKS, clauses(), charges):
        sys.stderr.write(f"{problem}\n")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
