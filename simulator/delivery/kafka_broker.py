"""Kafka as a broker: a message is accepted when the broker has acknowledged it.

Uses confluent-kafka, which the extra `trueup[kafka]` installs. Its library retries a message by
itself and numbers it, so that the broker stores it once; another attempt from here could store it
twice, and is made only where a message was certainly not sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

from trueup.reports.results import Outcome
from trueup.reports.transport.credentials import NO_FILES, TlsFiles
from trueup.reports.transport.foreign_text import foreign_text
from trueup.simulator.delivery.broker import Acknowledgement, Message
from trueup.simulator.errors import TransportUnreachable

__all__ = ["KafkaBroker", "KafkaForm"]

_CONNECT_S: Final = 5.0
_ASK_S: Final = 0.5
"""Longest wait for one response to a question for metadata."""
_POLL_S: Final = 0.001
"""Pause between two polls for acknowledgements; the resolution of a measured response time."""
_GRACE_S: Final = 5.0
"""How much longer than its time limit the library may take to report a message."""
_ACKNOWLEDGED: Final = Acknowledgement(Outcome.ACCEPTED)
_NOT_STORED: Final = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_REQUIRED_ACKS,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._PURGE_QUEUE,
    }
)
"""Errors after which the broker certainly does not have the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaForm:
    """A topic and how to connect to its brokers. Options may be secret."""

    servers: tuple[str, ...]
    """`HOST:PORT` of brokers to ask first."""
    topic: str
    message_key: str = ""
    """Field of an event whose value becomes the key of its message; empty: no key."""
    options: Mapping[str, str | int | float | bool] = field(
        default_factory=lambda: MappingProxyType({}), repr=False
    )
    """Options of librdkafka, such as `security.protocol`."""
    timeout_s: float = 10.0
    """Longest time for one message, retries of the library included."""


class KafkaBroker:
    """Implement `Broker` for Kafka."""

    def __init__(self, form: KafkaForm, *, tls: TlsFiles = NO_FILES) -> None:
        """`tls`: certificates, where the options have none."""
        self.form, self._tls = form, tls
        self._producer: Producer | None = None
        self._last_error = ""
        """The error that the library last reported."""
        self._down = False
        """Whether it reported that no broker can be connected to."""

    async def open(self) -> None:
        """Connect and find the topic. Raises TransportUnreachable."""
        if self._producer is None:
            self._producer = await asyncio.to_thread(self._connected_producer)

    async def publish(self, messages: Sequence[Message]) -> Sequence[Acknowledgement]:
        """Publish messages and wait for the broker's acknowledgements."""
        await self.open()
        producer = self._producer
        assert producer is not None
        found: list[Acknowledgement | None] = [None] * len(messages)
        left = 0

        def reported(number: int, error: KafkaError | None, _: object) -> None:
            nonlocal left
            left -= 1
            found[number] = _read(error)

        for number, message in enumerate(messages):
            try:
                producer.produce(
                    self.form.topic,
                    message.payload,
                    key=message.key,
                    on_delivery=partial(reported, number),
                )
                left += 1
            except BufferError:
                found[number] = Acknowledgement(
                    Outcome.REFUSED, "the client's queue is full", again=True
                )
            except KafkaException as error:
                found[number] = _read(error.args[0])
        until = time.monotonic() + self.form.timeout_s + _GRACE_S
        producer.poll(0)
        while left and time.monotonic() < until:
            await asyncio.sleep(_POLL_S)
            producer.poll(0)
        lost = Acknowledgement(
            Outcome.UNKNOWN, f"no acknowledgement within {self.form.timeout_s:g} s"
        )
        return [each or lost for each in found]

    async def close(self) -> None:
        """Disconnect; messages that were not acknowledged by now are given up."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            await asyncio.to_thread(producer.flush, 1.0)

    def _connected_producer(self) -> Producer:
        """Return a connected producer; blocks for up to five seconds."""
        form = self.form
        servers = ",".join(form.servers)
        try:
            producer = Producer(
                {
                    "client.id": "trueup",
                    "enable.idempotence": True,
                    "linger.ms": 0,
                    "allow.auto.create.topics": False,
                    "log_level": 0,
                    **_certificates(self._tls),
                    **form.options,
                    "bootstrap.servers": servers,
                    "message.timeout.ms": round(form.timeout_s * 1e3),
                    "error_cb": self._on_error,
                }
            )
        except KafkaException as error:
            raise TransportUnreachable(
                f"ingest.options: Kafka's library rejects them: {error.args[0].str()}\n"
                "  remedy: see the configuration page of librdkafka for names and values"
            ) from error
        error_text, hosts = self._find_topic(producer, servers)
        if error_text:
            raise TransportUnreachable(
                f"ingest.topic: no messages can be sent to {form.topic}: {error_text}\n"
                "  remedy: create the topic, or correct its name or the permissions of the user"
            )
        if others := hosts - {_host(server.rpartition(":")[0]) for server in form.servers}:
            raise TransportUnreachable(
                f"{servers}: the cluster leads to {foreign_text(', '.join(sorted(others)))}, which "
                "ingest.servers does not name\n"
                "  remedy: add these brokers to ingest.servers if events may be sent there, or "
                "correct the advertised address of the broker"
            )
        return producer

    def _find_topic(self, producer: Producer, servers: str) -> tuple[str, set[str]]:
        """Return what is wrong with the topic, empty if nothing, and the hosts of the cluster.

        Raises TransportUnreachable where no broker responds.
        """
        until = time.monotonic() + _CONNECT_S
        while True:
            try:
                found = producer.list_topics(self.form.topic, timeout=_ASK_S)
                error = found.topics[self.form.topic].error
                hosts = {_host(str(broker.host)) for broker in found.brokers.values()}
                return ("" if error is None else error.str()), hosts
            except KafkaException as failure:
                producer.poll(0)
                if not self._down and time.monotonic() < until:
                    continue
                text = self._last_error or failure.args[0].str()
                raise TransportUnreachable(
                    f"{servers}: cannot connect to Kafka\n"
                    f"  found:  {text}\n"
                    "  remedy: start the broker, or correct ingest.servers and ingest.options"
                ) from failure

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._down = True
        else:
            self._last_error = foreign_text(error.str())


def _certificates(files: TlsFiles) -> dict[str, str]:
    """Return the files as options of librdkafka."""
    named = {
        "ssl.ca.location": files.authority,
        "ssl.certificate.location": files.certificate,
        "ssl.key.location": files.key or files.certificate,
    }
    return {option: str(path) for option, path in named.items() if path}


def _host(name: str) -> str:
    """Return a host in one form; all addresses of this machine's loopback are one."""
    name = name.strip("[]").lower()
    return "localhost" if name in ("127.0.0.1", "::1") else name


def _read(error: KafkaError | None) -> Acknowledgement:
    """Return what the library's report on a message says; None: it was acknowledged."""
    if error is None:
        return _ACKNOWLEDGED
    if error.code() in _NOT_STORED:
        return Acknowledgement(Outcome.REFUSED, f"the broker refused: {foreign_text(error.str())}")
    return Acknowledgement(Outcome.UNKNOWN, f"no acknowledgement: {foreign_text(error.str())}")
