"""Small pure functions on responses for the runner: times, objects, ranges of outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from trueup.conformance.rows import get_path, parse_time
from trueup.reports.journal.records import Exchange, OutcomeRange
from trueup.reports.results import EventOutcome, Json, Outcome

__all__ = ["data_of", "latest_time", "ranges"]


def data_of(exchange: Exchange) -> dict[str, Json]:
    """Return the `data` object of a response, or an empty one."""
    data = get_path(exchange.body, "data")
    return dict(data) if isinstance(data, dict) else {}


def latest_time(value: object) -> datetime | None:
    """Return the latest time anywhere in a response, or None."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        found = [at for at in map(latest_time, value) if at is not None]
        return max(found, default=None)
    if not isinstance(value, str):
        return None
    words = value.replace(",", " ").replace(";", " ")
    tokens = words.split()
    pairs = [f"{one} {two.rstrip('.')}" for one, two in pairwise(tokens)]
    times = [parse_time(each) for each in (value, *pairs, *tokens) if len(each) >= 16]
    return max((at.astimezone(UTC) for at in times if at is not None), default=None)


def ranges(outcomes: Sequence[EventOutcome], count: int) -> tuple[OutcomeRange, ...]:
    """Return outcomes as ranges of equal ones; an event without an outcome is unknown."""
    padded = [*outcomes, *[EventOutcome(Outcome.UNKNOWN, "no outcome")] * (count - len(outcomes))]
    found: list[OutcomeRange] = []
    for n, one in enumerate(padded[:count]):
        last = found[-1] if found else None
        if last is not None and (last.outcome, last.reason) == (one.outcome, one.reason):
            found[-1] = OutcomeRange(
                first=last.first, count=last.count + 1, outcome=one.outcome, reason=one.reason
            )
        else:
            found.append(OutcomeRange(first=n, count=1, outcome=one.outcome, reason=one.reason))
    return tuple(found)
