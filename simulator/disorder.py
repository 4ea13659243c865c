"""Delivery disorder: what goes wrong between a proxy and an API, planned, seeded and counted.

A plan says what to send in which order: events of the fleet, some of them twice, some late, some
early, some with a skewed clock, and lines that are no events and must be refused. It also says
what a target must then have counted. Which event suffers what follows from its number, so a plan
can be made again, and for any ranges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from trueup.reports.results import CellKey, Counts, HourKey, Json
from trueup.simulator.errors import FleetError
from trueup.simulator.random.random_words import Ints, stream_key, words
from trueup.simulator.totals import add_row, totals

if TYPE_CHECKING:
    from trueup.simulator.fleet import Fleet

__all__ = ["AnomalyKind", "Disorder", "Line", "Plan", "expected", "plan"]

_MILLION: Final = 1_000_000
_U = np.uint64


class AnomalyKind(StrEnum):
    """What becomes of a line on its way."""

    PLAIN = "plain"
    DUPLICATE = "duplicate"
    """The same event once more: accepted, and changes nothing."""
    LATE = "late"
    """Sent long after its neighbours; counts on its own day all the same."""
    SKEWED = "skewed"
    """Reported with a clock that is off; counts where its own time says."""
    MALFORMED = "malformed"
    """No event: to be refused, and to leave its neighbours alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Disorder:
    """How much of each kind, in events per million; all opt-in (grade A but where stated)."""

    duplicates: int = 1000
    late: int = 10_000
    late_by: int = 2000
    """Mean number of events that a late one is overtaken by."""
    reorder: int = 50
    """Every event may be overtaken by this many others: rows are written when tunnels end."""
    skewed: int = 5000
    skew_s: int = 3
    """Seconds that a skewed clock is ahead at most; it may also be behind."""
    malformed: int = 10

    def __post_init__(self) -> None:
        shares = (self.duplicates, self.late, self.skewed, self.malformed)
        if min(*shares, self.late_by, self.reorder, self.skew_s) < 0 or max(shares) > _MILLION:
            raise FleetError("shares of disorder lie between 0 and 1,000,000 per million events")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line to send."""

    kind: AnomalyKind
    position: int
    """Number of the event; of a malformed line, of the event before it."""
    body: bytes
    """One JSON text without a newline; of a malformed line, whatever it is."""
    reason: str = ""
    """Of a malformed line: why it must be refused."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to send, in order, and how many lines there are of each kind."""

    lines: tuple[Line, ...]
    counts: Mapping[AnomalyKind, int] = field(default_factory=dict)

    def bodies(self, lines: int = 200) -> Iterator[bytes]:
        """NDJSON bodies of that many lines each, in the plan's order."""
        for start in range(0, len(self.lines), lines):
            yield b"".join(line.body + b"\n" for line in self.lines[start : start + lines])


_WRONG: Final = (
    ("network unknown", "log_network", "satellite"),
    ("bytes below 0", "log_total_bytes", -1),
    ("user missing", "proxy_user_id", None),
    ("moment unreadable", "log_request_datetime", "yesterday"),
    ("hostname empty", "log_hostname", ""),
    ("not JSON", "", None),
)
"""Malformed lines in turn: reason, field, what stands there instead (None: no such field)."""


def plan(fleet: Fleet, ranges: Sequence[tuple[int, int]], disorder: Disorder) -> Plan:
    """The plan for events first … first+count-1 of each (first, count)."""
    kept: list[tuple[int, int, Line]] = []
    at = 0
    for first, count in ranges:
        marks = _marks(fleet, first, count)
        delays = _delays(disorder, marks)
        for offset, row in enumerate(fleet.batch(first, count).rows()):
            mark = int(marks["fate"][offset])
            for line, later in _lines_of(first + offset, row, mark, disorder):
                kept.append((at + int(delays[offset]) + later, len(kept), line))
            at += 1
    kept.sort(key=lambda entry: entry[:2])
    lines = tuple(line for _place, _number, line in kept)
    counts = {kind: sum(line.kind is kind for line in lines) for kind in AnomalyKind}
    return Plan(lines=lines, counts=counts)


def _marks(fleet: Fleet, first: int, count: int) -> dict[str, Ints]:
    """Two words for each event, cut to what fits."""
    fate = words(stream_key(fleet.seed, "disorder.fate"), first, count)
    delay = words(stream_key(fleet.seed, "disorder.delay"), first, count)
    return {"fate": (fate >> _U(1)).astype(np.int64), "delay": (delay >> _U(1)).astype(np.int64)}


def _late(disorder: Disorder, fate: Ints) -> Ints:
    return (fate // _MILLION % _MILLION < disorder.late).astype(np.int64)


def _delays(disorder: Disorder, marks: dict[str, Ints]) -> Ints:
    """How many places later each event is sent: a little always, a lot where it is late."""
    delay = marks["delay"]
    little = delay % (disorder.reorder + 1)
    # The number of leading zeros of a word is geometric: delays double as they halve in number.
    doublings = np.zeros(len(delay), dtype=np.int64)
    rest = delay >> 20
    for k in range(1, 8):
        doublings += (rest & ((1 << k) - 1)) == 0
    much: Ints = _late(disorder, marks["fate"]) * (disorder.late_by << doublings) // 2
    return little + much


def _lines_of(
    position: int, row: dict[str, Json], fate: int, disorder: Disorder
) -> Iterator[tuple[Line, int]]:
    """(line, places later) for one event."""
    late = fate // _MILLION % _MILLION < disorder.late
    if _is_skewed(fate, disorder):
        row = _skewed(row, fate, disorder)
        kind = AnomalyKind.SKEWED
    else:
        kind = AnomalyKind.LATE if late else AnomalyKind.PLAIN
    body = msgspec.json.encode(row)
    yield Line(kind=kind, position=position, body=body), 0
    if fate % _MILLION < disorder.duplicates:
        again = 1 + fate // _MILLION**2 % 1000
        yield Line(kind=AnomalyKind.DUPLICATE, position=position, body=body), again
    if (fate + _MILLION // 2) % _MILLION < disorder.malformed:
        yield _malformed(position, row, fate), 0


def _is_skewed(fate: int, disorder: Disorder) -> bool:
    return fate // 1009 % _MILLION < disorder.skewed


def _skewed(row: dict[str, Json], fate: int, disorder: Disorder) -> dict[str, Json]:
    """The event with a moment some seconds off; its id is its own."""
    off = fate // 7919 % (2 * disorder.skew_s + 1) - disorder.skew_s
    text = str(row["log_request_datetime"])
    moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return {**row, "log_request_datetime": f"{moment + timedelta(seconds=off):%Y-%m-%d %H:%M:%S}"}


def _malformed(position: int, row: dict[str, Json], fate: int) -> Line:
    """A line that must be refused; its id is another fleet's, so that it can never be counted."""
    reason, name, instead = _WRONG[fate // 31 % len(_WRONG)]
    wrong = {**row, "log_id": f"00000000-0000-4000-8000-{position & (2**48 - 1):012x}"}
    if not name:
        body = msgspec.json.encode(wrong)[:-7]
    else:
        wrong[name] = instead
        if instead is None:
            del wrong[name]
        body = msgspec.json.encode(wrong)
    return Line(kind=AnomalyKind.MALFORMED, position=position, body=body, reason=reason)


def expected(
    fleet: Fleet, ranges: Sequence[tuple[int, int]], disorder: Disorder
) -> tuple[dict[CellKey, Counts], dict[HourKey, Counts]]:
    """What a target must have counted once every line of the plan was handed over.

    Duplicates, late and malformed lines change nothing; a skewed event counts where its own,
    skewed moment says. Only skewed events are looked at one by one.
    """
    found = totals(fleet, ranges)
    cells, hours = dict(found.cells), dict(found.hours)
    for first, count in ranges:
        fates = _marks(fleet, first, count)["fate"]
        for offset in np.flatnonzero(fates // 1009 % _MILLION < disorder.skewed).tolist():
            row = fleet.row(first + offset)
            skewed = _skewed(row, int(fates[offset]), disorder)
            if skewed["log_request_datetime"] != row["log_request_datetime"]:
                add_row(cells, hours, row, times=-1)
                add_row(cells, hours, skewed)
    return (
        {key: value for key, value in cells.items() if value.requests},
        {key: value for key, value in hours.items() if value.requests},
    )
