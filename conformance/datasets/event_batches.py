"""From rows of the event table to deliveries: how each class of delivery is packed into batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.datasets.covering import Row
from trueup.conformance.datasets.event_times import DISTANCE
from trueup.conformance.datasets.event_values import (
    EventBuilder,
    exact_time,
    host_name,
    user_name,
)
from trueup.conformance.datasets.operations import Deliver, Operation, Together
from trueup.conformance.model import NETWORKS, CheckContext, Event
from trueup.conformance.rows import parse_time
from trueup.reports.results import Json

__all__ = ["ARRAY", "LATER", "OTHER_BYTES", "EventSet", "event_set", "repeat"]

ARRAY: Final = "array"
"""Name of the dataset that is made of the rows of the event table."""
LATER: Final = ("hour-later", "after-restart", "after-log-gone")
"""Classes of delivery whose repetition belongs to a later stage."""
GOOD_BETWEEN_BAD: Final = 3
"""Possible events in a batch that also holds impossible ones."""
BATCH_MOST: Final = 40
SECOND_EVERY: Final = 2
"""Every so many rows have a second event, so that their summaries are sums."""
OTHER_BYTES: Final = 17
"""By how much the size of an event differs that is delivered again with another size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventSet:
    """The events of one customer, as they are delivered first, and those that are repeated."""

    operations: tuple[Operation, ...]
    events: tuple[Event, ...]
    """Every possible event, once."""
    later: Mapping[str, tuple[Event, ...]]
    """Class of delivery → events that a later stage delivers again."""


def event_set(
    context: CheckContext,
    tenant: str,
    rows: Sequence[Row],
    times: Mapping[str, Sequence[datetime]],
) -> EventSet:
    """Return the deliveries of one customer: each row becomes an event, in a batch of its class."""
    builder = EventBuilder(context, ARRAY, tenant)
    by_class: dict[str, list[Event]] = defaultdict(list)
    uses: dict[str, int] = defaultdict(int)
    seconds: list[Event] = []
    for n, row in enumerate(rows):
        moments = times[row["time"]]
        at = moments[uses[row["time"]] % len(moments)]
        uses[row["time"]] += 1
        event = builder.of_row(row, at)
        by_class[row["delivery"]].append(event)
        if n % SECOND_EVERY == 0:
            seconds.append(builder.second(event, at))
    events = tuple(event for own in by_class.values() for event in own)
    return EventSet(
        operations=(
            *_batches(by_class),
            *(_deliver([event]) for event in by_class["alone"]),
            *_among_refused(builder, context, by_class["among-refused"]),
            *_repeated_at_once(context, tenant, by_class),
            *(_deliver(part) for part in _parts(seconds, BATCH_MOST)),
        ),
        events=(*events, *seconds),
        later={name: tuple(by_class[name]) for name in LATER if by_class[name]},
    )


def repeat(events: Sequence[Event]) -> tuple[Deliver, ...]:
    """Return deliveries of events sent before. A target may refuse what it has or finds too old."""
    return tuple(
        Deliver(dataset=ARRAY, events=tuple(part), refusable=frozenset(range(len(part))))
        for part in _parts(list(events), BATCH_MOST)
    )


def _deliver(events: Sequence[Event], impossible: frozenset[int] = frozenset()) -> Deliver:
    return Deliver(dataset=ARRAY, events=tuple(events), refusable=impossible)


def _parts(events: list[Event], size: int) -> list[list[Event]]:
    return [events[n : n + size] for n in range(0, len(events), size)]


def _batches(by_class: Mapping[str, list[Event]]) -> list[Deliver]:
    """Batches whose first and last events are those of these classes, with others between."""
    firsts, lasts = list(by_class["first"]), list(by_class["last"])
    between = [
        event
        for name in ("middle", *LATER, "other-content", "other-customer", "next-batch")
        for event in by_class[name]
    ]
    count = max(1, len(firsts), len(lasts))
    made = []
    for n in range(count):
        events = [*firsts[n : n + 1], *between[n::count], *lasts[n : n + 1]]
        if events:
            made.append(_deliver(events))
    return made


def _among_refused(
    builder: EventBuilder, context: CheckContext, events: list[Event]
) -> list[Deliver]:
    """Batches with impossible events first, last and between possible ones."""
    made = []
    for n, good in enumerate(_parts(events, GOOD_BETWEEN_BAD)):
        bad = _impossible(builder, context, str(good[0]["proxy_user_id"]))
        one, two = bad[n % len(bad)], bad[(n + 1) % len(bad)]
        mixed = ([one, *good], [*good, one], [*good[:1], one, *good[1:], two])[n % 3]
        places = frozenset(k for k, event in enumerate(mixed) if event in (one, two))
        made.append(_deliver(mixed, places))
    return made


def _impossible(builder: EventBuilder, context: CheckContext, user: str) -> list[Event]:
    """Events that cannot have happened: sizes below zero, tomorrow, a network that is none."""
    present = context.now - DISTANCE
    wrong: tuple[tuple[datetime, dict[str, Json]], ...] = (
        (present, {"log_total_bytes": -5}),
        (context.now + timedelta(days=1), {"log_total_bytes": 11}),
        (present, {"log_total_bytes": 13, "log_network": "carrier-pigeon"}),
        (present, {"log_total_bytes": -(2**31)}),
    )
    return [builder.event(user=user, at=at, **fields) for at, fields in wrong]


def _repeated_at_once(
    context: CheckContext, tenant: str, by_class: Mapping[str, list[Event]]
) -> list[Operation]:
    """Repetitions that follow at once: in the same batch, the next, at the same time, altered."""
    made: list[Operation] = [
        _deliver([*part, *part]) for part in _parts(by_class["same-batch"], BATCH_MOST // 2)
    ]
    made += repeat(by_class["next-batch"])
    for part in _parts(by_class["same-time"], BATCH_MOST // 4):
        made.append(Together(operations=(_deliver(part), _deliver(part))))
    altered = [
        {**event, **_other_content(context, event, n)}
        for n, event in enumerate(by_class["other-content"])
    ]
    made += repeat(altered)
    others = [number for letter, number in context.customers.items() if letter != tenant]
    foreign = [
        {**event, "customer_id": number}
        for event in by_class["other-customer"]
        for number in others[:1]
    ]
    made += repeat(foreign)
    return made


def _other_content(context: CheckContext, event: Event, turn: int) -> Event:
    """What differs in an event that is delivered again under the same id: each field in turn."""
    at = parse_time(event["log_request_datetime"]) or context.now
    users = [user_name(context, name) for name in ("implicit", "created")]
    network = NETWORKS.index(str(event["log_network"]))
    choices: tuple[Event, ...] = (
        {"log_total_bytes": _size(event) + OTHER_BYTES},
        {"log_request_datetime": exact_time(at - timedelta(days=1))},
        {"proxy_user_id": next(each for each in users if each != event["proxy_user_id"])},
        {"log_network": NETWORKS[(network + 1) % len(NETWORKS)]},
        {"log_request_datetime": exact_time(at - timedelta(seconds=1))},
        {"log_hostname": f"again.{host_name(context, 'plain')}"},
        {"log_status_code": 200 if event["log_status_code"] != 200 else 502},
    )
    return choices[turn % len(choices)]


def _size(event: Event) -> int:
    size = event["log_total_bytes"]
    return size if isinstance(size, int) else 0
