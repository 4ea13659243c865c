"""The traffic of a time capsule, and what is read of it when it is planted and when harvested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.datasets.depth import Depth
from trueup.conformance.datasets.event_times import DISTANCE, day_start, oldest
from trueup.conformance.datasets.event_values import EventBuilder, host_name
from trueup.conformance.datasets.operations import Deliver, Plan, Stage
from trueup.conformance.datasets.stage_reads import read_all, snapshots, user_reads
from trueup.conformance.model import NETWORKS, CheckContext, Event
from trueup.conformance.requests import ApiRequest

__all__ = ["HARVEST", "PLANT", "harvest_stage", "plant_plan"]

PLANT: Final = "plant"
HARVEST: Final = "harvest"
"""Names of the stages."""
BATCH: Final = 40
USERS: Final = 4
HOSTNAMES: Final = (
    *("plain", "subdomain", "upper-case", "trailing-dot", "port", "ipv4", "ipv6", "punycode"),
    *("label-63", "percent", "underscore"),
)
OF_A_CELL: Final = 3
"""Hostnames of one proxy user, network and day, which consolidation adds up."""
SIZES: Final = (0, 1, 1023, 1024, 2**31 + 1, 2**32, 2**53 + 1)
SIZE_EVERY: Final = 5
"""Every so many events have one of `SIZES`, the others sizes that tell them apart in a sum."""
DAYS: Final = 8
"""Days before the planting that reads cover; events are never older than 7 days."""
RETRIEVED: Final = 6
"""Logs of each customer that are retrieved by id."""


def plant_plan(
    context: CheckContext, depth: Depth, seed: int, *, requests: int | None = None
) -> Plan:
    """Return the plan of a planting. Its traffic is the same at every depth and seed.

    `requests`, the most that the run may make, is not needed: there are about a hundred.
    """
    del requests
    sent = {tenant: _events(context, tenant) for tenant in context.customers}
    return Plan(
        depth=depth,
        seed=seed,
        stages=(
            Stage(
                name=PLANT,
                what="planting the capsule and reading it back",
                operations=tuple(
                    Deliver(dataset="capsule", events=tuple(own[n : n + BATCH]))
                    for own in sent.values()
                    for n in range(0, len(own), BATCH)
                ),
                requests=_reads(context, context.now, sent),
                snapshots=snapshots(context, context.now),
            ),
        ),
    )


def harvest_stage(
    context: CheckContext, planted: datetime, sent: Mapping[str, Sequence[Event]]
) -> Stage:
    """Return the stage that reads a capsule again.

    `context` is that of the harvest, `planted` the target's time of the planting, and `sent` what
    was accepted then or may have been, by customer.
    """
    then = replace(context, now=planted)
    return Stage(
        name=HARVEST,
        what="reading the capsule",
        requests=_reads(then, context.now, sent),
        snapshots=snapshots(then, context.now),
    )


def _events(context: CheckContext, tenant: str) -> list[Event]:
    """Events of every network on each day that the target takes in, oldest first."""
    builder = EventBuilder(context, "capsule", tenant)
    made: list[Event] = []
    for n, at in enumerate(_moments(context)):
        for k, network in enumerate(NETWORKS):
            user = f"u-capsule-{(n + k) % USERS + 1}"
            names = [HOSTNAMES[(n + k * OF_A_CELL + each) % len(HOSTNAMES)] for each in range(3)]
            for each, name in enumerate((*names, names[0])):
                number = len(made)
                made.append(
                    builder.varied(
                        user=context.user(user),
                        at=at - timedelta(seconds=each),
                        log_network=network,
                        log_hostname=host_name(context, name),
                        **_size(number),
                    )
                )
    alone = context.user(f"u-only-{tenant}")
    made += [builder.event(user=alone, at=context.now - DISTANCE, log_network=n) for n in NETWORKS]
    return made


def _size(number: int) -> dict[str, int]:
    place, rest = divmod(number, SIZE_EVERY)
    return {} if rest else {"log_total_bytes": SIZES[place % len(SIZES)]}


def _moments(context: CheckContext) -> list[datetime]:
    """A moment of each day that events may be of, oldest first; one of today, just now."""
    first, last = oldest(context.now, context.late_days), context.now - DISTANCE
    first += timedelta(seconds=OF_A_CELL + 1)
    noons = [day_start(last) - timedelta(days=n, hours=-12) for n in range(8, 0, -1)]
    return [*([first] if first < day_start(last) else []), *(n for n in noons if n > first), last]


def _reads(
    context: CheckContext, now: datetime, sent: Mapping[str, Sequence[Event]]
) -> tuple[ApiRequest, ...]:
    """Everything of the capsule's users in every view, from its first day until now.

    `context` is that of the planting, `now` the target's time.
    """
    users = {
        tenant: tuple(dict.fromkeys(str(event["proxy_user_id"]) for event in own))
        for tenant, own in sent.items()
    }
    first = day_start(context.now) - timedelta(days=DAYS)
    last = day_start(now) + timedelta(days=1)
    kinds: list[tuple[str, dict[str, str]]] = [("day", {"network": each}) for each in NETWORKS]
    if "month-graph" in context.claims:
        kinds.append(("month", {}))
    graphs = [
        requests.graph(
            first, last, interval, tenant=tenant, filters={"proxy_user_id": names[0], **by}
        )
        for tenant, names in users.items()
        for interval, by in kinds
    ]
    logs = [
        requests.log(str(event["log_id"]), tenant)
        for tenant, own in sent.items()
        for event in own[:: max(1, len(own) // RETRIEVED)][:RETRIEVED]
    ]
    one_by_one = [
        view(user, tenant)
        for tenant, names in users.items()
        for user in names[:2]
        for view in (requests.logs, requests.summaries)
    ]
    return (
        *read_all(context, users, now),
        *graphs,
        *logs,
        *one_by_one,
        *user_reads(context, users, turn=0, share=1),
    )
