"""Sums of accepted events by cell, and what may be counted in addition.

A cell is a proxy user, network, hostname and UTC day. Events whose outcome is unknown, and those
whose counting is open, widen the sum to the set of sums that may be right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Final

from trueup.conformance.contract.findings import Cell
from trueup.conformance.contract.history import SentEvent
from trueup.conformance.rows import Row, as_int, as_str, canonical_hostname, day_of
from trueup.reports.results import Counts

__all__ = ["ERROR_READINGS", "NOTHING", "CellSum", "cell_of", "is_error", "plus"]

NOTHING: Final = Counts(0, 0, 0, 0)
EXACT_MOST: Final = 10
"""Events of unknown outcome up to which every subset is tried; above, bounds are compared."""
ERROR_READINGS: Final = ("status-400-or-code", "code", "status-500-or-code", "no-2xx-or-code")
"""What may count as an error; the documents do not say (C1). Settled by the run."""


def is_error(event: SentEvent, reading: str) -> bool:
    """Return whether a request counts as an error under one of `ERROR_READINGS`."""
    status = event.status
    match reading:
        case "code":
            return event.coded
        case "status-500-or-code":
            return event.coded or (status or 0) >= 500
        case "no-2xx-or-code":
            return event.coded or status is None or not 200 <= status < 300
        case _:
            return event.coded or (status or 0) >= 400


@dataclass(slots=True)
class CellSum:
    """What one cell holds: certain events, and possible ones."""

    certain: list[SentEvent] = field(default_factory=list)
    possible: list[SentEvent] = field(default_factory=list)
    spellings: set[str] = field(default_factory=set)
    """Hostnames as they were sent."""

    @property
    def requests(self) -> int:
        """Number of certain events."""
        return len(self.certain)

    @property
    def bytes(self) -> int:
        """Bytes of certain events."""
        return sum(event.bytes for event in self.certain)

    def counts(self) -> Counts:
        """Return requests and bytes of the certain events."""
        return Counts(self.requests, self.bytes, 0, 0)

    def allows(self, requests: int, total: int) -> bool:
        """Return whether these sums can be right."""
        low, low_bytes = self.requests, self.bytes
        if (requests, total) == (low, low_bytes):
            return True
        if not self.possible:
            return False
        more, more_bytes = requests - low, total - low_bytes
        if more < 0 or more_bytes < 0 or more > len(self.possible):
            return False
        if len(self.possible) <= EXACT_MOST:
            return any(
                sum(chosen) == more
                and sum(e.bytes for e, c in zip(self.possible, chosen, strict=True) if c)
                == more_bytes
                for chosen in product((0, 1), repeat=len(self.possible))
            )
        return more_bytes <= sum(event.bytes for event in self.possible)

    def text(self) -> str:
        """Return the sum for a person."""
        plain = show(self.counts())
        return f"{plain} (and up to {len(self.possible)} more)" if self.possible else plain

    def errors(self, reading: str) -> int:
        """Return how many certain events are errors under a reading."""
        return sum(1 for event in self.certain if is_error(event, reading))

    def add(self, other: CellSum) -> None:
        """Add the events and spellings of another cell."""
        self.certain += other.certain
        self.possible += other.possible
        self.spellings |= other.spellings


def show(counts: Counts) -> str:
    """Return requests and bytes for a person."""
    return (
        f"{counts.requests:,} request{'' if counts.requests == 1 else 's'}, {counts.bytes:,} bytes"
    )


def cell_of(row: Row, user: str) -> Cell:
    """Return the cell in which a log row is counted."""
    return Cell(
        user=user,
        network=as_str(row, "log_network") or "",
        hostname=canonical_hostname(as_str(row, "log_hostname") or ""),
        day=day_of(row.get("log_request_datetime")) or "no day",
    )


def plus(have: Counts, row: Row) -> Counts:
    """Return the counts of a cell with one more log row."""
    size = as_int(row, "log_total_bytes") or 0
    return have._replace(requests=have.requests + 1, bytes=have.bytes + size)
