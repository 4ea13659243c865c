"""Select the checks of a run by level, name and law."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from trueup.conformance.checks.check import Check
from trueup.conformance.checks.installed import installed_checks
from trueup.conformance.checks.registry import CHECKS
from trueup.conformance.errors import BadSelection
from trueup.conformance.target.load import levels
from trueup.conformance.target.model import Target

__all__ = ["all_checks", "check_names", "checks_at", "checks_for"]


def all_checks() -> tuple[Check, ...]:
    """Return the checks of trueup, and those that installed packages add. Raises LawUnusable."""
    return (*CHECKS, *installed_checks())


def checks_for(target: Target, *, level: int, only: Sequence[str] = ()) -> tuple[Check, ...]:
    """Return the checks that a run evaluates for a target, in order, as its header declares them.

    `level` bounds what may be done; what the target lets us do bounds it as well. `only` holds
    names or laws of checks; empty stands for all. Checks of installed packages are among them.
    Raises BadSelection for a name that is neither, and where the level leaves none of the checks
    that were asked for, and LawUnusable.
    """
    offered = check_names(only)
    reached = {each for each in levels(target) if each <= level}
    found = checks_at(reached, only=only, offered=offered)
    if only and not found:
        wanted = [check for check in offered if check.name in only or check.law in only]
        raise BadSelection(_out_of_reach(only, wanted, max(reached)))
    return found


def checks_at(
    reached: Collection[int], *, only: Sequence[str] = (), offered: Sequence[Check] = CHECKS
) -> tuple[Check, ...]:
    """Return the checks of those offered that a run evaluates which reached these levels, in order.

    `only` holds names or laws of checks; empty stands for all. Names that are neither are ignored.
    """
    audits = 2 not in reached
    return tuple(
        check
        for check in offered
        if (check.level in reached or (audits and check.audit))
        and (not only or check.name in only or check.law in only)
    )


def check_names(only: Sequence[str]) -> tuple[Check, ...]:
    """Return all checks. Raises BadSelection for a name that is neither a check nor a law."""
    offered = all_checks()
    known = sorted({name for check in offered for name in (check.name, check.law)})
    unknown = [name for name in dict.fromkeys(only) if name not in known]
    if unknown:
        near = [close for name in unknown for close in _near(name, known)]
        raise BadSelection(
            f"no check or law is called {', '.join(unknown)}\n  "
            + (f"did you mean {' or '.join(near)}? " if near else "")
            + "docs/checks.md lists them all"
        )
    return offered


def _near(name: str, known: Sequence[str]) -> list[str]:
    """Names that look alike, whatever their case."""
    folded = {each.casefold(): each for each in known}
    return [folded[each] for each in get_close_matches(name.casefold(), folded, n=3)]


def _out_of_reach(only: Sequence[str], wanted: Sequence[Check], top: int) -> str:
    names = ", ".join(only)
    least = min(check.level for check in wanted)
    return (
        f"nothing is left to check: {names} needs level {least}; this run reaches {top}\n"
        "  raise --level, or give the target file what that level needs (docs/targets.md)"
    )
