"""Points that the documents leave open: each consistent behaviour conforms, others fail."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.conformance.literal import USER, LiteralJournal, event, page_of, summary
from trueup.conformance.checks.evaluate import judge_evaluation
from trueup.conformance.checks.registry import CHECKS
from trueup.conformance.contract.evaluation import evaluate
from trueup.reports.journal.records import Exchange, ReadingSeen
from trueup.reports.results import Reading, Verdict

FAILING = (Verdict.FAIL, Verdict.WARN)


def _not_passed(
    story: LiteralJournal, how: str = "declared", **readings: str
) -> dict[str, Verdict]:
    seen = [
        ReadingSeen(reading=Reading(name=name.replace("_", "-"), value=value, how=how))
        for name, value in readings.items()
    ]
    found = judge_evaluation(evaluate([*seen, *story.records], settled=True), CHECKS)
    return {each.check: each.verdict for each in found if each.verdict in FAILING}


def _change(story: LiteralJournal, action: str, status: int = 200) -> LiteralJournal:
    """Create or delete the user."""
    story.get(f"proxy_user/{action}/{USER}", {"message": "ok"}, status=status)
    made = story.records[-1]
    assert isinstance(made, Exchange)
    method = "DELETE" if action == "delete" else "POST"
    story.records[-1] = replace(made, method=method, request_body={"proxy_user_id": USER})
    return story


# --- deleted users

OLD, BETWEEN, NEW = event(1), event(2), event(3)


def _re_created() -> LiteralJournal:
    """Deliver for a user, delete it, deliver, create it again, deliver: one event each time."""
    story = _change(LiteralJournal().deliver(OLD), "delete").deliver(BETWEEN)
    return _change(story.later(), "create").deliver(NEW).later()


VIEWS = {
    "log/search": "logs-are-complete",
    "log_summary/search": "summaries-equal-logs",
    "analytics/graph": "graph-equals-sent",
    "analytics/breakdown": "parts-make-the-whole",
}
"""View → the check that fails where it lacks a request."""


def _show(story: LiteralJournal, view: str, *shown: dict[str, Any]) -> LiteralJournal:
    """Show these events and no others in a view."""
    row = {"requests": len(shown), "bytes": sum(each["log_total_bytes"] for each in shown)}
    times: dict[str, Any] = {
        "period_start": "2026-03-10 00:00:00",
        "period_end": "2026-03-11 00:00:00",
    }
    match view:
        case "log/search":
            return story.search("log", list(shown), proxy_user_id=USER)
        case "log_summary/search":
            changed = {"log_summary_last_update_datetime": "2026-03-10 12:01:05"}
            return story.search("log_summary", [summary(list(shown)) | changed], proxy_user_id=USER)
        case "analytics/graph":
            data = {"points": [row | {"datetime": "2026-03-10 00:00:00"}]}
            times["interval"] = "day"
        case _:
            data = {"networks": [row | {"network": "residential"}]}
    return story.get(view, {"message": "ok", "data": data}, proxy_user_id=USER, **times)


@pytest.mark.parametrize("view", VIEWS)
def test_where_deleted_users_are_removed_a_new_one_of_the_same_name_may_begin_anew(
    view: str,
) -> None:
    for shown in ([NEW], [BETWEEN, NEW], [OLD, BETWEEN, NEW]):
        assert _not_passed(_show(_re_created(), view, *shown), deleted_users="removed") == {}
    lost = _not_passed(_show(_re_created(), view, OLD), deleted_users="removed")
    assert lost == {VIEWS[view]: Verdict.FAIL}
    kept = _not_passed(_show(_re_created(), view, NEW), deleted_users="kept")
    assert kept == {VIEWS[view]: Verdict.FAIL}


def test_a_removed_user_leaves_consolidated_rows_and_its_usage_stays_in_the_ledger() -> None:
    story = _re_created().move_clock("2026-07-10 12:00:00", "past-90").later()
    shown = summary([NEW], log_summary_hostname=None)
    story.search("log_summary", [shown], proxy_user_id=USER)
    assert _not_passed(story, deleted_users="removed") == {}
    used = -sum(each["log_total_bytes"] for each in (OLD, BETWEEN, NEW))

    def ledger(size: int) -> LiteralJournal:
        row = {
            "residential_ledger_id": "l1",
            "customer_id": 1001,
            "residential_ledger_reason": "usage",
            "residential_ledger_bytes": size,
            "residential_ledger_requests": 3,
            "residential_ledger_period_date": "2026-03-10",
            "residential_ledger_creation_datetime": "2026-03-10 12:00:00",
            "residential_ledger_last_update_datetime": "2026-03-10 12:00:00",
        }
        story = LiteralJournal().search("residential_ledger", [])
        story.records += _re_created().records[2:]
        story.now, story.stage = story.now.replace(minute=30), "later"
        return story.search("residential_ledger", [row])

    assert _not_passed(ledger(used), deleted_users="removed") == {}
    wrong = _not_passed(ledger(-NEW["log_total_bytes"]), deleted_users="removed")
    assert "ledger-usage-is-the-traffic" in wrong


# --- what a target fills in

NO_STATUS = [event(1), event(2, log_status_code=None), event(3, log_status_code=404)]
FILLED = [NO_STATUS[0], NO_STATUS[1] | {"log_status_code": 200}, NO_STATUS[2]]


def _by_status(
    plain: list[dict[str, Any]], rows: list[dict[str, Any]], **more: str
) -> LiteralJournal:
    story = LiteralJournal().deliver(*NO_STATUS).later().search("log", plain, proxy_user_id=USER)
    return story.search("log", rows, proxy_user_id=USER, **more)


def test_a_filter_goes_by_what_the_target_filled_in() -> None:
    wanted = {"log_status_code": "200"}
    assert _not_passed(_by_status(FILLED, FILLED[:2], **wanted)) == {}
    assert _not_passed(_by_status(NO_STATUS, NO_STATUS[:1], **wanted)) == {}
    assert _not_passed(_by_status(FILLED, FILLED[:1], **wanted)).keys() == {"filters-are-exact"}
    null_listed = _by_status(NO_STATUS, NO_STATUS[:2], **wanted)
    assert _not_passed(null_listed).keys() == {"filters-are-exact"}
    other_filler = [FILLED[0], NO_STATUS[1] | {"log_status_code": 204}]
    inconsistent = _by_status(FILLED, other_filler, **wanted)
    assert "filters-are-exact" in _not_passed(inconsistent)


def test_a_filter_on_a_field_that_no_log_shows_is_open_where_nothing_was_sent() -> None:
    bare = [{n: v for n, v in e.items() if n != "log_session_id"} for e in NO_STATUS]
    for rows in (bare, []):
        assert _not_passed(_by_status(bare, rows, log_session_id="s")) == {}


def test_a_sort_order_goes_by_what_the_target_filled_in() -> None:
    page: dict[str, Any] = {"sort_by": "log_status_code", "page": "1", "per_page": "2"}
    story = LiteralJournal().deliver(*NO_STATUS).later().search("log", FILLED, proxy_user_id=USER)
    filled = {"total_count": 3, "item_count": 2, "per_page": 2, "page": 1, "message": "ok"}

    def sorted_page(*rows: dict[str, Any]) -> dict[str, Verdict]:
        body = filled | {"data": list(rows)}
        added = LiteralJournal(records=[*story.records][2:])
        added.now, added.numbers = story.now, story.numbers
        return _not_passed(added.get("log/search", body, proxy_user_id=USER, **page))

    assert sorted_page(FILLED[1], FILLED[0]) == {}
    assert sorted_page(FILLED[0], FILLED[2]).keys() == {"rows-are-sorted"}


@pytest.mark.parametrize(("filler", "errors"), [(200, 1), (502, 2), (502, 1)])
def test_errors_are_counted_by_the_status_that_was_filled_in_or_by_none(
    filler: int, errors: int
) -> None:
    """Three requests: one of 200, one without a status, one of 404."""
    filled = [NO_STATUS[0], NO_STATUS[1] | {"log_status_code": filler}, NO_STATUS[2]]
    story = LiteralJournal().deliver(*NO_STATUS).later().search("log", filled, proxy_user_id=USER)
    row = summary(NO_STATUS, log_summary_error=errors, log_summary_successful=3 - errors)
    assert _not_passed(story.search("log_summary", [row], proxy_user_id=USER)) == {}


# --- the ends of a graph

AT = ("2026-03-10 10:05:00", "2026-03-10 10:30:00", "2026-03-10 11:15:00", "2026-03-10 11:45:00")
FOUR = [event(n, log_request_datetime=at) for n, at in enumerate(AT)]
"""Events before and after the begin of the window of `_graph`, and before and after its end."""
SHOWN = {
    "exact": ([1], [2]),
    "whole-buckets": ([0, 1], [2, 3]),
    "whole-first": ([0, 1], [2]),
    "whole-last": ([1], [2, 3]),
}


def _graph(*hours: list[int]) -> LiteralJournal:
    """A graph by hour from 10:10 to 11:40 that shows these events in its two hours."""
    points = [
        {
            "datetime": f"2026-03-10 {10 + n}:00:00",
            "requests": len(events),
            "bytes": sum(4**each for each in events),
        }
        for n, events in enumerate(hours)
    ]
    return (
        LiteralJournal()
        .deliver(*FOUR)
        .later()
        .get(
            "analytics/graph",
            {"message": "ok", "data": {"points": points}},
            proxy_user_id=USER,
            period_start="2026-03-10 10:10:00",
            period_end="2026-03-10 11:40:00",
            interval="hour",
        )
    )


@pytest.mark.parametrize("reading", SHOWN)
def test_a_graph_shows_cut_intervals_as_it_was_read(reading: str) -> None:
    story = _graph(*SHOWN[reading])
    assert _not_passed(story) == {}
    assert _not_passed(story, "declared", graph_edges=reading) == {}
    assert _not_passed(story, "probed", graph_edges=reading) == {}
    for other in SHOWN.keys() - {reading}:
        assert _not_passed(story, "declared", graph_edges=other).keys() == {"readings-are-true"}
        assert Verdict.FAIL in _not_passed(story, "probed", graph_edges=other).values()


@pytest.mark.parametrize("hours", [([0, 1], []), ([1], [3]), ([0], [2]), ([1, 2], [2])])
def test_a_graph_that_shows_cut_intervals_in_no_way_fails(hours: tuple[list[int], ...]) -> None:
    assert Verdict.FAIL in _not_passed(_graph(*hours)).values()


# --- users that are created, deleted and created again


def _user_row(**more: Any) -> dict[str, Any]:
    made = {
        "proxy_user_id": USER,
        "customer_id": 1001,
        "proxy_user_is_deleted": False,
        "proxy_user_creation_datetime": "2026-03-10 12:00:00",
        "proxy_user_last_update_datetime": "2026-03-10 12:00:00",
    }
    return made | more


LATER = {"proxy_user_creation_datetime": "2026-03-10 12:02:00"}


def _users(story: LiteralJournal, *rows: dict[str, Any]) -> LiteralJournal:
    story.stage = f"stage-{story.numbers}"
    return story.later().search("proxy_user", list(rows), proxy_user_id=USER)


def test_a_user_that_is_created_again_may_have_a_new_creation_time() -> None:
    story = _users(_change(LiteralJournal(), "create"), _user_row())
    _change(story, "delete")
    story = _users(_change(story, "create"), _user_row(**LATER))
    assert _not_passed(story) == {}


def test_a_creation_time_that_changes_by_itself_fails_the_check_of_edits() -> None:
    story = _users(_change(LiteralJournal(), "create"), _user_row())
    story = _users(story.hook("restart"), _user_row(**LATER))
    assert _not_passed(story) == {"edits-change-what-they-name": Verdict.FAIL}


MARKED = _user_row(proxy_user_is_deleted=True)


@pytest.mark.parametrize("shown", [[], [MARKED]])
def test_a_deleted_user_that_a_restart_brings_back_fails(shown: list[dict[str, Any]]) -> None:
    def restarted(*rows: dict[str, Any]) -> dict[str, Verdict]:
        story = _users(_change(LiteralJournal(), "create"), _user_row())
        story = _users(_change(story, "delete"), *shown)
        return _not_passed(_users(story.hook("restart"), *rows))

    assert restarted(*shown) == {}
    assert restarted(MARKED) == {}
    assert restarted() == {}
    assert restarted(_user_row()) == {"edits-change-what-they-name": Verdict.FAIL}


def test_a_deleted_user_may_be_there_again_after_traffic_or_a_new_creation() -> None:
    for again in (
        lambda story: story.deliver(event(1)),
        lambda story: _change(story, "create"),
    ):
        story = _users(_change(LiteralJournal(), "create"), _user_row())
        story = again(_users(_change(story, "delete"), MARKED))
        assert _not_passed(_users(story, _user_row(**LATER))) == {}


# --- pages that are read while rows age out


@pytest.mark.parametrize(("total", "failed"), [(2, False), (3, True)])
def test_a_row_that_moved_to_an_earlier_page_when_another_aged_out_is_not_missing(
    total: int, failed: bool
) -> None:
    """Two pages of two rows; the first row of all goes before the second page is read."""
    logs = [event(n) for n in range(3)]
    story = LiteralJournal().deliver(*logs).later()
    for number, (rows, count) in enumerate([(logs[:2], 3), ([], total)], 1):
        body = page_of(rows, total=count, page=number) | {"per_page": 2}
        story.get("log/search", body, page=str(number), per_page="2", proxy_user_id=USER)
        made = story.records[-1]
        assert isinstance(made, Exchange)
        story.records[-1] = replace(made, ask="a:own log/search in pages of 2")
    assert ("logs-are-complete" in _not_passed(story)) is failed
