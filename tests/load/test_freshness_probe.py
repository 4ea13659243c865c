"""Freshness markers of a target that outlives a run, and of a run that has several steps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from trueup.conformance.target.load import load_target
from trueup.conformance.target.model import Target
from trueup.reports.results import EventOutcome, Json, Outcome
from trueup.scenarios.load.freshness import watch_freshness
from trueup.scenarios.run.freshness_probe import SummaryMarker

TARGET = """
name = "keeps"
base_url = "http://127.0.0.1:{port}"
[tenants.a]
public_key = {{ env = "KEY" }}
private_key = {{ env = "KEY" }}
customer_id = 1
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


async def serve(keeper: Keeper) -> tuple[web.AppRunner, int]:
    app = web.Application()
    app.router.add_get("/{prefix:.*}/log_summary/search", keeper.search)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, runner.addresses[0][1]


async def watched(marker: SummaryMarker, count: int) -> int:
    """Watch until `count` more markers were planted; how many of them showed."""
    stop = asyncio.Event()
    until = len(marker.events) + count
    plant = marker.plant

    async def counting() -> bool:
        accepted = await plant()
        if len(marker.events) >= until:
            stop.set()
        return accepted

    marker.plant = counting  # type: ignore[method-assign]
    shown, missing = await watch_freshness(marker, stop=stop, every_s=0.001, poll_s=0.001)
    marker.plant = plant  # type: ignore[method-assign]
    assert missing == 0
    return sum(shown.values())


def target(folder: Path, port: int) -> Target:
    path = folder / "target.toml"
    path.write_text(TARGET.format(port=port))
    return load_target(path, {"KEY": "a-key-that-is-none"})


async def test_every_step_of_a_search_and_every_run_of_a_seed_measures_its_own_markers(tmp_path):
    """No id comes twice: three steps and a second run on the same target measure all of theirs."""
    keeper = Keeper()
    runner, port = await serve(keeper)
    try:
        shown, users = [], set()
        for run in ("20260504-120000-load-steady-7", "20260504-120100-load-steady-7"):
            marker = SummaryMarker(
                target(tmp_path, port), keeper, run=run, now=keeper.clock  # type: ignore[arg-type]
            )  # fmt: skip
            shown += [await watched(marker, 4) for _ in range(3)]
            users |= {event["proxy_user_id"] for event in marker.events}
            delivered = marker.delivered(at="2026-05-04T12:00:00Z")
            assert len(delivered.events) == len(delivered.outcomes) == 12
            await marker.close()
    finally:
        await runner.cleanup()
    assert shown == [4] * 6
    assert len(users) == 2
    assert len(keeper.stored) == 24


async def test_the_markers_of_an_earlier_run_do_not_count_as_these(tmp_path):
    """A target that shows nothing new is not fresh because it shows something old."""
    keeper = Keeper()
    runner, port = await serve(keeper)
    try:
        first, second = (
            SummaryMarker(
                target(tmp_path, port), keeper, run=run, now=keeper.clock  # type: ignore[arg-type]
            )
            for run in ("a", "b")
        )  # fmt: skip
        assert await first.plant()
        assert await first.visible()
        assert await second.plant()
        keeper.stored = {
            name: event for name, event in keeper.stored.items() if event in first.events
        }
        assert not await second.visible()
        await first.close()
        await second.close()
    finally:
        await runner.cleanup()
