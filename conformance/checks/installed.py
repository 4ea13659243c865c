"""Checks that installed packages add by an entry point of the group `trueup.laws`.

Entry points are read each time they are asked for, and a law that cannot be used is an error before
anything is sent to the target.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from trueup.conformance.checks.check import AddedLaw, Check
from trueup.conformance.checks.law import Law
from trueup.conformance.checks.registry import CHECKS
from trueup.conformance.errors import LawUnusable
from trueup.reports.results import Impact

__all__ = ["GROUP", "installed_checks"]

GROUP: Final = "trueup.laws"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LAW: Final = re.compile(r"[A-Z][A-Z0-9=+-]{0,11}")
_LEVELS: Final = range(5)
_RESERVED: Final = ("fleet-", "load-", "stateful-")
"""Beginnings of the names of trueup's checks that are not in its register."""


def installed_checks() -> tuple[Check, ...]:
    """Return the checks of all installed packages, by name.

    Raises LawUnusable, with every problem, where one of them cannot be used.
    """
    entries = sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))
    counts = Counter(entry.name for entry in entries)
    checks, problems = [], []
    for entry in entries:
        try:
            law = entry.load()
        except (Exception, SystemExit) as error:
            found = [f"{type(error).__name__}: {error}"]
        else:
            found = [*_name_problems(entry.name, counts), *_problems(law)]
        if found:
            problems.append(f"law {entry.name} of {_package(entry)}: {entry.value} cannot be used")
            problems += [f"  {problem}" for problem in found]
        else:
            checks.append(_check(entry, law))
    if problems:
        problems.append(f"  remedy: correct or uninstall the package (entry points of {GROUP})")
        raise LawUnusable("\n".join(problems))
    return tuple(checks)


def _package(entry: EntryPoint) -> str:
    if entry.dist is None:
        return "an unknown package"
    return f"{entry.dist.name} {entry.dist.version}"


def _check(entry: EntryPoint, law: Law) -> Check:
    return Check(
        name=entry.name,
        law=law.law,
        title=law.title,
        clauses=tuple(law.clauses),
        level=law.level,
        impact=law.impact,
        needed=law.needed,
        added=AddedLaw(
            package=_package(entry), clause_texts=dict(law.clauses), compare=law.compare
        ),
    )


def _name_problems(name: str, counts: Mapping[str, int]) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield "the name of the entry point: expected lower-case words joined by hyphens"
    if name.startswith(_RESERVED) or name in {check.name for check in CHECKS}:
        yield "the name of the entry point: it is that of a check of trueup"
    if counts[name] > 1:
        yield f"{counts[name]} entry points have this name"


def _problems(law: object) -> Iterator[str]:
    """What is wrong with the object of an entry point, whatever its type."""
    if not isinstance(law, Law):
        yield f"expected a trueup.laws.Law, found {type(law).__name__}"
        return
    values: dict[str, object] = {name: getattr(law, name) for name in Law.__slots__}
    label, title, clauses = values["law"], values["title"], values["clauses"]
    if not isinstance(label, str) or not _LAW.fullmatch(label):
        yield f"law: expected 1 to 12 capitals, digits, =, + and -, found {label!r}"
    elif label in {check.law for check in CHECKS}:
        yield f"law: {label} is a law of trueup: choose another name"
    if not isinstance(title, str) or not title.strip():
        yield f"title: expected a sentence, found {title!r}"
    if (
        not isinstance(clauses, Mapping)
        or not clauses
        or not all(isinstance(text, str) and text for pair in clauses.items() for text in pair)
    ):
        yield "clauses: expected a mapping from ids to texts, with one clause or more"
    if not callable(values["compare"]):
        yield "compare: expected a function"
    if not _is_whole(values["needed"]) or law.needed < 1:
        yield f"needed: expected a whole number from 1 on, found {law.needed!r}"
    if not _is_whole(values["level"]) or law.level not in _LEVELS:
        yield f"level: expected 0 to 4, found {law.level!r}"
    if not isinstance(values["impact"], Impact):
        yield f"impact: expected a trueup.laws.Impact, found {law.impact!r}"


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
