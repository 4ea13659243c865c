"""Verdicts, outcomes and findings as plain frozen values, without behaviour.

Every package that produces results imports this module; this module imports none of them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

__all__ = [
    "EXIT_STATUS",
    "CellKey",
    "CheckResult",
    "Counterexample",
    "Counts",
    "CoverageRow",
    "Difference",
    "EventOutcome",
    "ExitStatus",
    "HourKey",
    "Impact",
    "Json",
    "LoadThreshold",
    "Outcome",
    "Reading",
    "TieOut",
    "Verdict",
]

if TYPE_CHECKING:
    Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
else:
    Json = object
"""Any value that a JSON text can hold. (At run time msgspec takes it as it comes.)"""


class Verdict(StrEnum):
    """Result of a check. `fail` outranks all others; `inconclusive` outranks `pass`."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    WARN = "warn"
    NOT_APPLICABLE = "not-applicable"
    """The target does not claim the feature."""
    NOT_TESTABLE = "not-testable"
    """The target claims the feature, but it cannot be exercised: counts as a failure."""
    INCONCLUSIVE = "inconclusive"
    """The check ran, but had less evidence than a failure needs to show."""
    BLOCKED = "blocked-by"
    """A check that this one depends on failed; see `CheckResult.blocked_by`."""


class Outcome(StrEnum):
    """Result of a delivery. Unknown: it may or may not have been accepted."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Impact(StrEnum):
    """Who is harmed by a broken clause."""

    OVER_CHARGE = "over-charge"
    UNDER_CHARGE = "under-charge"
    PRIVACY = "privacy"
    COSMETIC = "cosmetic"


class ExitStatus(StrEnum):
    """How a run ended, by name; `EXIT_STATUS` has the numbers."""

    CONFORMS = "conforms"
    VIOLATES = "does not conform"
    COULD_NOT_TELL = "could not tell"
    OUR_ERROR = "our own error"
    USAGE = "usage"


EXIT_STATUS: Final[dict[ExitStatus, int]] = {
    ExitStatus.CONFORMS: 0,
    ExitStatus.VIOLATES: 1,
    ExitStatus.COULD_NOT_TELL: 2,
    ExitStatus.OUR_ERROR: 3,
    ExitStatus.USAGE: 4,
}


class CellKey(NamedTuple):
    """Key of a summary row within one customer: where an event is counted."""

    customer_id: int
    proxy_user_id: str
    network: str
    hostname: str
    day: str
    """UTC, `YYYY-MM-DD`."""


class EventOutcome(NamedTuple):
    """Outcome of one event that was delivered to a target."""

    outcome: Outcome
    reason: str = ""


class HourKey(NamedTuple):
    """One hour of one network of one customer, as a graph shows it."""

    customer_id: int
    network: str
    hour: str
    """UTC, `YYYY-MM-DD HH`."""


class Counts(NamedTuple):
    """The numbers that are added up in a cell. Exact integers."""

    requests: int
    bytes: int
    successful: int
    error: int


class _Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the values below: immutable, keyword-only, defaults left out of the JSON."""


class Difference(_Value, frozen=True, kw_only=True, omit_defaults=True):
    """One place where the expected and the returned value differ."""

    where: str
    """The cell, row or field, for a person: `user-1 · residential · apple.com · 2025-04-01`."""
    expected: str
    seen: str


class Counterexample(_Value, frozen=True, kw_only=True, omit_defaults=True):
    """The smallest evidence found that shows a failure."""

    differences: tuple[Difference, ...] = ()
    """Every place that differs, up to a bound of the judge; reports decide how many they show."""
    events: tuple[dict[str, Json], ...] = ()
    """The events, as sent, that suffice to show it."""
    exchanges: tuple[int, ...] = ()
    """Numbers of the journal's exchange records that show it, in order."""


class CheckResult(_Value, frozen=True, kw_only=True, omit_defaults=True):
    """The result of one check. It can be recomputed from the journal alone."""

    check: str
    """Name of the check, stable across versions: `summaries-equal-logs`."""
    law: str
    """The law that it tests, as in docs/checks.md: `SUM=LOG`."""
    title: str
    """The law in one sentence."""
    verdict: Verdict
    reason: str
    """One sentence that says why the verdict is what it is."""
    clauses: tuple[str, ...] = ()
    level: int = 0
    """Lowest level at which the check can run: 0 read … 4 restart."""
    impact: Impact = Impact.COSMETIC
    grade: str = ""
    """How time was handled: A clock API, B back-dated injection, C compressed day,
    D time capsule, E data already there; empty where time plays no part."""
    evidence: int = 0
    evidence_needed: int = 1
    expected: str = ""
    seen: str = ""
    counterexample: Counterexample | None = None
    blocked_by: str = ""
    """Name of the check that blocks this one, where the verdict is `blocked-by`."""
    package: str = ""
    """Package that adds the check, with its version; empty for a check of trueup."""
    clause_texts: dict[str, str] = {}
    """Id → text of the clauses of such a package. Those of trueup are in docs/checks.md."""


class Reading(_Value, frozen=True, kw_only=True, omit_defaults=True):
    """How the target interprets a point that the contract leaves open."""

    name: str
    value: str
    how: str
    """`declared` in the target file, `probed` by us, or `default`."""
    why: str = ""


class TieOut(_Value, frozen=True, kw_only=True, omit_defaults=True):
    """One row of the tie-out table: expected and returned figures of one view and scope."""

    view: str
    """`logs`, `summaries`, `residential_ledger`, `mobile_ledger`, `graph`, `account`; of traffic
    through proxies also `client`, `proxy` and `origin`."""
    scope: str
    """What is added up: a network, a day, a tenant."""
    expected_requests: int | None = None
    seen_requests: int | None = None
    expected_bytes: int | None = None
    seen_bytes: int | None = None
    slack_requests: int = 0
    """Widening of the expectation by deliveries whose outcome is unknown."""
    slack_bytes: int = 0
    ok: bool = True


class CoverageRow(_Value, frozen=True, kw_only=True, omit_defaults=True):
    """Whether a run reached one class of values of one dimension of the contract."""

    table: str
    """What has the dimension: `event`, `payment`, `operation`, `request`."""
    dimension: str
    name: str
    """Name of the class."""
    sentence: str
    """What the class is."""
    reached: bool
    why: str = ""
    """Why it was not reached; empty where it was."""


class LoadThreshold(_Value, frozen=True, kw_only=True, omit_defaults=True):
    """One threshold of a load scenario and the value that was measured."""

    name: str
    limit: float
    value: float | None
    unit: str
    ok: bool
    timed: bool = True
    """Whether it is a time or a rate. Missed on a disturbed machine, such a threshold is
    undetermined; others stay missed."""
