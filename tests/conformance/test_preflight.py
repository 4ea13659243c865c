"""A target is asked once before traffic goes there; what is wrong is told in seconds."""

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

from tests.load.sink import answer, read_request, serving
from trueup.conformance.client.preflight import STAGE, preflight
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.errors import NotAnApi, TargetTrouble, TargetUnreachable, WrongKeys
from trueup.conformance.target.model import HttpIngest, Target, Tenant
from trueup.reports.journal.records import Exchange
from trueup.reports.journal.storage import JournalWriter


def api(status: int, body: bytes = b'{"data": []}') -> Callable[..., Any]:
    """Answers every request alike."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(answer(status, body, "Content-Type: application/json"))

    return handle


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port of the loopback on which nothing listens."""
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


async def test_a_target_that_answers_is_passed_with_one_question_a_tenant(tmp_path: Path) -> None:
    """The question is in the journal, where no check takes it for its own."""
    with serving(api(200)) as port:
        asked = await met(target_of(f"http://127.0.0.1:{port}/1.0"), tmp_path)
    assert [(one.path, one.status, one.stage) for one in asked] == [
        ("/public/user/log_summary/search", 200, STAGE)
    ]


async def test_an_api_where_nobody_listens_is_told_with_the_key_that_names_it(
    tmp_path: Path, nobody: int
) -> None:
    """What was tried, what came, what to do."""
    with pytest.raises(TargetUnreachable, match="connection refused") as told:
        await met(target_of(f"http://127.0.0.1:{nobody}/1.0"), tmp_path)
    assert "base_url in mine.toml" in str(told.value)
    assert f"127.0.0.1 port {nobody}" in str(told.value)


async def test_a_way_in_where_nobody_listens_is_told_although_the_api_answers(
    tmp_path: Path, nobody: int
) -> None:
    """The two may be served by different programs."""
    with serving(api(200)) as port, pytest.raises(TargetUnreachable, match=r"ingest\.url in mine"):
        here = f"http://127.0.0.1:{port}/1.0"
        await met(target_of(here, f"http://127.0.0.1:{nobody}/in"), tmp_path)


async def test_a_name_without_an_address_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the resolver of the machine says."""

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
async def test_an_answer_that_is_not_the_apis_is_told(
    tmp_path: Path, status: int, body: bytes, kind: type[TargetTrouble], word: str
) -> None:
    """Refused keys, another path, another server."""
    with serving(api(status, body)) as port, pytest.raises(kind, match=word):
        await met(target_of(f"http://127.0.0.1:{port}/1.0"), tmp_path)


async def test_a_certificate_that_nobody_signed_is_told_with_the_remedy(tmp_path: Path) -> None:
    """Self-signed: neither a time-out nor a traceback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with (
        serving(api(200), tls=context) as port,
        pytest.raises(TargetUnreachable, match="the certificate was rejected") as told,
    ):
        await met(target_of(f"https://127.0.0.1:{port}/1.0"), tmp_path)
    assert "SSL_CERT_FILE" in str(told.value)


async def test_a_server_without_tls_behind_https_is_told(tmp_path: Path) -> None:
    """It answers in plain HTTP, whatever it is sent."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer(400))

    with serving(plain) as port, pytest.raises(TargetUnreachable, match="TLS"):
        await met(target_of(f"https://127.0.0.1:{port}/1.0"), tmp_path)
