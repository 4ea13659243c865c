"""When a run ends because its target is gone, and when it must not."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.hostile.servers import SeenRequest, listening, response
from tests.hostile.test_clients import target_at
from trueup.conformance.client import http
from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.http import LIVENESS_STAGE, ReadClient
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.errors import TargetLost
from trueup.conformance.requests import ApiRequest
from trueup.reports.journal.records import Exchange
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import EventOutcome, Outcome
from trueup.reports.transport.limits import (
    LOST_DELIVERIES_MOST,
    LOST_DELIVERIES_S,
    LOST_MOST,
    REFUSED_DELIVERIES_MOST,
)
from trueup.reports.transport.lost import LostDeliveries
from trueup.scenarios.load import freshness
from trueup.scenarios.load.access import LOST_S, NO_ACCESS_S, AccessWatch
from trueup.simulator.reactor import Second


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "RETRY_PAUSES_S", ())
    monkeypatch.setattr(http, "LOST_PATIENCE_S", 0.1)
    monkeypatch.setattr(http, "LOST_PAUSE_S", 0.05)


def close(sock: socket.socket, _request: SeenRequest) -> None:
    sock.shutdown(2)


def serve_searches_only(sock: socket.socket, request: SeenRequest) -> None:
    """A graph that is always lost, beside a list that always responds."""
    if "graph" in request.path:
        sock.shutdown(2)
    else:
        sock.sendall(response(b'{"data":[]}'))


async def ask_often(port: int, path: str, folder: Path, times: int) -> list[Exchange]:
    with JournalWriter(folder / "journal.ndjson") as writer:
        recorder = Recorder(writer)
        async with ReadClient(target_at(port), recorder, WallClock()) as client:
            for again in range(times):
                await client.ask(ApiRequest(path=path, again=again), stage="s")
    return [one for one in recorder.records if isinstance(one, Exchange)]


async def test_a_run_ends_when_the_target_no_longer_responds(tmp_path: Path) -> None:
    with listening(close) as server, pytest.raises(TargetLost) as lost:
        await ask_often(server.port, "log/search", tmp_path, LOST_MOST + 5)
    assert f"no usable response to {LOST_MOST} requests in a row" in str(lost.value)


async def test_one_endpoint_that_is_always_lost_ends_no_run(tmp_path: Path) -> None:
    with listening(serve_searches_only) as server:
        made = await ask_often(server.port, "analytics/graph", tmp_path, LOST_MOST + 2)
    assert [one.stage for one in made].count(LIVENESS_STAGE) == 1
    assert len(made) == LOST_MOST + 3


def outcome(reason: str, outcome: Outcome = Outcome.REFUSED) -> EventOutcome:
    return EventOutcome(outcome, reason)


@pytest.mark.parametrize(
    ("one", "most"),
    [
        (outcome("no response: reset", Outcome.UNKNOWN), LOST_DELIVERIES_MOST),
        (outcome("not delivered: refused"), LOST_DELIVERIES_MOST),
        (outcome("HTTP 401: token expired"), REFUSED_DELIVERIES_MOST),
        (outcome("HTTP 307: redirected to http://x:80"), REFUSED_DELIVERIES_MOST),
        (outcome("HTTP 503"), 1),
    ],
)
def test_deliveries_that_get_nowhere_end_a_run(one: EventOutcome, most: int) -> None:
    lost = LostDeliveries()
    said = [lost.add([one, one]) for _ in range(most)]
    assert said[:-1] == [""] * (most - 1)
    assert one.reason in said[-1]


@pytest.mark.parametrize(
    "one",
    [
        outcome("", Outcome.ACCEPTED),
        outcome("HTTP 400: not an event"),
        outcome("HTTP 500", Outcome.UNKNOWN),
        outcome("unknown customer"),
    ],
)
def test_deliveries_that_are_judged_end_no_run(one: EventOutcome) -> None:
    lost = LostDeliveries()
    assert {lost.add([one]) for _ in range(50)} == {""}


@pytest.mark.parametrize("times", [(31.0,), (10.0, 12.0)])
def test_a_target_that_never_responded_is_given_half_a_minute_in_all(
    times: tuple[float, ...],
) -> None:
    gone = outcome("no response: x", Outcome.UNKNOWN)
    lost = LostDeliveries()
    said = [lost.add([gone], each) for each in (*times[:-1], LOST_DELIVERIES_S)]
    assert said[:-1] == [""] * (len(times) - 1)
    assert "no response: x" in said[-1]


def test_a_target_that_responded_before_is_given_several_deliveries() -> None:
    """One that hangs for a delivery still responds to others; one that restarts comes back."""
    gone = outcome("no response: x", Outcome.UNKNOWN)
    lost = LostDeliveries()
    assert lost.add([outcome("HTTP 400: not an event")], 1.0) == ""
    said = [lost.add([gone], 31.0) for _ in range(LOST_DELIVERIES_MOST)]
    assert said[:-1] == [""] * (LOST_DELIVERIES_MOST - 1)
    assert said[-1]


def test_one_delivery_that_arrives_begins_the_count_anew() -> None:
    lost = LostDeliveries()
    gone, there = outcome("no response: x", Outcome.UNKNOWN), outcome("", Outcome.ACCEPTED)
    assert {lost.add([one]) for _ in range(20) for one in (gone, gone, there)} == {""}


def seconds(count: int, requests: int, **errors: int) -> list[Second]:
    named = {name.replace("_", " "): n for name, n in errors.items()}
    return [Second(t=t, requests=requests, errors=named) for t in range(count)]


def test_a_load_ends_when_every_response_is_a_refusal_of_its_credentials() -> None:
    watch = AccessWatch()
    long = int(NO_ACCESS_S) + 1
    assert watch.add(seconds(long - 1, 40, HTTP_401=40)) == ""
    assert "HTTP 401" in AccessWatch().add(seconds(long, 40, HTTP_401=40))
    assert AccessWatch().add(seconds(long * 9, 40, HTTP_401=39)) == ""


def test_a_load_ends_when_nothing_responds_for_a_minute() -> None:
    long = int(LOST_S) + 1
    assert AccessWatch().add(seconds(long - 1, 0, no_response=8)) == ""
    assert "did not respond" in AccessWatch().add(seconds(long, 0, no_response=8))
    assert AccessWatch().add(seconds(long * 9, 1, no_response=8)) == ""


class BusyProbe:
    """A probe whose target asks to wait without an end."""

    def __init__(self) -> None:
        self.ended = False

    async def inject(self) -> bool:
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True
        return True

    async def visible(self) -> bool:
        return False


async def test_a_target_that_asks_to_wait_does_not_keep_a_load_that_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(freshness, "LIMIT_S", 0.05)
    stop, probe = asyncio.Event(), BusyProbe()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    async with asyncio.timeout(5):
        assert await freshness.watch_freshness(probe, stop=stop) == ({}, 0)
    assert probe.ended
