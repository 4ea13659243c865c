"""Usage is delivered until the target has responded about it, or at most once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from trueup.reports.results import EventOutcome, Json, Outcome
from trueup.simulator.delivery import BatchOutcome
from trueup.simulator.proxies import DeliveryGuarantee, Spool, UsageReporter, reporter

ACCEPTED = EventOutcome(Outcome.ACCEPTED)
LOST = EventOutcome(Outcome.UNKNOWN, "no response: timeout")
DOWN = EventOutcome(Outcome.REFUSED, "not delivered: connection refused")
LOCKED = EventOutcome(Outcome.REFUSED, "HTTP 401: wrong key")
BAD = EventOutcome(Outcome.REFUSED, "line 1: no such customer")


class Scripted:
    """A driver whose deliveries have these outcomes, one after the other."""

    def __init__(self, *outcomes: EventOutcome) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[list[Json]] = []

    async def send(self, events: Sequence[Mapping[str, Json]]) -> Sequence[EventOutcome]:
        self.sent.append([event["log_id"] for event in events])
        return [self.outcomes.pop(0)] * len(events)

    async def send_ndjson(self, body: bytes, count: int) -> BatchOutcome:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "_PAUSE_S", 0)


def spool_of(folder: Path, count: int) -> Spool:
    spool = Spool(folder=folder)
    spool.open()
    for number in range(count):
        spool.end({"log_id": f"{number}"})
    return spool


@pytest.mark.parametrize("trouble", [LOST, DOWN, LOCKED])
async def test_at_least_once_repeats_until_the_target_responds(
    tmp_path: Path, trouble: EventOutcome
) -> None:
    driver, spool = Scripted(trouble, trouble, ACCEPTED), spool_of(tmp_path, 3)
    reports = UsageReporter(spool=spool, driver=driver)
    await reports.flush()
    assert driver.sent == [["0", "1", "2"]] * 3
    assert (reports.outcomes, reports.repeated, spool.waiting) == ({Outcome.ACCEPTED: 3}, 2, 0)
    spool.close()


async def test_a_refusal_about_the_events_is_final_and_its_reason_kept(tmp_path: Path) -> None:
    driver, spool = Scripted(BAD), spool_of(tmp_path, 2)
    reports = UsageReporter(spool=spool, driver=driver)
    await reports.flush()
    assert reports.outcomes == {Outcome.REFUSED: 2}
    assert reports.reasons == {BAD.reason: 2}
    spool.close()


async def test_at_most_once_sends_again_only_what_was_certainly_not_received(
    tmp_path: Path,
) -> None:
    driver, spool = Scripted(DOWN, LOST, ACCEPTED), spool_of(tmp_path, 2)
    reports = UsageReporter(
        spool=spool, driver=driver, guarantee=DeliveryGuarantee.AT_MOST_ONCE, batch_events=1
    )
    await reports.flush()
    assert driver.sent == [["0"], ["0"], ["1"]]
    assert reports.outcomes == {Outcome.UNKNOWN: 1, Outcome.ACCEPTED: 1}
    spool.close()


@pytest.mark.parametrize(
    ("guarantee", "left"),
    [(DeliveryGuarantee.AT_LEAST_ONCE, 1), (DeliveryGuarantee.AT_MOST_ONCE, 0)],
)
async def test_a_kill_during_a_delivery_repeats_it_or_not(
    tmp_path: Path, guarantee: DeliveryGuarantee, left: int
) -> None:
    class Silent(Scripted):
        async def send(self, events: Sequence[Mapping[str, Json]]) -> Sequence[EventOutcome]:
            await asyncio.Event().wait()
            raise NotImplementedError

    spool = spool_of(tmp_path, 1)
    reports = UsageReporter(spool=spool, driver=Silent(), guarantee=guarantee)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await reports.flush()
    spool.close()
    again = Spool(folder=tmp_path)
    again.open()
    assert again.waiting == left
    again.close()
