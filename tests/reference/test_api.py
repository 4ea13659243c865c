"""Responses of the server over HTTP: filters, pages, errors, bodies, account, time."""

from __future__ import annotations

import dataclasses
import gzip
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.reference.served import Served, event, ndjson, serving
from trueup.reference.api import ingestion
from trueup.reference.api.app import build_app
from trueup.reference.behaviour import Behaviour
from trueup.reference.errors import StartProblem
from trueup.reference.store.store import Store
from trueup.reference.times import DAY_US, HOUR_US, SECOND_US, ceil_day, floor_day, format_instant


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A server whose clock is at noon, so that no midnight falls into a test."""
    async with serving() as running:
        await running.move_to(ceil_day(running.now_us) + 12 * HOUR_US)
        yield running


def at(served: Served, ago_us: int = 0) -> str:
    return format_instant(served.now_us - ago_us)


async def test_search_and_retrieve_have_the_documented_envelopes(served: Served) -> None:
    await served.ingest([event(1, log_request_datetime=at(served))])
    page = await served.get("log/search")
    assert list(page) == ["data", "item_count", "message", "page", "per_page", "total_count"]
    assert (page["item_count"], page["page"], page["per_page"], page["total_count"]) == (
        1,
        1,
        100,
        1,
    )
    row = page["data"][0]
    one = await served.get(f"log/retrieve/{row['log_id']}")
    assert one == {"data": row, "message": "Log successfully retrieved."}
    assert len(row) == 31 and row["log_error_code"] is None


async def test_every_field_comes_back_as_it_was_sent(served: Served) -> None:
    """A log is its event; only the hostname is folded."""
    sent = event(
        1,
        log_request_datetime=at(served) + ".123456",
        log_hostname="WWW.Example.ORG.",
        log_status_code=502,
        log_error_code="proxy_internal_error",
        service_id="S-1",
        proxy_id="P-1",
        log_session_id="x",
        log_method="GET",
        log_protocol_version="2",
        log_transport="quic",
        log_local_ip_address="10.0.0.1",
        log_local_port=8080,
        log_egress_ip_address="2001:db8::1",
        log_total_elapsed_ms=1,
        log_handshake_elapsed_ms=2,
        log_tunnel_elapsed_ms=3,
        log_concurrency=4,
        log_is_tls_enabled=True,
        log_smartpath_enabled=False,
        log_smartpath_routed=True,
    )
    await served.ingest([sent])
    expected = {**sent, "log_hostname": "www.example.org"}
    expected["log_request_datetime"] = expected["log_request_datetime"][:19]
    assert (await served.get("log/search"))["data"] == [expected]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"log_hostname": "b.example"}, {2}),
        ({"log_hostname": "%"}, set()),
        ({"like_log_hostname": "EXAMPLE"}, {1, 2, 3}),
        ({"like_log_hostname": "a%"}, {1}),
        ({"like_log_hostname": "a_ex"}, set()),
        ({"like_log_hostname": "under_score"}, {4}),
        ({"not_log_hostname": "b.example"}, {1, 3, 4}),
        ({"log_total_bytes": 20}, {2}),
        ({"min_log_total_bytes": 20}, {2, 3, 4}),
        ({"max_log_total_bytes": 20}, {1, 2}),
        ({"min_log_total_bytes": 20, "max_log_total_bytes": 30}, {2, 3}),
        ({"not_log_total_bytes": 20}, {1, 3, 4}),
        ({"max_log_total_bytes": 2**63 - 1}, {1, 2, 3, 4}),
        ({"log_status_code": 404}, {3}),
        ({"not_log_status_code": 404}, {1, 2, 4}),
        ({"log_smartpath_routed": "True"}, {4}),
        ({"log_smartpath_routed": "0"}, {1}),
        ({"log_network": "isp"}, {4}),
    ],
)
async def test_filters_select_exactly(
    served: Served, query: dict[str, Any], found: set[int]
) -> None:
    hosts = ("a.example", "b.example", "c.example", "under_score")
    await served.ingest(
        event(
            number,
            log_request_datetime=at(served),
            log_hostname=hosts[number - 1],
            log_total_bytes=number * 10,
            log_status_code=404 if number == 3 else None,
            log_smartpath_routed={1: False, 4: True}.get(number),
            log_network="isp" if number == 4 else "mobile",
        )
        for number in (1, 2, 3, 4)
    )
    rows = (await served.get("log/search", **query))["data"]
    assert {int(row["log_id"][:8], 16) for row in rows} == found


async def test_time_filters_are_inclusive_to_the_second(served: Served) -> None:
    second = served.now_us // SECOND_US * SECOND_US - HOUR_US
    stamps = (second - SECOND_US, second, second + SECOND_US)
    await served.ingest(
        event(number, log_request_datetime=format_instant(stamp) + ".9")
        for number, stamp in enumerate(stamps, 1)
    )
    name, text = "log_request_datetime", format_instant(second)
    for prefix, total in (("", 1), ("min_", 2), ("max_", 2), ("not_", 2)):
        assert (await served.get("log/search", **{prefix + name: text}))["total_count"] == total


@pytest.mark.parametrize("per_page", [1, 7, 11, 100])
@pytest.mark.parametrize("sort_by", ["", "log_total_bytes", "log_total_bytes_desc", "log_id_desc"])
async def test_pages_hold_every_row_once(served: Served, per_page: int, sort_by: str) -> None:
    """Whatever the page size and however many keys are equal."""
    await served.ingest(
        event(number, log_request_datetime=at(served), log_total_bytes=number % 2)
        for number in range(1, 31)
    )
    query = {"sort_by": sort_by} if sort_by else {}
    rows = await served.all_rows("log/search", per_page=per_page, **query)
    assert len(rows) == len({row["log_id"] for row in rows}) == 30
    if sort_by:
        field = sort_by.removesuffix("_desc")
        values = [row[field] for row in rows]
        assert values == sorted(values, reverse=sort_by.endswith("_desc"))


async def test_past_the_end_is_an_empty_page(served: Served) -> None:
    page = await served.get("log/search", page=999)
    assert (page["data"], page["page"], page["item_count"]) == ([], 999, 0)


async def test_errors_are_json_everywhere(served: Served) -> None:
    """Status, and the three documented keys with a UUID."""
    missing = "log/retrieve/ffffffff-0000-4000-8000-000000000000"
    cases: list[tuple[str, dict[str, Any], int]] = [
        ("nosuch/thing", {}, 404),
        (missing, {}, 404),
        ("log/search", {"headers": {}}, 401),
        ("log/search", {"method": "DELETE"}, 405),
        ("log/search", {"page": "0"}, 400),
        ("analytics/graph", {"interval": "week"}, 400),
        ("analytics/graph", {"preset": "today", "period_start": "2025-01-01"}, 422),
        ("analytics/graph", {"network": "wifi"}, 400),
        ("analytics/graph", {"period_start": "9999-12-01", "interval": "month"}, 400),
        ("analytics/breakdown", {"limit": "0"}, 400),
        ("proxy_user/create", {"method": "POST", "json": {"nosuch": 1}}, 400),
        ("customer/retrieve", {"page": "1"}, 400),
    ]
    for path, asked, expected in cases:
        status, body = await served.ask(path, **asked)
        assert status == expected, (path, body)
        assert set(body) == {"error", "message", "api_request_id"}
        assert len(body["api_request_id"]) == 36


async def test_half_a_key_pair_is_not_enough(served: Served) -> None:
    mixed = {**served.keys(), "X-API-Private-Key": served.b.private_key}
    assert (await served.ask("log/search", headers=mixed))[0] == 401


async def test_a_limit_of_requests_is_per_customer_and_passes() -> None:
    async with serving(rate_limit=10) as served:
        burst = [await served.ask("customer/retrieve") for _ in range(15)]
        refused = [body for status, body in burst if status == 429]
        assert refused and "try again" in refused[0]["message"]
        assert (await served.ask("customer/retrieve", tenant=served.b))[0] == 200


async def test_a_repeat_changes_nothing_and_other_content_is_refused(served: Served) -> None:
    first = event(1, log_request_datetime=at(served), log_total_bytes=10)
    result = await served.ingest([first, first])
    assert result == {"accepted": 2, "duplicates": 1, "refused": [], "refused_count": 0}
    again = await served.ingest([first, {**first, "log_total_bytes": 11}])
    assert (again["accepted"], again["duplicates"]) == (1, 1)
    assert again["refused"][0]["line"] == 2
    twice = await served.ingest([{**first, "asn_id": 3}, {**first, "asn_id": 3}])
    assert (twice["accepted"], twice["duplicates"]) == (0, 0)
    assert [each["line"] for each in twice["refused"]] == [1, 2]
    later = await served.ingest([event(2, log_request_datetime=at(served)), {**first, "asn_id": 2}])
    assert (later["accepted"], [each["line"] for each in later["refused"]]) == (1, [2])
    row = (await served.get("log_summary/search"))["data"][0]
    assert (row["log_summary_requests"], row["log_summary_bytes"]) == (2, 11)


async def test_bad_lines_are_refused_by_number_and_the_rest_is_taken(served: Served) -> None:
    good = [event(number, log_request_datetime=at(served)) for number in (1, 2)]
    lines = [
        json.dumps(good[0]).encode(),
        b"",
        b"not json",
        json.dumps({**good[0], "log_id": "x"}).encode(),
        json.dumps(event(3, log_request_datetime=at(served, 8 * DAY_US))).encode(),
        json.dumps(event(4, log_request_datetime=at(served, -HOUR_US))).encode(),
        json.dumps(event(5, log_request_datetime=at(served), customer_id=7)).encode(),
        b'{"a":' * 3000,
        json.dumps(good[1]).encode() + b"\r",
    ]
    result = await served.ingest(b"\n".join(lines))
    assert result["accepted"] == 2
    assert [each["line"] for each in result["refused"]] == [3, 4, 5, 6, 7, 8]
    assert all(each["reason"] for each in result["refused"])


async def test_gzip_is_read_and_its_abuse_is_refused(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = ndjson([event(1, log_request_datetime=at(served))])
    packed = gzip.compress(raw)
    assert (await served.ingest(packed, Content_Encoding="gzip"))["accepted"] == 1
    assert (await served.deliver(packed[:-9], Content_Encoding="gzip"))[0] == 400
    assert (await served.deliver(raw, Content_Encoding="gzip"))[0] == 400
    assert (await served.deliver(raw, Content_Encoding="br"))[0] == 415
    monkeypatch.setattr(ingestion, "DECODED_LIMIT", 1 << 20)
    bomb = gzip.compress(b" " * (2 << 20))
    assert (await served.deliver(bomb, Content_Encoding="gzip"))[0] == 413
    assert (await served.deliver(b"\xff\xfe\x00"))[0] == 400
    assert (await served.get("log/search"))["total_count"] == 1


async def test_a_body_above_the_limit_is_refused(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "BODY_LIMIT", 1000)
    assert (await served.deliver(b" " * 2000))[0] == 413


async def test_an_ingest_key_is_required_where_one_is_set() -> None:
    async with serving(ingest_key="secret") as served:
        line = [event(1, log_request_datetime=at(served))]
        assert (await served.deliver(line))[0] == 401
        assert (await served.deliver(line, X_Ingest_Key="wrong"))[0] == 401
        assert (await served.deliver(line, X_Ingest_Key="secret"))[0] == 200


async def test_deliveries_are_turned_away_while_shutting_down(served: Served) -> None:
    served.context.closing = True
    assert (await served.deliver([]))[0] == 503


async def test_the_views_tie_out_with_amounts_beyond_64_bits(served: Served) -> None:
    """Logs, summary, ledger, account, graph and breakdown say the same exact number."""
    await served.ingest(
        event(number, log_request_datetime=at(served), log_total_bytes=2**63 - 1)
        for number in range(1, 6)
    )
    total = 5 * (2**63 - 1)
    summary = (await served.get("log_summary/search"))["data"][0]
    assert summary["log_summary_bytes"] == summary["log_summary_charged_bytes"] == total
    ledger = await served.get("residential_ledger/search", residential_ledger_reason="usage")
    assert ledger["data"][0]["residential_ledger_bytes"] == -total
    found = await served.get("residential_ledger/search", residential_ledger_bytes=-total)
    assert found["total_count"] == 1
    account = (await served.get("residential/summary"))["data"]
    assert account["residential_bytes_used"] == total
    assert account["residential_bytes_left"] == account["residential_bytes"] - total
    customer = (await served.get("customer/retrieve"))["data"]
    assert customer["residential_bytes_left"] == account["residential_bytes_left"]
    user = (await served.get("proxy_user/retrieve/alice"))["data"]
    assert user["proxy_user_residential_bytes_used"] == total
    day = format_instant(floor_day(served.now_us))
    points = (await served.get("analytics/graph"))["data"]["points"]
    assert {point["datetime"]: point["bytes"] for point in points}[day] == total
    parts = (await served.get("analytics/breakdown"))["data"]
    assert parts["totals"]["bytes"] == parts["networks"][0]["bytes"] == total


async def test_money_is_booked_once_and_shown_with_its_adjustment(served: Served) -> None:
    before = (await served.get("mobile/summary"))["data"]["mobile_bytes"]
    order: dict[str, Any] = {
        "customer_id": 1001,
        "network": "mobile",
        "kind": "top_up",
        "bytes": 70,
    }
    first = await served.control("money", **order, idempotency_key="k")
    assert first[0] == 200
    assert await served.control("money", **order, idempotency_key="k") == first
    assert await served.control("money", **{**order, "bytes": 70.0}, idempotency_key="k") == first
    other = await served.control("money", **{**order, "bytes": 71}, idempotency_key="k")
    assert other[0] == 409
    refund = await served.control(
        "money", **{**order, "kind": "refund", "bytes": -20}, idempotency_key="r"
    )
    assert refund[0] == 200
    assert (await served.get("mobile/summary"))["data"]["mobile_bytes"] == before + 50
    row = (await served.get(f"mobile_ledger/retrieve/{refund[1]['ledger_id']}"))["data"]
    assert (row["mobile_ledger_reason"], row["mobile_ledger_bytes"]) == ("adjustment", -20)
    adjustment = await served.get(f"service_adjustment/retrieve/{row['service_adjustment_id']}")
    assert adjustment["data"]["service_adjustment_is_administrator"] is True
    for wrong in (
        {"bytes": "70"},
        {"bytes": -1},
        {"network": "isp"},
        {"kind": "gift"},
        {"customer_id": 5},
        {"service_id": "x"},
        {"extra": 1},
        {"bytes": 2**90},
        {"bytes": 7.5},
        {"bytes": 1e300},
    ):
        status, _ = await served.control("money", **{**order, **wrong}, idempotency_key="w")
        assert status in (400, 404, 422), wrong
    assert (await served.get("mobile/summary"))["data"]["mobile_bytes"] == before + 50


async def test_the_clock_moves_forward_only(served: Served) -> None:
    status, body = await served.control("clock", advance_s=3600)
    assert status == 200
    moved = body["now"]
    assert (await served.control("clock", now="2001-01-01 00:00:00"))[0] == 422
    assert (await served.control("clock", advance_s=-1))[0] == 422
    assert (await served.control("clock", now="soon"))[0] == 400
    assert (await served.control("clock", later=1))[0] == 400
    assert (await served.control("clock", advance_s=False))[0] == 400
    assert (await served.control("clock"))[1]["now"] >= moved


async def test_logs_leave_every_view_at_seven_days_and_totals_stay(served: Served) -> None:
    sent = event(1, log_request_datetime=at(served), log_total_bytes=9)
    await served.ingest([sent])
    window: dict[str, Any] = {
        "period_start": format_instant(floor_day(served.now_us)),
        "period_end": format_instant(floor_day(served.now_us) + DAY_US),
    }
    before = (await served.get("analytics/graph", **window))["data"]
    await served.move_to(served.now_us + 7 * DAY_US - 60 * SECOND_US)
    assert (await served.get("log/search"))["total_count"] == 1
    await served.control("clock", advance_s=120)
    assert (await served.get("log/search"))["total_count"] == 0
    assert (await served.ask(f"log/retrieve/{sent['log_id']}"))[0] == 404
    assert (await served.get("analytics/graph", **window))["data"] == before
    queries: tuple[dict[str, Any], ...] = ({"interval": "hour"}, {"service_id": "x"})
    for query in queries:
        assert (await served.ask("analytics/graph", **window, **query))[0] == 422
    await served.control("clock", advance_s=86400 * 90)
    row = (await served.get("log_summary/search"))["data"][0]
    assert (row["log_summary_hostname"], row["log_summary_bytes"]) == (None, 9)
    assert (await served.get("analytics/graph", **window))["data"] == before
    assert (await served.ask("analytics/graph", **window, hostname="apple.com"))[0] == 422
    assert (await served.control("maintenance"))[1] == {
        "logs_deleted": 0,
        "summaries_consolidated": 0,
    }


async def test_windows_join_without_overlap(served: Served) -> None:
    """[a, b) and [b, c) are [a, c), with an event exactly at b."""
    b = served.now_us // HOUR_US * HOUR_US - HOUR_US
    await served.ingest(
        event(number, log_request_datetime=format_instant(b + offset))
        for number, offset in enumerate((-SECOND_US, 0, SECOND_US), 1)
    )

    async def requests(start: int, end: int) -> int:
        body = await served.get(
            "analytics/graph",
            interval="minute",
            period_start=format_instant(start),
            period_end=format_instant(end),
        )
        return sum(point["requests"] for point in body["data"]["points"])

    assert await requests(b - HOUR_US, b) == 1
    assert await requests(b, b + HOUR_US) == 2
    assert await requests(b - HOUR_US, b + HOUR_US) == 3


async def test_a_proxy_user_is_made_edited_and_deleted(served: Served) -> None:
    status, made = await served.ask("proxy_user/create", method="POST", json={})
    assert status == 201
    user = made["created"][0]
    path = f"proxy_user/edit/{user}"
    metadata = {"team": "qa", "level": 3}
    edit = {"proxy_user_metadata": metadata, "proxy_user_residential_bytes_limit": 5}
    assert (await served.ask(path, method="PATCH", json=edit))[0] == 200
    row = (await served.get(f"proxy_user/retrieve/{user}"))["data"]
    assert (row["proxy_user_metadata"], row["proxy_user_residential_bytes_limit"]) == (metadata, 5)
    name = "proxy_user_metadata"
    assert (await served.get("proxy_user/search", **{f"{name}.exists_team": 1}))["total_count"] == 1
    assert (await served.get("proxy_user/search", **{f"{name}.level": 4}))["total_count"] == 0
    taken = await served.ask("proxy_user/create", method="POST", json={"proxy_user_id": user})
    assert taken[0] == 409
    assert (await served.ask(path, method="PATCH", json={"proxy_user_password": "x"}))[0] == 400
    assert (await served.ask(f"proxy_user/delete/{user}", method="DELETE"))[0] == 200
    assert (await served.ask(f"proxy_user/delete/{user}", method="DELETE"))[0] == 404
    assert (await served.ask(path + "x", method="PATCH", json={}))[0] == 404


async def test_control_hooks_are_disabled_by_default(served: Served) -> None:
    """Ordinary keys do not open them, and without --control there is nothing to open."""
    assert (await served.control("clock", key=served.a.private_key))[0] == 401
    closed = build_app(dataclasses.replace(served.context, control=False))
    paths = [resource.canonical for resource in closed.router.resources()]
    assert "/ingest/events" in paths
    assert not [path for path in paths if path.startswith("/control")]


async def test_a_damaged_store_gives_an_error_message_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "reference.sqlite3").write_bytes(b"this is no database" * 100)
    with pytest.raises(StartProblem, match="cannot use this as the store"):
        Store(tmp_path, tenants=2, behaviour=Behaviour())


async def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "reference.sqlite3")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StartProblem, match="another version"):
        Store(tmp_path, tenants=2, behaviour=Behaviour())


async def test_two_servers_do_not_share_a_directory(tmp_path: Path) -> None:
    async with serving(data=tmp_path):
        with pytest.raises(StartProblem, match="another reference is using"):
            Store(tmp_path, tenants=2, behaviour=Behaviour())
    async with serving(data=tmp_path) as served:
        assert (await served.get("log/search"))["total_count"] == 0


async def test_a_full_disk_refuses_and_keeps_what_was_accepted(served: Served) -> None:
    """The database is capped at its present size: the delivery gets 503, nothing is half there."""
    await served.ingest([event(1, log_request_datetime=at(served))])

    def cap(connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    await served.context.write(cap)
    status, body = await served.deliver(
        event(number, log_request_datetime=at(served), log_session_id="x" * 250)
        for number in range(2, 2000)
    )
    assert status == 503 and "Nothing of this request was kept" in body["message"]
    assert (await served.get("log/search"))["total_count"] == 1
    assert (await served.get("log_summary/search"))["data"][0]["log_summary_requests"] == 1
