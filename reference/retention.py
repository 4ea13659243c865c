"""How long data is kept, and how old summaries are consolidated. Pure.

A log is shown and kept for 7 × 24 hours after its request. A summary keeps its hostname until its
day began more than 90 × 24 hours ago; then the rows of one (proxy user, network, day) are merged
into one without a hostname, every counter exact. Ledgers are never deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from trueup.reference.events import LOG_DAYS
from trueup.reference.times import DAY_US, ceil_day, day_of

__all__ = [
    "REMOVED",
    "SUMMARY_DAYS",
    "DayRow",
    "consolidate_before",
    "merge",
    "purge_before",
    "visible_from",
]

SUMMARY_DAYS: Final = 90
REMOVED: Final = ""
"""The store's value of a removed hostname; the API shows null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRow:
    """A summary row of one (customer, proxy user, network, day), for merging."""

    log_summary_id: str
    hostname: str
    requests: int
    successful: int
    error: int
    bytes: int
    created_us: int


def visible_from(now_us: int, _view: str, _customer_id: int) -> int:
    """Return the oldest time of a request that any view still shows, microseconds."""
    return now_us - LOG_DAYS * DAY_US


def purge_before(now_us: int) -> int:
    """Return the time before which logs of requests are deleted, microseconds."""
    return now_us - LOG_DAYS * DAY_US


def consolidate_before(now_us: int) -> int:
    """Return the day before which days lose their hostnames: 90 days ago."""
    return day_of(ceil_day(now_us - SUMMARY_DAYS * DAY_US))


def merge(rows: Sequence[DayRow]) -> Sequence[DayRow]:
    """Return one row without a hostname; it has the id and creation time of the oldest."""
    first = min(rows, key=lambda row: (row.created_us, row.log_summary_id))
    return (
        replace(
            first,
            hostname=REMOVED,
            requests=sum(row.requests for row in rows),
            successful=sum(row.successful for row in rows),
            error=sum(row.error for row in rows),
            bytes=sum(row.bytes for row in rows),
        ),
    )
