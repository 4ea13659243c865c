"""Kafka: librdkafka's own mocked broker over TCP, and a consumer that feeds the reference from it.

No package that this project can install brings a Kafka broker. The mock speaks the protocol and
keeps messages in memory; it checks no access and has one node.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka import Message as KafkaMessage

from tests.brokers.started import consumer, kafka_mock, trueup
from trueup.reports.event_format import BodyForm, EventFormat
from trueup.reports.results import Json, Outcome
from trueup.scenarios.embedded.process import embedded_reference
from trueup.simulator.delivery import TransportDriver
from trueup.simulator.delivery.broker import BrokerTransport, Message
from trueup.simulator.delivery.kafka_broker import KafkaBroker, KafkaForm
from trueup.simulator.errors import TransportUnreachable

_EVENTS: list[dict[str, Json]] = [{"n": n, "user": f"u{n % 3}"} for n in range(30)]


def _driver(
    server: str, body: BodyForm = BodyForm.JSON_OBJECT, key: str = "", **options: Any
) -> TransportDriver:
    form = KafkaForm(servers=(server,), topic="events", **options)
    transport = BrokerTransport(KafkaBroker(form), format=EventFormat(form=body), key=key)
    return TransportDriver(transport, max_events=500)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with kafka_mock("events") as address:
        yield address


def _stored(server: str, most: int) -> list[KafkaMessage]:
    """Return the messages of the topic, up to `most`."""
    reader = Consumer(
        {"bootstrap.servers": server, "group.id": "test", "auto.offset.reset": "earliest"}
    )
    reader.subscribe(["events"])
    found: list[KafkaMessage] = []
    until = time.monotonic() + 20
    while len(found) < most and time.monotonic() < until:
        found += [one for one in reader.consume(most, 0.2) if one.error() is None]
    reader.close()
    return found


async def test_acknowledged_messages_are_accepted_and_in_the_topic_by_key() -> None:
    with kafka_mock("events") as server:
        driver = _driver(server, key="user")
        await driver.check()
        found = await driver.send(_EVENTS)
        await driver.close()
        assert {one.outcome for one in found} == {Outcome.ACCEPTED}
        messages = _stored(server, len(_EVENTS))
    rows = [json.loads(one.value() or b"") for one in messages]
    assert sorted(rows, key=lambda row: int(row["n"])) == _EVENTS
    for user in ("u0", "u1", "u2"):
        own = [one for one in messages if one.key() == user.encode()]
        assert len({one.partition() for one in own}) == 1
        numbers = [json.loads(one.value() or b"")["n"] for one in own]
        assert numbers == sorted(numbers)


async def test_a_batch_can_be_one_message() -> None:
    with kafka_mock("events") as server:
        driver = _driver(server, BodyForm.JSON_ARRAY)
        await driver.send(_EVENTS)
        await driver.close()
        (message,) = _stored(server, 1)
    assert json.loads(message.value() or b"") == _EVENTS


async def test_a_message_that_is_too_large_is_refused_and_the_others_are_accepted(
    server: str,
) -> None:
    driver = _driver(server, options={"message.max.bytes": 2000})
    found = await driver.send([{"n": 0}, {"pad": "x" * 5000}, {"n": 2}])
    await driver.close()
    assert [one.outcome for one in found] == ["accepted", "refused", "accepted"]
    assert "too large" in found[1].reason.lower()


async def test_without_an_acknowledgement_the_outcome_is_unknown() -> None:
    with kafka_mock("events") as server:
        broker = KafkaBroker(KafkaForm(servers=(server,), topic="events", timeout_s=0.5))
        await broker.open()
    (found,) = await broker.publish([Message(b"{}", None, 0, 1)])
    await broker.close()
    assert (found.outcome, found.again) == (Outcome.UNKNOWN, False)
    assert "no acknowledgement" in found.reason


async def _trouble(driver: TransportDriver) -> str:
    with pytest.raises(TransportUnreachable) as caught:
        await driver.check()
    await driver.close()
    return str(caught.value)


async def test_a_broker_that_is_down_is_named_with_the_remedy() -> None:
    said = await _trouble(_driver("127.0.0.1:9"))
    assert said.startswith("127.0.0.1:9: cannot connect to Kafka")
    assert "refused" in said
    assert "remedy: start the broker, or correct ingest.servers" in said


async def test_a_topic_that_does_not_exist_is_named_with_the_remedy(server: str) -> None:
    broker = KafkaBroker(KafkaForm(servers=(server,), topic="no-such-topic"))
    with pytest.raises(TransportUnreachable, match="no messages can be sent to no-such-topic"):
        await broker.open()


async def test_options_that_the_library_does_not_know_are_named(server: str) -> None:
    said = await _trouble(_driver(server, options={"no.such.option": 1}))
    assert "no.such.option" in said


async def test_a_cluster_that_leads_to_a_host_that_is_not_named_is_not_used(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker's list of addresses must not send events to a host that was not confirmed."""
    monkeypatch.setattr("trueup.simulator.delivery.kafka_broker._host", lambda name: name)
    said = await _trouble(_driver(server.replace("127.0.0.1", "localhost")))
    assert "the cluster leads to 127.0.0.1, which ingest.servers does not name" in said


@pytest.mark.slow
def test_the_reference_behind_kafka_conforms(tmp_path: Path) -> None:
    command = ("check", "--level", "3", "--depth", "quick", "--quiet")
    with (
        kafka_mock("events") as server,
        embedded_reference(options=("--control",)) as reference,
        consumer("kafka", server, "events", reference.serving.ingest_url),
    ):
        ingest = f'via = "kafka"\nservers = ["{server}"]\ntopic = "events"\n'
        ingest += 'message_key = "proxy_user_id"'
        done = trueup(reference.serving, tmp_path, ingest, *command)
    assert done.returncode == 0, done.stdout + done.stderr
