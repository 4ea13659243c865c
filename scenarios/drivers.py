"""Translate the ingestion endpoint of a target file into a driver of the simulator."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final, assert_never

from trueup.conformance.target.model import (
    CommandIngest,
    HttpIngest,
    IngestForm,
    Target,
    TransportIngest,
)
from trueup.reports.event_format import BodyForm
from trueup.reports.transport.credentials import TlsFiles
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
    "command_form",
    "driver_of",
    "http_form",
    "load_form",
    "load_ingest",
    "open_driver",
    "transport_form",
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
        secrets=secrets,
    )


def http_form(
    ingest: HttpIngest,
    *,
    timeout_s: float = 10.0,
    secrets: tuple[str, ...] = (),
    tls: TlsFiles | None = None,
    unix_socket: str = "",
) -> HttpForm:
    """Return the simulator's form of an HTTP endpoint; header values are already resolved.

    `secrets` are replaced in the reasons that its responses give.
    """
    return HttpForm(
        url=ingest.url,
        method=ingest.method,
        format=ingest.format,
        compression=ingest.compression,
        headers=dict(ingest.headers),
        event_headers=dict(ingest.event_headers),
        credentials=ingest.credentials,
        tls=tls or TlsFiles(),
        unix_socket=unix_socket,
        response_rule=_rule(ingest, secrets),
        timeout_s=timeout_s,
        max_events=ingest.batch,
    )


def command_form(
    ingest: CommandIngest, *, cwd: Path | None = None, secrets: tuple[str, ...] = ()
) -> CommandForm:
    """Return the simulator's form of a program; it is started in the target file's folder."""
    return CommandForm(
        argv=ingest.argv,
        format=ingest.format,
        timeout_s=ingest.timeout_s,
        max_events=ingest.batch,
        cwd=os.fspath(cwd) if cwd else None,
        response_rule=ResponseRule(secrets=secrets),
    )


def transport_form(ingest: TransportIngest, target: Target) -> TransportForm:
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
        driver = transport_driver(transport_form(target.ingest, target))
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
            return HttpDriver(
                http_form(
                    ingest,
                    timeout_s=target.timeout_s,
                    secrets=target.secrets,
                    tls=target.tls,
                    unix_socket=target.socket_of(ingest.url),
                )
            )
        case CommandIngest():
            return CommandDriver(
                command_form(ingest, cwd=target.path.parent, secrets=target.secrets)
            )
        case TransportIngest():
            return transport_driver(transport_form(ingest, target))
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
    return http_form(
        target.ingest,
        timeout_s=target.timeout_s,
        secrets=target.secrets,
        tls=target.tls,
        unix_socket=target.socket_of(target.ingest.url),
    )


def load_ingest(target: Target) -> HttpForm | TransportForm:
    """Return how the load goes in. Raises UsageProblem where events go in by a program, or not."""
    match target.ingest:
        case HttpIngest():
            return load_form(target)
        case TransportIngest() as ingest:
            return transport_form(ingest, target)
        case _:
            raise UsageProblem(
                f"{target.path}: load goes in over HTTP or through a broker, but this target's "
                f"[ingest] is {'a command' if target.ingest else 'missing'}. Give it "
                '`via = "http"` and a `url`, or a broker: see docs/brokers.md.'
            )
