"""The freshness probe of a target that outlives a run, and of a run that has several steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from trueup.conformance.client.recorder import Recorder
from trueup.conformance.target.load import load_target
from trueup.conformance.target.model import Target
from trueup.reports.journal.records import Exchange
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import EventOutcome, Json, Outcome
from trueup.scenarios.load.freshness import watch_freshness
from trueup.scenarios.run.freshness_probe import SummaryProbe

TARGET = """
name = "keeps"
base_url = "http://127.0.0.1:{port}"
[tenants.a]
public_key = {{ env = "KEY" }}
private_key = {{ env = "KEY" }}
customer_id = 1
[budget]
requests_per_s = "unlimited"
requests = {requests}
"""


class Keeper:
    """A target that outlives runs: the same id with other content is refused."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Json]] = {}
        self.now = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    async def send(self, events: Sequence[Mapping[str, Json]]) -> Sequence[EventOutcome]:
        outcomes = []
        for event in events:
            known = self.stored.setdefault(str(event["log_id"]), dict(event)) == event
            outcome = Outcome.ACCEPTED if known else Outcome.REFUSED
            outcomes.append(EventOutcome(outcome, "" if known else "other content"))
        return outcomes

    async def search(self, request: web.Request) -> web.Response:
        user = request.query["proxy_user_id"]
        count = sum(event["proxy_user_id"] == user for event in self.stored.values())
        return web.json_response({"data": [{"log_summary_requests": count}] if count else []})


@asynccontextmanager
async def serve(keeper: Keeper) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/{prefix:.*}/log_summary/search", keeper.search)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def watched(probe: SummaryProbe, count: int) -> int:
    """Watch until `count` more events were injected; returns how many of them showed."""
    stop = asyncio.Event()
    until = len(probe.events) + count

    class Counting:
        visible = probe.visible

        async def inject(self) -> bool:
            accepted = await probe.inject()
            if len(probe.events) >= until:
                stop.set()
            return accepted

    shown, missing = await watch_freshness(Counting(), stop=stop, every_s=0.001, poll_s=0.001)
    assert missing == 0
    return sum(shown.values())


def target(folder: Path, port: int, requests: int = 1000) -> Target:
    path = folder / "target.toml"
    path.write_text(TARGET.format(port=port, requests=requests))
    return load_target(path, {"KEY": "a-key-that-is-none"})


def probe_of(target: Target, keeper: Keeper, recorder: Recorder, run: str) -> SummaryProbe:
    return SummaryProbe(
        target, keeper, recorder, run=run, now=keeper.clock  # type: ignore[arg-type]
    )  # fmt: skip


async def test_every_step_of_a_search_and_every_run_of_a_seed_measures_its_own_events(
    tmp_path: Path,
) -> None:
    """No id comes twice: three steps and a second run on the same target measure all of theirs."""
    keeper = Keeper()
    shown, users = [], set()
    with JournalWriter(tmp_path / "journal.ndjson") as writer:
        recorder = Recorder(writer)
        async with serve(keeper) as port:
            for run in ("20260504-120000-load-steady-7", "20260504-120100-load-steady-7"):
                async with probe_of(target(tmp_path, port), keeper, recorder, run) as probe:
                    shown += [await watched(probe, 4) for _ in range(3)]
                users |= {event["proxy_user_id"] for event in probe.events}
                delivered = probe.delivered(at="2026-05-04T12:00:00Z")
                assert len(delivered.events) == len(delivered.outcomes) == 12
    assert shown == [4] * 6
    assert len(users) == 2
    assert len(keeper.stored) == 24
    reads = [one for one in recorder.records if isinstance(one, Exchange)]
    assert len(reads) >= 24
    assert {one.path for one in reads} == {"/public/user/log_summary/search"}


async def test_the_events_of_an_earlier_run_do_not_count_as_these(tmp_path: Path) -> None:
    """A target that shows nothing new is not fresh because it shows something old."""
    keeper = Keeper()
    with JournalWriter(tmp_path / "journal.ndjson") as writer:
        recorder = Recorder(writer)
        async with serve(keeper) as port:
            known = target(tmp_path, port)
            async with (
                probe_of(known, keeper, recorder, "a") as first,
                probe_of(known, keeper, recorder, "b") as second,
            ):
                assert await first.inject()
                assert await first.visible()
                assert await second.inject()
                keeper.stored = {
                    name: event for name, event in keeper.stored.items() if event in first.events
                }
                assert not await second.visible()


async def test_a_probe_without_requests_left_ends_and_keeps_what_it_measured(
    tmp_path: Path,
) -> None:
    """Three reads are allowed: three delays are measured, and nothing is called missing."""
    keeper = Keeper()
    with JournalWriter(tmp_path / "journal.ndjson") as writer:
        async with (
            serve(keeper) as port,
            probe_of(target(tmp_path, port, requests=3), keeper, Recorder(writer), "a") as probe,
        ):
            shown, missing = await watch_freshness(probe, stop=asyncio.Event(), every_s=0.001)
    assert (sum(shown.values()), missing) == (3, 0)
