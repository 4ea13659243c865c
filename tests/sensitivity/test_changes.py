"""A change is applied to every response that shows the thing, and to no other."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tests.sensitivity.recorded import Exchanges, log, page, recording
from trueup.conformance.sensitivity.changes import (
    Change,
    ListChange,
    RowChange,
    StatusChange,
    ValueChange,
    changed_exchanges,
)
from trueup.conformance.sensitivity.operators import ResponseOperator
from trueup.conformance.sensitivity.recording import ObjectKey, Recording
from trueup.reports.journal.records import Phase

SECOND = ObjectKey(view="log", customer="a", key="log-1-2")
FIRST = ObjectKey(view="log", customer="a", key="log-1-1")


def bodies(change: Change) -> dict[int, Any]:
    return {n: exchange.body for n, exchange in changed_exchanges(recording(), change).items()}


def ids(body: Any) -> list[str]:
    return [row["log_id"].removeprefix("log-") for row in body["data"]]


def test_a_wrong_value_is_in_searches_and_retrieves_from_its_stage_on() -> None:
    change = ValueChange(
        thing=SECOND, since=1, field=("log_total_bytes",), operator=ResponseOperator.ONE_MORE
    )
    changed = bodies(change)
    assert sorted(changed) == [1, 4, 8, 9, 10]
    assert changed[1]["data"][1]["log_total_bytes"] == 3
    assert changed[1]["data"][0] == log(1)
    assert changed[4]["data"]["log_total_bytes"] == 3

    later = ValueChange(
        thing=SECOND, since=8, field=("log_total_bytes",), operator=ResponseOperator.ONE_MORE
    )
    assert sorted(bodies(later)) == [8, 9, 10]


def test_a_value_that_only_retrieves_show_wrongly_stays_right_in_searches() -> None:
    change = ValueChange(
        thing=SECOND,
        since=1,
        field=("log_total_bytes",),
        operator=ResponseOperator.MISSING,
        actions=frozenset({"retrieve"}),
    )
    changed = bodies(change)
    assert sorted(changed) == [4, 9]
    assert "log_total_bytes" not in changed[4]["data"]


def test_a_lost_row_moves_the_rows_after_it_up_and_lowers_the_counts() -> None:
    changed = changed_exchanges(
        recording(), RowChange(thing=SECOND, since=1, operator=ResponseOperator.ROW_LOST)
    )
    body: dict[int, Any] = {n: exchange.body for n, exchange in changed.items()}
    assert sorted(body) == [1, 2, 3, 4, 5, 8, 9, 10]
    assert [ids(body[n]) for n in (1, 2, 3)] == [["1-1", "1-3"], ["1-4", "1-5"], []]
    assert ids(body[5]) == ["1-4", "1-5"], "the page that was asked alone follows"
    counts = [(b["item_count"], b["total_count"]) for b in (body[1], body[3], body[5], body[8])]
    assert counts == [(2, 4), (0, 4), (2, 4), (1, 1)]
    assert (changed[4].status, changed[9].status) == (404, 404)


def test_a_doubled_row_stands_twice_in_every_list_whose_pages_can_hold_it() -> None:
    changed = bodies(RowChange(thing=SECOND, since=8, operator=ResponseOperator.ROW_DOUBLED))
    assert ids(changed[10]) == ["1-2", "1-2", "1-1"]
    assert changed[10]["total_count"] == 3


def test_a_row_of_the_other_customer_follows_the_row_in_its_lists() -> None:
    change = RowChange(
        thing=SECOND, since=8, operator=ResponseOperator.FOREIGN_ROW, row=log(1, customer=2)
    )
    assert ids(bodies(change)[10]) == ["1-2", "2-1", "1-1"]


def test_one_question_alone_can_lose_a_row() -> None:
    change = ListChange(
        ask="sorted", place=("data",), since=1, operator=ResponseOperator.ROW_LOST, one=FIRST
    )
    changed = bodies(change)
    assert sorted(changed) == [10]
    assert ids(changed[10]) == ["1-2"]


def test_rows_are_swapped_in_one_question_across_a_page_boundary() -> None:
    change = ListChange(
        ask="all logs",
        place=("data",),
        since=1,
        operator=ResponseOperator.ROWS_SWAPPED,
        one=SECOND,
        other=ObjectKey(view="log", customer="a", key="log-1-3"),
    )
    changed = bodies(change)
    assert sorted(changed) == [1, 2]
    assert [ids(changed[1]), ids(changed[2])] == [["1-1", "1-3"], ["1-2", "1-4"]]


def test_a_lost_page_boundary_leaves_out_the_first_row_of_page_2_and_no_count() -> None:
    change = ListChange(
        ask="all logs", place=("data",), since=1, operator=ResponseOperator.PAGE_BOUNDARY
    )
    changed = bodies(change)
    assert sorted(changed) == [2]
    assert ids(changed[2]) == ["1-4"]
    assert (changed[2]["item_count"], changed[2]["total_count"]) == (1, 5)


def test_a_point_of_a_graph_is_found_by_its_time_and_filters() -> None:
    run = recording()
    point = next(t for t in run.shown if t.view == "graph" and t.key.startswith("2026-03-01 11"))
    change = ValueChange(thing=point, since=1, field=("bytes",), operator=ResponseOperator.DOUBLED)
    assert bodies(change)[7]["data"]["points"][1]["bytes"] == 30
    lost = bodies(RowChange(thing=point, since=1, operator=ResponseOperator.ROW_LOST))
    assert [p["datetime"] for p in lost[7]["data"]["points"]] == ["2026-03-01 10:00:00"]


def test_another_status_keeps_the_body_unless_one_is_given() -> None:
    ask = recording().exchanges[11].ask
    changed = changed_exchanges(recording(), StatusChange(ask=ask, since=1, old=404, new=400))
    assert [exchange.status for exchange in changed.values()] == [400]
    allowed = StatusChange(ask=ask, since=1, old=404, new=200, body={"data": log(5)})
    assert bodies(allowed) == {11: {"data": log(5)}}


def test_the_recorded_exchanges_are_left_as_they_were() -> None:
    run, fresh = recording(), recording()
    for operator in (ResponseOperator.ROW_LOST, ResponseOperator.ROW_DOUBLED):
        changed_exchanges(run, RowChange(thing=SECOND, since=1, operator=operator))
    assert run.exchanges == fresh.exchanges


def test_responses_of_reconciled_traffic_and_after_the_checks_are_not_changed() -> None:
    run = Exchanges()
    row = page([log(1)], total=1)
    run.add("log/search", row, stage="traffic fleet", ask="of the fleet")
    run.add("log/search", row, stage="first")
    run.records.append(Phase(name="judge first", state="end", at=""))
    run.add("log/search", row, stage="freshness", ask="beside a load")
    assert list(Recording(run.records).exchanges) == [2]


def test_attempts_that_a_later_one_replaced_are_not_changed() -> None:
    run = Exchanges()
    body = page([log(1)], total=1)
    for attempt, status in ((1, 200), (2, 429), (2, 200)):
        n = run.add("log/search", body, stage="first", status=status, ask="again")
        run.records[n] = replace(run.records[n], attempt=attempt)
    assert list(Recording(run.records).exchanges) == [3]
