"""Responses of Elasticsearch and OpenTelemetry, and headers that are made from events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.load.sink import Sink, in_pieces, ndjson, serving
from trueup.reports.event_format import BodyForm, EventFormat, FieldFormat
from trueup.reports.results import Json, Outcome
from trueup.simulator.delivery import HttpDriver, HttpForm, ResponseRule, interpret_response
from trueup.simulator.delivery.responses import InterpretedResponse, ResponseBody
from trueup.simulator.reactor import FleetBodies

BULK = ResponseRule(body=ResponseBody.BULK)
OTLP = ResponseRule(body=ResponseBody.OTLP)
CUSTOMERS: dict[str, Json] = {"datacenter": "dc", "isp": "isp", "residential": "r", "mobile": "m"}


def read(rule: ResponseRule, body: object, count: int) -> InterpretedResponse:
    return interpret_response(rule, 200, json.dumps(body).encode(), count)


def outcomes(found: InterpretedResponse) -> list[tuple[str, str]]:
    return [(part.outcome.value, part.reason) for part in found.ranges for _ in range(part.count)]


def test_each_item_of_a_bulk_response_is_the_outcome_of_its_event() -> None:
    """Created, there already, refused with a reason, busy, and failed at the server."""
    mapper = {"type": "mapper_parsing_exception", "reason": "no number"}
    items = [
        {"index": {"status": 201}},
        {"create": {"status": 409, "error": {"type": "version_conflict_engine_exception"}}},
        {"index": {"status": 400, "error": mapper}},
        {"index": {"status": 429}},
        {"index": {"status": 503}},
        {"index": {}},
    ]
    found = read(BULK, {"took": 3, "errors": True, "items": items}, 6)
    assert outcomes(found) == [
        ("accepted", ""),
        ("accepted", ""),
        ("refused", "status 400: mapper_parsing_exception: no number"),
        ("refused", "status 429"),
        ("unknown", "status 503"),
        ("unknown", "the response has no status for this event"),
    ]


@pytest.mark.parametrize(
    "body", [{}, {"errors": True}, {"errors": True, "items": [{"index": {"status": 201}}]}, [1]]
)
def test_a_bulk_response_without_an_item_for_each_event_leaves_them_unknown(body: Any) -> None:
    assert {outcome for outcome, _ in outcomes(read(BULK, body, 3))} == {"unknown"}


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ({}, Outcome.ACCEPTED),
        ({"partialSuccess": {}}, Outcome.ACCEPTED),
        ({"partialSuccess": {"rejectedLogRecords": "0", "errorMessage": "old"}}, Outcome.ACCEPTED),
        ({"partialSuccess": {"rejectedLogRecords": 4, "errorMessage": "full"}}, Outcome.REFUSED),
        ({"partialSuccess": {"rejectedLogRecords": "2"}}, Outcome.UNKNOWN),
        ({"partialSuccess": {"rejectedLogRecords": "9" * 5000}}, Outcome.ACCEPTED),
    ],
)
def test_a_partial_success_says_which_records_were_taken_if_it_can(
    told: Any, outcome: Outcome
) -> None:
    """A number between none and all does not say which."""
    assert {part.outcome for part in read(OTLP, told, 4).ranges} == {outcome}


def a_form(port: int, **parts: Any) -> HttpForm:
    return HttpForm(
        url=f"http://127.0.0.1:{port}/in",
        event_headers={"X-Pool": "pool {log_network}", "Idempotency-Key": "{log_id}{asn_id}"},
        **parts,
    )


FORMAT = EventFormat(
    fields={"log_network": FieldFormat(name="", values=CUSTOMERS)}, form=BodyForm.JSON_ARRAY
)
EVENTS: list[dict[str, Json]] = [
    {"log_id": f"event-{n}", "log_network": network} for n, network in enumerate(CUSTOMERS)
]
EXPECTED = [(f"pool {pool}", f"event-{n}") for n, pool in enumerate(CUSTOMERS.values())]


async def test_headers_are_made_from_the_event_of_a_request() -> None:
    """With the values of the mapping; nothing for a field that the event lacks."""
    for as_lines in (False, True):
        sink = Sink()
        with serving(sink.handle) as port:
            driver = HttpDriver(a_form(port, format=FORMAT))
            if as_lines:
                lines = b"".join(json.dumps(event).encode() + b"\n" for event in EVENTS)
                await driver.send_ndjson(lines, len(EVENTS))
            else:
                await driver.send(EVENTS)
            await driver.close()
        sent = [(fields["x-pool"], fields["idempotency-key"]) for fields, _ in sink.bodies]
        assert sent == EXPECTED
        assert sink.stored == {f"event-{n}": {"log_id": f"event-{n}"} for n in range(4)}


def test_load_makes_headers_from_events_too() -> None:
    form = a_form(1, format=FORMAT, compression="gzip")
    source = FleetBodies(form, in_pieces(ndjson), batch_events=50, limit=20)
    batches = [batch for batch in iter(source.take, None) if batch is not None]
    assert [batch.fields["Idempotency-Key"] for batch in batches] == [
        f"event-{n}" for n in range(20)
    ]
    assert all(batch.fields["Content-Encoding"] == "gzip" for batch in batches)
    assert [(batch.first, batch.count) for batch in batches] == [(n, 1) for n in range(20)]


def test_the_payload_of_a_batch_is_its_complete_body() -> None:
    """What opens a list is sent with the head."""
    form = HttpForm(url="http://h/in", format=EventFormat(form=BodyForm.JSON_ARRAY, key="a.events"))
    lines = in_pieces(lambda first, count: ndjson(first, count, form.format))
    source = FleetBodies(form, lines, batch_events=7, limit=20)
    batches = [batch for batch in iter(source.take, None) if batch is not None]
    sent = [json.loads(batch.payload)["a"]["events"] for batch in batches]
    assert [len(events) for events in sent] == [7, 7, 6]
    assert sent[2][5]["log_id"] == "event-19"
