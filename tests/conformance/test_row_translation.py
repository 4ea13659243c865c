"""Rows of a target that shows logs under ids of its own, and times in forms of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from tests.conformance.stub import bare_target, served_by
from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.http import ReadClient
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.client.row_translation import RowTranslator
from trueup.conformance.ports import SentTraffic, Slice
from trueup.conformance.requests import ApiRequest
from trueup.conformance.requests import log as log_request
from trueup.conformance.target.model import GraphShape, RowFormat
from trueup.reports.journal.records import Delivered, Exchange, Record
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import CellKey, Counts, Json, Outcome

SEARCH = "log/search"


def event(number: int, **fields: Json) -> dict[str, Json]:
    return {
        "log_id": f"sent-{number}",
        "customer_id": 1,
        "proxy_user_id": "user",
        "log_network": "isp",
        "log_client_ip_address": "198.51.100.1",
        "log_hostname": "Shop.example.",
        "log_total_bytes": number,
        "log_request_datetime": "2025-04-01 13:00:00.75",
        **fields,
    }


def row(number: int, **fields: Json) -> dict[str, Json]:
    """The log of an event as a target may show it: with another time form and the host folded."""
    shown = {key: value for key, value in event(number).items() if key != "customer_id"}
    return {
        **shown,
        "log_id": f"own-{number}",
        "log_hostname": "shop.example",
        "log_request_datetime": "2025-04-01T13:00:00Z",
        **fields,
    }


def ids(body: Any) -> list[object]:
    return [each["log_id"] for each in body["data"]]


def delivered(*events: Mapping[str, Json]) -> Delivered:
    return Delivered(source="probe", outcomes=(), at="", events=tuple(map(dict, events)))


def translator_of(rows: RowFormat, *events: Mapping[str, Json]) -> RowTranslator:
    return RowTranslator(rows, GraphShape(), [delivered(*events)])


def test_a_log_comes_in_under_the_id_that_was_sent() -> None:
    """With the target's id beside; a row without that field stays as it is."""
    translator = translator_of(RowFormat(log_id="reference"))
    body: Json = {"data": [row(1, reference="SENT-1"), row(2), row(3, reference=None)]}
    found: Any = translator.body(SEARCH, body, 1)
    assert ids(found) == ["SENT-1", "own-2", "own-3"]
    assert found["data"][0]["target_log_id"] == "own-1"
    nested = translator_of(RowFormat(log_id="meta.ref"))
    assert ids(nested.body(SEARCH, {"data": [row(1, meta={"ref": "sent-1"})]}, 1)) == ["sent-1"]
    one = translator.body("log/retrieve/sent-1", {"data": row(1, reference="sent-1")}, 1)
    assert one == {
        "data": {**row(1), "log_id": "sent-1", "reference": "sent-1", "target_log_id": "own-1"}
    }


def test_requests_go_out_under_the_target_s_id() -> None:
    translator = translator_of(RowFormat(log_id="reference"))
    translator.body(SEARCH, {"data": [row(1, reference="sent-1")]}, 1)
    assert translator.path("log/retrieve/sent-1") == "log/retrieve/own-1"
    assert translator.path("log/retrieve/sent-2") == "log/retrieve/sent-2"
    query = (("log_id", "sent-1"), ("not_log_id", "sent-1"), ("proxy_user_id", "sent-1"))
    assert translator.query(SEARCH, query) == (
        ("log_id", "own-1"),
        ("not_log_id", "own-1"),
        ("proxy_user_id", "sent-1"),
    )
    assert translator.query("log_summary/search", query) == query


def test_without_any_id_a_log_is_matched_by_what_it_says() -> None:
    """Of events that look alike, the one that agrees in more; each event has one log."""
    sent = [event(5, log_id=f"sent-{name}", log_session_id=name) for name in "abc"]
    translator = translator_of(RowFormat(log_id=""), *sent, event(6), event(7, customer_id=2))
    rows = [row(5, log_id=f"own-{name}", log_session_id=name) for name in "cab"]
    twice = row(5, log_id="own-again", log_session_id="a")
    body: Json = {"data": [*rows, twice, row(6), row(7), row(6, log_id="own-8", asn_id=1)]}
    found = ids(translator.body(SEARCH, body, 1))
    assert found[:3] == ["sent-c", "sent-a", "sent-b"]
    # A second log of an event, one of another customer's, and one more: foreign.
    assert found[3:] == ["own-again", "sent-6", "own-7", "own-8"]
    assert ids(translator.body(SEARCH, body, 1)) == found
    assert translator.path("log/retrieve/sent-b") == "log/retrieve/own-b"


def test_a_hostname_beyond_ascii_is_matched_however_it_is_spelled() -> None:
    sent = [event(1, log_hostname="B\u00fccher.example"), event(1, log_id="sent-2")]
    translator = translator_of(RowFormat(log_id=""), *sent)
    rows: Json = {"data": [row(1, log_hostname="xn--bcher-kva.example")]}
    assert ids(translator.body(SEARCH, rows, 1)) == ["sent-1"]


def test_what_another_client_recorded_is_known() -> None:
    for rows in (RowFormat(log_id="reference"), RowFormat(log_id="")):
        first = translator_of(rows, event(1))
        body = first.body(SEARCH, {"data": [row(1, reference="sent-1")]}, 1)
        seen = Exchange(n=1, method="GET", path="/x/log/search", at="", body=body)
        records: list[Record] = [seen]
        second = RowTranslator(rows, GraphShape(), records)
        second.body(SEARCH, {"data": []}, 1)
        assert second.path("log/retrieve/sent-1") == "log/retrieve/own-1"


class Traffic:
    """Traffic of which every event is known, as a reconciliation has it; counts its drawings."""

    def __init__(self, *events: dict[str, Json]) -> None:
        self._events = {str(each["log_id"]): each for each in events}
        self.drawn = 0

    def cells(self) -> Mapping[CellKey, Counts]:
        return {CellKey(1, "user", "isp", "shop.example", "2025-04-01"): Counts(2, 3, 2, 0)}

    def slack(self) -> Mapping[CellKey, Counts]:
        return {}

    def event(self, log_id: str) -> Mapping[str, Json] | None:
        return self._events.get(log_id)

    def ids_in(self, slices: Sequence[Slice]) -> Sequence[Mapping[str, Outcome]]:
        self.drawn += 1
        assert [tuple(each) for each in slices] == [
            (1, "2025-04-01 00:00:00", "2025-04-01 23:59:59", "", "user", "")
        ]
        return [dict.fromkeys(self._events, Outcome.ACCEPTED)]


def test_logs_of_traffic_that_is_drawn_again_are_matched_too() -> None:
    """Drawn once, whatever comes in."""
    sent = Traffic(event(1), event(2))
    translator = RowTranslator(RowFormat(log_id=""), GraphShape(), [], cast("SentTraffic", sent))
    assert ids(translator.body(SEARCH, {"data": [row(2), row(3)]}, 1)) == ["sent-2", "own-3"]
    assert ids(translator.body(SEARCH, {"data": [row(1), row(2)]}, 1)) == ["sent-1", "sent-2"]
    assert ids(translator.body(SEARCH, {"data": [row(1, log_id="own-4")]}, 2)) == ["own-4"]
    assert sent.drawn == 1
    assert translator.unknown_event("log/retrieve/sent-1") is None
    own_ids = RowFormat(log_id="reference")
    named = RowTranslator(own_ids, GraphShape(), [], cast("SentTraffic", sent))
    assert named.unknown_event("log/retrieve/sent-1") == event(1)


def test_times_come_in_as_the_contract_has_them() -> None:
    """In rows of every list, in single rows and in points of the graph; what is no time stays."""
    times = {
        "log_request_datetime": "epoch-ms",
        "residential_ledger_period_date": "epoch-s",
        "from": "iso",
    }
    translator = RowTranslator(RowFormat(times=times), GraphShape(points="data.g", time="from"), [])
    shown: Json = {"data": [{"log_request_datetime": 1743512400999}, {"log_request_datetime": "?"}]}
    assert translator.body(SEARCH, shown, 1) == {
        "data": [{"log_request_datetime": "2025-04-01 13:00:00"}, {"log_request_datetime": "?"}]
    }
    one: Json = {"data": {"residential_ledger_period_date": 1743465600}}
    assert translator.body("residential_ledger/retrieve/1", one, 1) == {
        "data": {"residential_ledger_period_date": "2025-04-01"}
    }
    graph: Json = {"data": {"g": [{"from": "2025-04-01T15:00:00+02:00", "n": 1}]}}
    assert translator.body("analytics/graph", graph, 1) == {
        "data": {"g": [{"from": "2025-04-01 13:00:00", "n": 1}]}
    }


async def test_an_unknown_id_is_looked_up_before_its_log_is_retrieved(tmp_path: Path) -> None:
    """With the keys of the event's customer; the record has the id that was sent and both paths."""
    asked: list[str] = []

    async def respond(request: web.Request) -> web.Response:
        asked.append(str(request.rel_url).removeprefix("/1.0"))
        shown = row(1, reference="sent-1")
        return web.json_response({"data": shown if "retrieve" in request.path else [shown]})

    async with served_by(respond) as url:
        target = bare_target(url, rows=RowFormat(log_id="reference"), prefix="")
        with JournalWriter(tmp_path / "journal.ndjson") as writer:
            recorder = Recorder(writer)
            recorder.write(delivered(event(1)))
            async with ReadClient(target, recorder, WallClock()) as client:
                (found,) = await client.ask(log_request("sent-1", "a"), stage="s")
                (other,) = await client.ask(ApiRequest(path="log/retrieve/nobody"), stage="s")
    assert asked == [
        "/log/search?proxy_user_id=user&log_total_bytes=1&per_page=100",
        "/log/retrieve/own-1",
        "/log/retrieve/nobody",
    ]
    assert (found.path, found.sent_path) == ("/log/retrieve/sent-1", "/log/retrieve/own-1")
    assert isinstance(found.body, dict)
    assert isinstance(found.body["data"], dict)
    assert found.body["data"]["log_id"] == "sent-1"
    assert (other.path, other.sent_path) == ("/log/retrieve/nobody", "")
