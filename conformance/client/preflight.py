"""The way to a target, looked at before anything is sent there: is anybody there, and is it they?

One step after another, for the API and for the way in: the name, a connection, the certificate;
then one question to the API with each tenant's keys. The first step that fails is told as a
letter: what was tried, what came back, what to do. It takes seconds, whatever is wrong.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from trueup.conformance.client.clock import Clock, WallClock
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.client.session import first_request
from trueup.conformance.errors import TargetUnreachable
from trueup.conformance.target.model import HttpIngest, Target
from trueup.reports.journal.records import Exchange

__all__ = ["STAGE", "preflight"]

STAGE: Final = "traffic approach"
"""Stage of the exchanges that this leaves in the journal: no fact of a check."""
PATIENCE_S: Final = 5.0
"""Longest wait for one step."""
_ANSWERS_S: Final = 15.0
"""Longest wait for all answers, those that ask for patience included."""


async def preflight(target: Target, recorder: Recorder, clock: Clock | None = None) -> None:
    """See that the API answers each tenant, and that the way in can be connected to.

    Raises TargetUnreachable, WrongKeys or NotAnApi.
    """
    patience_s = min(target.timeout_s, PATIENCE_S)
    for key, url in _places(target):
        await _connect(key, url, target, patience_s)
    hurried = dataclasses.replace(target, timeout_s=patience_s)
    async with ReadClient(hurried, recorder, clock or WallClock()) as client:
        try:
            async with asyncio.timeout(_ANSWERS_S):
                for tenant in target.tenants:
                    await first_request(target, recorder, client, tenant, stage=STAGE)
        except TimeoutError as error:
            raise TargetUnreachable(
                f"{target.base_url}: no usable answer within {_ANSWERS_S:g} s; the last one was: "
                f"{_last(recorder)}\n  remedy: wait until the target has time for us, and try again"
            ) from error


def _last(recorder: Recorder) -> str:
    """What the last answer of the target was, in a few words."""
    asked = [record for record in recorder.records if isinstance(record, Exchange)]
    if not asked:
        return "none"
    return asked[-1].error or f"status {asked[-1].status}"


def _places(target: Target) -> Iterator[tuple[str, str]]:
    """(key of the target file, URL), each address once."""
    yield "base_url", target.base_url
    if isinstance(target.ingest, HttpIngest):
        here, there = urlsplit(target.base_url), urlsplit(target.ingest.url)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            yield "ingest.url", target.ingest.url


async def _connect(key: str, url: str, target: Target, patience_s: float) -> None:
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    context = ssl.create_default_context() if secure else None
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
            f"{url}: nobody can be asked there\n"
            f"  tried:  {tried}\n"
            f"  came:   {said}\n"
            f"  remedy: {remedy}; {key} in {target.path} names the address"
        ) from error
    writer.close()
    # Whoever cuts the connection without a word was there all the same.
    try:
        async with asyncio.timeout(1.0):
            await writer.wait_closed()
    except OSError:
        return


def _reason(error: Exception, host: str, patience_s: float, *, secure: bool) -> tuple[str, str]:
    """(what came back, what to do)."""
    match error:
        case TimeoutError():
            return (
                f"no answer within {patience_s:g} s",
                "check that the target runs and that nothing on the way swallows our requests",
            )
        case socket.gaierror() | UnicodeError():
            said = getattr(error, "strerror", None) or str(error)
            return f"no address for the name {host} ({said})", "check the name, and the DNS here"
        case ssl.SSLCertVerificationError():
            return (
                f"a certificate that is not accepted ({error.verify_message})",
                "let SSL_CERT_FILE name a file with the authority that signed it, or mend the "
                "certificate",
            )
        case ssl.SSLError():
            return (
                f"no TLS ({error.reason or error})",
                "write http:// if the target does not speak TLS",
            )
        case ConnectionRefusedError():
            return (
                "connection refused: nothing listens there",
                "start the target, or mend the port",
            )
        case ConnectionError() if secure:
            return "the connection was cut during the TLS handshake", "check that it speaks TLS"
        case OSError() if error.errno and error.errno > 0:
            return os.strerror(error.errno).lower(), "check the address and the network"
        case _:
            return str(error), "check the address and the network"
