"""Sums of accepted events by cell, and what may be counted in addition.

A cell is a proxy user, network, hostname and UTC day. Events whose outcome is unknown, and those
whose counting is open, widen the sum to the set of sums that may be right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import Final, TypeVar

from trueup.conformance.contract.findings import Cell, Deviation, RequestFinding
from trueup.conformance.contract.history import SentEvent
from trueup.conformance.rows import Row, as_int, as_str, canonical_hostname, day_of
from trueup.reports.results import Counts

__all__ = [
    "ERROR_READINGS",
    "NOTHING",
    "CellSum",
    "add",
    "compare_errors",
    "show",
    "sum_by_key",
    "summary_cell",
    "summary_counts",
    "sums_of_logs",
    "sums_of_summaries",
]

K = TypeVar("K")

NOTHING: Final = Counts(0, 0, 0, 0)
EXACT_MOST: Final = 10
"""Events of unknown outcome up to which every subset is tried; above, bounds are compared."""
ERROR_READINGS: Final = ("status-400-or-code", "code", "status-500-or-code", "no-2xx-or-code")
"""What may count as an error; the documents do not say (C1). Settled by the run."""


def is_error(event: SentEvent, reading: str, status: int | None) -> bool:
    """Return whether a request with a status counts as an error under an `ERROR_READINGS`."""
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

    @classmethod
    def of(cls, cells: Iterable[CellSum]) -> CellSum:
        """Return the sum of several cells."""
        total = cls()
        for cell in cells:
            total.add(cell)
        return total

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

    def allows_bytes(self, total: int) -> bool:
        """Return whether these bytes can be right, whatever the number of requests."""
        most = self.requests + len(self.possible)
        return any(self.allows(requests, total) for requests in range(self.requests, most + 1))

    def text(self) -> str:
        """Return the sum for a person."""
        plain = show(self.counts())
        return f"{plain} (and up to {len(self.possible)} more)" if self.possible else plain

    def errors(self, reading: str, status_of: Callable[[SentEvent], int | None]) -> int:
        """Return how many certain events, with these statuses, are errors under a reading."""
        return sum(1 for event in self.certain if is_error(event, reading, status_of(event)))

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


def compare_errors(
    finding: RequestFinding,
    check: str,
    where: str,
    total: CellSum,
    seen: int,
    shown: Callable[[SentEvent], int | None],
) -> None:
    """Compare a count of errors with that of certain events, under every reading of an error.

    `shown`: the status that the log of an event shows, which counts where none was sent (S18).
    """
    for reading in ERROR_READINGS:
        right = total.errors(reading, _sent_status)
        deviation = None
        if right != seen and total.errors(reading, shown) != seen:
            deviation = Deviation(
                check=check,
                where=where,
                expected=f"{right} (reading: {reading})",
                seen=str(seen),
                unit=finding.unit,
                exchanges=finding.unit.numbers[-6:],
                events=tuple(total.certain[:8]),
            )
        finding.split.setdefault(reading, []).append(deviation)


def _sent_status(event: SentEvent) -> int | None:
    return event.status


def add(one: Counts, other: Counts) -> Counts:
    """Return the sum of two counts."""
    a, b, c, d = one
    return Counts(a + other[0], b + other[1], c + other[2], d + other[3])


def sum_by_key(pairs: Iterable[tuple[K, Counts]]) -> dict[K, Counts]:
    """Return the sum of the counts of each key."""
    found: dict[K, Counts] = {}
    for key, counts in pairs:
        found[key] = add(found.get(key, NOTHING), counts)
    return found


def sums_of_logs(rows: Iterable[Row]) -> dict[Cell, Counts]:
    """Return what log rows add up to, by the cell in which each is counted."""
    return sum_by_key(
        (
            Cell(
                user=as_str(row, "proxy_user_id") or "",
                network=as_str(row, "log_network") or "",
                hostname=canonical_hostname(as_str(row, "log_hostname") or ""),
                day=day_of(row.get("log_request_datetime")) or "no day",
            ),
            Counts(1, as_int(row, "log_total_bytes") or 0, 0, 0),
        )
        for row in rows
    )


def sums_of_summaries(rows: Iterable[Row]) -> dict[Cell, Counts]:
    """Return what summary rows add up to, by cell."""
    return sum_by_key((summary_cell(row), summary_counts(row)) for row in rows)


def summary_cell(row: Row) -> Cell:
    """Return the cell of a summary row."""
    return Cell(
        user=as_str(row, "proxy_user_id") or "",
        network=as_str(row, "log_summary_network") or "",
        hostname=canonical_hostname(as_str(row, "log_summary_hostname") or ""),
        day=day_of(row.get("log_summary_period")) or "no day",
    )


def summary_counts(row: Row) -> Counts:
    """Return the counters of a summary row; those that are absent count nothing."""
    return Counts(
        *(
            as_int(row, f"log_summary_{name}") or 0
            for name in ("requests", "bytes", "successful", "error")
        )
    )
