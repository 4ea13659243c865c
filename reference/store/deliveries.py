"""Read a delivery: an NDJSON body gives events, each id once, and the lines that are refused. Pure.

A body whose lines are all acceptable and differ is read in one pass; any other body is read line by
line, with the same result.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from trueup.reference.behaviour import Behaviour
from trueup.reference.events import Log, Refusal, read_line, read_lines
from trueup.reference.times import from_datetime

__all__ = ["OTHER_CONTENT", "ReadDelivery", "read_delivery"]

OTHER_CONTENT: Final = "this log_id was already taken with other content - at `$.log_id`"
_log_id, _customer, _time = map(attrgetter, ("log_id", "customer_id", "log_request_datetime"))


@dataclass(slots=True, kw_only=True)
class ReadDelivery:
    """The events of one delivery that are acceptable, and the lines that are not."""

    now_us: int
    """When it was read, by the server's clock."""
    events: dict[str, Log]
    """By id, or by line where ids need not be unique; in the order of the lines."""
    lines: dict[str, list[int]] | None = None
    """Key of an event → its lines; None: the n-th event is line n alone."""
    refused: list[tuple[int, str]] = field(default_factory=list)
    """(line, reason); lines count from 1."""

    def lines_of(self, key: str) -> list[int]:
        """Return the lines of an event."""
        if self.lines is None:
            self.lines = {known: [number] for number, known in enumerate(self.events, 1)}
        return self.lines[key]

    def count_lines(self) -> int:
        """Return the number of lines that hold acceptable events."""
        return len(self.events) if self.lines is None else sum(map(len, self.lines.values()))

    def refuse(self, key: str, reason: str) -> None:
        """Move an event to the refused lines."""
        self.refused += [(line, reason) for line in self.lines_of(key)]
        assert self.lines is not None
        del self.events[key], self.lines[key]


def read_delivery(
    body: bytes, *, behaviour: Behaviour, now_us: int, customers: AbstractSet[int]
) -> ReadDelivery:
    """Return what an NDJSON body holds. Blank lines are skipped but counted."""
    events = _read_at_once(body, behaviour, now_us, customers)
    if events is not None:
        return ReadDelivery(now_us=now_us, events=events)
    return _read_by_line(body, behaviour, now_us, customers)


def _read_at_once(
    body: bytes, behaviour: Behaviour, now_us: int, customers: AbstractSet[int]
) -> dict[str, Log] | None:
    """The events by id where every line is acceptable and no id comes twice, else None."""
    if behaviour.read_line is not read_line or not behaviour.unique_log_ids:
        return None
    logs = read_lines(body, behaviour.fold_hostname)
    if logs is None or not customers >= set(map(_customer, logs)):
        return None
    admit = behaviour.admit
    if any(admit(from_datetime(time), now_us) for time in set(map(_time, logs))):
        return None
    events = dict(zip(map(_log_id, logs), logs, strict=True))
    return events if len(events) == len(logs) else None


def _read_by_line(
    body: bytes, behaviour: Behaviour, now_us: int, customers: AbstractSet[int]
) -> ReadDelivery:
    delivery = ReadDelivery(now_us=now_us, events={}, lines={})
    events, lines, refused = delivery.events, delivery.lines, delivery.refused
    assert lines is not None
    read, fold, admit = behaviour.read_line, behaviour.fold_hostname, behaviour.admit
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line or line.isspace():
            continue
        try:
            log = read(line, fold)
        except Refusal as refusal:
            refused.append((number, str(refusal)))
            continue
        reason = admit(log.at_us, now_us)
        if log.customer_id not in customers:
            reason = "no such customer - at `$.customer_id`"
        if reason is not None:
            refused.append((number, reason))
            continue
        key = log.log_id if behaviour.unique_log_ids else f"{number}"
        earlier = events.get(key)
        if earlier is None:
            events[key], lines[key] = log, [number]
        elif earlier == log:
            lines[key].append(number)
        else:
            refused.append((number, OTHER_CONTENT))
    return delivery
