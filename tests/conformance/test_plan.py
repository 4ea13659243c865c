"""The plan of a run: what it does, when, and that nothing in it depends on the date of the run."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.conformance.plan_context import CUSTOMERS, NOW, PREFIX, context_at
from trueup.conformance.datasets.budget import planned_requests
from trueup.conformance.datasets.calendar import chosen_days
from trueup.conformance.datasets.coverage import coverage
from trueup.conformance.datasets.depth import SETTINGS, Depth
from trueup.conformance.datasets.dimensions import dimension
from trueup.conformance.datasets.event_times import moments, oldest
from trueup.conformance.datasets.operations import (
    Deliver,
    Operation,
    Pay,
    Plan,
    Restart,
    Together,
)
from trueup.conformance.datasets.plan import plan
from trueup.conformance.datasets.stage_reads import snapshots
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.observed.observations import context_of
from trueup.reports.journal.records import JudgePlan

DAYS = dimension("event", "day").names


def deliveries(operations: tuple[Operation, ...]) -> list[Deliver]:
    found = []
    for each in operations:
        if isinstance(each, Deliver):
            found.append(each)
        elif isinstance(each, Together):
            found += deliveries(each.operations)
    return found


def events_of(made: Plan, *stages: str) -> list[Event]:
    return [
        event
        for stage in made.stages
        if not stages or stage.name in stages
        for each in deliveries(stage.operations)
        for n, event in enumerate(each.events)
        if n not in each.refusable
    ]


@pytest.fixture(scope="module")
def standard() -> Plan:
    return plan(context_at(), Depth.STANDARD, 7)


def test_the_same_arguments_give_the_same_plan_and_another_seed_another() -> None:
    assert plan(context_at(), Depth.QUICK, 7) == plan(context_at(), Depth.QUICK, 7)
    assert plan(context_at(), Depth.QUICK, 7) != plan(context_at(), Depth.QUICK, 8)


def test_a_standard_run_at_level_4_reaches_every_class(standard: Plan) -> None:
    rows = coverage(standard, context_at(), [stage.name for stage in standard.stages])
    assert [(row.dimension, row.name, row.why) for row in rows if not row.reached] == []


@pytest.mark.parametrize("depth", [Depth.QUICK, Depth.STANDARD])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_plan_keeps_within_the_requests_of_its_depth(depth: Depth, seed: int) -> None:
    context = context_at()
    made = plan(context, depth, seed)
    most = SETTINGS[depth].requests
    assert most is not None
    assert planned_requests(context.customers, made.stages) <= most


def test_a_plan_keeps_within_the_requests_that_the_target_allows() -> None:
    context = context_at()
    made = plan(context, Depth.STANDARD, 7, requests=1_000)
    assert planned_requests(context.customers, made.stages) <= 1_000


def test_without_a_clock_the_classes_that_need_one_are_listed_with_their_level() -> None:
    context = context_at(level=2, without=("clock", "restart"))
    made = plan(context, Depth.STANDARD, 7)
    rows = coverage(made, context, [stage.name for stage in made.stages])
    why = {(row.dimension, row.name): row.why for row in rows if not row.reached}
    assert why["day", "29-february"] == "needs level 3"
    assert why["delivery", "after-restart"] == "needs level 4"
    assert why["age", "past-90"] == "needs level 3"
    assert [stage.name for stage in made.stages] == ["inject", "money"]


def test_a_stage_that_was_not_reached_takes_its_classes_with_it(standard: Plan) -> None:
    done = [stage.name for stage in standard.stages if stage.name != "day-29-february"]
    rows = {(row.dimension, row.name): row for row in coverage(standard, context_at(), done)}
    assert rows["day", "29-february"].why == "stage day-29-february was not reached"


def test_every_dataset_is_in_both_customers_under_the_same_user_names(standard: Plan) -> None:
    datasets: dict[str, set[object]] = {}
    users: dict[object, set[object]] = {}
    for stage in standard.stages:
        for each in deliveries(stage.operations):
            for event in each.events:
                datasets.setdefault(each.dataset, set()).add(event["customer_id"])
                users.setdefault(event["proxy_user_id"], set()).add(event["customer_id"])
    assert set(map(frozenset, datasets.values())) == {frozenset(CUSTOMERS.values())}
    alone = {str(user) for user, customers in users.items() if len(customers) == 1}
    assert {name.rpartition("-")[2] for name in alone} == {"a", "b"}


def test_every_user_begins_with_the_prefix_and_has_a_length_that_the_api_allows(
    standard: Plan,
) -> None:
    names = {str(event["proxy_user_id"]) for event in events_of(standard)}
    assert all(name.startswith(PREFIX) and 10 <= len(name) <= 32 for name in names)


def test_hostnames_are_no_longer_than_dns_allows(standard: Plan) -> None:
    hosts = {str(event["log_hostname"]) for event in events_of(standard)}
    assert max(map(len, hosts)) == 253
    assert max(len(label) for host in hosts for label in host.split(".")) == 63


def test_a_log_id_is_used_for_one_event_only_but_for_deliberate_repetitions(standard: Plan) -> None:
    contents: dict[object, set[str]] = {}
    for event in (e for s in standard.stages for d in deliveries(s.operations) for e in d.events):
        contents.setdefault(event["log_id"], set()).add(json.dumps(event, sort_keys=True))
    kinds = Counter(len(different) for different in contents.values())
    assert set(kinds) == {1, 2}
    assert kinds[2] < kinds[1] / 4


def test_a_batch_with_impossible_events_marks_exactly_those(standard: Plan) -> None:
    marked = 0
    mixed = [
        each
        for each in deliveries(standard.stages[0].operations)
        if len(each.refusable) < len(each.events)
    ]
    for each in mixed:
        for n, event in enumerate(each.events):
            size, at = event["log_total_bytes"], str(event["log_request_datetime"])
            assert isinstance(size, int)
            wrong = size < 0 or at > f"{NOW:%Y-%m-%d %H:%M:%S}" or "pigeon" in str(event)
            assert wrong == (n in each.refusable)
            marked += wrong
    assert marked > 6


def test_events_lie_between_the_late_bound_and_the_present_of_their_stage() -> None:
    context = context_at(late_days=2)
    made = plan(context, Depth.QUICK, 7)
    times = [str(event["log_request_datetime"]) for event in events_of(made, "inject")]
    assert min(times) >= f"{oldest(NOW, 2):%Y-%m-%d %H:%M:%S}"
    assert max(times) < f"{NOW:%Y-%m-%d %H:%M:%S}"


def test_moments_of_a_class_lie_where_its_name_says() -> None:
    found = moments(NOW, 7.0)
    assert {at.time().isoformat() for at in found["midnight"]} == {"00:00:00"}
    assert {at.time().isoformat() for at in found["midnight-1ms"]} == {"23:59:59.999000"}
    assert {(at.minute, at.second) for at in found["hour"]} == {(0, 0)}
    assert {at.date().isoformat() for at in found["day-3"]} == {"2026-11-27"}
    assert found["late-bound"] == [NOW - timedelta(days=7) + timedelta(minutes=30)]


def test_moments_shortly_after_midnight_are_still_in_the_past() -> None:
    now = datetime(2027, 1, 1, 0, 0, 2, tzinfo=UTC)
    found = moments(now, 7.0)
    assert set(found) == set(dimension("event", "time").names)
    assert max(at for own in found.values() for at in own) <= now - timedelta(seconds=5)


@pytest.mark.parametrize("hours", range(0, 24 * 400, 479))
def test_stages_follow_one_another_whenever_the_run_begins(hours: int) -> None:
    context = context_at(NOW + timedelta(hours=hours))
    made = plan(context, Depth.QUICK, 1)
    times = [context.now, *(stage.at for stage in made.stages if stage.at is not None)]
    assert times == sorted(times)
    assert len(set(times)) == len(times)
    reached = {name for stage in made.stages for _, own, name in stage.classes if own == "day"}
    assert reached == set(SETTINGS[Depth.QUICK].days)


def test_every_class_of_day_is_chosen_from_any_beginning() -> None:
    for days in range(0, 1500, 37):
        found = chosen_days(NOW + timedelta(days=days), DAYS)
        assert {day.name for day in found} == set(DAYS)


def test_the_chosen_days_are_those_of_the_calendar() -> None:
    found = {day.name: f"{day.midnight:%Y-%m-%d}" for day in chosen_days(NOW, DAYS)}
    assert found == {
        "month-end": "2027-02-01",
        "year-end": "2027-01-01",
        "29-february": "2028-02-29",
        "eu-summer": "2027-03-28",
        "eu-winter": "2027-10-31",
        "us-summer": "2027-03-14",
        "us-winter": "2027-11-07",
        "same-month": "2028-02-01",
    }


def test_events_lie_on_both_sides_of_a_chosen_midnight(standard: Plan) -> None:
    times = [str(event["log_request_datetime"]) for event in events_of(standard, "day-year-end")]
    assert {"2027-12-31 23:59:59", "2028-01-01 00:00:00", "2028-01-01 00:00:01"} <= set(times)


def test_what_was_acknowledged_before_the_restart_is_delivered_again_after_it(
    standard: Plan,
) -> None:
    operations = next(s.operations for s in standard.stages if s.name == "restart")
    at = operations.index(Restart())
    before = {e["log_id"] for d in deliveries(operations[:at]) for e in d.events}
    after = {e["log_id"] for d in deliveries(operations[at:]) for e in d.events}
    assert before < after


def test_payments_use_one_key_twice_and_the_key_of_the_other_customer(standard: Plan) -> None:
    payments: list[Pay] = []
    for stage in standard.stages:
        for each in stage.operations:
            payments += [each] if isinstance(each, Pay) else []
            if isinstance(each, Together):
                payments += [one for one in each.operations if isinstance(one, Pay)]
    keys = Counter(payment.key for payment in payments)
    assert max(keys.values()) >= 2
    shared = {p.key: {q.tenant for q in payments if q.key == p.key} for p in payments}
    assert {"a", "b"} in list(shared.values())
    assert all(p.bytes > 0 for p in payments if p.kind in ("purchase", "top_up"))
    assert {0, 1, 2**53 + 1} <= {p.bytes for p in payments}


def test_no_payment_is_planned_without_a_money_hook() -> None:
    made = plan(context_at(without=("money",)), Depth.QUICK, 7)
    assert not [o for stage in made.stages for o in stage.operations if isinstance(o, Pay)]


def test_what_is_not_claimed_is_not_asked_for() -> None:
    without = ("breakdown", "mobile", "customer", "proxy-user", "proxy-user-edit", "month-graph")
    made = plan(context_at(without=without), Depth.STANDARD, 7)
    asked = [request for stage in made.stages for request in stage.requests]
    paths = {request.path.split("/")[0] + "/" + request.path.split("/")[1] for request in asked}
    assert not paths & {"analytics/breakdown", "mobile/summary", "customer/retrieve"}
    assert not [path for path in paths if path.startswith(("mobile", "proxy_user"))]
    assert ("interval", "month") not in {pair for request in asked for pair in request.query}


def test_nothing_is_repeated_where_repetitions_are_not_recognised() -> None:
    made = plan(context_at(without=("deduplication",)), Depth.QUICK, 7)
    ids = Counter(event["log_id"] for event in events_of(made))
    assert set(ids.values()) == {1}


def test_a_target_with_one_customer_has_a_plan_too() -> None:
    made = plan(context_at(customers={"a": 1955}), Depth.QUICK, 7)
    assert {request.tenant for stage in made.stages for request in stage.requests} == {"a"}


def test_no_stage_asks_the_same_request_twice(standard: Plan) -> None:
    for stage in standard.stages:
        names = Counter(request.name for request in stage.requests)
        assert [name for name, count in names.items() if count > 1] == []


def test_a_context_is_all_that_a_plan_depends_on() -> None:
    context = context_at()
    twin = CheckContext(
        prefix=context.prefix,
        now=context.now,
        level=context.level,
        customers=dict(context.customers),
        claims=frozenset(sorted(context.claims, reverse=True)),
        hooks=frozenset(sorted(context.hooks, reverse=True)),
    )
    assert plan(twin, Depth.QUICK, 3) == plan(context, Depth.QUICK, 3)


def test_at_level_0_the_same_requests_are_made_twice_with_every_pair_of_keys() -> None:
    made = plan(context_at(level=0), Depth.STANDARD, 7)
    first, second = made.stages
    assert first.requests == second.requests
    assert not first.operations
    assert {request.tenant for request in first.requests} == {"a", "b"}
    foreign = {(f.source.tenant, f.request.tenant) for f in first.follow_ups}
    assert foreign == {("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")}


def test_an_account_whose_customer_number_is_not_known_is_only_read() -> None:
    nameless = replace(context_at(), customers={})
    made = plan(nameless, Depth.STANDARD, 7)
    assert {request.tenant for request in made.stages[0].requests} == {"a"}


@pytest.mark.parametrize(
    ("form", "first"), [("date", "2026-11-22"), ("datetime", "2026-11-22 00:00:00")]
)
def test_summaries_of_a_pool_are_asked_for_by_periods_in_the_form_of_the_target(
    form: str, first: str
) -> None:
    plan = JudgePlan(
        prefix=PREFIX, now=str(NOW), level=2, customers=CUSTOMERS, claims=("residential",)
    )
    context = context_of(plan, {"summary-period-form": form})
    asked = {
        dict(request.query)["min_log_summary_period"]
        for snapshot in snapshots(context, NOW)
        for request in snapshot
        if request.path == "log_summary/search"
    }
    assert asked == {first}


def test_no_search_asks_for_a_field_that_never_arrives() -> None:
    unsent = frozenset({"log_transport", "asn_id", "service_id"})
    made = plan(replace(context_at(), unsent=unsent), Depth.EXHAUSTIVE, 7)
    asked = [
        (request.path, name, value)
        for stage in made.stages
        for request in stage.requests
        for name, value in request.query
    ]
    of_logs = [(name, value) for path, name, value in asked if path == "log/search"]
    assert [name for name, _ in of_logs if name.endswith("city_alias")]
    for field in unsent:
        assert not [name for name, value in of_logs if field in name or field in value]
    graphs = [name for path, name, _ in asked if path.startswith("analytics/")]
    assert graphs and "service_id" not in graphs


def test_pages_beyond_usual_limits_hold_rows(standard: Plan) -> None:
    """The pages after 1,000 logs and 500 summaries, which a cap of a target would leave empty."""
    pages = {
        request.path: int(dict(request.query)["page"])
        for request in standard.stages[0].requests
        if "like_proxy_user_id" in dict(request.query) and "page" in dict(request.query)
        if dict(request.query).get("per_page") == "100"
        if dict(request.query)["like_proxy_user_id"] == f"{PREFIX}-%"
    }
    assert pages == {"log/search": 11, "log_summary/search": 6}
    for customer in CUSTOMERS.values():
        own = [e for e in events_of(standard, "inject") if e["customer_id"] == customer]
        cells = {
            (
                *(e["proxy_user_id"], e["log_network"], str(e["log_hostname"]).lower()),
                str(e["log_request_datetime"])[:10],
            )
            for e in own
        }
        assert len({e["log_id"] for e in own}) > 1_000
        assert len(cells) > 500
