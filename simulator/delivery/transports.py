"""Transports by name: the brokers, and those that installed packages add by an entry point.

A package adds a transport by an entry point of the group `trueup.transports`: its name is what
`via` in `[ingest]` of a target file says, its object a function that takes the other keys of that
table and returns a `Transport`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Final

import msgspec

from trueup.reports.event_format import EventFormat, Framing
from trueup.reports.results import Json
from trueup.reports.transport.credentials import NO_FILES, TlsFiles
from trueup.simulator.delivery.broker import BrokerTransport
from trueup.simulator.delivery.transport import Transport, TransportDriver
from trueup.simulator.errors import TransportMissing

__all__ = ["TransportForm", "transport_driver"]

GROUP: Final = "trueup.transports"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportForm:
    """A transport by name, and its options. They may be secret: never print them."""

    name: str
    options: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    format: EventFormat = field(default_factory=EventFormat)
    max_events: int = 500
    """Most events in one batch."""
    tls: TlsFiles = NO_FILES
    """Certificates for brokers; other transports have their own keys for them."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Keys to strike from reasons."""

    @property
    def one_by_one(self) -> bool:
        """Return whether a message has one event."""
        return self.format.framing is Framing.SINGLE


def transport_driver(form: TransportForm) -> TransportDriver:
    """Return a driver; nothing is connected yet.

    Raises TransportMissing where the transport, or a package that it needs, is not installed.
    """
    make = _BROKERS.get(form.name)
    if make is not None:
        # A broker's messages need the events themselves.
        return TransportDriver(make(form), max_events=form.max_events)
    return TransportDriver(_installed(form), format=form.format, max_events=form.max_events)


def _nats(form: TransportForm) -> Transport:
    try:
        from trueup.simulator.delivery.nats_broker import NatsBroker, NatsForm
    except ModuleNotFoundError as error:
        raise _extra_missing("nats", "nats-py", error) from error
    broker = NatsBroker(msgspec.convert(form.options, NatsForm), tls=form.tls)
    return BrokerTransport(broker, format=form.format)


def _kafka(form: TransportForm) -> Transport:
    try:
        from trueup.simulator.delivery.kafka_broker import KafkaBroker, KafkaForm
    except ModuleNotFoundError as error:
        raise _extra_missing("kafka", "confluent-kafka", error) from error
    own = msgspec.convert(form.options, KafkaForm)
    return BrokerTransport(KafkaBroker(own, tls=form.tls), format=form.format, key=own.message_key)


_BROKERS: Final[Mapping[str, Callable[[TransportForm], Transport]]] = {
    "nats": _nats,
    "kafka": _kafka,
}


def _extra_missing(name: str, package: str, error: ModuleNotFoundError) -> TransportMissing:
    return TransportMissing(
        f'ingest.via = "{name}" needs the package {package}, which is not installed '
        f"({error})\n  remedy: pip install 'trueup[{name}]'"
    )


def _installed(form: TransportForm) -> Transport:
    """Return a transport of an installed package. Raises TransportMissing."""
    found = entry_points(group=GROUP, name=form.name)
    if not found:
        raise TransportMissing(
            f'ingest.via = "{form.name}": no installed package has a transport of this name\n'
            f"  remedy: install the package that adds it by an entry point of {GROUP}"
        )
    entry = next(iter(found))
    try:
        make: Callable[[Mapping[str, Json]], Transport] = entry.load()
        return make(form.options)
    except Exception as error:
        raise TransportMissing(
            f'ingest.via = "{form.name}": {entry.value} cannot be used: '
            f"{type(error).__name__}: {error}\n"
            "  remedy: correct [ingest], or the package that adds this transport"
        ) from error
