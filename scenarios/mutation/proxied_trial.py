"""One trial of level 1: the fleet's proxies with some accounting, reporting to a reference.

`python -m trueup.scenarios.mutation.proxied_trial` reads a plan on its standard input and prints
the trial, as `trueup.scenarios.mutation.trial` does.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from trueup.conformance.errors import ConformanceError
from trueup.conformance.runner import run_checks
from trueup.conformance.selection import checks_for
from trueup.conformance.target.load import load_target
from trueup.conformance.target.model import Target
from trueup.reports.journal.records import SCHEMA, Header
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import Json
from trueup.scenarios.drivers import open_driver
from trueup.scenarios.embedded.process import (
    Serving,
    embedded_reference,
)
from trueup.scenarios.embedded.proxies_part import proxies_part
from trueup.scenarios.embedded.target import key_environment, target_file
from trueup.scenarios.errors import ScenarioError
from trueup.scenarios.mutation.accounting_plan import AccountingPlan
from trueup.scenarios.mutation.accountings import ACCOUNTINGS, Earlier, Report, as_it_is
from trueup.scenarios.mutation.trial import Trial, trial_process
from trueup.scenarios.run.proxied_client import exact_client
from trueup.simulator.delivery import Driver
from trueup.simulator.errors import ListenError
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.profile import load_profile
from trueup.simulator.proxies import (
    Destinations,
    FleetUser,
    ProxiedRequest,
    ProxyEngine,
    ProxyServer,
    UserDirectory,
    UserNameSyntax,
    fleet_endpoints,
    fleet_users,
)
from trueup.simulator.sockets import listen

__all__ = ["LAWS", "has_ipv6", "run_proxied_trial", "try_accounting"]

LAWS: Final = ("LOG=PROXIED", "BYTES=PROXIED", "SUM=PROXIED", "LEDGER=PROXIED")
"""Laws of level 1."""
_REQUESTS: Final = 5000
_NOWHERE: Final = ("127.0.0.1", 9)
"""The discard port, at which nothing listens."""
_PAUSE_S: Final = 0.02


def has_ipv6() -> bool:
    """Return whether this machine has an IPv6 loopback."""
    try:
        listen("::1", 0).close()
    except ListenError:
        return False
    return True


@dataclass(slots=True, kw_only=True)
class _Reporter:
    """Reports requests that have ended, as an accounting has them."""

    report: Report
    driver: Driver
    delay_s: float
    memory: Earlier = field(default_factory=Earlier)
    waiting: asyncio.Queue[tuple[float, list[dict[str, Json]]]] = field(
        default_factory=asyncio.Queue
    )

    def add(self, engine: ProxyEngine, request: ProxiedRequest) -> None:
        """Account for a request."""
        event = request.event(engine.counting)
        if event is not None:
            due = time.monotonic() + self.delay_s
            self.waiting.put_nowait((due, self.report(request, event, self.memory)))

    async def run(self) -> None:
        """Deliver reports until cancelled."""
        while True:
            due, events = await self.waiting.get()
            await asyncio.sleep(max(_PAUSE_S, due - time.monotonic()))
            while not self.waiting.empty():
                events += self.waiting.get_nowait()[1]
            if events:
                await self.driver.send(events)


def run_proxied_trial(plan: AccountingPlan, folder: Path) -> Trial:
    """Start a reference and try a plan on it; what goes wrong is the trial's error."""
    with embedded_reference(options=("--control", *plan.options)) as reference:
        return try_accounting(reference.serving, plan, folder)


def try_accounting(serving: Serving, plan: AccountingPlan, folder: Path) -> Trial:
    """Send the requests of level 1 through a fleet that reports to a reference, and judge them."""
    since = time.monotonic()
    try:
        return asyncio.run(_try(serving, plan, folder))
    except (ScenarioError, ConformanceError) as error:
        return Trial(error=str(error), wall_s=time.monotonic() - since)


async def _try(serving: Serving, plan: AccountingPlan, folder: Path) -> Trial:
    since = time.monotonic()
    customers = tuple(tenant.customer_id for tenant in serving.tenants)
    fleet = Fleet(
        load_profile("default"),
        seed=plan.seed,
        start=datetime.now(UTC),
        customers=customers,
        events_per_s=1.0,
    )
    users = fleet_users(fleet)
    engine = ProxyEngine(
        directory=UserDirectory(users, UserNameSyntax()),
        destinations=Destinations(plain=_NOWHERE, tls=None),
    )
    server = ProxyServer(engine=engine)
    server.open(fleet_endpoints(fleet, static_proxies=1), ports=(0,))
    target = _target(serving, plan, folder, server, users)
    known = ACCOUNTINGS.get(plan.id)
    assert target.proxies is not None
    async with open_driver(target) as driver, exact_client(target.proxies) as client:
        reporter = _Reporter(
            report=known.report if known else as_it_is, driver=driver, delay_s=plan.delay_s
        )
        engine.on_end = lambda request: reporter.add(engine, request)
        origin = (client.origin.host, client.origin.port)
        engine.destinations = Destinations(plain=origin, tls=None, allowed=frozenset((_NOWHERE,)))
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run(stop))
            reporting = group.create_task(reporter.run())
            try:
                with JournalWriter(folder / f"{plan.id}.ndjson") as writer:
                    writer.write(_header(target, plan))
                    outcome = await run_checks(
                        target,
                        writer=writer,
                        ingest=None,
                        proxies=client,
                        level=1,
                        only=LAWS,
                    )
            finally:
                reporting.cancel()
                stop.set()
    return Trial(
        results=outcome.results, requests=outcome.requests, wall_s=time.monotonic() - since
    )


def _header(target: Target, plan: AccountingPlan) -> Header:
    return Header(
        trueup=version("trueup"),
        schema=SCHEMA,
        run=plan.id,
        seed=plan.seed,
        started_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        scenario="proxied",
        target=target.name,
        base_url=target.base_url,
        level=1,
        checks=tuple(check.name for check in checks_for(target, level=1, only=LAWS)),
        only=LAWS,
    )


def _target(
    serving: Serving,
    plan: AccountingPlan,
    folder: Path,
    server: ProxyServer,
    users: Sequence[FleetUser],
) -> Target:
    """Return the target of a trial, from a file like that of any other."""
    part = proxies_part(
        server.proxies,
        users,
        server.engine.directory.syntax,
        customers={"a": serving.tenants[0].customer_id},
        ipv6="::1" if has_ipv6() else "",
        unreachable=_NOWHERE,
        protocols=plan.protocols,
    )
    text = target_file(serving, requests=_REQUESTS, overrides=plan.overrides)
    path = folder / f"{plan.id}.toml"
    path.write_text(f"{text}\n{part.text}", encoding="utf-8")
    return load_target(path, {**os.environ, **key_environment(serving), **part.environment})


if __name__ == "__main__":
    trial_process(AccountingPlan, run_proxied_trial)
