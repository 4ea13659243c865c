"""Requests of clients through the fleet's proxies: seven places count them, and are compared.

Client, proxy and origin are ours; their files stay in the run's folder. Log, summary, ledger and
account are the target's, which gets the usage of the proxies and is reconciled as for any traffic.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from trueup.conformance.client.clock import Clock
from trueup.conformance.errors import unwrap_group
from trueup.conformance.reconciliation.run import TrafficOutcome, read_baseline
from trueup.reports.journal.records import Delivered, ProxiedDeclared, Record, TieOutSeen
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import TieOut
from trueup.reports.transport.urls import host_port
from trueup.scenarios.errors import OwnError
from trueup.scenarios.load.plan import LoadPlan
from trueup.scenarios.load.traffic import LOAD_FLEET, load_fleet
from trueup.scenarios.proxied.clients import ProxiedForm, all_client_records
from trueup.scenarios.proxied.plan import PROXIED, RESTART_PROXIES, ProxiedPlan
from trueup.scenarios.run.clock import ShiftedClock, our_stamp, target_now
from trueup.scenarios.run.phases import (
    LoadedTraffic,
    RunContext,
    conclude_load,
    measure_load,
    reconcile,
)
from trueup.scenarios.run.preconditions import customers_of, plan_of
from trueup.scenarios.run.proxies_process import ProxiesProcess, all_proxy_records
from trueup.scenarios.run.traffic import beside, delivered
from trueup.scenarios.run.usage_events import UsageEvents, write_usage
from trueup.scenarios.scenario import LoadPart, ProxiedPart
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.profile import load_profile
from trueup.simulator.origin import Origin, OriginConnection
from trueup.simulator.proxies import (
    ByteCounting,
    KilledAt,
    PlannedRequest,
    ProxiedTieOut,
    ProxiedTieOutRow,
    ProxyRecord,
    RecordFile,
    RecoveredRecord,
    UsageRecord,
    fleet_requests,
    fleet_users,
    read_connections,
)

__all__ = ["read_places", "run_proxied_load_part", "run_proxied_part"]

_ORIGIN_FILE: Final = "origin.ndjson"
_SETTLE_S: Final = 15.0
"""How long connections may take to end once the last request has."""
_LOOK_S: Final = 0.02
_CLOCK_NOISE: Final = timedelta(seconds=2)
"""A target's clock that is no further off counts as ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxiedSession:
    """The proxies and their origin while requests are sent."""

    proxies: ProxiesProcess
    form: ProxiedForm
    connections: list[OriginConnection]
    """What the origin counted."""


@contextlib.asynccontextmanager
async def proxied_session(
    context: RunContext,
    plan: ProxiedPlan,
    fleet: Fleet,
    *,
    profile: str,
    timeout_s: float = 60.0,
    clock_starts: datetime | None = None,
) -> AsyncIterator[ProxiedSession]:
    """Start an origin and the fleet's proxies; at the end, wait until all usage is delivered.

    `clock_starts` is the time of the first request by the proxies' clock, UTC; None: the target's.
    Raises OwnError where the proxies fail, CouldNotTell where the target takes no usage.
    """
    folder = context.folder / PROXIED
    folder.mkdir()
    clock_ahead = target_now(context.writer, context.ahead) - datetime.now(UTC)
    if abs(clock_ahead) < _CLOCK_NOISE:
        clock_ahead = timedelta(0)
    connections: list[OriginConnection] = []
    origin = Origin(tls_port=None, on_end=connections.append)
    origin.open()
    proxies = ProxiesProcess(
        fleet=fleet,
        profile=profile,
        plan=plan,
        target=context.target,
        environment=context.environment,
        folder=folder,
        origin=host_port(origin.host, origin.port),
        clock_ahead_s=clock_ahead.total_seconds(),
        clock_starts=clock_starts,
    )
    stop = asyncio.Event()
    with unwrap_group():
        async with asyncio.TaskGroup() as group:
            group.create_task(origin.run(stop))
            try:
                await proxies.start()
                form = ProxiedForm(
                    proxies=proxies.addresses,
                    shape=plan.shape(),
                    folder=str(folder.resolve()),
                    timeout_s=timeout_s,
                )
                yield ProxiedSession(proxies=proxies, form=form, connections=connections)
                await _settle(origin)
                await proxies.stop()
                await _settle(origin)
            finally:
                await proxies.end()
                stop.set()
    with RecordFile(folder / _ORIGIN_FILE) as file:
        for connection in connections:
            file.write(connection)


async def _settle(origin: Origin) -> None:
    """Wait until the origin has no connection, for a moment at most."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SETTLE_S):
            while origin.server.open:  # noqa: ASYNC110  # of another process
                await asyncio.sleep(_LOOK_S)


async def compare_places(
    context: RunContext, session: ProxiedSession, clock: Clock, baseline: Sequence[Record]
) -> TrafficOutcome:
    """Compare what the seven places counted; the session is over.

    `baseline` is what was read of the accounts before. Raises OwnError where clients, proxies and
    origin, which are ours, counted differently.
    """
    records = all_proxy_records(context.folder / PROXIED)
    usage = (each for each in records if isinstance(each, UsageRecord))
    events, sha256, outcomes = write_usage(usage, context.folder)
    declared = ProxiedDeclared(
        fleet=PROXIED,
        events=len(events),
        sha256=sha256,
        customers=events.customers,
        counting=session.proxies.plan.counting,
        kills=tuple((kill.before_s, kill.after_s) for kill in session.proxies.kills),
    )
    context.writer.write(declared)
    context.writer.write(
        Delivered(source=PROXIED, fleet=PROXIED, outcomes=outcomes, at=our_stamp())
    )
    tie_out = read_places(context.folder, declared)
    rows = tie_out.rows_by_customer()
    for row in rows:
        for place in _places(row):
            context.writer.write(TieOutSeen(part=PROXIED, row=place))
    context.reporter.info(_in_words(rows))
    journal = read_journal(context.writer.path).records
    besides = beside(journal, PROXIED, folder=context.folder)
    sent = delivered(events, outcomes, besides)
    outcome = await reconcile(context, sent, PROXIED, clock, baseline)
    if odd := [row for row in rows if not row.ties_out]:
        different = sum(row.different for row in odd)
        raise OwnError(
            f"clients, proxies and origin counted {different} of "
            f"{len(tie_out.clients)} requests differently, on {', '.join(r.network for r in odd)}: "
            f"the records are in {context.folder / PROXIED}"
        )
    return outcome


def read_places(folder: Path, declared: ProxiedDeclared) -> ProxiedTieOut:
    """Return what clients, proxies and origin wrote down in a run's folder.

    Raises OSError, msgspec.MsgspecError, UsageProblem.
    """
    inner = folder / PROXIED
    records = list(all_proxy_records(inner))
    return ProxiedTieOut(
        counting=ByteCounting(declared.counting),
        clients=list(all_client_records(inner)),
        proxies=[each for each in records if isinstance(each, ProxyRecord)],
        recovered=[each for each in records if isinstance(each, RecoveredRecord)],
        connections=list(read_connections(inner / _ORIGIN_FILE)),
        kills=[KilledAt(before_s=before, after_s=after) for before, after in declared.kills],
        usage={
            str(row["log_id"]): int(row["log_total_bytes"])
            for row in UsageEvents.open(folder, declared)
        },
    )


def _in_words(rows: Iterable[ProxiedTieOutRow]) -> str:
    """Return the figures of all networks together, with what is explained, as one line."""
    total = ProxiedTieOutRow(network="")
    for row in rows:
        total.add(row)
    facts = [
        f"{total.client_requests:,} requests through proxies",
        f"{total.client_bytes:,} bytes at the clients",
        f"{total.proxy_bytes:,} at the proxies",
        f"{total.origin_bytes:,} at the origin",
    ]
    if unread := total.unread_by_proxy + total.unread_by_client + total.cut_bytes:
        facts.append(f"{unread:,} unread on broken connections")
    if total.killed:
        facts.append(
            f"{total.killed:,} requests open at a kill, with {total.killed_bytes:,} bytes lost"
        )
    if total.unserved:
        facts.append(f"{total.unserved:,} requests that no proxy had read at a kill or an abort")
    facts.append(f"{total.different:,} unexplained")
    return ", ".join(facts)


def _places(row: ProxiedTieOutRow) -> Iterator[TieOut]:
    """Yield the tie-out rows of client, proxy and origin. What the client counted is expected."""
    scope = f"{row.network} · tenant {row.customer_id}" if row.customer_id else row.network
    yield TieOut(
        view="client",
        scope=scope,
        expected_requests=row.client_requests,
        seen_requests=row.client_requests,
        expected_bytes=row.client_bytes,
        seen_bytes=row.client_bytes,
    )
    least = row.client_bytes - row.killed_bytes - row.unread_by_proxy
    slack = row.killed_bytes + row.unread_by_proxy + row.unread_by_client
    yield TieOut(
        view="proxy",
        scope=scope,
        expected_requests=row.client_requests - row.unserved,
        seen_requests=row.proxy_requests,
        slack_requests=row.unserved,
        expected_bytes=least,
        seen_bytes=row.proxy_bytes,
        slack_bytes=slack,
        ok=row.ties_out,
    )
    yield TieOut(
        view="origin",
        scope=scope,
        expected_requests=row.origin_requests,
        seen_requests=row.origin_requests,
        expected_bytes=row.proxy_origin_bytes - row.cut_bytes,
        seen_bytes=row.origin_bytes,
        slack_bytes=2 * row.cut_bytes + row.killed_origin_bytes,
        ok=row.ties_out,
    )


async def run_proxied_part(context: RunContext, part: ProxiedPart) -> None:
    """Send requests of the fleet through its proxies, and compare what the seven places counted.

    Raises OwnError, CouldNotTell.
    """
    clock = ShiftedClock(target_now(context.writer, context.ahead))
    fleet = Fleet(
        load_profile(part.profile),
        seed=context.seed,
        start=clock.now(),
        customers=customers_of(context.target),
        events_per_s=1.0,
        namespace=f"{context.folder.name}/{PROXIED}",
    )
    context.phase(PROXIED, "begin")
    context.reporter.start("proxied traffic", part.requests)
    baseline = await read_baseline(context.target, writer=context.writer, part=PROXIED, clock=clock)
    async with proxied_session(context, part, fleet, profile=part.profile) as session:
        await _send_all(context, part, fleet, session)
    context.reporter.finish(f"{part.requests} requests")
    await compare_places(context, session, clock, baseline)
    context.phase(PROXIED, "end")


async def run_proxied_load_part(context: RunContext, part: LoadPart) -> None:
    """Load the proxies through Locust, and compare what the seven places counted.

    Raises OwnError, CouldNotTell.
    """
    clock = ShiftedClock(target_now(context.writer, context.ahead))
    plan = plan_of(part, seed=context.seed)
    assert plan.proxied is not None, "a plan of requests through proxies"
    fleet = load_fleet(
        plan,
        customers=customers_of(context.target),
        now=clock.now(),
        namespace=f"{context.folder.name}/{PROXIED}",
    )
    midnight = plan.fleet.start == "before-midnight"
    context.phase(LOAD_FLEET, "begin")
    baseline = await read_baseline(context.target, writer=context.writer, part=PROXIED, clock=clock)
    async with proxied_session(
        context,
        plan.proxied,
        fleet,
        profile=plan.fleet.profile,
        timeout_s=plan.requests.timeout_s,
        clock_starts=_before_midnight(plan, clock) if midnight else None,
    ) as session:
        loaded = LoadedTraffic(
            plan=plan,
            ingest=session.form,
            fleet=fleet.identity(PROXIED),
            first_event=fleet.model.coverage.count,
            hooks={RESTART_PROXIES: session.proxies.restart},
        )
        measured = await measure_load(context, part, loaded, clock)
    since = time.monotonic()
    outcome = await compare_places(context, session, clock, baseline)
    conclude_load(context, measured, outcome, reconcile_s=time.monotonic() - since)


def _before_midnight(plan: LoadPlan, clock: Clock) -> datetime:
    """Return when the load begins by a clock that passes the target's last midnight in its middle.

    Events of its second half must not lie in the target's future.
    """
    half = timedelta(seconds=plan.shape.duration_s / 2)
    latest = clock.now() - half
    return latest.replace(hour=0, minute=0, second=0, microsecond=0) - half


async def _send_all(
    context: RunContext, part: ProxiedPart, fleet: Fleet, session: ProxiedSession
) -> None:
    """Send the fleet's first requests; restart the proxies when it is time."""
    users = {user.name: user for user in fleet_users(fleet)}
    planned = fleet_requests(fleet, users, 0, part.requests, shape=session.form.shape)
    moments = {int(share * part.requests): asyncio.Event() for share in part.restart_at_share}

    def each() -> Iterator[PlannedRequest]:
        for number, request in enumerate(planned):
            if number in moments:
                moments[number].set()
            if number % 100 == 0:
                context.reporter.update(number)
            yield request
        for moment in moments.values():
            moment.set()

    async def restart() -> None:
        for number in sorted(moments):
            await moments[number].wait()
            await session.proxies.restart()

    with RecordFile(session.form.records(0)) as file:
        client = session.form.client(file.write)
        async with asyncio.TaskGroup() as group:
            group.create_task(restart())
            group.create_task(client.send_all(each(), part.connections))
