"""Preflight: establish that a target can be used before anything is sent to it.

For the API and for the ingestion endpoint: resolve the name, connect, verify the certificate. Then
send one request with the keys of each tenant. The first step that fails raises an error that states
what was tried, what came back, and what to do. Each step has a time limit.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
import ssl
from collections.abc import Iterator
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from trueup.conformance.client.asked_time import ask_time
from trueup.conformance.client.clock import Clock, WallClock
from trueup.conformance.client.control import TargetControl
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.client.session import first_request
from trueup.conformance.errors import TargetUnreachable
from trueup.conformance.target.model import HttpIngest, Target
from trueup.reports.journal.records import Exchange
from trueup.reports.transport.tls import client_context

__all__ = ["STAGE", "preflight"]

STAGE: Final = "traffic approach"
"""Stage of its exchanges in the journal. No check uses them."""
PATIENCE_S: Final = 5.0
"""Longest wait for one step, in seconds."""
_RESPONSES_S: Final = 15.0
"""Longest wait for all responses, in seconds, including 429 and 503 with Retry-After."""


async def preflight(target: Target, recorder: Recorder, clock: Clock | None = None) -> datetime:
    """Check that the API responds to each tenant and the ingestion endpoint accepts connections.

    Returns the target's time, UTC.

    Raises:
        TargetClockUnknown: its clock was moved, and nothing tells where to.
        TargetUnreachable: no connection, or no usable response in time.
        WrongKeys: the API rejects the keys of a tenant.
        NotAnApi: the responses are not those of this API.
    """
    patience_s = min(target.timeout_s, PATIENCE_S)
    for key, url in _places(target):
        await _connect(key, url, target, patience_s)
    hurried = dataclasses.replace(target, timeout_s=patience_s)
    clock = clock or WallClock()
    control = TargetControl(target, recorder, clock)
    async with ReadClient(hurried, recorder, clock) as client:
        try:
            async with asyncio.timeout(_RESPONSES_S):
                for tenant in target.tenants:
                    await first_request(target, client, tenant, stage=STAGE)
                return await ask_time(
                    target, recorder, client, control, clock, stage=STAGE, level=2
                )
        except TimeoutError as error:
            raise TargetUnreachable(
                f"{target.base_url}: no usable response within {_RESPONSES_S:g} s; the last: "
                f"{_last(recorder)}\n  remedy: try again when the target is less busy"
            ) from error


def _last(recorder: Recorder) -> str:
    """Return a short description of the target's last response."""
    asked = [record for record in recorder.records if isinstance(record, Exchange)]
    if not asked:
        return "none"
    return asked[-1].error or f"status {asked[-1].status}"


def _places(target: Target) -> Iterator[tuple[str, str]]:
    """Yield (key of the target file, URL), each address once."""
    yield "base_url", target.base_url
    if isinstance(target.ingest, HttpIngest):
        here, there = urlsplit(target.base_url), urlsplit(target.ingest.url)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            yield "ingest.url", target.ingest.url


async def _connect(key: str, url: str, target: Target, patience_s: float) -> None:
    if path := target.socket_of(url):
        await _connect_to_socket(key, path, target, patience_s)
        return
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    context = client_context(target.tls) if secure else None
    tried = f"to find the address of {host}"
    try:
        async with asyncio.timeout(patience_s):
            await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        tried = f"to connect to {host} port {port}{' by TLS' if secure else ''}"
        async with asyncio.timeout(patience_s):
            _, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname=host if secure else None
            )
    except (OSError, UnicodeError) as error:
        said, remedy = _reason(error, host, patience_s, secure=secure)
        raise TargetUnreachable(
            f"{url}: cannot connect\n"
            f"  tried:  {tried}\n"
            f"  found:  {said}\n"
            f"  remedy: {remedy}; {key} in {target.path} names the address"
        ) from error
    writer.close()
    # A server that closes the connection has been reached.
    try:
        async with asyncio.timeout(1.0):
            await writer.wait_closed()
    except OSError:
        return


async def _connect_to_socket(key: str, path: str, target: Target, patience_s: float) -> None:
    try:
        async with asyncio.timeout(patience_s):
            _, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        raise TargetUnreachable(
            f"{path}: cannot connect: {error.strerror or error}\n"
            f"  expected: the UNIX socket of the server that {key} in {target.path} names"
        ) from error
    writer.close()


def _reason(error: Exception, host: str, patience_s: float, *, secure: bool) -> tuple[str, str]:
    """Return (what came back, what to do)."""
    match error:
        case TimeoutError():
            return (
                f"timeout: no response within {patience_s:g} s",
                "check that the target runs, and that no firewall drops the requests",
            )
        case socket.gaierror() | UnicodeError():
            said = getattr(error, "strerror", None) or str(error)
            return (
                f"no address for the host name {host} ({said})",
                "check the host name and the DNS settings of this machine",
            )
        case ssl.SSLCertVerificationError():
            return (
                f"the certificate was rejected ({error.verify_message})",
                "name the certificate authority in [tls] or in SSL_CERT_FILE, or correct the "
                "certificate",
            )
        case ssl.SSLError():
            return (
                f"no TLS ({error.reason or error})",
                "use http:// if the target does not support TLS",
            )
        case ConnectionRefusedError():
            return (
                "connection refused: no server listens on this port",
                "start the target, or correct the port",
            )
        case ConnectionError() if secure:
            return (
                "the connection was closed during the TLS handshake",
                "check that the server supports TLS",
            )
        case OSError() if error.errno and error.errno > 0:
            return os.strerror(error.errno).lower(), "check the address and the network"
        case _:
            return str(error), "check the address and the network"
