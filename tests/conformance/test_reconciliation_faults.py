"""Traffic against a target that loses, duplicates, alters or invents events, or is late."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.embedded import PlainIngest, started, target_of
from tests.conformance.faulty_proxy import Change, RecordedBody, running_faulty_proxy, without
from tests.conformance.listed import ListedTraffic
from tests.conformance.test_reconciliation import events_of
from tests.journal_header import journal_in
from trueup.conformance.reconciliation import plan
from trueup.conformance.reconciliation.evaluate import judge_traffic
from trueup.conformance.reconciliation.run import TrafficOutcome, reconcile_traffic
from trueup.reports.journal.records import Exchange, OutcomeRange
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import CheckResult, Json, Outcome, Verdict
from trueup.scenarios.run.traffic import DeliveredEvents

pytestmark = pytest.mark.slow

Event = dict[str, Json]
Events = Sequence[Event]
LOGS, SUMMARIES, LEDGERS, GRAPH = (
    f"fleet-{view}-equal-sent" for view in ("logs", "summaries", "ledgers", "graph")
)


def unchanged(_answer: RecordedBody) -> None:
    """Change nothing."""


def given(events: Events, planted: Events = (), outcomes: Sequence[OutcomeRange] = ()) -> Any:
    """Return the traffic, with freshness probes as other traffic of the run."""
    beside = [DeliveredEvents(planted, outcomes)] if planted else []
    return ListedTraffic(events, beside=beside)


async def held(
    folder: Path,
    *,
    change_of: Callable[[Events], Change] = lambda _events: unchanged,
    sent: Callable[[Events], Any] = given,
    delivered: Callable[[Events], Events] = lambda events: events,
    options: Sequence[str] = (),
    count: int = 200,
    freshness_s: float = 0,
    budget: int = 5000,
) -> dict[str, CheckResult]:
    """Deliver events, reconcile them, and return the recomputed results by check."""
    with started(*options) as serving:
        events = events_of([tenant["customer_id"] for tenant in serving["tenants"]], count)
        traffic = sent(events)
        root = serving["url"].removesuffix("/1.0")
        async with (
            PlainIngest(serving["ingest_url"]) as ingest,
            running_faulty_proxy(root, change_of(events)) as url,
        ):
            handed = delivered(events)
            for first in range(0, len(handed), 50):
                await ingest.send(handed[first : first + 50])
            target = target_of(serving, folder, readings={"freshness-s": str(freshness_s)})
            target = dataclasses.replace(
                target,
                base_url=f"{url}/1.0",
                budget=dataclasses.replace(target.budget, requests=budget),
            )
            with journal_in(folder) as writer:
                outcome = await reconcile_traffic(target, writer=writer, sent=traffic, part="fleet")
    assert outcome.requests <= budget
    return recomputed(folder, outcome, traffic)


def recomputed(folder: Path, outcome: TrafficOutcome, traffic: Any) -> dict[str, CheckResult]:
    """Return the results, if the journal alone gives the same."""
    again, rows = judge_traffic(read_journal(folder / "journal.ndjson").records, traffic, "fleet")
    assert tuple(again) == outcome.results
    assert tuple(rows) == outcome.tie_outs
    return {result.check: result for result in outcome.results}


def verdicts(results: dict[str, CheckResult]) -> dict[str, Verdict]:
    return {check: result.verdict for check, result in results.items()}


def differences_of(result: CheckResult) -> str:
    """Return all differences of a result as text."""
    found = result.counterexample
    assert found is not None, result.reason
    lines = [f"{each.where}: {each.expected} / {each.seen}" for each in found.differences]
    return "\n".join([result.reason, *lines])


def ids(events: Events, *numbers: int) -> set[str]:
    return {str(events[number]["log_id"]) for number in numbers}


def fails(results: dict[str, CheckResult], *checks: str) -> None:
    """Assert that exactly these checks fail and the others pass."""
    assert verdicts(results) == {
        check: Verdict.FAIL if check in checks else Verdict.PASS for check in results
    }, [result.reason for result in results.values()]


# --- logs


@pytest.mark.parametrize("count", ["-1", "none", "500"])
async def test_logs_missing_from_searches_are_named_without_a_count(
    tmp_path: Path, count: str
) -> None:
    """Three logs are removed from lists, and there is no usable count."""

    def change_of(events: Events) -> Change:
        lost = ids(events, 3, 40, 111)

        def change(response: RecordedBody) -> None:
            without(response, lost)
            if response.path == "log/search":
                uncount(response, count)

        return change

    results = await held(tmp_path, change_of=change_of)
    fails(results, LOGS)
    events = events_of([1001, 1002], 200)
    for log_id in ids(events, 3, 40, 111):
        assert f"log {log_id}: 1 log / no log (lost)" in differences_of(results[LOGS])


def uncount(response: RecordedBody, how: str) -> None:
    """Remove a usable `total_count`; 500 for requests of the count alone."""
    if how == "none":
        response.body.pop("total_count", None)
    else:
        response.body["total_count"] = -1
    if how == "500" and response.query.get("per_page") == "1":
        response.status, response.body = 500, {"message": "no", "error": "no"}


async def test_a_target_that_never_counts_passes_if_all_logs_are_listed(tmp_path: Path) -> None:
    """`total_count` -1 is allowed: the ids are compared both ways instead."""
    results = await held(tmp_path, options=("--variant", "V12"))
    fails(results)
    assert results[LOGS].evidence >= 200


@pytest.mark.parametrize("count", ["-1", "500"])
async def test_too_many_logs_without_a_count_are_inconclusive(
    tmp_path: Path, count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither listed nor counted."""
    monkeypatch.setattr(plan, "ALL_LOGS_MOST", 10)
    monkeypatch.setattr(plan, "COUNTLESS_LOGS_MOST", 10)

    def change_of(_events: Events) -> Change:
        return lambda response: uncount(response, count) if response.path == "log/search" else None

    results = await held(tmp_path, change_of=change_of)
    assert results[LOGS].verdict is Verdict.INCONCLUSIVE
    assert "total_count" in results[LOGS].reason


async def test_a_lost_and_a_duplicate_log_do_not_cancel_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a tenant whose logs are only counted, each of the two is named."""
    monkeypatch.setattr(plan, "ALL_LOGS_MOST", 10)
    monkeypatch.setattr(plan, "SAMPLE_LOGS", 0)

    def change_of(events: Events) -> Change:
        (lost,), (doubled,) = ids(events, 8), ids(events, 57)
        assert events[8]["customer_id"] == events[57]["customer_id"]

        def change(response: RecordedBody) -> None:
            if response.path == "log/search":
                shown = at_once(response)
                response.body["total_count"] += (doubled in shown) - (lost in shown)
                double(response, doubled)
                without(response, {lost})

        return change

    everything: dict[str, Event] = {}

    def at_once(response: RecordedBody) -> set[str]:
        """Return the ids of all events of a search, on any page."""
        query = response.query
        return {
            log_id
            for log_id, event in everything.items()
            if query.get("min_log_request_datetime", "") <= str(event["log_request_datetime"])
            and str(event["log_request_datetime"]) <= query["max_log_request_datetime"]
            and query.get("proxy_user_id", event["proxy_user_id"]) == event["proxy_user_id"]
            and query.get("log_network", event["log_network"]) == event["log_network"]
            and any(row["customer_id"] == event["customer_id"] for row in response.rows)
        }

    def sent(events: Events) -> Any:
        everything.update({str(event["log_id"]): event for event in events})
        return given(events)

    results = await held(tmp_path, change_of=change_of, sent=sent)
    fails(results, LOGS)
    events = events_of([1001, 1002], 200)
    assert f"lost: {events[8]['log_id']}" in differences_of(results[LOGS])
    assert f"doubled: {events[57]['log_id']}" in differences_of(results[LOGS])


async def test_slices_have_about_the_intended_number_of_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four logs a slice, eight slices a tenant: some thirty of each hundred are compared."""
    monkeypatch.setattr(plan, "ALL_LOGS_MOST", 10)
    monkeypatch.setattr(plan, "SLICE_LOGS", 4)
    monkeypatch.setattr(plan, "SAMPLE_LOGS", 40)
    results = await held(tmp_path)
    fails(results)
    listed = int(results[LOGS].reason.partition("; ")[2].split()[0])
    assert 16 <= listed <= 100


def double(response: RecordedBody, log_id: str) -> None:
    """Show a log twice wherever it is shown."""
    response.body["data"] = [
        row for row in response.rows for _ in range(2 if row["log_id"] == log_id else 1)
    ]


async def test_time_slices_are_listed_if_there_are_too_many_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No check fails, and more is compared than single retrieves."""
    monkeypatch.setattr(plan, "ALL_LOGS_MOST", 10)
    monkeypatch.setattr(plan, "SLICE_LOGS", 20)
    results = await held(tmp_path)
    fails(results)
    searches = [
        record
        for record in read_journal(tmp_path / "journal.ndjson").records
        if isinstance(record, Exchange)
        and "log/search" in record.ask
        and "in pages of" in record.ask
    ]
    assert searches
    assert "counts" in results[LOGS].reason


async def test_duplicate_altered_and_foreign_logs_are_distinguished(tmp_path: Path) -> None:
    """One of each; each is named with its id."""
    stranger = "11111111-2222-4333-8444-555555555555"

    def change_of(events: Events) -> Change:
        (doubled,), (altered,), (copied,) = (ids(events, n) for n in (5, 6, 7))

        def change(response: RecordedBody) -> None:
            if response.path != "log/search" or response.status != 200:
                return
            double(response, doubled)
            for row in list(response.rows):
                if row["log_id"] == altered:
                    row["log_total_bytes"] += 1
                if row["log_id"] == copied:
                    response.rows.append({**row, "log_id": stranger})

        return change

    results = await held(tmp_path, change_of=change_of)
    assert results[LOGS].verdict is Verdict.FAIL
    events, said = events_of([1001, 1002], 200), differences_of(results[LOGS])
    assert f"log {events[5]['log_id']}: 1 log / 2 logs (doubled)" in said
    assert f"log {events[6]['log_id']} · log_total_bytes: 106 / 107 (altered)" in said
    assert f"log {stranger}: no such event / a log (foreign)" in said


async def test_rows_that_move_between_pages_are_neither_lost_nor_duplicate(tmp_path: Path) -> None:
    """Missing or duplicate on the pages of a long search, but present once in its second."""

    def change_of(events: Events) -> Change:
        (missed,), (twice,) = ids(events, 30), ids(events, 31)

        def change(response: RecordedBody) -> None:
            if response.path == "log/search" and "proxy_user_id" not in response.query:
                double(response, twice)
                without(response, {missed})

        return change

    fails(await held(tmp_path, change_of=change_of))


# --- summaries


def cell_of(row: dict[str, Any], event: Event) -> bool:
    """Return whether a summary row is the one of an event."""
    return (
        row["proxy_user_id"] == event["proxy_user_id"]
        and row["log_summary_network"] == event["log_network"]
        and row["log_summary_hostname"] == event["log_hostname"]
        and str(row["log_summary_period"])[:10] == str(event["log_request_datetime"])[:10]
        and row["customer_id"] == event["customer_id"]
    )


def same_cell(events: Events) -> tuple[Event, Event]:
    """Two events of one cell."""
    seen: dict[tuple[Json, ...], Event] = {}
    for event in events:
        key = (
            event["customer_id"],
            event["proxy_user_id"],
            event["log_network"],
            event["log_hostname"],
            str(event["log_request_datetime"])[:10],
        )
        if key in seen:
            return seen[key], event
        seen[key] = event
    raise AssertionError("no two events share a cell")


def amounts(event: Event, requests: int, total: int) -> Change:
    """Add to the summary of an event's cell."""

    def change(response: RecordedBody) -> None:
        if response.path == "log_summary/search":
            for row in response.rows:
                if cell_of(row, event):
                    row["log_summary_requests"] += requests
                    row["log_summary_successful"] += requests
                    row["log_summary_bytes"] += total

    return change


@pytest.mark.parametrize(
    ("requests", "factors", "words"),
    [
        (-1, (-1, 0), "not counted: {0}"),
        (1, (0, 1), "counted twice: {1}"),
        (0, (-1, 1), "{0} lost and {1} counted twice, or an amount altered"),
    ],
)
async def test_a_sum_that_differs_is_traced_to_the_event_by_its_bytes(
    tmp_path: Path, requests: int, factors: tuple[int, int], words: str
) -> None:
    """The cell's logs are correct; the bytes identify the event."""

    def change_of(events: Events) -> Change:
        one, other = same_cell(events)
        sizes = (int(str(each["log_total_bytes"])) for each in (one, other))
        return amounts(one, requests, sum(f * size for f, size in zip(factors, sizes, strict=True)))

    results = await held(tmp_path, change_of=change_of)
    assert results[SUMMARIES].verdict is Verdict.FAIL
    assert results[LOGS].verdict is Verdict.PASS
    one, other = same_cell(events_of([1001, 1002], 200))
    said = differences_of(results[SUMMARIES])
    assert "logs is correct" in said
    assert words.format(one["log_id"], other["log_id"]) in said


async def test_a_lost_event_is_named_in_summaries_too(tmp_path: Path) -> None:
    """One lost and one duplicate in another cell: each cell names its own."""
    results = await held(tmp_path, delivered=lambda events: [*events[:77], *events[78:]])
    fails(results, LOGS, SUMMARIES, GRAPH, *([LEDGERS] if 77 % 4 > 1 else []))
    log_id = str(events_of([1001, 1002], 200)[77]["log_id"])
    assert f"1 lost; lost: {log_id}" in differences_of(results[SUMMARIES])


async def test_an_event_that_was_not_sent_is_named_as_foreign(tmp_path: Path) -> None:
    """Its log has an id that was never sent."""
    stranger = "11111111-2222-4333-8444-555555555555"

    def delivered(events: Events) -> Events:
        return [*events, {**events[0], "log_id": stranger, "log_total_bytes": 3}]

    results = await held(tmp_path, delivered=delivered)
    assert f"1 too many; foreign: {stranger}" in differences_of(results[SUMMARIES])


async def test_a_copy_on_another_day_is_found(tmp_path: Path) -> None:
    """A summary row of the traffic's user on the day before, without a log."""
    seen: list[dict[str, Any]] = []

    def change_of(events: Events) -> Change:
        first = min(str(event["log_request_datetime"]) for event in events)[:10]

        def change(response: RecordedBody) -> None:
            if response.path != "log_summary/search":
                return
            day = response.query.get("min_log_summary_period", "")[:10]
            if day == first:
                seen.extend(response.rows[:1])
            if day and day < first and seen:
                copy = {**seen[0], "log_summary_period": f"{day} 00:00:00"}
                response.body |= {"data": [copy], "item_count": 1, "total_count": 1}

        return change

    # The copy is made of a row that was read before, so the first responses are unchanged.
    seen.clear()
    results = await held(tmp_path, change_of=change_of)
    assert results[SUMMARIES].verdict is Verdict.FAIL
    assert "without logs" in differences_of(results[SUMMARIES])


async def test_traffic_of_an_earlier_run_on_the_day_before_is_accepted(
    tmp_path: Path,
) -> None:
    """The same users on the day before, with other ids and their logs."""

    def delivered(events: Events) -> Events:
        first = min(str(event["log_request_datetime"]) for event in events)
        earlier = [
            {
                **event,
                "log_id": str(event["log_id"]).replace("c0ffee", "beefee"),
                "log_request_datetime": f"{day_before(first)} 23:10:00",
            }
            for event in events[:20]
        ]
        return [*events, *earlier]

    fails(await held(tmp_path, delivered=delivered))


def day_before(moment: str) -> str:
    return str(date.fromisoformat(moment[:10]) - timedelta(days=1))


# --- other traffic of the run


def probe_events(events: Events, count: int = 3) -> list[Event]:
    """Return events of another user on the days of the traffic."""
    return [
        {
            **events[0],
            "log_id": f"99999999-0000-4000-8000-00000000000{n}",
            "proxy_user_id": "trueup-freshness-x",
            "log_hostname": "freshness.marker.example",
            "log_total_bytes": 1024,
        }
        for n in range(count)
    ]


def with_probes(events: Events) -> Any:
    """Return the traffic beside three freshness probes that were accepted."""
    all_accepted = [OutcomeRange(first=0, count=3, outcome=Outcome.ACCEPTED)]
    return given(events, probe_events(events), all_accepted)


def read_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have only the cells of one user read, as if there were too many to read all."""
    monkeypatch.setattr(plan, "ALL_CELLS_MOST", 3)
    monkeypatch.setattr(plan, "SAMPLE_USERS", 1)


@pytest.mark.parametrize("whole", [True, False])
async def test_freshness_probes_never_replace_a_lost_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """Three probes and three lost events: as many requests as were sent, but a failure."""
    if not whole:
        read_a_sample(monkeypatch)

    def delivered(events: Events) -> Events:
        kept = [e for e in events if e["log_id"] not in ids(events, 0, 24, 48)]
        return [*kept, *probe_events(events)]

    results = await held(tmp_path, sent=with_probes, delivered=delivered)
    assert results[GRAPH].verdict is Verdict.FAIL
    assert results[LOGS].verdict is Verdict.FAIL


@pytest.mark.parametrize("whole", [True, False])
async def test_freshness_probes_alone_fail_no_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """If all is read it passes; a sample is inconclusive."""
    if not whole:
        read_a_sample(monkeypatch)

    results = await held(
        tmp_path, sent=with_probes, delivered=lambda events: [*events, *probe_events(events)]
    )
    if whole:
        fails(results)
        return
    assert Verdict.FAIL not in verdicts(results).values()
    assert results[SUMMARIES].verdict is Verdict.INCONCLUSIVE
    assert "budget.requests" in results[SUMMARIES].reason
    assert results[GRAPH].verdict is Verdict.INCONCLUSIVE


# --- time and budget


@pytest.mark.parametrize("view", ["log_summary/search", "log/search", "mobile_ledger/search"])
async def test_a_view_that_is_late_within_its_freshness_passes(tmp_path: Path, view: str) -> None:
    """The graph is complete at once; the other view after its eighth response."""

    def change_of(_events: Events) -> Change:
        asked = 0

        def change(response: RecordedBody) -> None:
            nonlocal asked
            if response.path == view:
                asked += 1
                if asked <= 8:
                    rows = response.rows[1:]
                    response.body |= {"data": rows, "item_count": len(rows)}
                    response.body["total_count"] = max(0, response.body["total_count"] - 1)

        return change

    fails(await held(tmp_path, change_of=change_of, freshness_s=20))


async def test_fewer_requests_are_sent_with_a_smaller_budget(tmp_path: Path) -> None:
    """A budget without room for two hundred retrieves is enough for a verdict."""
    fails(await held(tmp_path, budget=150))


async def test_what_does_not_fit_into_the_budget_is_inconclusive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Summaries that would take more than their share of the requests are sampled, and that is
    said."""
    monkeypatch.setattr(plan, "PER_PAGE", 1)
    monkeypatch.setattr(plan, "SAMPLE_USERS", 2)
    results = await held(tmp_path, budget=200)
    assert Verdict.FAIL not in verdicts(results).values()
    assert results[SUMMARIES].verdict is Verdict.INCONCLUSIVE
    assert "raise `budget.requests`" in results[SUMMARIES].reason
