"""Usage events that proxies reported, as numbered events: the lines of a file of the run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from trueup.conformance.ports import Slice
from trueup.reports.journal.records import OutcomeRange, ProxiedDeclared
from trueup.reports.results import CellKey, Counts, HourKey, Json, Outcome
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.run.delivered import EventSums, is_inside
from trueup.scenarios.run.outcome_ranges import Span
from trueup.simulator.delivery import merge_ranges
from trueup.simulator.proxies import UsageRecord
from trueup.simulator.totals import add_row

__all__ = ["USAGE_FILE", "UsageEvents", "write_usage"]

USAGE_FILE: Final = "usage.ndjson"
_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder(dict[str, Any]).decode
_STRENGTH: Final = (Outcome.REFUSED, Outcome.UNKNOWN, Outcome.ACCEPTED)


class UsageEvents:
    """Implements `NumberedEvents` for usage events."""

    def __init__(self, lines: Sequence[bytes], customers: tuple[int, ...]) -> None:
        """`lines` are the events in order, a JSON object each."""
        self._lines = lines
        self.customers = customers

    @classmethod
    def open(cls, folder: Path, declared: ProxiedDeclared) -> Self:
        """Return the events of a run's folder.

        Raises UsageProblem where the file is not there, or is another one than the run wrote.
        """
        path = folder / USAGE_FILE
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UsageProblem(
                f"{path}: the usage events of the proxies cannot be read: {error.strerror}. "
                "The file belongs beside the journal"
            ) from error
        if hashlib.sha256(data).hexdigest() != declared.sha256:
            raise UsageProblem(f"{path}: has changed since the run: its SHA-256 is another one")
        return cls(data.splitlines(), declared.customers)

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(_DECODE, self._lines)

    @cached_property
    def _positions(self) -> Mapping[str, int]:
        return {str(row["log_id"]): number for number, row in enumerate(self)}

    def position(self, log_id: str) -> int | None:
        """Return the number of the event with this id; None if the id is of no such event."""
        return self._positions.get(log_id)

    def log_id(self, position: int) -> str:
        """Return the id of one event."""
        return str(_DECODE(self._lines[position])["log_id"])

    def rows(self, first: int, count: int) -> list[dict[str, Json]]:
        """Return events first … first+count-1, as far as there are so many."""
        return [_DECODE(line) for line in self._lines[first : first + count]]

    def totals(self, ranges: Sequence[tuple[int, int]]) -> EventSums:
        """Return the sums of events first … first+count-1 of each (first, count)."""
        cells: dict[CellKey, Counts] = {}
        hours: dict[HourKey, Counts] = {}
        for first, count in ranges:
            for row in self.rows(first, count):
                add_row(cells, hours, row)
        return EventSums(cells, hours)

    def select(self, spans: Sequence[Span], slices: Sequence[Slice]) -> list[Mapping[str, Outcome]]:
        """Return, for each slice, the ids of its events in the spans, with their outcomes."""
        found: list[dict[str, Outcome]] = [{} for _ in slices]
        for first, stop, outcome in spans:
            for row in self.rows(first, stop - first):
                for here, each in zip(found, slices, strict=True):
                    if is_inside(row, each):
                        here[str(row["log_id"])] = outcome
        return list(found)


def write_usage(
    records: Iterable[UsageRecord], folder: Path
) -> tuple[UsageEvents, str, tuple[OutcomeRange, ...]]:
    """Write usage events into a run's folder; return them, the file's SHA-256 and their outcomes.

    An event that was delivered again after a kill is written once, with the strongest outcome.
    """
    known: dict[str, UsageRecord] = {}
    for record in records:
        log_id = str(record.event["log_id"])
        before = known.get(log_id)
        if before is None or _STRENGTH.index(before.outcome) < _STRENGTH.index(record.outcome):
            known[log_id] = record
    lines = [_ENCODE(record.event) for record in known.values()]
    data = b"".join(line + b"\n" for line in lines)
    (folder / USAGE_FILE).write_bytes(data)
    customers = {record.event["customer_id"] for record in known.values()}
    events = UsageEvents(lines, tuple(sorted(n for n in customers if isinstance(n, int))))
    outcomes = merge_ranges(
        OutcomeRange(first=number, count=1, outcome=record.outcome, reason=record.reason)
        for number, record in enumerate(known.values())
    )
    return events, hashlib.sha256(data).hexdigest(), outcomes
