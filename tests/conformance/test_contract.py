"""The executable contract on literal journals: what was done, one response, and the verdict."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.conformance.literal import USER, LiteralJournal, event, page_of, summary
from trueup.conformance.checks.evaluate import judge_evaluation
from trueup.conformance.checks.registry import CHECKS
from trueup.conformance.contract.evaluation import evaluate
from trueup.reports.journal.records import Exchange, JudgePlan, ReadingSeen
from trueup.reports.results import Outcome, Reading, Verdict

THREE = [event(n) for n in range(3)]


def _read(
    story: LiteralJournal, logs: list[dict[str, Any]], *rows: dict[str, Any]
) -> LiteralJournal:
    """Read the user's logs and summaries, long after they were written."""
    story.later().search("log", logs, proxy_user_id=USER)
    return story.search("log_summary", list(rows), proxy_user_id=USER)


def test_a_correct_target_fails_nothing() -> None:
    story = _read(LiteralJournal().deliver(*THREE), THREE, summary(THREE))
    assert story.failed() == set()
    assert story.results()["logs-say-what-was-sent"].verdict is Verdict.PASS


def test_a_lost_event_is_one_failure_and_what_follows_is_blocked_by_it() -> None:
    story = _read(LiteralJournal().deliver(*THREE), THREE[:2], summary(THREE[:2]))
    assert story.failed() == {"logs-are-complete"}
    blocked = story.results()["summaries-equal-logs"]
    assert (blocked.verdict, blocked.blocked_by) == (Verdict.BLOCKED, "logs-are-complete")


def test_an_event_that_only_the_summary_lacks_is_the_summary_s_failure() -> None:
    story = _read(LiteralJournal().deliver(*THREE), THREE, summary(THREE[:2]))
    assert story.failed() == {"summaries-equal-logs"}


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("log_authentication_type", 2),
        ("log_status_code", 404),
        ("log_client_ip_address", "198.51.100.8"),
        ("log_request_datetime", "2026-03-10 11:00:01"),
        ("log_protocol", "socks"),
        ("city_alias", "paris"),
        ("asn_id", 7019),
        ("country_id", "fr"),
    ],
)
def test_a_field_that_says_something_else_fails(field: str, shown: object) -> None:
    story = _read(
        LiteralJournal().deliver(*THREE), [THREE[0] | {field: shown}, *THREE[1:]], summary(THREE)
    )
    assert story.failed() == {"logs-say-what-was-sent"}


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("log_request_datetime", "2026-03-10T11:00:00Z"),
        ("log_request_datetime", "2026-03-10 11:00:00.000"),
        ("country_id", "US"),
        ("log_hostname", "H1.TP-000001.test."),
    ],
)
def test_another_documented_form_of_a_value_is_right(field: str, shown: object) -> None:
    story = _read(
        LiteralJournal().deliver(*THREE), [each | {field: shown} for each in THREE], summary(THREE)
    )
    assert story.failed() == set()


def test_a_field_that_some_logs_show_must_be_shown_by_all_that_have_it() -> None:
    with_session = [event(n, log_session_id=f"s{n}") for n in range(3)]
    bare = {k: v for k, v in with_session[2].items() if k != "log_session_id"}
    story = _read(
        LiteralJournal().deliver(*with_session), [*with_session[:2], bare], summary(with_session)
    )
    assert story.failed() == {"logs-say-what-was-sent"}


def test_a_field_that_no_log_shows_is_left_out_by_the_target() -> None:
    with_session = [event(n, log_session_id=f"s{n}") for n in range(3)]
    story = _read(LiteralJournal().deliver(*with_session), THREE, summary(with_session))
    assert story.failed() == set()


@pytest.mark.parametrize("shown", [[None] * 3, ["paris"] * 3, ["paris", "rome", None]])
def test_what_a_target_shows_in_a_field_that_never_arrives_is_open(shown: list[str | None]) -> None:
    """The mapping of the target leaves `city_alias` out, and the target may fill it as it likes."""
    story = LiteralJournal()
    story.records = [
        replace(record, unsent=("city_alias",)) if isinstance(record, JudgePlan) else record
        for record in story.records
    ]
    logs = [each | {"city_alias": city} for each, city in zip(THREE, shown, strict=True)]
    assert _read(story.deliver(*THREE), logs, summary(THREE)).failed() == set()
    sent = _read(LiteralJournal().deliver(*THREE), logs, summary(THREE))
    assert sent.failed() == {"logs-say-what-was-sent"}


def test_what_is_read_too_soon_may_still_be_on_its_way() -> None:
    story = LiteralJournal().deliver(*THREE).search("log", THREE[:2], proxy_user_id=USER)
    result = story.results()["logs-are-complete"]
    assert result.verdict is Verdict.INCONCLUSIVE


def test_an_event_in_the_wrong_day_is_a_failure_of_the_day() -> None:
    late = [event(0, log_request_datetime="2026-03-09 23:59:59"), event(1)]
    wrong = summary([late[0], late[1]], log_summary_period="2026-03-10 00:00:00")
    story = _read(LiteralJournal().deliver(*late), late, wrong)
    assert story.failed() == {"day-of-the-request"}


def test_a_refused_good_event_that_is_delivered_again_alone_must_be_there() -> None:
    """Deliver a good and a bad event, refused as a whole; then the good one alone."""
    bad = event(9, log_total_bytes=-5)
    story = LiteralJournal().deliver(THREE[0], bad, outcome=Outcome.REFUSED).deliver(THREE[0])
    assert _read(story, [THREE[0]], summary(THREE[:1])).failed() == set()
    story = LiteralJournal().deliver(THREE[0], bad, outcome=Outcome.REFUSED).deliver(THREE[0])
    assert story.later().search("log", [], proxy_user_id=USER).failed() == {"logs-are-complete"}


def test_an_impossible_event_that_is_listed_fails_range() -> None:
    bad = event(9, log_total_bytes=-5)
    story = LiteralJournal().deliver(THREE[0]).deliver(bad, outcome=Outcome.REFUSED)
    story.later().search("log", [THREE[0], bad], proxy_user_id=USER)
    assert story.failed() == {"impossible-events-are-refused", "bodies-are-documented"}


def test_an_event_of_unknown_outcome_may_be_there_or_not_in_every_law() -> None:
    unknown = event(2)
    for there in (THREE[:2], THREE):
        story = LiteralJournal().deliver(*THREE[:2]).deliver(unknown, outcome=Outcome.UNKNOWN)
        assert _read(story, there, summary(there)).failed() == set()


def test_an_unknown_outcome_does_not_excuse_a_lost_event() -> None:
    story = LiteralJournal().deliver(*THREE[:2]).deliver(event(2), outcome=Outcome.UNKNOWN)
    assert _read(story, [THREE[0], THREE[2]], summary([THREE[0], THREE[2]])).failed() == {
        "logs-are-complete"
    }


def test_nothing_passes_where_every_event_was_refused() -> None:
    story = LiteralJournal().deliver(*THREE, outcome=Outcome.REFUSED)
    story.later().search("log", [], proxy_user_id=USER)
    passed = {n for n, r in story.results().items() if r.verdict is Verdict.PASS}
    assert not passed & {"logs-are-complete", "summaries-equal-logs", "filters-are-exact"}
    assert "every event was refused" in story.results()["logs-are-complete"].reason


@pytest.mark.parametrize("status", [None, 502, 503, 504, 429, 500])
def test_one_response_that_is_lost_or_from_a_gateway_fails_no_check(status: int | None) -> None:
    story = LiteralJournal().deliver(*THREE).later()
    story.get("log/search", None, status=status, proxy_user_id=USER)
    assert story.failed() == set()
    assert story.results()["logs-are-complete"].verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("text", ['{"error": "Unauth', ""])
def test_an_error_body_that_is_cut_cannot_be_judged_and_an_empty_one_fails(text: str) -> None:
    story = LiteralJournal().get("log/search", None, status=401, tenant="wrong")
    cut = story.records[-1]
    assert isinstance(cut, Exchange)
    story.records[-1] = replace(cut, body_text=text)
    assert story.failed() == (set() if text else {"errors-are-documented"})


def test_a_change_of_some_responses_is_judged_as_the_whole_journal_is() -> None:
    """A baseline that differs moves what a later ledger is held to."""
    story = LiteralJournal().search("residential_ledger", []).deliver(*THREE).later()
    entry = {
        "residential_ledger_id": "l-1",
        "residential_ledger_bytes": -21,
        "residential_ledger_reason": "usage",
        "residential_ledger_period_date": "2026-03-10",
    }
    story.stage = "week"
    story.search("residential_ledger", [entry])
    first = next(r for r in story.records if isinstance(r, Exchange))
    older = page_of([entry | {"residential_ledger_id": "l-0"}], total=1)
    changed = {first.n: replace(first, body=older)}
    whole = [changed.get(r.n, r) if isinstance(r, Exchange) else r for r in story.records]
    again = evaluate(story.records).with_changed(changed)
    assert judge_evaluation(again, CHECKS) == judge_evaluation(evaluate(whole), CHECKS)
    assert judge_evaluation(again, CHECKS) != judge_evaluation(evaluate(story.records), CHECKS)


def test_what_was_found_under_other_readings_is_not_taken_over() -> None:
    story = LiteralJournal().deliver(*THREE).later()
    story.get("log/search", page_of(THREE, total=3) | {"per_page": 50}, proxy_user_id=USER)
    assert story.failed() == {"pages-are-whole"}
    before = evaluate(story.records)
    fifty = Reading(name="per-page-most", value="50", how="probed")
    story.records.append(ReadingSeen(reading=fifty))
    assert story.failed() == set()
    again = evaluate(story.records, before=before)
    assert judge_evaluation(again, CHECKS) == judge_evaluation(evaluate(story.records), CHECKS)


def test_a_server_error_that_repeats_breaks_the_envelope() -> None:
    story = LiteralJournal().deliver(*THREE).later()
    for attempt in (1, 2, 3):
        story.get("log/search", None, status=500, attempt=attempt, proxy_user_id=USER)
    assert story.failed() == {"bodies-are-documented"}


@pytest.mark.parametrize(
    ("rows", "total", "failed"),
    [(2, 5, set()), (1, 3, set()), (0, 3, {"pages-are-whole"}), (1, 2, {"pages-are-whole"})],
)
def test_a_page_holds_at_least_what_was_sent(rows: int, total: int, failed: set[str]) -> None:
    """A list that others may have rows in as well: three rows are ours, each page has two."""
    story = LiteralJournal().deliver(*THREE).later()
    page = page_of(THREE[:rows], total=total, page=2) | {"per_page": 2}
    assert story.get("log/search", page, page="2", per_page="2").failed() == failed


def test_rows_out_of_order_beyond_a_page_boundary_fail_sort() -> None:
    logs = [event(n, log_total_bytes=10 * n + 1) for n in range(4)]
    story = LiteralJournal().deliver(*logs).later()
    story.search(
        "log", [logs[1], logs[0], *logs[2:]], proxy_user_id=USER, sort_by="log_total_bytes"
    )
    assert story.failed() == {"rows-are-sorted"}


def test_a_row_that_a_filter_keeps_out_fails_filter() -> None:
    story = _read(LiteralJournal().deliver(*THREE), THREE, summary(THREE))
    story.search("log", THREE, proxy_user_id=USER, min_log_total_bytes="4")
    assert story.failed() == {"filters-are-exact"}


def test_a_row_that_only_a_filter_loses_fails_filter() -> None:
    story = _read(LiteralJournal().deliver(*THREE), THREE, summary(THREE))
    story.search("log", THREE[2:], proxy_user_id=USER, min_log_total_bytes="4")
    assert story.failed() == {"filters-are-exact"}


def test_a_total_count_of_the_page_fails_page() -> None:
    story = LiteralJournal().deliver(*THREE).later()
    assert story.search("log", THREE, total=2, proxy_user_id=USER).failed() == {"pages-are-whole"}


def test_a_log_of_the_other_customer_fails_tenant() -> None:
    other = event(7, customer_id=1002)
    story = LiteralJournal().deliver(*THREE).deliver(other).later()
    assert story.search("log", [*THREE, other], proxy_user_id=USER).failed() == {
        "tenants-are-apart"
    }


def test_both_customers_pay_with_one_key_and_both_have_an_entry() -> None:
    entry = {
        "residential_ledger_id": "l-1",
        "residential_ledger_bytes": 1000,
        "residential_ledger_reason": "top_up",
        "residential_ledger_requests": 0,
        "residential_ledger_period_date": "2026-03-10",
        "residential_ledger_creation_datetime": "2026-03-10 12:00:05",
        "residential_ledger_last_update_datetime": "2026-03-10 12:00:05",
    }
    for there, failed in (([entry], set()), ([], {"payments-have-entries"})):
        story = LiteralJournal()
        for tenant in "ab":
            story.search("residential_ledger", [], tenant=tenant)
        story.pay(1000, "same-key").pay(1000, "same-key", tenant="b")
        story.later().search("residential_ledger", [entry])
        story.stage = "money"
        story.search("residential_ledger", there, tenant="b")
        assert story.failed() == failed


def test_a_user_s_log_of_the_second_customer_must_go_as_well() -> None:
    own, other = event(1), event(2, customer_id=1002)
    story = LiteralJournal().deliver(own).deliver(other)
    story.move_clock("2026-06-13 12:00:00", "past-90")
    story.later().search("log", [], proxy_user_id=USER)
    story.search("log", [other], tenant="b", proxy_user_id=USER)
    assert story.failed() == {"logs-are-removed"}


def test_a_hostname_after_90_days_fails_consolidation() -> None:
    story = LiteralJournal().deliver(*THREE).move_clock("2026-06-13 12:00:00", "past-90")
    story.later().search("log_summary", [summary(THREE)], proxy_user_id=USER)
    assert story.failed() == {"hostnames-are-removed"}


def test_a_consolidated_row_keeps_its_bytes() -> None:
    big = [event(0, log_total_bytes=2**33)]
    merged = summary(big, log_summary_hostname=None)
    story = LiteralJournal().deliver(*big).move_clock("2026-06-13 12:00:00", "past-90").later()
    assert story.search("log_summary", [merged], proxy_user_id=USER).failed() == set()
    story = LiteralJournal().deliver(*big).move_clock("2026-06-13 12:00:00", "past-90").later()
    wrong = merged | {"log_summary_bytes": 2**31 - 1}
    assert story.search("log_summary", [wrong], proxy_user_id=USER).failed() == {
        "consolidation-keeps-totals"
    }


def test_a_log_that_vanishes_before_its_time_fails_retention() -> None:
    story = LiteralJournal().deliver(*THREE).move_clock("2026-03-17 09:00:00", "week").later()
    assert story.search("log", THREE[1:], proxy_user_id=USER).failed() == {"logs-are-kept"}


def _graph(*points: tuple[str, int, int]) -> dict[str, Any]:
    rows = [{"datetime": at, "requests": n, "bytes": size} for at, n, size in points]
    return {"data": {"points": rows}, "message": "ok"}


def test_a_month_that_lacks_its_last_day_fails_the_graph() -> None:
    """Events on 31 January and 1 February; month graph over both."""
    days = [
        event(1, log_request_datetime="2026-01-31 05:00:00"),
        event(2, log_request_datetime="2026-02-01 05:00:00"),
    ]
    query: dict[str, Any] = {
        "period_start": "2026-01-01 00:00:00",
        "period_end": "2026-03-01 00:00:00",
        "interval": "month",
        "proxy_user_id": USER,
    }
    for january, failed in ((1, set()), (0, {"graph-equals-summaries"})):
        story = LiteralJournal()
        story.records[1] = story.records[1]
        story.move_clock("2026-03-10 12:00:00", "inject").deliver(*days).later()
        body = _graph(("2026-01-01 00:00:00", january, 4 * january), ("2026-02-01 00:00:00", 1, 16))
        assert story.get("analytics/graph", body, **query).failed() == failed


def test_a_year_s_month_does_not_hold_the_year_before() -> None:
    query: dict[str, Any] = {
        "period_start": "2025-03-01 00:00:00",
        "period_end": "2026-04-01 00:00:00",
        "interval": "month",
        "proxy_user_id": USER,
    }
    body = _graph(("2025-03-01 00:00:00", 1, 4), ("2026-03-01 00:00:00", 1, 4))
    story = LiteralJournal().deliver(event(1)).later().get("analytics/graph", body, **query)
    assert story.failed() == {"graph-equals-summaries"}


def test_a_retrieve_that_shows_another_value_than_the_search_fails_retrieve() -> None:
    story = _read(LiteralJournal().deliver(*THREE), THREE, summary(THREE))
    row = THREE[0] | {"city_alias": "paris"}
    story.get(f"log/retrieve/{row['log_id']}", {"data": row, "message": "ok"})
    assert story.failed() == {"retrieve-equals-search"}


def test_wrong_keys_that_are_served_fail_auth() -> None:
    story = LiteralJournal().get("log/search", page_of([], total=0), tenant="wrong")
    assert story.failed() == {"keys-are-required"}


def test_successes_and_errors_under_one_reading_throughout() -> None:
    """404 may count as a success or as an error, but not as both."""
    events = [event(n, log_status_code=404, log_hostname=f"h{n}.tp-000001.test") for n in range(6)]
    rows = [summary([each]) for each in events]
    success = {"log_summary_successful": 1, "log_summary_error": 0}
    assert _read(LiteralJournal().deliver(*events), events, *rows).failed() == set()
    lenient = [row | success for row in rows]
    assert _read(LiteralJournal().deliver(*events), events, *lenient).failed() == set()
    mixed = [*rows[:5], rows[5] | success]
    assert _read(LiteralJournal().deliver(*events), events, *mixed).failed() == {
        "errors-are-the-failed-requests"
    }


@pytest.mark.parametrize("shown", [{"log_summary_error": None}, {}])
def test_a_figure_that_other_summaries_show_must_not_be_left_out(shown: dict[str, Any]) -> None:
    bare = {k: v for k, v in summary(THREE[1:]).items() if k != "log_summary_error"} | shown
    bare |= {"log_summary_id": "s-2", "log_summary_hostname": "h2.tp-000001.test"}
    events = [THREE[0], *(each | {"log_hostname": "h2.tp-000001.test"} for each in THREE[1:])]
    rows = [summary(THREE[:1]), bare]
    story = _read(LiteralJournal().deliver(*events), events, *rows)
    assert "bodies-are-documented" in story.failed()


def test_a_figure_that_no_summary_shows_is_left_out_by_the_target() -> None:
    bare = {k: v for k, v in summary(THREE).items() if "datetime" not in k}
    assert _read(LiteralJournal().deliver(*THREE), THREE, bare).failed() == set()


def test_a_graph_point_must_have_the_start_of_its_interval() -> None:
    query: dict[str, Any] = {
        "period_start": "2026-03-10 00:00:00",
        "period_end": "2026-03-11 00:00:00",
        "interval": "day",
        "proxy_user_id": USER,
    }
    for at, failed in (("00:00:00", set()), ("01:00:00", {"windows-join"})):
        body = _graph((f"2026-03-10 {at}", 1, 4))
        story = LiteralJournal().deliver(event(1)).later()
        assert story.get("analytics/graph", body, **query).failed() == failed


def test_a_summary_that_a_search_shows_is_found_by_its_id() -> None:
    story = _read(LiteralJournal().deliver(*THREE), THREE, summary(THREE))
    path = f"log_summary/retrieve/{summary(THREE)['log_summary_id']}"
    story.get(path, {"error": "not_found", "message": "There is none."}, status=404)
    assert story.failed() - {"errors-are-documented"} == {"retrieve-equals-search"}


def test_a_log_of_an_earlier_run_may_be_retrieved_by_its_customer() -> None:
    """A search shows it to customer a; customer b must not see it."""
    old = event(7, proxy_user_id="someone", log_hostname="old.example")
    story = LiteralJournal().later().search("log", [old])
    story.get(f"log/retrieve/{old['log_id']}", {"data": old, "message": "Retrieved."})
    assert story.failed() == set()
    story.get(f"log/retrieve/{old['log_id']}", {"data": old, "message": "Retrieved."}, tenant="b")
    assert story.failed() == {"tenants-are-apart"}


@pytest.mark.parametrize(
    ("day", "failed"), [("2026-03-09", {"summaries-equal-logs"}), ("2026-03-10", set())]
)
def test_an_audit_judges_a_summary_by_its_id_only_on_days_whose_logs_it_has(
    day: str, failed: set[str]
) -> None:
    """Today's logs still come in, so that a summary may hold more than was read before it."""
    story = LiteralJournal()
    story.records = [
        replace(record, level=0) if isinstance(record, JudgePlan) else record
        for record in story.records
    ]
    logs = [event(0, log_request_datetime="2026-03-09 11:00:00")]
    story.later().search("log", logs, proxy_user_id=USER)
    row = summary(THREE, log_summary_period=f"{day} 00:00:00", log_summary_hostname="other.test")
    story.search("log_summary", [summary(logs), row])
    path = f"log_summary/retrieve/{row['log_summary_id']}"
    story.get(path, {"data": row, "message": "Retrieved."})
    assert story.failed() & {"summaries-equal-logs"} == failed


def test_a_change_whose_response_is_429_may_have_happened() -> None:
    """As with a lost response: an edit that was not confirmed leaves either value."""
    for status, failed in ((422, {"edits-change-what-they-name"}), (429, set())):
        story = LiteralJournal()
        body = {"proxy_user_id": USER, "proxy_user_enforce_https": False}
        story.change("proxy_user/create", body, status=201)
        story.change(f"proxy_user/edit/{USER}", {"proxy_user_enforce_https": True}, status=status)
        row = {"proxy_user_id": USER, "proxy_user_enforce_https": True}
        story.later().get(f"proxy_user/retrieve/{USER}", {"data": row, "message": "Retrieved."})
        assert story.failed() - {"errors-are-documented"} == failed


def test_an_entry_that_has_another_id_later_fails_the_ledger() -> None:
    entry = {
        "residential_ledger_id": "l-1",
        "residential_ledger_bytes": 1000,
        "residential_ledger_reason": "top_up",
        "residential_ledger_period_date": "2026-03-10",
    }
    for later, failed in (("l-1", set()), ("L-1", {"ledger-is-kept"})):
        story = LiteralJournal().search("residential_ledger", [])
        story.pay(1000, "key").later().search("residential_ledger", [entry])
        story.stage = "week"
        story.search("residential_ledger", [entry | {"residential_ledger_id": later}])
        assert story.failed() == failed


def test_a_time_that_no_calendar_has_is_no_value() -> None:
    odd = summary(THREE[1:], log_summary_last_update_datetime="2026-02-30 12:00:00")
    odd |= {"log_summary_id": "s-2", "log_summary_hostname": "h2.tp-000001.test"}
    events = [THREE[0], *(each | {"log_hostname": "h2.tp-000001.test"} for each in THREE[1:])]
    story = _read(LiteralJournal().deliver(*events), events, summary(THREE[:1]), odd)
    assert story.failed() == {"bodies-are-documented"}


def test_a_read_with_the_status_of_a_creation_is_not_documented() -> None:
    story = LiteralJournal().deliver(*THREE).later()
    story.get("residential/summary", {"data": {}, "message": "ok"}, status=201)
    assert "errors-are-documented" in story.failed()


def _points(*points: dict[str, Any]) -> LiteralJournal:
    return LiteralJournal().get(
        "analytics/graph",
        {"message": "ok", "data": {"points": list(points)}},
        period_start="2026-03-09 00:00:00",
        period_end="2026-03-10 00:00:00",
        interval="day",
    )


def test_successes_and_errors_add_up_in_points_without_requests_too() -> None:
    empty = {"datetime": "2026-03-09 00:00:00", "requests": 0, "bytes": 0}
    assert _points(empty | {"successful": 0, "error": 0}).failed() == set()
    assert _points(empty | {"successful": 1, "error": 0}).failed() == {"graph-splits-add-up"}


def test_a_point_without_a_time_among_others_fails() -> None:
    """Where no point has one, the target file may name another place."""
    point = {"datetime": "2026-03-09 00:00:00", "requests": 0, "bytes": 0}
    broken = point | {"datetime": "2026-03-32 00:00:00"}
    assert _points(point, broken).failed() == {"bodies-are-documented"}
    assert _points(broken, broken).failed() == set()


def test_an_account_that_is_not_shown_any_more_fails() -> None:
    figures = {"residential_bytes": 5, "residential_bytes_used": 2, "residential_bytes_left": 3}
    story = LiteralJournal(stage="baseline")
    story.get("residential/summary", {"message": "ok", "data": figures})
    story.search("residential_ledger", [])
    story.get("residential/summary", {"message": "ok", "data": figures})
    story.stage = "inject"
    story.deliver(event(0)).later()
    story.get("residential/summary", {"message": "no", "error": "no"}, status=404)
    assert "account-equals-ledger" in story.failed()


@pytest.mark.parametrize(("listed", "failed"), [(True, False), (False, True)])
def test_a_user_that_was_created_must_be_listed(listed: bool, failed: bool) -> None:
    story = LiteralJournal()
    story.get("proxy_user/create", {"message": "ok"})
    made = story.records[-1]
    assert isinstance(made, Exchange)
    story.records[-1] = replace(made, method="POST", request_body={"proxy_user_id": USER})
    story.later().search("proxy_user", [{"proxy_user_id": USER}][:listed], proxy_user_id=USER)
    assert ("edits-change-what-they-name" in story.failed()) is failed


def test_logs_with_ids_of_the_target_s_own_are_sorted_by_these() -> None:
    """A target can only sort by the id that it shows; the other order breaks the law."""
    own = [each | {"target_log_id": f"own-{9 - n}"} for n, each in enumerate(THREE)]
    for logs, failed in ((own[::-1], set()), (own, {"rows-are-sorted"})):
        story = LiteralJournal().deliver(*THREE).later()
        story.search("log", logs, proxy_user_id=USER, sort_by="log_id")
        assert story.failed() == failed


ODD: list[Any] = [None, True, -1, 10**30, 0.5, "", "no time", "9999-12-31 23:59:59", [], {}]


@pytest.mark.parametrize("hostname", ["h1.tp-000001.test", ""])
@pytest.mark.parametrize("column", sorted(summary(THREE)))
def test_a_summary_is_judged_whatever_it_shows(column: str, hostname: str) -> None:
    """Also where its day or its user cannot be read."""
    known = summary(THREE)
    for value in ODD:
        row = known | {"log_summary_hostname": hostname} | {column: value}
        story = _read(LiteralJournal().deliver(*THREE), THREE, known)
        story.get(f"log_summary/retrieve/{known['log_summary_id']}", {"data": row, "message": "ok"})
        story.search("log_summary", [row], proxy_user_id=USER)
        assert len(story.results()) == len(CHECKS)
        if column == "log_summary_period":
            assert story.failed(), value


@pytest.mark.parametrize("column", sorted(THREE[0]))
def test_a_log_is_judged_whatever_it_shows(column: str) -> None:
    for value in ODD:
        row = THREE[0] | {column: value}
        story = _read(LiteralJournal().deliver(*THREE), THREE, summary(THREE))
        story.get(f"log/retrieve/{THREE[0]['log_id']}", {"data": row, "message": "ok"})
        story.search("log", [row, *THREE[1:]], proxy_user_id=USER)
        assert story.failed(), value
