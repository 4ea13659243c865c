"""The values that a mapping must name are those that fleets and checks send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.conformance.plan_context import context_at
from tests.conformance.test_plan import events_of
from tests.simulator.fleets import common
from trueup.conformance.contract.schemas import schema
from trueup.conformance.datasets.depth import Depth
from trueup.conformance.datasets.plan import plan
from trueup.conformance.target.mapping import VALUES
from trueup.reports.event_format import EVENT_KEYS, value_key
from trueup.reports.results import Json
from trueup.simulator.model.outcomes import OUTCOMES


def events() -> Iterator[Mapping[str, Json]]:
    yield from events_of(plan(context_at(), Depth.STANDARD, 7))
    yield from common().batch(0, 4_000).rows()
    for one in OUTCOMES:
        yield {
            "log_status_code": one.status,
            "log_error_code": one.error,
            "log_method": one.method,
            "log_transport": one.transport,
        }


def test_every_value_that_is_sent_is_known() -> None:
    sent: dict[str, set[str]] = {field: set() for field in VALUES}
    for event in events():
        for field, values in sent.items():
            if event.get(field) not in (None, ""):
                values.add(value_key(event[field]))
    assert all(sent.values())
    assert {field: sent[field] - {*VALUES[field]} for field in VALUES} == {
        field: set() for field in VALUES
    }


def test_the_fields_of_an_event_are_those_of_a_log() -> None:
    assert set(EVENT_KEYS) == set(schema("log")["properties"])
