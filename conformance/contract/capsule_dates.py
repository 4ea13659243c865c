"""When the parts of a time capsule can be judged: by its events, and by how the target reads time.

A capsule is planted once and harvested later. Logs are there at first and must be gone later, and
so are hostnames; each check of `PHASES` can be judged in one of these phases only. The dates are
those by which the contract expects a row or does not: `Interpretation` has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, assert_never

from trueup.conformance.contract.interpretation import Interpretation
from trueup.conformance.contract.logs import KEPT_FROM
from trueup.conformance.contract.summary_rows import PURGE_FROM
from trueup.conformance.rows import format_time

__all__ = [
    "PHASES",
    "CapsulePhase",
    "PhaseDates",
    "PlantedTime",
    "Timing",
    "phase_dates",
    "why_not_now",
]


class Timing(StrEnum):
    """Whether a phase of a capsule can be seen at a time."""

    NOW = "now"
    IN_PART = "in part"
    TOO_EARLY = "too early"
    TOO_LATE = "too late"


class CapsulePhase(StrEnum):
    """What a capsule's age lets one see, in words for a report."""

    LOGS = "logs, one by one"
    OLD_LOGS = "logs kept for 7 days"
    NO_LOGS = "logs removed after 7 days"
    SUMMARIES = "summaries while logs are there"
    HOSTNAMES = "summaries with hostnames"
    PURGED = "summaries after the removal of logs"
    CONSOLIDATED = "summaries consolidated after 90 days"
    GRAPH_TODAY = "graph of the day of planting"
    ALWAYS = "totals: ledgers, accounts, graphs"


PHASES: Final[Mapping[str, tuple[CapsulePhase, ...]]] = MappingProxyType(
    {
        "logs-are-complete": (CapsulePhase.LOGS,),
        "logs-are-single": (CapsulePhase.LOGS,),
        "logs-say-what-was-sent": (CapsulePhase.LOGS,),
        "logs-keep-large-sizes": (CapsulePhase.LOGS,),
        "logs-are-kept": (CapsulePhase.OLD_LOGS,),
        "logs-are-removed": (CapsulePhase.NO_LOGS,),
        "summaries-equal-logs": (CapsulePhase.SUMMARIES,),
        "large-amounts-are-summed-exactly": (CapsulePhase.SUMMARIES,),
        "summaries-of-hostnames": (CapsulePhase.SUMMARIES,),
        "summaries-of-statuses": (CapsulePhase.SUMMARIES,),
        "summaries-keep-hostnames": (CapsulePhase.HOSTNAMES,),
        "one-summary-per-key": (CapsulePhase.HOSTNAMES,),
        "successes-and-errors-add-up": (CapsulePhase.HOSTNAMES,),
        "summaries-survive-the-purge": (CapsulePhase.PURGED,),
        "hostnames-are-removed": (CapsulePhase.CONSOLIDATED,),
        "consolidated-rows-are-single": (CapsulePhase.CONSOLIDATED,),
        "consolidation-keeps-totals": (CapsulePhase.CONSOLIDATED,),
        "day-of-the-request": (CapsulePhase.ALWAYS,),
        "errors-are-the-failed-requests": (CapsulePhase.HOSTNAMES, CapsulePhase.CONSOLIDATED),
        "charged-is-metered": (CapsulePhase.ALWAYS,),
        "tenants-are-apart": (CapsulePhase.ALWAYS,),
        "ledger-usage-is-the-traffic": (CapsulePhase.ALWAYS,),
        "one-usage-entry-a-day": (CapsulePhase.ALWAYS,),
        "usage-takes-away": (CapsulePhase.ALWAYS,),
        "ledger-is-kept": (CapsulePhase.ALWAYS,),
        "past-entries-are-fixed": (CapsulePhase.ALWAYS,),
        "account-equals-ledger": (CapsulePhase.ALWAYS,),
        "customer-equals-account": (CapsulePhase.ALWAYS,),
        "used-bytes-are-the-traffic": (CapsulePhase.ALWAYS,),
        "graph-equals-sent": (CapsulePhase.GRAPH_TODAY,),
        "graph-equals-summaries": (CapsulePhase.ALWAYS,),
        "parts-make-the-whole": (CapsulePhase.ALWAYS,),
    }
)
"""Check of a capsule → the phases in which it can be judged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlantedTime:
    """The times of one planted event, by the target's clock."""

    at: datetime
    """Of its request."""
    created: datetime
    """At which it was taken in."""

    @property
    def day(self) -> datetime:
        """Midnight before the request."""
        return midnight_of(self.at)


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseDates:
    """When one phase can be seen of a capsule, by the target's clock. None: without end."""

    phase: CapsulePhase
    begins: datetime | None
    """From here on of its first event."""
    whole: datetime | None
    """From here on of all of its events."""
    wanes: datetime | None
    """Until here of all of its events."""
    ends: datetime | None
    """Until here of its last event."""

    def timing(self, now: datetime) -> Timing:
        """Return whether the phase can be seen at a time."""
        if self.ends is not None and now >= self.ends:
            return Timing.TOO_LATE
        if self.begins is not None and now <= self.begins:
            return Timing.TOO_EARLY
        early = self.whole is not None and now <= self.whole
        late = self.wanes is not None and now >= self.wanes
        return Timing.IN_PART if early or late else Timing.NOW

    def words(self) -> str:
        """Return the dates in words: `from … until …, in part from … until …`."""
        never = self.whole is not None and self.wanes is not None and self.wanes <= self.whole
        whole = "" if never else _span_in_words(self.whole, self.wanes)
        some = _span_in_words(self.begins, self.ends)
        if not some:
            return "at any time"
        return whole if some == whole else f"{whole}, in part {some}".removeprefix(", ")


def _span_in_words(begin: datetime | None, end: datetime | None) -> str:
    words = [
        f"{word} {_minute(at)}" for word, at in (("from", begin), ("until", end)) if at is not None
    ]
    return " ".join(words)


def midnight_of(at: datetime) -> datetime:
    """Return the midnight at or before a time."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def phase_dates(reading: Interpretation, planted: Iterable[PlantedTime]) -> tuple[PhaseDates, ...]:
    """Return the dates of each phase of a capsule; none without events."""
    events = tuple(planted)
    if not events:
        return ()
    found = []
    for phase in CapsulePhase:
        spans = [_span(reading, phase, event) for event in events]
        starts = [start for start, _ in spans if start is not None]
        ends = [end for _, end in spans if end is not None]
        found.append(
            PhaseDates(
                phase=phase,
                begins=min(starts, default=None),
                whole=max(starts, default=None),
                wanes=min(ends, default=None),
                ends=max(ends, default=None),
            )
        )
    return tuple(found)


def _span(
    reading: Interpretation, phase: CapsulePhase, event: PlantedTime
) -> tuple[datetime | None, datetime | None]:
    """From when to when one event shows a phase; None: without end."""
    match phase:
        case CapsulePhase.LOGS:
            return None, reading.log_kept_until(event.at)
        case CapsulePhase.OLD_LOGS:
            return event.at + KEPT_FROM, reading.log_kept_until(event.at)
        case CapsulePhase.NO_LOGS:
            return reading.log_gone_after(event.at), None
        case CapsulePhase.SUMMARIES:
            return None, event.day + PURGE_FROM
        case CapsulePhase.HOSTNAMES:
            return None, reading.hostname_kept_until(event.day)
        case CapsulePhase.PURGED:
            return event.day + PURGE_FROM, reading.hostname_kept_until(event.day)
        case CapsulePhase.CONSOLIDATED:
            return reading.hostname_gone_after(event.day, event.created), None
        case CapsulePhase.GRAPH_TODAY:
            return None, midnight_of(event.created) + timedelta(days=1)
        case CapsulePhase.ALWAYS:
            return None, None
        case _:
            assert_never(phase)


def why_not_now(dates: Iterable[PhaseDates], check: str, now: datetime) -> str:
    """Return why a check of a capsule cannot be judged in full at a time; "" where it can."""
    found = [each for each in dates if each.phase in PHASES.get(check, ())]
    if not found or any(each.timing(now) is Timing.NOW for each in found):
        return ""
    return "; ".join(
        f"{each.timing(now)}: {each.phase}, {each.words()}"
        for each in found
        if len(found) == 1 or each.timing(now) is not Timing.TOO_LATE
    )


def _minute(at: datetime) -> str:
    """A time to the minute, rounded up."""
    return format_time(at + timedelta(seconds=59))[:16]
