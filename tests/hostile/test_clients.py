"""Each client in this process against each hostile server: it ends in time, and raises nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.servers import (
    BEHAVIOURS,
    HostileServer,
    empty_api,
    hostile,
    listening,
    moved_to,
    redirect_to,
)
from trueup.conformance.client import waits
from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.control import TargetControl
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.requests import ApiRequest
from trueup.conformance.target.model import Budget, HttpHook, Target, Tenant
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import Outcome
from trueup.simulator.delivery import HttpDriver, HttpForm, ResponseRule, RetryPolicy
from trueup.simulator.reactor import (
    Engine,
    FixedBodies,
    Limits,
    RequestStream,
    address_of,
    request_head,
)

KEY = "ingest-key-0123456789"
TIMEOUT_S = 0.5
LONGEST_S = 12.0
RULE = ResponseRule(accepted="accepted")
EVENT = {"log_id": "1"}

Said = tuple[str, ...]
"""What a client says of its requests: errors, or nothing for a usable response."""


def target_at(port: int) -> Target:
    return Target(
        name="t",
        base_url=f"http://127.0.0.1:{port}/1.0",
        tenants={"a": Tenant(public_key="public-01", private_key="private-01", customer_id=1)},
        clock=HttpHook(url=f"http://127.0.0.1:{port}/clock", headers={"X-Ingest-Key": KEY}),
        timeout_s=TIMEOUT_S,
        budget=Budget(requests_per_s=None, requests=50),
        path=Path("t.toml"),
    )


async def reads(port: int, folder: Path) -> Said:
    with JournalWriter(folder / f"{port}.ndjson") as writer:
        async with ReadClient(target_at(port), Recorder(writer), WallClock()) as client:
            ask = ApiRequest(path="log/search", query=(("page", "1"),))
            return tuple(one.error or f"{one.status}" for one in await client.ask(ask, stage="s"))


async def hooks(port: int, folder: Path) -> Said:
    with JournalWriter(folder / f"{port}.ndjson") as writer:
        control = TargetControl(target_at(port), Recorder(writer), WallClock())
        hook = await control.call("clock", {}, stage="s")
        return (hook.error,) if hook.error else ()


async def deliveries(port: int, _folder: Path) -> Said:
    form = HttpForm(
        url=f"http://127.0.0.1:{port}/ingest",
        headers={"X-Ingest-Key": KEY},
        response_rule=RULE,
        timeout_s=TIMEOUT_S,
        retry=RetryPolicy(attempts=2, total_s=1.0),
    )
    driver = HttpDriver(form)
    try:
        return tuple(one.reason for one in await driver.send([EVENT]) if one.reason)
    finally:
        await driver.close()


def loaded(port: int) -> Said:
    """The reactor for a moment; returns reasons of failed attempts."""
    url = f"http://127.0.0.1:{port}/ingest"
    form = HttpForm(url=url, headers={"X-Ingest-Key": KEY}, response_rule=RULE)
    address, head = request_head("POST", url, form.head_fields())
    stream = RequestStream(
        "ingest",
        address=address,
        source=FixedBodies(head, b"{}\n"),
        schedule=None,
        rule=RULE,
        retry=RetryPolicy(attempts=2, total_s=1.0),
        timeout_s=TIMEOUT_S,
    )
    engine = Engine([stream], limits=Limits(duration_s=0.6, drain_s=0.6))
    engine.connect(stream)
    engine.run()
    seconds, ranges = stream.recorder.take()
    said = {reason for second in seconds for reason in second.errors}
    return tuple(said | {part.reason for part in ranges if part.reason})


async def reactor(port: int, _folder: Path) -> Said:
    return await asyncio.to_thread(loaded, port)


Client = Callable[[int, Path], Awaitable[Said]]
CLIENTS: dict[str, Client] = {
    "read": reads,
    "hook": hooks,
    "delivery": deliveries,
    "reactor": reactor,
}
_STATUS_200 = {"endless pages", "impossible header bytes", "a million rows", "bomb of digits"}
USABLE: dict[str, set[str]] = {
    # It is the status that counts; the first megabyte of the body is kept.
    "hook": _STATUS_200 | {"never ends", "sends 500 MB", "nesting bomb", "gzip bomb"},
}
"""Client → behaviours that it takes for a response without an error."""


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "ONE_WAIT_S", 2.0)
    monkeypatch.setattr(RetryPolicy, "asked_total_s", property(lambda _self: 1.0))
    monkeypatch.setattr("trueup.conformance.client.control.HOOK_LEAST_S", 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_ends_in_time_whatever_a_server_does(client: str, tmp_path: Path) -> None:
    """All servers side by side. No exception, a reason for each, and no raw control character."""
    said: dict[str, Said] = {}
    took: dict[str, float] = {}

    async def one(name: str) -> None:
        with hostile(name) as server:
            began = time.monotonic()
            said[name] = await CLIENTS[client](server.port, tmp_path)
            took[name] = time.monotonic() - began

    async with asyncio.TaskGroup() as group:
        for name in BEHAVIOURS:
            group.create_task(one(name))
    assert max(took.values()) < LONGEST_S, took
    silent = {name for name, reasons in said.items() if not reasons}
    assert silent <= USABLE.get(client, set())
    assert all(text.isprintable() for reasons in said.values() for text in reasons), said


@pytest.fixture
def elsewhere() -> Iterator[HostileServer]:
    """Another origin: the same machine under another address."""
    with listening(empty_api, "127.0.0.2") as server:
        yield server


@pytest.mark.parametrize("status", ["301 X", "302 X", "303 X", "307 X", "308 X"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_redirect_to_another_origin_is_refused_and_the_host_is_named(
    client: str, status: str, elsewhere: HostileServer, tmp_path: Path
) -> None:
    for location in (f"http://127.0.0.2:{elsewhere.port}/x", f"//127.0.0.2:{elsewhere.port}/x"):
        with listening(redirect_to(location, status)) as server:
            said = await CLIENTS[client](server.port, tmp_path)
        assert any(f"127.0.0.2:{elsewhere.port}" in reason for reason in said), said
        assert len(server.requests) >= 1
    assert elsewhere.requests == []


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_redirect_to_the_same_origin_is_followed_by_every_client(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "TIMEOUT_S", 10.0)  # a busy machine is no slow server
    with listening(moved_to("/moved?x=1")) as server:
        said = await CLIENTS[client](server.port, tmp_path)
    assert set(said) <= {"200", "the run ended before a response"}
    first, second = server.requests[:2]
    assert (second.path, second.method) == ("/moved?x=1", first.method)
    assert (second.body, second.headers.get("x-ingest-key")) == (
        first.body,
        first.headers.get("x-ingest-key"),
    )


async def test_a_redirect_that_would_change_the_method_is_not_followed(tmp_path: Path) -> None:
    for client in ("delivery", "reactor", "hook"):
        with listening(moved_to("/moved", "303 See Other")) as server:
            said = await CLIENTS[client](server.port, tmp_path)
        assert any("does not keep the method POST" in reason for reason in said), said
        assert {one.method for one in server.requests} == {"POST"}


async def test_events_of_a_redirect_that_is_not_followed_are_refused(
    elsewhere: HostileServer,
) -> None:
    """Certainly not stored where they were sent; never unknown, and never delivered elsewhere."""
    url = f"http://127.0.0.2:{elsewhere.port}/"
    with listening(redirect_to(url)) as server:
        driver = HttpDriver(HttpForm(url=f"http://127.0.0.1:{server.port}/", response_rule=RULE))
        outcome = await driver.send_ndjson(b'{"log_id":"1"}\n', 1)
        await driver.close()
    assert [part.outcome for part in outcome.ranges] == [Outcome.REFUSED]
    assert address_of(url).origin in outcome.ranges[0].reason
