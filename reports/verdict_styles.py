"""How verdicts and exit statuses look and read, in every format: words, marks, weights.

The only place that says so. It decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trueup.reports.results import ExitStatus, Impact, Verdict

__all__ = ["IMPACTS", "STATUSES", "VERDICTS", "StatusStyle", "VerdictStyle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictStyle:
    """How a verdict is shown. `tone` is one of `bad`, `doubt`, `good`, `quiet`."""

    weight: int
    """The lower, the nearer to the top of a report."""
    mark: str
    ascii_mark: str
    word: str
    tone: str
    meaning: str


VERDICTS: Final[dict[Verdict, VerdictStyle]] = {
    Verdict.FAIL: VerdictStyle(
        weight=0,
        mark="✗",
        ascii_mark="x",
        word="fail",
        tone="bad",
        meaning="The target breaks the law.",
    ),
    Verdict.NOT_TESTABLE: VerdictStyle(
        weight=1,
        mark="⊘",
        ascii_mark="#",
        word="not testable",
        tone="bad",
        meaning="The target claims the feature, but it could not be exercised: counts against it.",
    ),
    Verdict.INCONCLUSIVE: VerdictStyle(
        weight=2,
        mark="?",
        ascii_mark="?",
        word="inconclusive",
        tone="doubt",
        meaning="The check ran, but its evidence stayed below what could have refuted it.",
    ),
    Verdict.BLOCKED: VerdictStyle(
        weight=3,
        mark="↳",
        ascii_mark=">",
        word="blocked",
        tone="doubt",
        meaning="A check that this one rests on failed; mend that one first.",
    ),
    Verdict.WARN: VerdictStyle(
        weight=4,
        mark="!",
        ascii_mark="!",
        word="warn",
        tone="doubt",
        meaning="Allowed by the contract, yet worth knowing.",
    ),
    Verdict.PASS: VerdictStyle(
        weight=5,
        mark="✓",
        ascii_mark="+",
        word="pass",
        tone="good",
        meaning="The evidence could have refuted the law, and did not.",
    ),
    Verdict.NOT_APPLICABLE: VerdictStyle(
        weight=6,
        mark="·",
        ascii_mark="-",
        word="not claimed",
        tone="quiet",
        meaning="The target does not claim the feature.",
    ),
}

IMPACTS: Final[dict[Impact, tuple[int, str]]] = {
    Impact.OVER_CHARGE: (0, "customers are charged too much"),
    Impact.PRIVACY: (1, "data reaches those who must not see it"),
    Impact.UNDER_CHARGE: (2, "usage goes unbilled"),
    Impact.COSMETIC: (3, "no money or privacy at stake"),
}
"""Impact → its weight, and whom it hurts in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusStyle:
    """How the end of a run is shown, and what its reader does next."""

    headline: str
    tone: str
    next_step: str


STATUSES: Final[dict[ExitStatus, StatusStyle]] = {
    ExitStatus.CONFORMS: StatusStyle(
        headline="Conforms",
        tone="good",
        next_step="Nothing to mend. Keep this run as the baseline for the next comparison.",
    ),
    ExitStatus.VIOLATES: StatusStyle(
        headline="Does not conform",
        tone="bad",
        next_step="Start with the first failure: its evidence shows how to see it again.",
    ),
    ExitStatus.COULD_NOT_TELL: StatusStyle(
        headline="Could not tell",
        tone="doubt",
        next_step="No law was seen broken, but not all could be judged: see what is open.",
    ),
    ExitStatus.OUR_ERROR: StatusStyle(
        headline="Our own error",
        tone="bad",
        next_step="The fault is in trueup, not in the target. Please report it with the journal.",
    ),
    ExitStatus.USAGE: StatusStyle(
        headline="Not run",
        tone="doubt",
        next_step="The request could not be carried out as given; see the message and try again.",
    ),
}
