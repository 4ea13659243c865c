"""One event sent to a target on request, and where it then appears in each view."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.polling import poll_until
from trueup.conformance.client.preflight import preflight
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.contract.interpretation import freshness_s
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import get_path, rows_of
from trueup.conformance.target.model import Target
from trueup.reports.formatting import json_text
from trueup.reports.journal.records import Exchange
from trueup.reports.results import EventOutcome, Json, Outcome
from trueup.scenarios.drivers import open_driver
from trueup.scenarios.run.preconditions import customers_of
from trueup.scenarios.run.probe_events import probe_event
from trueup.scenarios.run.run_directory import temporary_journal
from trueup.simulator.delivery import HttpDriver

__all__ = ["EventProbe", "ProbeView", "send_probe"]

STAGE: Final = "event probe"
_AGE: Final = timedelta(minutes=1)
_OTHER_FIELDS: Final[Mapping[str, Json]] = {
    "log_status_code": 200,
    "log_error_code": None,
    "service_id": "API-0000-0001",
    "proxy_id": "PROXY-0000-0001",
    "log_session_id": "probe0000001",
    "log_method": "GET",
    "log_protocol_version": "1.1",
    "log_transport": "tcp",
    "log_local_ip_address": "192.0.2.8",
    "log_local_port": 8080,
    "log_egress_ip_address": "192.0.2.9",
    "log_total_elapsed_ms": 120,
    "log_handshake_elapsed_ms": 40,
    "log_tunnel_elapsed_ms": 30,
    "log_concurrency": 1,
    "log_is_tls_enabled": False,
    "log_smartpath_enabled": False,
    "log_smartpath_routed": False,
}
"""What the checks send besides: one event shows whether the mapping has all of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeView:
    """One view, and the row or point in which the event appears."""

    name: str
    status: int | None
    shown: Mapping[str, Json] | None
    """None: the event does not appear there."""
    expected: Mapping[str, Json]
    """Fields that it must have there, by their names in this view."""
    error: str = ""
    body: str = ""
    """The response in which the event does not appear, its keys redacted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventProbe:
    """One event: as it was sent, what came back, and where it appears."""

    sent: str
    """The body, or what a program or a broker was given, before compression."""
    response: str
    """Status and body of the last response; empty where events do not go in over HTTP."""
    outcome: EventOutcome
    views: tuple[ProbeView, ...]


async def send_probe(target: Target) -> EventProbe:
    """Send one event of a new proxy user a minute ago, and read every view that can name it.

    Views are read until all show it, or the declared freshness has passed; once if the event is
    refused. Raises TargetTrouble where the target does not respond, UsageProblem where the
    account's number is not known.
    """
    clock = WallClock()
    customer = customers_of(target)[0]
    with temporary_journal(target) as writer:
        recorder = Recorder(writer, secrets=target.secrets)
        async with open_driver(target) as driver:
            at = await preflight(target, recorder, clock) - _AGE
            event = _event(customer, at)
            (outcome,) = await driver.send([event])
            last = driver.last if isinstance(driver, HttpDriver) else None
        async with ReadClient(target, recorder, clock) as client:
            refused = outcome.outcome is Outcome.REFUSED
            wait_s = 0.0 if refused else freshness_s(target.readings)
            views = await _views(target, client, event, at, wait_s)
    response = "" if last is None else f"{last[0]} {last[1].decode('utf-8', 'replace')}"
    assert target.ingest is not None, "the driver has refused a target without it"
    return EventProbe(
        sent=recorder.strike_text(target.ingest.format.encode([event]).decode()),
        response=recorder.strike_text(response),
        outcome=outcome,
        views=views,
    )


def _event(customer: int, at: datetime) -> dict[str, Json]:
    """Return an event whose proxy user and hostname nothing else has."""
    name = uuid.uuid4()
    event = probe_event(
        str(name),
        customer=customer,
        user=f"trueup-probe-{name.hex[:12]}",
        hostname="probe.example",
        at=at,
    )
    return {**event, **_OTHER_FIELDS}


async def _views(
    target: Target, client: ReadClient, event: Mapping[str, Json], at: datetime, wait_s: float
) -> tuple[ProbeView, ...]:
    """Return what each view shows of the event, once all show it or `wait_s` has passed."""
    user, clock = str(event["proxy_user_id"]), WallClock()
    hour = at.replace(minute=0, second=0, microsecond=0)
    asked = (
        ("log/search", requests.logs(user)),
        ("log/retrieve", requests.log(str(event["log_id"]))),
        ("log_summary/search", requests.summaries(user)),
        (
            "analytics/graph",
            requests.graph(
                hour, hour + timedelta(hours=1), "hour", filters={"proxy_user_id": user}
            ),
        ),
    )
    views: list[ProbeView] = []

    async def all_show_it() -> bool:
        views[:] = [await _view(target, client, name, ask, event) for name, ask in asked]
        return all(view.shown is not None for view in views)

    await poll_until(
        all_show_it,
        clock=clock,
        until=clock.monotonic() + wait_s,
        pause_s=0.2,
        most_pause_s=2.0,
    )
    return tuple(views)


async def _view(
    target: Target, client: ReadClient, name: str, ask: ApiRequest, event: Mapping[str, Json]
) -> ProbeView:
    exchange = (await client.ask(ask, stage=STAGE))[-1]
    shown = _shown(target, name, exchange)
    body = exchange.body_text if exchange.body is None else json_text(exchange.body)
    return ProbeView(
        name=name,
        status=exchange.status,
        expected=_expected(target, name, event),
        shown=shown,
        error=exchange.error,
        body=body if shown is None else "",
    )


def _expected(target: Target, name: str, event: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return what a view must show of the event."""
    if name == "analytics/graph":
        return {target.graph.requests: 1, target.graph.bytes: event["log_total_bytes"]}
    if name == "log_summary/search":
        return {
            "customer_id": event["customer_id"],
            "proxy_user_id": event["proxy_user_id"],
            "log_summary_network": event["log_network"],
            "log_summary_hostname": event["log_hostname"],
            "log_summary_requests": 1,
            "log_summary_bytes": event["log_total_bytes"],
        }
    return event


def _shown(target: Target, name: str, exchange: Exchange) -> Mapping[str, Json] | None:
    """Return the row or point of the event: there is no other of its proxy user."""
    if exchange.status != 200:
        return None
    if name == "analytics/graph":
        points = get_path(exchange.body, target.graph.points)
        rows: Sequence[Json] = points if isinstance(points, list) else []
        counted = [row for row in rows if get_path(row, target.graph.requests)]
        return counted[0] if counted and isinstance(counted[0], dict) else None
    if name == "log/retrieve":
        row = get_path(exchange.body, "data")
        return row if isinstance(row, dict) else None
    found = rows_of(exchange.body)
    return found[0] if found else None
