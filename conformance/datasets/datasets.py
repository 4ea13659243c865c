"""What the judge plants: combs of events that make a wrong implementation show itself.

A comb has a tooth in every band that tells right from wrong and exactly at every boundary. The
k-th event of a cell has 4^k bytes, so that the cell's total, read in base 4, names the event that
was lost (digit 0) or counted twice (digit 2). Every world has proxy users and hosts of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from trueup.conformance.model import CheckContext, Dataset, Event, EventBatch
from trueup.conformance.rows import format_time
from trueup.reports.results import Json

__all__ = [
    "CONCURRENT_WRITERS",
    "DATASETS",
    "ENGAGED",
    "EVE_LEAD_S",
    "LONG_ROWS",
    "NETWORKS",
    "TIED_ROWS",
    "day_start",
    "event",
    "hour_start",
]

NETWORKS: Final = ("datacenter", "isp", "residential", "mobile")
CONCURRENT_WRITERS: Final = 20
"""Events written to one key at once: 190 pairs; a loss of 5 % of all pairs shows at 99.99 %."""
TIED_ROWS: Final = 23
"""Logs of one moment: more than two pages of 7 and of 11."""
LONG_ROWS: Final = 520
"""Logs of one user, in one delivery: several full pages, and more than a round 500."""
EVE_LEAD_S: Final = 10
"""Seconds before midnight at which the last events of a day are planted."""
ENGAGED: Final = 5
"""Seconds that planted events stay away from the target's present, against skewed clocks."""


def day_start(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def hour_start(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def event(
    context: CheckContext, dataset: str, n: int, *, bytes: int, at: datetime, **more: Json
) -> Event:
    """The n-th event of a world; a plain successful one unless `more` says otherwise."""
    tenant = str(more.pop("tenant", "a"))
    made: Event = {
        "log_id": str(uuid5(NAMESPACE_URL, f"{context.prefix}/{dataset}/{n}")),
        "customer_id": context.customers[tenant],
        "proxy_user_id": context.user(dataset),
        "log_network": "isp",
        "log_protocol": "http",
        "log_hostname": context.host(dataset),
        "log_client_ip_address": f"198.51.100.{n % 254 + 1}",
        "log_total_bytes": bytes,
        "log_request_datetime": format_time(at),
        "log_authentication_type": 1,
        "country_id": "us",
        "city_alias": "cupertino",
        "asn_id": 1299,
        "log_status_code": 200,
    }
    return made | more


def _present(context: CheckContext) -> datetime:
    return context.now - timedelta(seconds=ENGAGED)


def _comb(context: CheckContext) -> Sequence[EventBatch]:
    """Every day back to the oldest: at midnight, at noon and in the last second; four networks."""
    times: list[tuple[int, datetime]] = []
    for back in range(context.oldest_day + 1):
        first = day_start(context.now) - timedelta(days=back)
        teeth = (first, first + timedelta(hours=12, minutes=34, seconds=56))
        last = (first + timedelta(seconds=86_399),)
        times += [(k, at) for k, at in enumerate(teeth + last) if at <= _present(context)]
    if context.late_days >= 7:
        times.append((3, context.now - timedelta(days=6, hours=23, minutes=30)))
    events = [
        event(
            context,
            "comb",
            n * len(NETWORKS) + lane,
            bytes=4**k * (1 if network in ("isp", "residential") else 5),
            at=at,
            log_network=network,
            log_hostname=context.host("comb", 1 if k != 1 else 2),
        )
        for n, (k, at) in enumerate(times)
        for lane, network in enumerate(NETWORKS)
    ]
    middle = len(events) // 2
    return (EventBatch(events=tuple(events[middle:])), EventBatch(events=tuple(events[:middle])))


def _batches(context: CheckContext) -> Sequence[EventBatch]:
    """Batches of 1, 2 and 9 events: the last of a batch is as good as the first."""
    made = [
        event(context, "batches", n, bytes=4**n, at=_present(context) - timedelta(minutes=n))
        for n in range(12)
    ]
    return tuple(EventBatch(events=tuple(part)) for part in (made[:1], made[1:3], made[3:]))


def _twice(context: CheckContext) -> Sequence[EventBatch]:
    """One id twice in one batch, again in a later one, and twice at the same time."""
    at = _present(context)
    one, two, three = (
        event(context, "twice", n, bytes=4**n, at=at, log_network="residential") for n in range(3)
    )
    return (
        EventBatch(events=(one, two, one)),
        EventBatch(events=(two, one)),
        EventBatch(events=(three,), together="twice"),
        EventBatch(events=(three,), together="twice"),
    )


def _race(context: CheckContext) -> Sequence[EventBatch]:
    at = _present(context)
    return tuple(
        EventBatch(
            events=(event(context, "race", n, bytes=4**n, at=at, log_network="datacenter"),),
            together="race",
        )
        for n in range(CONCURRENT_WRITERS)
    )


def _writers(context: CheckContext) -> Sequence[EventBatch]:
    """Several batches, one after the other, on one key of a metered network."""
    at = _present(context)
    return tuple(
        EventBatch(
            events=tuple(
                event(context, "writers", 2 * n + k, bytes=4 ** (2 * n + k), at=at, **network)
                for k in range(2)
            )
        )
        for n, network in enumerate(({"log_network": "residential"},) * 3)
    )


def _networks(context: CheckContext) -> Sequence[EventBatch]:
    """One user and one host on four networks."""
    at = _present(context)
    return (
        EventBatch(
            events=tuple(
                event(context, "networks", n, bytes=4**n, at=at, log_network=network)
                for n, network in enumerate(NETWORKS)
            )
        ),
    )


def _interleave(context: CheckContext) -> Sequence[EventBatch]:
    """Three users in turn within one batch."""
    at = _present(context)
    return (
        EventBatch(
            events=tuple(
                event(
                    context,
                    "interleave",
                    n,
                    bytes=4**n,
                    at=at,
                    log_network="residential",
                    proxy_user_id=context.user("interleave", n % 3 + 1),
                    log_hostname=context.host("interleave", 1),
                )
                for n in range(9)
            )
        ),
    )


def _hosts(context: CheckContext) -> Sequence[EventBatch]:
    """Hostnames that are one to DNS and others that only look alike."""
    base = context.host("hosts")
    label = "a" * 59
    long = ".".join([label] * 3) + "." + base
    names = (
        base,
        base.upper(),
        base + ".",
        "www." + base,
        "a.b." + base,
        "xn--bcher-kva." + base,
        "grün." + base,
        "192.0.2.7",
        "2001:db8::7",
        "under_score." + base,
        "underXscore." + base,
        "x" * (252 - len(long)) + "." + long,
        "1." + base,
    )
    at = _present(context)
    return (
        EventBatch(
            events=tuple(
                event(context, "hosts", n, bytes=4**n, at=at, log_hostname=name)
                for n, name in enumerate(names)
            )
        ),
    )


STATUSES: Final = (
    {"log_status_code": 200},
    {"log_status_code": 204},
    {"log_status_code": 301},
    {"log_status_code": 404},
    {"log_status_code": 502},
    {"log_status_code": None, "log_error_code": "connection_timeout"},
    {"log_status_code": None},
)


def _status(context: CheckContext) -> Sequence[EventBatch]:
    """Successes and failures, each with bytes, on a metered and an unmetered network."""
    at = _present(context)
    return (
        EventBatch(
            events=tuple(
                event(context, "status", 2 * n + lane, bytes=501 + 4**n, at=at, **status, **network)
                for n, status in enumerate(STATUSES)
                for lane, network in enumerate(
                    ({"log_network": "residential"}, {"log_network": "isp"})
                )
            )
        ),
    )


def _zero(context: CheckContext) -> Sequence[EventBatch]:
    at = _present(context)
    return (
        EventBatch(
            events=(
                event(context, "zero", 0, bytes=0, at=at),
                event(context, "zero", 1, bytes=0, at=at, log_hostname=context.host("zero", 2)),
                event(context, "zero", 2, bytes=7, at=at, log_hostname=context.host("zero", 2)),
            )
        ),
    )


SIZES: Final = (
    (2**31 - 1, 2**31, 2**31 + 5),
    (2**32 - 1, 2**32 + 1),
    (2**25 + 1, 1, 1, 1),
    (2**53 - 1, 1, 1, 1),
    (2**53 + 1, 2),
    (1, 3, 333, 511, 513, 1023, 1025, 1500, 4097),
)
"""Per host: where 32 bits, single and double floats, and rounding to KiB give way."""


def _sizes(context: CheckContext) -> Sequence[EventBatch]:
    at = _present(context)
    pairs = [(host, size) for host, sizes in enumerate(SIZES, 1) for size in sizes]
    return (
        EventBatch(
            events=tuple(
                event(
                    context, "sizes", n, bytes=size, at=at, log_hostname=context.host("sizes", host)
                )
                for n, (host, size) in enumerate(pairs)
            )
        ),
    )


def _range(context: CheckContext) -> Sequence[EventBatch]:
    """Impossible ones, each in a batch of its own, under one user each."""
    at = _present(context)
    bad: tuple[Event, ...] = (
        event(context, "range", 0, bytes=-5, at=at),
        event(context, "range", 1, bytes=11, at=context.now + timedelta(days=1)),
        event(context, "range", 2, bytes=13, at=at, log_network="carrier-pigeon"),
    )
    return tuple(
        EventBatch(events=({**one, "proxy_user_id": context.user("range", n)},))
        for n, one in enumerate(bad, 1)
    )


def _ties(context: CheckContext) -> Sequence[EventBatch]:
    """Many logs of one moment and one size, on twelve hosts: nothing to sort them by but the id."""
    at = _present(context)
    return (
        EventBatch(
            events=tuple(
                event(
                    context,
                    "ties",
                    n,
                    bytes=64,
                    at=at,
                    log_hostname=context.host("ties", n % 12 + 1),
                )
                for n in range(TIED_ROWS)
            )
        ),
    )


def _long(context: CheckContext) -> Sequence[EventBatch]:
    at = _present(context)
    return (
        EventBatch(
            events=tuple(
                event(context, "long", n, bytes=n, at=at - timedelta(seconds=n))
                for n in range(LONG_ROWS)
            )
        ),
    )


VARIETY: Final = (
    ("residential", "http", 200, 90, "us", "cupertino", 1299),
    ("residential", "socks", 404, 200, "us", "dallas", 7018),
    ("mobile", "http", 200, 300, "fr", "paris", 3215),
    ("isp", "socks", 502, 400, "de", "berlin", 3320),
    ("datacenter", "http", 301, 500, "fr", "lyon", 3215),
    ("isp", "http", 200, 600, "us", "cupertino", 7018),
    ("mobile", "socks", 503, 700, "de", "munich", 3209),
)


def _variety(context: CheckContext) -> Sequence[EventBatch]:
    """Logs that differ in every field that can be filtered by or sorted by; a minute apart."""
    return (
        EventBatch(
            events=tuple(
                event(
                    context,
                    "variety",
                    n,
                    bytes=size,
                    at=_present(context) - timedelta(minutes=7 - n),
                    log_network=network,
                    log_protocol=protocol,
                    log_status_code=status,
                    country_id=country,
                    city_alias=city,
                    asn_id=asn,
                    log_hostname=f"{chr(109 - n)}x." + context.host("variety"),
                )
                for n, (network, protocol, status, size, country, city, asn) in enumerate(VARIETY)
            )
        ),
    )


def _tenants(context: CheckContext) -> Sequence[EventBatch]:
    """The same proxy user and host in two tenants, and a user that only the first has."""
    at = _present(context)
    same = [
        event(
            context,
            "tenants",
            n,
            bytes=4**n,
            at=at,
            tenant=tenant,
            log_network="residential",
        )
        for n, tenant in enumerate("aaabb")
    ]
    alone = event(context, "tenants", 9, bytes=99, at=at, proxy_user_id=context.user("tenants", 2))
    of_a = tuple(one for one in same if one["customer_id"] == context.customers["a"])
    of_b = tuple(one for one in same if one["customer_id"] == context.customers["b"])
    return (EventBatch(events=(*of_a, alone)), EventBatch(events=of_b))


def _graph(context: CheckContext) -> Sequence[EventBatch]:
    """Events around an hour's boundary, before, exactly at and after it, and in the present."""
    edge = hour_start(context.now) - timedelta(hours=3)
    offsets = (-3600, -1, 0, 1, 1800, 3599, 3600)
    times = [edge + timedelta(seconds=offset) for offset in offsets] + [_present(context)]
    return (
        EventBatch(
            events=tuple(
                event(
                    context,
                    "graph",
                    n,
                    bytes=4**n,
                    at=at,
                    log_network=NETWORKS[n % 4],
                    log_hostname=context.host("graph", n % 2 + 1),
                )
                for n, at in enumerate(times)
            )
        ),
    )


def _used(context: CheckContext) -> Sequence[EventBatch]:
    """One user on all four networks: only the metered bytes are used up."""
    at = _present(context)
    return (
        EventBatch(
            events=tuple(
                event(context, "used", n, bytes=1000 * 4**n, at=at, log_network=network)
                for n, network in enumerate(NETWORKS)
            )
        ),
    )


def _leaver(context: CheckContext) -> Sequence[EventBatch]:
    """A proxy user that is deleted later on."""
    at = _present(context)
    return (
        EventBatch(events=tuple(event(context, "leaver", n, bytes=4**n, at=at) for n in range(3))),
    )


def _eve(context: CheckContext) -> Sequence[EventBatch]:
    """The last events of a day, after which nothing else comes; `context.now` is that eve."""
    return (
        EventBatch(
            events=tuple(
                event(
                    context,
                    "midnight",
                    n,
                    bytes=4**n,
                    at=context.now,
                    log_network="residential",
                )
                for n in range(3)
            )
        ),
    )


def _restart(context: CheckContext) -> Sequence[EventBatch]:
    """Many small deliveries, acknowledged just before the restart."""
    return tuple(
        EventBatch(events=(event(context, "restart", n, bytes=4**n, at=context.now),))
        for n in range(9)
    )


DATASETS: Final = (
    Dataset(name="comb", plant=_comb),
    Dataset(name="batches", plant=_batches),
    Dataset(name="twice", plant=_twice),
    Dataset(name="race", plant=_race),
    Dataset(name="writers", plant=_writers),
    Dataset(name="networks", plant=_networks),
    Dataset(name="interleave", plant=_interleave),
    Dataset(name="hosts", plant=_hosts),
    Dataset(name="status", plant=_status),
    Dataset(name="zero", plant=_zero),
    Dataset(name="sizes", plant=_sizes),
    Dataset(name="range", plant=_range),
    Dataset(name="ties", plant=_ties),
    Dataset(name="long", plant=_long),
    Dataset(name="variety", plant=_variety),
    Dataset(name="tenants", plant=_tenants),
    Dataset(name="graph", plant=_graph),
    Dataset(name="used", plant=_used),
    Dataset(name="leaver", plant=_leaver),
    Dataset(name="midnight", plant=_eve, stage="before-midnight"),
    Dataset(name="restart", plant=_restart, stage="restart"),
)
"""Every world, in the order of planting."""
