"""Datasets that no covering array gives: many rows, many writers, sums, interleaving."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.datasets.event_times import DISTANCE
from trueup.conformance.datasets.event_values import LATER_USER, EventBuilder, host_name
from trueup.conformance.datasets.operations import Deliver, Operation, Together
from trueup.conformance.model import NETWORKS, CheckContext, Event

__all__ = [
    "CROWD",
    "LONG",
    "SPECIAL_USERS",
    "crowd",
    "late_events",
    "later_events",
    "mixed_batch",
    "special_operations",
]

CONCURRENT_WRITERS: Final = 20
"""Events written to one key at once: 190 pairs; a loss of 5 % of all pairs shows at 99.99 %."""
LONG: Final = "long"
LONG_STEP: Final = timedelta(seconds=15)
"""Between the logs of the user with many rows: together they fill more than an hour's minutes."""
LONG_HOSTNAMES: Final = 400
"""Hostnames of the user with many rows: with the others, more than 500 summaries."""
CROWD: Final = "c"
CROWD_USERS: Final = 105
"""Proxy users with one log each: more than a page of users, and of summaries of one day."""
SPECIAL_USERS: Final = ("race", "sums", "turn-1", "turn-2", "turn-3", "alike")
LATE: Final = (timedelta(days=1, hours=2), timedelta(days=3, hours=1))
"""How much older than the others of its delivery a late event of a later stage is."""
SUMS: Final = (
    (2**31 - 2, 1, 1, 1),
    (2**32 - 2, 1, 1, 1),
    (2**53 - 2, 1, 1, 1),
    (2**25 + 1, 1, 1, 1),
    (999, 1, 24, 1),
    (1, 3, 333, 511, 513, 1023, 1025, 1500, 4097),
)
"""Sizes of one summary each, whose sum crosses a boundary of integers, floats or units."""


def special_operations(
    context: CheckContext, tenant: str, *, long_rows: int
) -> tuple[Operation, ...]:
    """Return the deliveries of one customer for every dataset of this module."""
    at = (context.now - DISTANCE).replace(microsecond=0)
    return (
        _race(context, tenant, at),
        *_sums(context, tenant, at),
        *_look_alikes(context, tenant, at),
        _interleaved(context, tenant, at),
        *_long(context, tenant, at, long_rows),
    )


def _race(context: CheckContext, tenant: str, at: datetime) -> Together:
    builder = EventBuilder(context, "race", tenant)
    return Together(
        operations=tuple(
            Deliver(
                dataset="race",
                events=(
                    builder.event(user=context.user("u-race"), at=at, log_network="residential"),
                ),
            )
            for _ in range(CONCURRENT_WRITERS)
        )
    )


def _sums(context: CheckContext, tenant: str, at: datetime) -> tuple[Operation, ...]:
    """Each sum in two deliveries, so that the second adds to what the first left."""
    builder = EventBuilder(context, "sums", tenant)
    events = [
        builder.event(
            user=context.user("u-sums"),
            at=at - timedelta(seconds=n),
            log_network=network,
            log_hostname=f"sum{n}.{host_name(context, 'plain')}",
            log_total_bytes=size,
        )
        for n, sizes in enumerate(SUMS)
        for network in ("mobile", "isp")
        for size in sizes
    ]
    return tuple(
        Deliver(dataset="sums", events=tuple(part)) for part in (events[::2], events[1::2])
    )


def _interleaved(context: CheckContext, tenant: str, at: datetime) -> Deliver:
    """Three users in turn within one batch, on networks in turn."""
    builder = EventBuilder(context, "turns", tenant)
    return Deliver(
        dataset="turns",
        events=tuple(
            builder.event(
                user=context.user(f"u-turn-{n % 3 + 1}"),
                at=at,
                log_network=NETWORKS[(n // 3) % len(NETWORKS)],
            )
            for n in range(24)
        ),
    )


def _look_alikes(context: CheckContext, tenant: str, at: datetime) -> tuple[Deliver, ...]:
    """Events that differ in nothing but their id: two in one batch, and one in the next."""
    builder = EventBuilder(context, "alike", tenant)
    alike: list[Event] = []
    for _ in range(3):
        event = builder.event(
            user=context.user("u-alike"), at=at, log_network="mobile", log_total_bytes=4099
        )
        alike.append({**alike[0], "log_id": event["log_id"]} if alike else event)
    return (
        Deliver(dataset="alike", events=tuple(alike[:2])),
        Deliver(dataset="alike", events=tuple(alike[2:])),
    )


def crowd(context: CheckContext, tenant: str) -> Deliver:
    """Return one delivery with an event for each of many proxy users."""
    builder = EventBuilder(context, "crowd", tenant)
    at = (context.now - DISTANCE).replace(microsecond=0)
    return Deliver(
        dataset="crowd",
        events=tuple(
            builder.event(
                user=context.user(f"{CROWD}-{n:03}"), at=at, log_network=NETWORKS[n % len(NETWORKS)]
            )
            for n in range(CROWD_USERS)
        ),
    )


def mixed_batch(context: CheckContext, at: datetime) -> Deliver:
    """Return one batch with events of all customers in turn, under one user and one hostname."""
    builders = {tenant: EventBuilder(context, "mixed", tenant) for tenant in context.customers}
    events: list[Event] = [
        builder.event(user=context.user("u-turn-1"), at=at, log_network=network)
        for network in NETWORKS
        for builder in builders.values()
    ]
    return Deliver(dataset="mixed", events=tuple(events))


def _long(context: CheckContext, tenant: str, at: datetime, rows: int) -> Sequence[Deliver]:
    builder = EventBuilder(context, LONG, tenant)
    events = tuple(
        builder.event(
            user=context.user(LONG),
            at=at - n * LONG_STEP,
            log_total_bytes=n * 7 % 1009,
            log_network="datacenter",
            log_hostname=f"h{n % LONG_HOSTNAMES}.{host_name(context, 'plain')}",
        )
        for n in range(rows)
    )
    return (Deliver(dataset=LONG, events=events),) if events else ()


def later_events(
    context: CheckContext, tenant: str, stage: str, at: datetime, count: int = 1
) -> Deliver:
    """Return a small delivery of a later stage: `count` events on each network at one time.

    Two more are late, of days that were read before, where the target takes events so late.
    """
    builder = EventBuilder(context, f"later {stage}", tenant)
    user = context.user(LATER_USER)
    events = [
        builder.varied(
            user=user,
            at=at - timedelta(seconds=n),
            log_network=network,
            log_hostname=host_name(context, ("plain", "subdomain")[n % 2]),
        )
        for n in range(count)
        for network in NETWORKS
    ]
    events += _late(context, builder, at)
    return Deliver(dataset=f"later {stage}", events=tuple(events))


def late_events(
    context: CheckContext, tenant: str, stage: str, at: datetime
) -> tuple[Deliver, ...]:
    """Return a delivery of nothing but late events; none where the target takes no such events."""
    builder = EventBuilder(context, f"late {stage}", tenant)
    events = _late(context, builder, at)
    return (Deliver(dataset=f"late {stage}", events=tuple(events)),) if events else ()


def _late(context: CheckContext, builder: EventBuilder, at: datetime) -> list[Event]:
    """Events of days that were read before, as late as the target takes them."""
    late = [by for by in LATE if by < timedelta(days=context.late_days)]
    return [
        builder.varied(user=context.user(LATER_USER), at=at - by, log_network=network)
        for by, network in zip(late, ("residential", "mobile"), strict=False)
    ]
