"""Hooks with keys of their own are called with a customer's keys: they must refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.conformance.embedded import judged, started, target_of
from tests.conformance.literal import LiteralJournal
from tests.conformance.stub import served_by
from trueup.reports.journal.records import Hook
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import Verdict

LOCKS = "hooks-are-locked"


def tried(story: LiteralJournal, name: str, **more: Any) -> LiteralJournal:
    """Call a hook with a customer's keys."""
    story.records.append(
        Hook(
            hook=name,
            at="2026-03-10T12:00:00.500Z",
            ok="error" not in more,
            check="safety",
            stage="baseline",
            **more,
        )
    )
    return story


def test_a_refusal_counts_where_the_hook_works_with_its_own_key() -> None:
    story = LiteralJournal()
    for name in ("maintenance", "restart"):
        tried(story, name, error="status 401").hook(name)
    assert story.later().search("log", []).results()[LOCKS].verdict is Verdict.PASS


@pytest.mark.parametrize("name", ["clock", "maintenance", "money", "restart"])
def test_a_hook_that_refuses_everyone_shows_nothing(name: str) -> None:
    story = tried(LiteralJournal(), name, error="status 401").hook(
        name, ok=False, error="status 500"
    )
    assert story.later().search("log", []).results()[LOCKS].verdict is not Verdict.PASS


@pytest.mark.parametrize("name", ["clock", "maintenance", "money", "restart"])
def test_a_hook_that_works_with_a_customer_s_keys_fails(name: str) -> None:
    request = {
        "clock": {"now": "2026-03-10 12:00:02"},
        "money": {"customer_id": 1001, "network": "mobile", "kind": "top_up", "bytes": 1},
    }.get(name, {})
    story = tried(LiteralJournal(), name, request=request)
    assert story.later().search("log", []).failed() == {LOCKS}


@pytest.mark.slow
@pytest.mark.parametrize("unlocked", ["", "money"])
async def test_each_hook_is_tried_and_an_unlocked_one_is_found(
    tmp_path: Path, unlocked: str
) -> None:
    """The hook is unlocked by a proxy that adds its key to every request."""
    with started() as serving:

        async def forward(request: web.Request) -> web.Response:
            key = request.headers.get("X-Control-Key", "")
            if request.path.endswith(f"/{unlocked}"):
                key = serving["control_key"]
            control = serving["control_url"].rsplit("/control", 1)[0]
            async with (
                aiohttp.ClientSession() as session,
                session.post(
                    f"{control}{request.path}",
                    data=await request.read(),
                    headers={"X-Control-Key": key, "Content-Type": "application/json"},
                ) as response,
            ):
                return web.json_response(await response.json(), status=response.status)

        async with served_by(forward) as url:
            here = url.removesuffix("/1.0")
            path = serving["control_url"].partition("//")[2].partition("/")[2]
            moved = dict(serving) | {"control_url": f"{here}/{path}"}
            target = target_of(moved, tmp_path)
            outcome = await judged(
                target,
                serving["ingest_url"],
                tmp_path / "journal.ndjson",
                only=("SAFETY", "RETAIN-MAX"),
            )
    hooks = [r for r in read_journal(tmp_path).records if isinstance(r, Hook)]
    assert {r.hook for r in hooks if r.check == "safety"} == {"clock", "maintenance", "money"}
    verdicts = {r.check: r.verdict for r in outcome.results}
    assert verdicts[LOCKS] is (Verdict.FAIL if unlocked else Verdict.PASS)
