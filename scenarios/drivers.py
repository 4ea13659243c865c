"""Translate the ingestion endpoint of a target file into a driver of the simulator."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from typing import Final, assert_never

from trueup.conformance.target.model import (
    CommandIngest,
    HttpIngest,
    IngestForm,
    Target,
    TransportIngest,
)
from trueup.reports.event_format import BodyForm
from trueup.scenarios.errors import UsageProblem
from trueup.simulator.delivery import (
    CommandDriver,
    CommandForm,
    Driver,
    HttpDriver,
    HttpForm,
    ResponseRule,
    TransportForm,
    transport_driver,
)
from trueup.simulator.delivery.responses import ResponseBody

__all__ = [
    "check_ingest",
    "driver_of",
    "load_form",
    "load_ingest",
    "open_driver",
]

_BODIES: Final[Mapping[BodyForm, ResponseBody]] = {
    BodyForm.ELASTICSEARCH_BULK: ResponseBody.BULK,
    BodyForm.OTLP_LOGS: ResponseBody.OTLP,
}
"""Form of a request → that of its response, unless the target file declares another."""


def _rule(ingest: HttpIngest, secrets: tuple[str, ...]) -> ResponseRule:
    accepted, refused = ingest.accepted, ingest.refused
    if refused is None:
        if accepted is None and ingest.format.form in _BODIES:
            return ResponseRule(body=_BODIES[ingest.format.form], secrets=secrets)
        return ResponseRule(accepted=accepted or "", refused="", secrets=secrets)
    return ResponseRule(
        accepted=accepted or "",
        refused=refused.list,
        line_key=refused.line,
        reason_key=refused.reason or "",
        first_line=refused.first,
        refused_count=refused.count or "",
        secrets=secrets,
    )


def _http_form(ingest: HttpIngest, target: Target) -> HttpForm:
    """Return the simulator's form of an HTTP endpoint; header values are already resolved."""
    return HttpForm(
        url=ingest.url,
        method=ingest.method,
        format=ingest.format,
        compression=ingest.compression,
        headers=dict(ingest.headers),
        event_headers=dict(ingest.event_headers),
        credentials=ingest.credentials,
        tls=target.tls,
        unix_socket=target.socket_of(ingest.url),
        response_rule=_rule(ingest, target.secrets),
        timeout_s=target.timeout_s,
        max_events=ingest.batch,
    )


def _command_form(ingest: CommandIngest, target: Target) -> CommandForm:
    """Return the simulator's form of a program; it is started in the target file's folder."""
    return CommandForm(
        argv=ingest.argv,
        format=ingest.format,
        timeout_s=ingest.timeout_s,
        max_events=ingest.batch,
        cwd=os.fspath(target.path.parent),
        response_rule=ResponseRule(secrets=target.secrets),
    )


def _transport_form(ingest: TransportIngest, target: Target) -> TransportForm:
    """Return the simulator's form of a transport of a target."""
    return TransportForm(
        name=ingest.name,
        options=dict(ingest.options),
        format=ingest.format,
        max_events=ingest.batch,
        tls=target.tls,
        secrets=target.secrets,
    )


async def check_ingest(target: Target) -> None:
    """Establish that a target's broker, or other transport, takes events; send none.

    Endpoints over HTTP are part of the preflight, programs are found when the file is read.
    Raises TransportMissing, TransportUnreachable.
    """
    if isinstance(target.ingest, TransportIngest):
        driver = transport_driver(_transport_form(target.ingest, target))
        try:
            await driver.check()
        finally:
            await driver.close()


def driver_of(target: Target) -> Driver:
    """Return a driver for a target's ingestion.

    Raises UsageProblem where the target has none, TransportMissing where a package is missing.
    """
    ingest: IngestForm | None = target.ingest
    match ingest:
        case HttpIngest():
            return HttpDriver(_http_form(ingest, target))
        case CommandIngest():
            return CommandDriver(_command_form(ingest, target))
        case TransportIngest():
            return transport_driver(_transport_form(ingest, target))
        case None:
            raise UsageProblem(
                f"{target.path}: the target has no ingestion endpoint. "
                "Add an [ingest] part to inject events."
            )
        case _:
            assert_never(ingest)


@contextlib.asynccontextmanager
async def open_driver(target: Target) -> AsyncIterator[Driver]:
    """Yield a driver for a target's ingestion, and close it at the end. Raises as `driver_of`."""
    driver = driver_of(target)
    try:
        yield driver
    finally:
        await driver.close()


def load_form(target: Target) -> HttpForm:
    """Return the HTTP form to load. Raises UsageProblem where events do not go in over HTTP."""
    if not isinstance(target.ingest, HttpIngest):
        raise UsageProblem(
            f"{target.path}: this needs events to go in over HTTP. Give [ingest] "
            '`via = "http"` and a `url`.'
        )
    return _http_form(target.ingest, target)


def load_ingest(target: Target) -> HttpForm | TransportForm:
    """Return how the load goes in. Raises UsageProblem where events go in by a program, or not."""
    match target.ingest:
        case HttpIngest():
            return load_form(target)
        case TransportIngest() as ingest:
            return _transport_form(ingest, target)
        case _:
            raise UsageProblem(
                f"{target.path}: load goes in over HTTP or through a broker, but this target's "
                f"[ingest] is {'a command' if target.ingest else 'missing'}. Give it "
                '`via = "http"` and a `url`, or a broker: see docs/brokers.md.'
            )
