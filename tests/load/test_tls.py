"""The reactor over TLS: the same events, the same outcomes, and a certificate that is looked at."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.load.chaos_proxy import FINE, MISHAPS, ChaosProxy
from tests.load.sink import Sink, serving
from tests.load.test_reactor import QUICK, by_outcome, loaded
from trueup.reports.results import Outcome
from trueup.reports.transport import tls


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[trustme.CA]:
    """A certificate authority that this machine trusts for the length of a test."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    tls.client_context.cache_clear()
    yield made
    tls.client_context.cache_clear()


def server_context(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_every_event_is_sent_once_over_tls(authority: trustme.CA, version: ssl.TLSVersion) -> None:
    """Requests of a few hundred bytes and of more than the socket takes at once."""
    context = server_context(authority)
    context.minimum_version = context.maximum_version = version
    for batch, events in ((1, 300), (25_000, 100_000)):
        sink = Sink()
        with serving(sink.handle, tls=context) as port:
            _, _, _, ranges = loaded(port, events=events, batch=batch, scheme="https")
        assert [(part.first, part.count, part.outcome) for part in ranges] == [
            (0, events, Outcome.ACCEPTED)
        ]
        assert set(sink.seen.values()) == {1}
        assert len(sink.stored) == events


def test_mishaps_over_tls_leave_nothing_lost_and_nothing_doubled(authority: trustme.CA) -> None:
    """Cut, slow and failing responses, as without TLS."""
    sink = Sink()
    proxy = ChaosProxy(sink, (*MISHAPS, *[FINE] * 12))
    with serving(proxy.handle, tls=server_context(authority)) as port:
        _, _, _, ranges = loaded(port, events=2000, timeout_s=0.2, retry=QUICK, scheme="https")
    said = by_outcome(ranges)
    assert said[Outcome.ACCEPTED] <= set(sink.seen)
    assert len(said[Outcome.ACCEPTED]) + len(said[Outcome.UNKNOWN]) == 2000


def test_a_certificate_for_another_name_is_refused_and_said(authority: trustme.CA) -> None:
    """Nothing is sent to whoever cannot show that it is the target."""
    sink = Sink()
    with serving(sink.handle, tls=server_context(authority, "other.example")) as port:
        _, _, seconds, ranges = loaded(
            port, events=100, scheme="https", duration_s=0.3, drain_s=0.1
        )
    reasons = {reason for second in seconds for reason in second.errors}
    assert any("certificate was not accepted" in reason for reason in reasons), reasons
    assert not sink.stored
    assert not ranges


def test_a_server_without_tls_is_no_tls_server(authority: trustme.CA) -> None:
    """Plain HTTP behind an https address: said, and nothing hangs."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(plain) as port:
        _, _, seconds, _ = loaded(port, events=100, scheme="https", duration_s=0.3, drain_s=0.1)
    reasons = {reason for second in seconds for reason in second.errors}
    assert any(reason.startswith("no TLS with the target") for reason in reasons), reasons
