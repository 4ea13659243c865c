"""The preflight before traffic is sent: problems are reported in seconds."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.load.sink import http_response, read_request, serving
from trueup.conformance.client.preflight import STAGE, preflight
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.errors import NotAnApi, TargetTrouble, TargetUnreachable, WrongKeys
from trueup.conformance.target.model import HttpIngest, Target, Tenant
from trueup.reports.journal.records import Exchange
from trueup.reports.journal.storage import JournalWriter


def api(status: int, body: bytes = b'{"data": []}') -> Callable[..., Any]:
    """Return a handler that sends one response to every request."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(http_response(status, body, "Content-Type: application/json"))

    return handle


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of the loopback interface without a server."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def target_of(base_url: str, ingest: str = "") -> Target:
    return Target(
        name="t",
        base_url=base_url,
        tenants={"a": Tenant(public_key="public", private_key="private", customer_id=1)},
        ingest=HttpIngest(url=ingest) if ingest else None,
        path=Path("mine.toml"),
    )


async def met(target: Target, tmp_path: Path) -> list[Exchange]:
    with JournalWriter(tmp_path / "j.ndjson") as writer:
        recorder = Recorder(writer)
        began = time.monotonic()
        try:
            await preflight(target, recorder)
        finally:
            assert time.monotonic() - began < 5
        return [record for record in recorder.records if isinstance(record, Exchange)]


async def test_a_working_target_passes_with_one_request_a_tenant_and_one_for_its_time(
    tmp_path: Path,
) -> None:
    """The requests are in the journal, in a stage that no check uses."""
    with serving(api(200)) as port:
        asked = await met(target_of(f"http://127.0.0.1:{port}/1.0"), tmp_path)
    assert [(one.path, one.status, one.stage) for one in asked] == [
        ("/public/user/log_summary/search", 200, STAGE),
        ("/public/user/log_summary/search", 200, STAGE),
    ]


async def test_a_refused_connection_is_reported_with_the_key_of_the_url(
    tmp_path: Path, closed_port: int
) -> None:
    """What was tried, what came back, what to do."""
    with pytest.raises(TargetUnreachable, match="connection refused") as told:
        await met(target_of(f"http://127.0.0.1:{closed_port}/1.0"), tmp_path)
    assert "base_url in mine.toml" in str(told.value)
    assert f"127.0.0.1 port {closed_port}" in str(told.value)


async def test_a_refused_connection_of_the_ingestion_endpoint_is_reported(
    tmp_path: Path, closed_port: int
) -> None:
    """API and ingestion may be different servers."""
    with serving(api(200)) as port, pytest.raises(TargetUnreachable, match=r"ingest\.url in mine"):
        here = f"http://127.0.0.1:{port}/1.0"
        await met(target_of(here, f"http://127.0.0.1:{closed_port}/in"), tmp_path)


async def test_an_unknown_host_name_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the error of the resolver."""

    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(TargetUnreachable, match=r"no address for the host name nowhere\.invalid"):
        await met(target_of("http://nowhere.invalid/1.0"), tmp_path)


@pytest.mark.parametrize(
    "status, body, kind, word",
    [
        (401, b"{}", WrongKeys, "tenant `a`"),
        (403, b"{}", WrongKeys, "environment variables"),
        (404, b"no such page", NotAnApi, "status 404"),
        (500, b"oops", NotAnApi, "oops"),
        (200, b"<html>", NotAnApi, "not a JSON object"),
    ],
)
async def test_a_response_that_is_not_of_the_api_is_reported(
    tmp_path: Path, status: int, body: bytes, kind: type[TargetTrouble], word: str
) -> None:
    """Rejected keys, another path, another server."""
    with serving(api(status, body)) as port, pytest.raises(kind, match=word):
        await met(target_of(f"http://127.0.0.1:{port}/1.0"), tmp_path)


async def test_a_self_signed_certificate_is_reported_with_the_remedy(tmp_path: Path) -> None:
    """Neither a timeout nor a traceback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with (
        serving(api(200), tls=context) as port,
        pytest.raises(TargetUnreachable, match="the certificate was rejected") as told,
    ):
        await met(target_of(f"https://127.0.0.1:{port}/1.0"), tmp_path)
    assert "SSL_CERT_FILE" in str(told.value)


async def test_a_server_without_tls_behind_an_https_url_is_reported(tmp_path: Path) -> None:
    """It responds in plain HTTP to everything."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(http_response(400))

    with serving(plain) as port, pytest.raises(TargetUnreachable, match="TLS"):
        await met(target_of(f"https://127.0.0.1:{port}/1.0"), tmp_path)
