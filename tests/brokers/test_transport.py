"""Delivery over a transport and over a broker, with scripted ones instead of real ones."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from trueup.reports.event_format import BodyForm, EventFormat, FieldFormat, Framing
from trueup.reports.journal.records import OutcomeRange
from trueup.reports.results import Json, Outcome
from trueup.simulator.delivery import RetryPolicy, TransportDriver
from trueup.simulator.delivery.broker import (
    Acknowledgement,
    BrokerTransport,
    Message,
    messages_of,
)
from trueup.simulator.delivery.outcomes import BatchOutcome
from trueup.simulator.errors import TransportUnreachable

_ACCEPTED = Acknowledgement(Outcome.ACCEPTED)
_LOST = Acknowledgement(Outcome.UNKNOWN, "no acknowledgement within 1 s", again=True)
_FULL = Acknowledgement(Outcome.REFUSED, "the queue is full", again=True)
_NEVER = Acknowledgement(Outcome.REFUSED, "too large")
_LINES = b'{"n":0,"k":"a"}\n{"n":1,"k":"b"}\n{"n":2,"k":null}\n'


class _Broker:
    """Responds to attempt n at each message with entry n of its script, at last the last one."""

    def __init__(self, *scripts: Sequence[Acknowledgement]) -> None:
        self._scripts = scripts
        self.published: list[list[bytes]] = []

    async def open(self) -> None:
        return

    async def publish(self, messages: Sequence[Message]) -> Sequence[Acknowledgement]:
        attempt = len(self.published)
        self.published.append([message.payload for message in messages])
        scripts = [self._scripts[message.first] for message in messages]
        return [script[min(attempt, len(script) - 1)] for script in scripts]

    async def close(self) -> None:
        return


def _transport(broker: _Broker) -> BrokerTransport:
    retry = RetryPolicy(attempts=3, initial_pause_s=0.001)
    return BrokerTransport(broker, format=EventFormat(form=BodyForm.JSON_OBJECT), retry=retry)


async def test_only_messages_without_an_acknowledgement_are_published_again() -> None:
    broker = _Broker([_ACCEPTED], [_LOST, _ACCEPTED], [_FULL, _FULL, _ACCEPTED])
    outcome = await _transport(broker).send_ndjson(_LINES, 3)
    assert outcome.ranges == (OutcomeRange(first=0, count=3, outcome=Outcome.ACCEPTED),)
    assert [len(part) for part in broker.published] == [3, 2, 1]
    assert broker.published[2] == [b'{"n":2,"k":null}']
    assert outcome.attempts == 3


async def test_outcomes_follow_from_what_the_broker_said_of_each_message() -> None:
    broker = _Broker([_NEVER], [_LOST], [_FULL])
    outcome = await _transport(broker).send_ndjson(_LINES, 3)
    assert [one.outcome for one in outcome.events()] == ["refused", "unknown", "refused"]
    assert [one.reason for one in outcome.events()] == [_NEVER.reason, _LOST.reason, _FULL.reason]


async def test_a_refusal_after_a_lost_acknowledgement_leaves_the_event_unknown() -> None:
    broker = _Broker([_LOST, _NEVER])
    outcome = await _transport(broker).send_ndjson(b'{"n":0}\n', 1)
    assert [one.outcome for one in outcome.events()] == [Outcome.UNKNOWN]


@pytest.mark.parametrize(
    ("form", "payloads"),
    [
        (BodyForm.JSON_OBJECT, _LINES.splitlines()),
        (BodyForm.NDJSON, [_LINES]),
        (BodyForm.JSON_ARRAY, [b"[" + b",".join(_LINES.splitlines()) + b"]"]),
    ],
)
def test_a_message_holds_one_event_or_a_batch(form: BodyForm, payloads: list[bytes]) -> None:
    made = list(messages_of(EventFormat(form=form), _LINES))
    assert [message.payload for message in made] == payloads
    assert sum(message.events for message in made) == 3
    assert all(message.key is None for message in made)


def test_the_key_of_a_message_is_a_field_of_its_first_event() -> None:
    single = EventFormat(form=BodyForm.JSON_OBJECT)
    assert [one.key for one in messages_of(single, _LINES, key="k")] == [b"a", b"b", None]
    (whole,) = messages_of(EventFormat(), _LINES, key="n")
    assert whole.key == b"0"


@pytest.mark.parametrize("form", list(BodyForm))
def test_a_message_is_what_the_body_of_a_request_would_be(form: BodyForm) -> None:
    fields = {"log_id": FieldFormat(name="event.uid"), "log_total_bytes": FieldFormat(name="size")}
    format = EventFormat(fields=fields, constants={"source": "trueup"}, form=form)
    events: list[dict[str, Json]] = [{"log_id": f"id-{n}", "log_total_bytes": n} for n in range(3)]
    lines = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    made = list(messages_of(format, lines, key="log_id"))
    if format.framing is Framing.SINGLE:
        assert [one.payload for one in made] == [format.encode([event]) for event in events]
        assert [one.key for one in made] == [b"id-0", b"id-1", b"id-2"]
    else:
        assert [one.payload for one in made] == [format.encode(events)]


def test_an_empty_batch_makes_no_message() -> None:
    assert list(messages_of(EventFormat(), b"")) == []


class _Transport:
    """Keeps what it is given, and accepts or fails."""

    def __init__(self, error: Exception | None = None, short: int = 0) -> None:
        self.bodies: list[bytes] = []
        self._error, self._short = error, short

    async def check(self) -> None:
        return

    async def send_ndjson(self, body: bytes, count: int) -> BatchOutcome:
        self.bodies.append(body)
        if self._error is not None:
            raise self._error
        assert len(body.splitlines()) == count
        return BatchOutcome.of(count - self._short, Outcome.ACCEPTED)

    async def close(self) -> None:
        return


_MAPPED = EventFormat(
    fields={"log_id": FieldFormat(name="uid"), "asn_id": FieldFormat(name="")},
    constants={"source": "trueup"},
)
_ROWS = b'{"log_id":"a","asn_id":1}\n{"log_id":"b","asn_id":2}\n{"log_id":"c","asn_id":3}\n'


def _driver(transport: _Transport, format: EventFormat | None = None) -> TransportDriver:
    return TransportDriver(transport, format=format, max_events=2)


async def test_batches_are_split_and_mapped_before_a_transport_sees_them() -> None:
    transport = _Transport()
    outcome = await _driver(transport, _MAPPED).send_ndjson(_ROWS, 3)
    rows = [json.loads(line) for body in transport.bodies for line in body.splitlines()]
    assert rows == [{"source": "trueup", "uid": uid} for uid in "abc"]
    assert [len(body.splitlines()) for body in transport.bodies] == [2, 1]
    assert outcome.count == 3
    assert [part.first for part in outcome.ranges] == [0, 2]


@pytest.mark.parametrize("format", [EventFormat(), _MAPPED])
async def test_events_and_lines_are_delivered_alike(format: EventFormat) -> None:
    one, other = _Transport(), _Transport()
    await _driver(one, format).send_ndjson(_ROWS, 3)
    await _driver(other, format).send([json.loads(line) for line in _ROWS.splitlines()])
    assert one.bodies == other.bodies


@pytest.mark.parametrize(
    ("transport", "expected", "reason"),
    [
        (_Transport(ValueError("odd")), Outcome.UNKNOWN, "the transport raised ValueError: odd"),
        (_Transport(TransportUnreachable("down")), Outcome.REFUSED, "not delivered: down"),
        (_Transport(short=1), Outcome.UNKNOWN, "the transport accounts for 1 of 2 events"),
    ],
)
async def test_every_event_has_an_outcome_whatever_a_transport_does(
    transport: _Transport, expected: Outcome, reason: str
) -> None:
    found = await _driver(transport).send([{"n": 0}, {"n": 1}])
    assert [one.outcome for one in found] == [expected] * 2
    assert all(one.reason.startswith(reason) for one in found)
