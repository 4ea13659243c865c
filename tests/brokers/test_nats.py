"""NATS JetStream: a real server, and a consumer that feeds the reference from it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
import trustme

from tests.brokers.started import NATS_SERVER, add_stream, consumer, nats_server, trueup
from trueup.reports.event_format import BodyForm, EventFormat
from trueup.reports.results import Json, Outcome
from trueup.reports.transport.credentials import NO_FILES, TlsFiles
from trueup.scenarios.embedded.process import embedded_reference
from trueup.simulator.delivery import RetryPolicy, TransportDriver, nats_broker
from trueup.simulator.delivery.broker import BrokerTransport
from trueup.simulator.delivery.nats_broker import NatsBroker, NatsForm
from trueup.simulator.errors import TransportUnreachable

pytestmark = pytest.mark.skipif(NATS_SERVER is None, reason="needs nats-server: make tools")
_EVENTS: list[dict[str, Json]] = [{"n": number} for number in range(20)]


_TLS_FLAGS = (("cert", "cert"), ("key", "key"), ("cacert", "ca"))


def _driver(url: str, tls: TlsFiles = NO_FILES, **options: Any) -> TransportDriver:
    form = NatsForm(servers=(url,), subject="events.proxy", **options)
    retry = RetryPolicy(attempts=3, initial_pause_s=0.05)
    shape = EventFormat(form=BodyForm.JSON_OBJECT)
    transport = BrokerTransport(NatsBroker(form, tls=tls), format=shape, retry=retry)
    return TransportDriver(transport, max_events=500)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with nats_server(tmp_path / "nats") as url:
        yield url


async def test_acknowledged_messages_are_accepted_and_in_the_stream_in_order(server: str) -> None:
    await add_stream(server, "EVENTS", "events.>")
    driver = _driver(server, stream="EVENTS")
    await driver.check()
    found = await driver.send(_EVENTS)
    await driver.close()
    assert {one.outcome for one in found} == {Outcome.ACCEPTED}
    client = await nats.connect(server)
    stored = client.jetstream()
    messages = [await stored.get_msg("EVENTS", number) for number in range(1, 21)]
    await client.close()
    assert [message.data for message in messages] == [b'{"n":%d}' % n for n in range(20)]


async def test_an_event_that_is_sent_twice_is_in_the_stream_twice(server: str) -> None:
    """The server must not drop a repetition: what the target makes of it is tested."""
    await add_stream(server, "EVENTS", "events.>")
    driver = _driver(server)
    for _ in range(2):
        await driver.send(_EVENTS[:1])
    await driver.close()
    client = await nats.connect(server)
    info = await client.jetstream().stream_info("EVENTS")
    await client.close()
    assert info.state.messages == 2


async def test_a_message_that_is_too_large_is_refused_and_the_others_are_accepted(
    server: str,
) -> None:
    await add_stream(server, "EVENTS", "events.>", max_msg_size=100)
    driver = _driver(server)
    found = await driver.send([{"n": 0}, {"pad": "x" * 200}, {"pad": "x" * 2_000_000}, {"n": 3}])
    await driver.close()
    outcomes = [one.outcome for one in found]
    assert outcomes == ["accepted", "refused", "refused", "accepted"]
    assert "maximum" in found[1].reason
    assert "the server takes 1048576" in found[2].reason


async def test_without_an_acknowledgement_the_outcome_is_unknown(server: str) -> None:
    """A subscriber that never replies stands for a stream that is lost after the message."""
    await add_stream(server, "EVENTS", "events.>")
    driver = _driver(server, timeout_s=0.2)
    await driver.check()
    client = await nats.connect(server)
    await client.jetstream().delete_stream("EVENTS")
    await client.subscribe("events.proxy")
    await client.flush()
    outcome = await driver.send_ndjson(b'{"n":0}\n', 1)
    assert [one.outcome for one in outcome.events()] == [Outcome.UNKNOWN]
    assert outcome.attempts > 1
    await driver.close()
    await client.close()


async def test_a_stream_that_is_deleted_refuses(server: str) -> None:
    await add_stream(server, "EVENTS", "events.>")
    driver = _driver(server)
    await driver.check()
    client = await nats.connect(server)
    await client.jetstream().delete_stream("EVENTS")
    await client.close()
    (found,) = await driver.send([{"n": 0}])
    await driver.close()
    assert found.outcome is Outcome.REFUSED
    assert found.reason == "no stream takes messages on events.proxy"


async def test_a_server_that_comes_back_gets_the_rest(tmp_path: Path) -> None:
    with nats_server(tmp_path / "first") as url:
        await add_stream(url, "EVENTS", "events.>")
        driver = _driver(url, timeout_s=0.5)
        await driver.send(_EVENTS[:1])
    port = url.rpartition(":")[2]
    with nats_server(tmp_path / "second", "-p", port):
        await add_stream(url, "EVENTS", "events.>")
        found = await driver.send(_EVENTS)
        assert {one.outcome for one in found} == {Outcome.ACCEPTED}
        await driver.close()


async def _trouble(driver: TransportDriver) -> str:
    with pytest.raises(TransportUnreachable) as caught:
        await driver.check()
    await driver.close()
    return str(caught.value)


async def test_a_server_that_is_down_is_named_with_the_remedy() -> None:
    said = await _trouble(_driver("nats://127.0.0.1:9"))
    assert said.startswith("nats://127.0.0.1:9: cannot connect to NATS")
    assert "remedy: start the server, or correct ingest.servers" in said


async def test_a_server_that_says_nothing_is_given_up_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nats_broker, "_CONNECT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = await _trouble(_driver(f"nats://127.0.0.1:{silent.getsockname()[1]}"))
    assert "found:  no response within 1 s" in said


async def test_a_subject_without_a_stream_is_named_with_the_remedy(server: str) -> None:
    said = await _trouble(_driver(server))
    assert "ingest.subject: no stream takes messages on events.proxy" in said
    assert "nats stream add" in said
    await add_stream(server, "EVENTS", "events.>")
    said = await _trouble(_driver(server, stream="OTHER"))
    assert "belongs to the stream EVENTS, not to OTHER" in said


async def test_a_server_without_jetstream_is_named_with_the_remedy(tmp_path: Path) -> None:
    with nats_server(tmp_path / "plain", jetstream=False) as url:
        said = await _trouble(_driver(url))
    assert "no JetStream" in said
    assert "nats-server -js" in said


async def test_wrong_credentials_are_named_and_right_ones_work(tmp_path: Path) -> None:
    with nats_server(tmp_path / "locked", "--user", "fleet", "--pass", "s3cret") as url:
        said = await _trouble(_driver(url, user="fleet", password="wrong"))
        assert "remedy: correct user, password, token or credentials" in said
        assert "wrong" not in said.replace("wrong credentials", "")
        said = await _trouble(_driver(url, user="fleet", password="s3cret"))
        assert "no stream takes messages" in said


async def test_tls_uses_the_certificates_of_the_target_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_broker, "_CONNECT_S", 2.0)
    authority, client = trustme.CA(), tmp_path / "client.pem"
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    served = authority.issue_cert("127.0.0.1")
    served.private_key_pem.write_to_path(tmp_path / "key.pem")
    served.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.issue_cert("client@example.net").private_key_and_cert_chain_pem.write_to_path(client)
    flags = ("--tlsverify", *(f"--tls{one}={tmp_path}/{name}.pem" for one, name in _TLS_FLAGS))
    with nats_server(tmp_path / "secure", *flags) as url:
        url = url.replace("tls://", "nats://")
        right = TlsFiles(authority=str(tmp_path / "ca.pem"), certificate=str(client))
        said = await _trouble(_driver(url, tls=right))
        assert "no stream takes messages on events.proxy" in said
        said = await _trouble(_driver(url, tls=TlsFiles(certificate=str(client))))
        assert "certificate verify failed" in said


@pytest.mark.slow
def test_a_run_ends_before_any_request_where_the_broker_is_down(tmp_path: Path) -> None:
    ingest = 'via = "nats"\nservers = ["nats://127.0.0.1:9"]\nsubject = "events.proxy"'
    with embedded_reference() as reference:
        done = trueup(reference.serving, tmp_path, ingest, "check", "--level", "2")
    assert done.returncode == 2
    assert "cannot connect to NATS" in done.stdout + done.stderr
    (journal,) = tmp_path.glob("runs/*-check-*/journal.ndjson")
    assert '"type":"exchange"' not in journal.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["json-object", "json-array"])
def test_the_reference_behind_nats_conforms(tmp_path: Path, server: str, form: str) -> None:
    asyncio.run(add_stream(server, "EVENTS", "events.>"))
    ingest = f'via = "nats"\nservers = ["{server}"]\nsubject = "events.proxy"\nform = "{form}"'
    command = ("check", "--level", "3", "--depth", "quick", "--quiet")
    with (
        embedded_reference(options=("--control",)) as reference,
        consumer("nats", server, "EVENTS", reference.serving.ingest_url),
    ):
        done = trueup(reference.serving, tmp_path, ingest, *command)
    assert done.returncode == 0, done.stdout + done.stderr
