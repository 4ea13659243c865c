"""Results grouped by law, as the terminal and the page show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trueup.reports.results import CheckResult

__all__ = ["LawGroup", "law_groups"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LawGroup:
    """One law over all its checks."""

    law: str
    results: tuple[CheckResult, ...]
    """Most severe first."""

    @property
    def worst(self) -> CheckResult:
        """The most severe result."""
        return self.results[0]

    @property
    def evidence(self) -> int:
        """Pieces of evidence over all checks of the law."""
        return sum(result.evidence for result in self.results)


def law_groups(results: Sequence[CheckResult]) -> tuple[LawGroup, ...]:
    """Return the results (most severe first) grouped by law, in the order of their first check."""
    laws: dict[str, list[CheckResult]] = {}
    for result in results:
        laws.setdefault(result.law, []).append(result)
    return tuple(LawGroup(law=law, results=tuple(group)) for law, group in laws.items())
