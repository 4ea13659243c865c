"""What another package writes to add a law: its clauses, and what it compares in a run's records.

A law is registered by an entry point of the group `trueup.laws` (`installed.py`), and is public as
`trueup.laws`. It reads what a run recorded and sends nothing, so its verdict can be recomputed from
the journal like every other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from trueup.conformance.observed.observations import InjectedEvent, Observations
from trueup.reports.journal.records import Exchange, Hook, Record
from trueup.reports.results import Impact, Json

__all__ = ["Comparison", "Law", "RecordedRun", "recorded_run"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedRun:
    """What the checks of one run sent and received. Not to be changed."""

    prefix: str
    """Begins every name that the run injected."""
    level: int
    customers: Mapping[str, int]
    """Tenant (`a`, `b`) → customer number, where known."""
    claims: frozenset[str]
    readings: Mapping[str, str]
    """Name of an open point → how the target reads it, declared or probed."""
    events: tuple[InjectedEvent, ...]
    """Every event in the order of delivery, with its outcome; one delivered twice is here twice."""
    responses: tuple[Exchange, ...]
    """The responses that count: of a request that was repeated because a view may lag, the last
    attempt, with all its pages. Lost responses (`status` None) are among them."""
    exchanges: tuple[Exchange, ...]
    """All requests and responses, with earlier attempts."""
    hooks: tuple[Hook, ...]
    times: Mapping[str, datetime]
    """Stage → the target's time at its begin, UTC."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One comparison that could have refuted a law; it does where the two values differ."""

    where: str
    """The row, field or request that is compared, for a person."""
    expected: Json
    seen: Json
    exchanges: tuple[int, ...] = ()
    """Numbers (`Exchange.n`) of the responses that show it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Law:
    """A law of another package. The name of its entry point is the name of its check."""

    law: str
    """Short name in reports, such as `ACME-ID`: at most 12 capitals, digits, `=`, `+` and `-`."""
    title: str
    """The law in one sentence."""
    clauses: Mapping[str, str]
    """Id of each clause that it tests → its text."""
    compare: Callable[[RecordedRun], Iterable[Comparison]]
    """Return every comparison that can be made in a run: equal runs give equal comparisons."""
    needed: int = 1
    """Least number of comparisons, at least 1; with fewer the check is inconclusive."""
    level: int = 0
    """Lowest level of a run at which it is tested."""
    impact: Impact = Impact.COSMETIC


def recorded_run(records: Iterable[Record]) -> RecordedRun:
    """Return what the records of a run contain for laws; a JudgePlan must be among them."""
    observed = Observations(records)
    context = observed.context
    return RecordedRun(
        prefix=context.prefix,
        level=context.level,
        customers=context.customers,
        claims=context.claims,
        readings={name: reading.value for name, reading in observed.readings.items()},
        events=observed.injected,
        responses=observed.last_responses,
        exchanges=tuple(observed.exchanges),
        hooks=tuple(observed.hooks),
        times={stage: observed.now(stage) for stage in observed.stages},
    )
