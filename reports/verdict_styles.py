"""Words, symbols and severity of verdicts and exit statuses, the same in every format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trueup.reports.results import ExitStatus, Impact, Verdict

__all__ = ["IMPACTS", "KNOWN_ONLY", "STATUSES", "VERDICTS", "StatusStyle", "VerdictStyle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictStyle:
    """How a verdict is shown. `tone` is one of `bad`, `doubt`, `good`, `quiet`."""

    weight: int
    """Position in a report: the lowest comes first."""
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
        meaning="The target claims the feature, but it cannot be exercised: counts as a failure.",
    ),
    Verdict.INCONCLUSIVE: VerdictStyle(
        weight=2,
        mark="?",
        ascii_mark="?",
        word="inconclusive",
        tone="doubt",
        meaning="The check ran, but had too little evidence for a verdict.",
    ),
    Verdict.BLOCKED: VerdictStyle(
        weight=3,
        mark="↳",
        ascii_mark=">",
        word="blocked",
        tone="doubt",
        meaning="A check that this one depends on failed; fix that one first.",
    ),
    Verdict.WARN: VerdictStyle(
        weight=4,
        mark="!",
        ascii_mark="!",
        word="warn",
        tone="doubt",
        meaning="Allowed by the contract, but of interest to its users.",
    ),
    Verdict.PASS: VerdictStyle(
        weight=5,
        mark="✓",
        ascii_mark="+",
        word="pass",
        tone="good",
        meaning="The evidence could have shown a violation of the law, and showed none.",
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
    Impact.PRIVACY: (1, "data is shown to a customer who must not see it"),
    Impact.UNDER_CHARGE: (2, "usage goes unbilled"),
    Impact.COSMETIC: (3, "neither billing nor privacy is affected"),
}
"""Impact → position in a report, and who is harmed, in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusStyle:
    """How the end of a run is shown, and what to do next."""

    headline: str
    tone: str
    next_step: str


STATUSES: Final[dict[ExitStatus, StatusStyle]] = {
    ExitStatus.CONFORMS: StatusStyle(
        headline="Conforms",
        tone="good",
        next_step="Nothing to fix. Keep this run as the baseline for the next comparison.",
    ),
    ExitStatus.VIOLATES: StatusStyle(
        headline="Does not conform",
        tone="bad",
        next_step="Start with the first failure: its evidence shows how to reproduce it.",
    ),
    ExitStatus.COULD_NOT_TELL: StatusStyle(
        headline="Could not tell",
        tone="doubt",
        next_step="No law was broken, but not every check has a verdict: see which and why.",
    ),
    ExitStatus.OUR_ERROR: StatusStyle(
        headline="Our own error",
        tone="bad",
        next_step="An error of trueup, not of the target. Please report it with the journal.",
    ),
    ExitStatus.USAGE: StatusStyle(
        headline="Not run",
        tone="doubt",
        next_step="The request could not be carried out as given; see the message and try again.",
    ),
}


KNOWN_ONLY: Final = StatusStyle(
    headline="Nothing new",
    tone="doubt",
    next_step="Every failure is listed as known. Look at those whose last day is near.",
)
"""How a run is shown whose failures are all known."""
