"""Delivering events: what follows where a target takes a delivery whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.datasets.injector import EventInjector
from trueup.conformance.datasets.operations import Deliver
from trueup.conformance.model import UNREPORTED, Event
from trueup.reports.journal.records import Delivered
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import EventOutcome, Json, Outcome

ACCEPTED, REFUSED = EventOutcome(Outcome.ACCEPTED), EventOutcome(Outcome.REFUSED, "status 422")


class IngestionStub:
    """An ingestion endpoint whose outcome for a delivery is a function of its sizes."""

    def __init__(self, decide: Callable[[list[int]], list[EventOutcome]]) -> None:
        self._decide = decide
        self.taken: list[list[int]] = []

    async def send(self, events: Sequence[Mapping[str, Json]]) -> Sequence[EventOutcome]:
        sizes = [size for event in events if isinstance(size := event["log_total_bytes"], int)]
        self.taken.append(sizes)
        return self._decide(sizes)


def whole_or_nothing(sizes: list[int]) -> list[EventOutcome]:
    return [REFUSED if min(sizes) < 0 else ACCEPTED] * len(sizes)


def each_by_itself(sizes: list[int]) -> list[EventOutcome]:
    return [REFUSED if size < 0 else ACCEPTED for size in sizes]


def events(*sizes: int) -> tuple[Event, ...]:
    return tuple({"log_id": str(n), "log_total_bytes": size} for n, size in enumerate(sizes))


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with JournalWriter(tmp_path / "journal.ndjson") as writer:
        yield Recorder(writer)


async def injected(endpoint: IngestionStub, recorder: Recorder, delivery: Deliver) -> EventInjector:
    injector = EventInjector(endpoint, recorder, WallClock())
    await injector.inject(delivery, "inject")
    return injector


async def test_possible_events_are_delivered_again_without_the_impossible_one(
    recorder: Recorder,
) -> None:
    endpoint = IngestionStub(whole_or_nothing)
    delivery = Deliver(dataset="d", events=events(1, -5, 4), refusable=frozenset({1}))
    injector = await injected(endpoint, recorder, delivery)
    assert endpoint.taken == [[1, -5, 4], [1, 4]]
    assert injector.accepted == 2


async def test_a_refusal_without_known_cause_is_halved_until_the_cause_stands_alone(
    recorder: Recorder,
) -> None:
    endpoint = IngestionStub(whole_or_nothing)
    await injected(endpoint, recorder, Deliver(dataset="d", events=events(1, 2, -3, 4)))
    assert endpoint.taken == [[1, 2, -3, 4], [1, 2], [-3, 4], [-3], [4]]


async def test_nothing_is_delivered_again_where_events_are_refused_by_themselves(
    recorder: Recorder,
) -> None:
    endpoint = IngestionStub(each_by_itself)
    await injected(endpoint, recorder, Deliver(dataset="d", events=events(1, -5, 4)))
    assert endpoint.taken == [[1, -5, 4]]


async def test_a_refused_repetition_is_not_delivered_again(recorder: Recorder) -> None:
    endpoint = IngestionStub(lambda sizes: [REFUSED] * len(sizes))
    delivery = Deliver(dataset="d", events=events(1, 2), refusable=frozenset({0, 1}))
    await injected(endpoint, recorder, delivery)
    assert endpoint.taken == [[1, 2]]


async def test_an_unknown_outcome_is_not_a_refusal(recorder: Recorder) -> None:
    endpoint = IngestionStub(lambda sizes: [EventOutcome(Outcome.UNKNOWN, "reset")] * len(sizes))
    await injected(endpoint, recorder, Deliver(dataset="d", events=events(1, 2)))
    assert endpoint.taken == [[1, 2]]


async def test_every_delivery_is_recorded_with_its_outcomes(recorder: Recorder) -> None:
    endpoint = IngestionStub(whole_or_nothing)
    await injected(endpoint, recorder, Deliver(dataset="d", events=events(1, -5)))
    found = [
        (len(record.events), [str(each.outcome) for each in record.outcomes])
        for record in recorder.records
        if isinstance(record, Delivered)
    ]
    assert found == [(2, ["refused"]), (1, ["accepted"]), (1, ["refused"])]


async def test_a_target_that_refuses_everything_gets_a_bounded_number_of_deliveries(
    recorder: Recorder,
) -> None:
    endpoint = IngestionStub(lambda sizes: [REFUSED] * len(sizes))
    await injected(endpoint, recorder, Deliver(dataset="d", events=events(*range(1000))))
    assert len(endpoint.taken) < 250


async def test_what_may_be_refused_is_unknown_where_refusals_are_not_reported(
    recorder: Recorder,
) -> None:
    """A broker acknowledges the message of a repetition, whatever the target makes of it."""
    endpoint = IngestionStub(lambda sizes: [ACCEPTED] * len(sizes))
    injector = EventInjector(endpoint, recorder, WallClock(), reports_refusals=False)
    await injector.inject(
        Deliver(dataset="d", events=events(1, 2, 3), refusable=frozenset({1})), "inject"
    )
    (record,) = [one for one in recorder.records if isinstance(one, Delivered)]
    found = [(part.first, part.count, part.outcome, part.reason) for part in record.outcomes]
    assert found == [
        (0, 1, Outcome.ACCEPTED, ""),
        (1, 1, Outcome.UNKNOWN, UNREPORTED),
        (2, 1, Outcome.ACCEPTED, ""),
    ]
    assert injector.accepted == 2


async def test_what_may_be_refused_is_accepted_where_the_target_says_so(
    recorder: Recorder,
) -> None:
    endpoint = IngestionStub(lambda sizes: [ACCEPTED] * len(sizes))
    delivery = Deliver(dataset="d", events=events(1, 2), refusable=frozenset({0, 1}))
    injector = await injected(endpoint, recorder, delivery)
    assert injector.accepted == 2


async def test_a_delivery_that_is_interrupted_is_recorded_as_unknown(recorder: Recorder) -> None:
    """What became of its events is not known: a capsule's manifest must not leave them out."""

    def interrupt(_sizes: list[int]) -> list[EventOutcome]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await injected(
            IngestionStub(interrupt), recorder, Deliver(dataset="d", events=events(1, 2))
        )
    (delivered,) = [each for each in recorder.records if isinstance(each, Delivered)]
    assert [(each.count, each.outcome) for each in delivered.outcomes] == [(2, Outcome.UNKNOWN)]
