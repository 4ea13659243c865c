"""Responses of any content: every one is judged, and none ends in a traceback."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.literal import USER, LiteralJournal, event, summary
from tests.conformance.stub import bare_target, served_by
from trueup.conformance.client import http
from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import parse_time
from trueup.reports.journal.records import Exchange
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import Json, Verdict

ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**63, 2**64, -(2**70), 10**300, 1e308, 1.5),
    *("", "0", "-", "null", "%", "_", "\x00", "１２", "²", "1e400", "nan", ".", "." * 300),
    *("0000-00-00 00:00:00", "0001-01-01 00:00:00", "99999-01-01", "9999-12-31 23:59:59"),
    *(
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-02-30",
        "2026-13",
        "2026-W05",
    ),
    *([], {}, [[]], [None], ["x"], {"": None}, {"data": 1}),
)
GRAPH = (("period_start", "2026-03-10 00:00:00"), ("period_end", "2026-03-11 00:00:00"))
EVENTS = [event(n) for n in range(3)]
RETRIEVED: tuple[tuple[str, Any], ...] = (
    ("customer/retrieve", {"customer_id": 1001, "customer_residential_bytes": 5}),
    ("residential/summary", {"residential_left": 5, "proxy_user_ids": [USER]}),
    (f"proxy_user/retrieve/{USER}", {"proxy_user_id": USER, "proxy_user_is_deleted": False}),
    (f"log/retrieve/{EVENTS[0]['log_id']}", EVENTS[0]),
    ("analytics/graph", [{"datetime": "2026-03-10 00:00:00", "requests": 3, "bytes": 21}]),
)


def journal() -> LiteralJournal:
    """A run that reads every kind of view."""
    story = LiteralJournal().deliver(*EVENTS).later()
    story.search("log", EVENTS, proxy_user_id=USER)
    story.search("log_summary", [summary(EVENTS)], proxy_user_id=USER)
    ledger = {
        "residential_ledger_id": "l1",
        "customer_id": 1001,
        "residential_ledger_period": "2026-03-10",
        "residential_ledger_bytes": -21,
        "residential_ledger_requests": 3,
        "residential_ledger_creation_datetime": "2026-03-10 12:00:00",
    }
    story.search("residential_ledger", [ledger])
    story.search("proxy_user", [{"proxy_user_id": USER}])
    template = next(r for r in story.records if isinstance(r, Exchange))
    for number, (path, data) in enumerate(RETRIEVED, 100):
        body: Json = {"data": {"points": data}} if path == "analytics/graph" else {"data": data}
        query = GRAPH if path == "analytics/graph" else ()
        story.records.append(
            msgspec.structs.replace(
                template,
                n=number,
                path=f"{template.path.partition('/user/')[0]}/user/{path}",
                query=(*query, ("interval", "day")) if query else (),
                ask=f"a:own {path}",
                body=body,
            )
        )
    return story


CLEAN = journal()
FIELDS = sorted(
    {
        name
        for record in CLEAN.records
        if isinstance(record, Exchange) and isinstance(record.body, dict)
        for row in [record.body, record.body.get("data")]
        for one in (row if isinstance(row, list) else [row])
        if isinstance(one, dict)
        for name in one
    }
)


def with_value(body: Json, name: str, value: Json) -> Json:
    """The body with a value for each field of a name."""
    if isinstance(body, dict):
        return {
            key: copy.deepcopy(value) if key == name else with_value(each, name, value)
            for key, each in body.items()
        }
    if isinstance(body, list):
        return [with_value(each, name, value) for each in body]
    return body


def judged_with(change: Any) -> None:
    """Judge the run with changed bodies: it returns a verdict for every check."""
    story = LiteralJournal()
    story.records = [
        msgspec.structs.replace(r, body=change(r.body)) if isinstance(r, Exchange) else r
        for r in CLEAN.records
    ]
    assert all(isinstance(each.verdict, Verdict) for each in story.results().values())


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_may_hold_anything(name: str) -> None:
    for value in ODD:
        judged_with(lambda body, value=value: with_value(body, name, value))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_bodies_may_be_changed_anywhere(data: st.DataObject) -> None:
    def changed(value: Any) -> Any:
        if data.draw(st.integers(0, 14)) == 0:
            return copy.deepcopy(data.draw(st.sampled_from(ODD)))
        if isinstance(value, dict):
            return {key: changed(each) for key, each in value.items()}
        if isinstance(value, list):
            return [changed(each) for each in value] * data.draw(st.integers(1, 2))
        return value

    judged_with(changed)


@pytest.mark.parametrize("body", [None, [], "x", 5, {"data": None}, {"data": [None, 1, "x", []]}])
def test_a_body_may_be_anything(body: Json) -> None:
    judged_with(lambda _body: body)


@pytest.mark.parametrize(
    "value", ["0001-01-01", "9999-12-31 23:59:59", "99999-01-01", 1e300, 10**400, float("nan")]
)
def test_a_time_that_no_calendar_holds_is_no_time(value: Json) -> None:
    assert parse_time(value) is None


async def test_a_response_that_is_too_long_is_cut_and_recorded_as_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those below the limit of one response, once all large ones together are too many."""
    monkeypatch.setattr(http, "BODY_MOST", 4_000)
    monkeypatch.setattr(http, "LARGE", 1_000)
    monkeypatch.setattr(http, "ALL_LARGE_MOST", 6_000)
    sizes = iter((100, 3_000, 9_000, 3_000, 100))

    async def long(_request: web.Request) -> web.Response:
        return web.json_response({"data": "x" * next(sizes)})

    async with served_by(long) as url:
        with JournalWriter(tmp_path / "journal.ndjson") as writer:
            async with ReadClient(bare_target(url), Recorder(writer), WallClock()) as client:
                found = [
                    (await client.ask(ApiRequest(path="x", again=n), stage="s"))[0]
                    for n in range(5)
                ]
    assert ["cut" in each.error for each in found] == [False, False, True, True, False]
    assert [each.status for each in found] == [200] * 5
    assert [each.body is None for each in found] == [False, False, True, True, False]


def test_a_response_that_was_cut_fails_nothing() -> None:
    story = journal()
    story.records = [
        msgspec.structs.replace(r, body=None, error="the response was cut: it is too long")
        if isinstance(r, Exchange)
        else r
        for r in story.records
    ]
    assert story.failed() == set()
