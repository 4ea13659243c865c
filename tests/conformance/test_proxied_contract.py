"""Requests through a target's own proxies, as literal journals: what each law says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from tests.conformance.literal import START, LiteralJournal, page_of
from trueup.conformance.contract.interpretation import Interpretation
from trueup.conformance.contract.proxied import AFTER, BEFORE, probed_counting
from trueup.conformance.contract.proxied_counts import counted
from trueup.conformance.contract.target_time import TargetClock
from trueup.reports.journal.records import JudgePlan, ProxiedRequestSeen, ReadingSeen
from trueup.reports.results import CheckResult, Reading, Verdict

_USER = "u-proxied"
_LOGGED = "proxied-requests-are-logged"
_NAMED = "proxied-logs-name-the-request"
_EXITED = "proxied-logs-name-the-exit"
_OUTCOME = "proxied-logs-tell-the-outcome"
_BYTES = "proxied-bytes-are-the-traffic"
_SUMMED = "proxied-summaries-are-the-logs"
_CHARGED = "proxied-usage-is-in-the-ledger"


def request(number: int, **more: Any) -> ProxiedRequestSeen:
    """A complete request through a residential proxy, with a hostname of its own."""
    values: dict[str, Any] = {
        "number": number,
        "case": "download",
        "outcome": "complete",
        "tenant": "a",
        "user": _USER,
        "network": "residential",
        "protocol": ("connect", "forward", "socks")[number % 3],
        "hostname": f"r{number}.example",
        "client_address": "127.0.0.1",
        "country": "us",
        "asn": 7018,
        "began_at": f"{START:%Y-%m-%dT%H:%M:%S}Z",
        "ended_at": f"{START + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}Z",
        "status": None if number % 3 == 2 else 200,
        "handshake_sent": 0 if number % 3 == 1 else 170,
        "handshake_received": 0 if number % 3 == 1 else 39,
        "sent": 200 + number,
        "received": 10_000 + 7 * number,
        "origin_received": 200 + number,
        "origin_sent": 10_000 + 7 * number,
    }
    return ProxiedRequestSeen(**(values | more))


def log_of(made: ProxiedRequestSeen, **more: Any) -> dict[str, Any]:
    """The log that a correct target has of a request."""
    size = counted(made, "both")
    assert size is not None
    return {
        "log_id": f"00000000-0000-4000-8000-{made.number:012d}",
        "customer_id": 1001,
        "proxy_user_id": made.user,
        "log_network": made.network,
        "log_protocol": "socks" if made.protocol == "socks" else "http",
        "log_hostname": made.hostname,
        "log_client_ip_address": made.client_address,
        "log_total_bytes": size.most,
        "log_request_datetime": "2026-03-10 12:00:01",
        "log_authentication_type": 1,
        "country_id": "us",
        "city_alias": "dallas",
        "asn_id": 7018,
        "log_status_code": made.status,
        "log_error_code": None,
    } | more


def summary_of(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "log_summary_id": f"s-{row['log_id']}",
        "proxy_user_id": row["proxy_user_id"],
        "customer_id": 1001,
        "log_summary_network": row["log_network"],
        "log_summary_hostname": row["log_hostname"],
        "log_summary_requests": 1,
        "log_summary_bytes": row["log_total_bytes"],
        "log_summary_successful": 1,
        "log_summary_error": 0,
        "log_summary_period": "2026-03-10 00:00:00",
        "log_summary_creation_datetime": "2026-03-10 12:00:01",
        "log_summary_last_update_datetime": "2026-03-10 12:00:01",
    }


@dataclass
class Run:
    """What was sent, and what the target shows of it; each list may be changed."""

    requests: list[ProxiedRequestSeen] = field(
        default_factory=lambda: [request(n) for n in range(1, 13)]
    )
    logs: list[dict[str, Any]] = field(default_factory=list)
    summaries: list[dict[str, Any]] = field(default_factory=list)
    used: int = 0
    readings: dict[str, str] = field(default_factory=dict)

    def shown(self) -> Run:
        """Have the target show what a correct one shows."""
        self.logs = [log_of(made) for made in self.requests]
        self.summaries = [summary_of(row) for row in self.logs]
        self.used = sum(row["log_total_bytes"] for row in self.logs)
        return self

    def journal(self) -> LiteralJournal:
        story = LiteralJournal()
        plan = story.records[1]
        assert isinstance(plan, JudgePlan)
        story.records[1] = replace(plan, hooks=(*plan.hooks, "proxies"))
        for name, value in self.readings.items():
            reading = Reading(name=name, value=value, how="declared")
            story.records.insert(0, ReadingSeen(reading=reading))
        story.stage = BEFORE
        self._read(story, [], [], 0)
        story.records += self.requests
        story.stage = AFTER
        self._read(story, self.logs, self.summaries, self.used)
        return story

    @staticmethod
    def _read(
        story: LiteralJournal,
        logs: list[dict[str, Any]],
        summaries: list[dict[str, Any]],
        used: int,
    ) -> None:
        story.search("log", logs, walk=True, proxy_user_id=_USER)
        story.search("log_summary", summaries, walk=True, proxy_user_id=_USER)
        story.search("log_summary", summaries, walk=True, log_summary_network="residential")
        entry = {
            "residential_ledger_id": "l1",
            "residential_ledger_bytes": -used,
            "residential_ledger_reason": "usage",
            "residential_ledger_period_date": "2026-03-10",
        }
        story.search("residential_ledger", [entry] if used else [], walk=True)

    def results(self) -> dict[str, CheckResult]:
        return {n: r for n, r in self.journal().results().items() if r.level == 1}

    def failed(self) -> set[str]:
        return {name for name, result in self.results().items() if result.verdict is Verdict.FAIL}


def test_what_was_sent_and_is_shown_so_passes_with_its_evidence() -> None:
    results = Run().shown().results()
    assert {name: r.verdict for name, r in results.items()} == dict.fromkeys(
        (_LOGGED, _NAMED, _EXITED, _OUTCOME, _BYTES, _SUMMED, _CHARGED), Verdict.PASS
    )
    assert results[_LOGGED].evidence == results[_BYTES].evidence == 12


def _lose(run: Run) -> None:
    run.logs.pop()


def _double(run: Run) -> None:
    run.logs.append({**run.logs[0], "log_id": "00000000-0000-4000-8000-0000000000ff"})


def _add(run: Run) -> None:
    run.logs.append(
        {**run.logs[0], "log_id": "00000000-0000-4000-8000-0000000000ff", "log_hostname": "x.test"}
    )


def _change(**values: Any) -> Callable[[Run], None]:
    return lambda run: run.logs[0].update(values)


def _less(run: Run) -> None:
    run.logs[0]["log_total_bytes"] -= 1


def _summary(**values: Any) -> Callable[[Run], None]:
    return lambda run: run.summaries[0].update(values)


def _charge(run: Run) -> None:
    run.used += 1


@pytest.mark.parametrize(
    ("change", "checks"),
    [
        (_lose, {_LOGGED, _SUMMED}),
        (_double, {_LOGGED, _SUMMED}),
        (_add, {_LOGGED, _SUMMED}),
        (_less, {_BYTES, _SUMMED}),
        (_change(log_network="mobile"), {_NAMED, _SUMMED}),
        (_change(log_protocol="socks"), {_NAMED}),
        (_change(log_client_ip_address="127.0.0.9"), {_NAMED}),
        (_change(log_request_datetime="2026-03-10 14:00:01"), {_NAMED}),
        (_change(log_authentication_type=None), {_NAMED}),
        (_change(country_id="aq"), {_EXITED}),
        (_change(asn_id=1), {_EXITED}),
        (_change(city_alias="paris"), set()),  # not declared
        (_change(log_status_code=404), {_OUTCOME}),
        (_change(log_error_code="connection_terminated"), {_OUTCOME}),
        (_summary(log_summary_bytes=1), {_SUMMED}),
        (_summary(log_summary_requests=2), {_SUMMED}),
        (_charge, {_CHARGED}),
    ],
)
def test_each_difference_fails_its_check(change: Callable[[Run], None], checks: set[str]) -> None:
    run = Run().shown()
    change(run)
    assert run.failed() == checks


def test_a_count_of_one_direction_is_named_and_fails_unless_it_is_declared() -> None:
    run = Run().shown()
    for made, row in zip(run.requests, run.logs, strict=True):
        row["log_total_bytes"] = made.received
    result = run.results()[_BYTES]
    assert result.verdict is Verdict.FAIL
    assert result.reason.startswith(
        "download by forward, residential · r1.example · u-proxied · log_total_bytes: expected "
        "10,208 (sent 201, received 10,007, handshake 0 and 0), saw 10,007: what the client "
        "received, and nothing that it sent"
    )
    run.readings = {"proxied-bytes": "down"}
    assert run.results()[_BYTES].verdict is Verdict.PASS


@pytest.mark.parametrize("counting", ["both", "with-handshake", "origin"])
def test_which_bytes_count_is_found_out_from_complete_requests(counting: str) -> None:
    run = Run().shown()
    run.requests = [replace(made, origin_received=(made.sent + 9)) for made in run.requests]
    for made, row in zip(run.requests, run.logs, strict=True):
        row["log_total_bytes"] = (counted(made, counting) or (0, 0))[0]
    assert run.results()[_BYTES].verdict is Verdict.PASS
    records = run.journal().records
    reading = Interpretation.of({}, frozenset())
    found = probed_counting(records, reading, TargetClock.from_records(records, ""))
    assert found == counting


@pytest.mark.parametrize(
    ("declared", "is_logged", "verdict"),
    [
        ("either", False, Verdict.PASS),
        ("either", True, Verdict.PASS),
        ("logged", False, Verdict.FAIL),
        ("not-logged", True, Verdict.FAIL),
    ],
)
def test_a_refused_request_leaves_a_log_as_it_is_declared(
    declared: str, is_logged: bool, verdict: Verdict
) -> None:
    refused = request(
        1, outcome="refused", status=407, sent=0, received=0, origin_sent=None, origin_received=None
    )
    run = Run(readings={"proxied-refusals": declared}).shown()
    run.requests[0] = refused
    run.logs[0] = log_of(refused, log_error_code="http_request_denied")
    run.summaries[0] = summary_of(run.logs[0])
    if not is_logged:
        del run.logs[0], run.summaries[0]
    run.used = sum(row["log_total_bytes"] for row in run.logs)
    assert run.results()[_LOGGED].verdict is verdict


def test_what_was_underway_to_a_client_that_left_may_count_or_not() -> None:
    run = Run().shown()
    run.requests[0] = request(1, outcome="aborted", origin_sent=90_000, origin_received=201)
    for size, verdict in ((10_208, Verdict.PASS), (90_201, Verdict.PASS), (99_999, Verdict.FAIL)):
        run.logs[0]["log_total_bytes"] = size
        assert run.results()[_BYTES].verdict is verdict, size


def test_requests_that_were_not_made_leave_the_checks_undecided() -> None:
    run = Run().shown()
    run.requests = [replace(made, error="connection refused") for made in run.requests]
    run.logs = run.summaries = []
    run.used = 0
    results = run.results()
    assert results[_LOGGED].verdict is results[_BYTES].verdict is Verdict.INCONCLUSIVE
    assert "connection refused" in results[_LOGGED].reason


def test_a_listing_that_fails_leaves_its_checks_undecided() -> None:
    story = Run().shown().journal()
    story.get("log/search", None, status=500, walk=True, attempt=2, proxy_user_id=_USER)
    results = {n: r for n, r in story.results().items() if r.level == 1}
    assert {r.verdict for n, r in results.items() if n != _CHARGED} == {Verdict.INCONCLUSIVE}


def test_logs_from_before_are_left_out() -> None:
    run = Run().shown()
    story = run.journal()
    old = {**run.logs[0], "log_id": "00000000-0000-4000-8000-0000000000aa"}
    for place, record in enumerate(story.records):
        if getattr(record, "path", "").endswith("/log/search"):
            rows = [old] if getattr(record, "stage", "") == BEFORE else [old, *run.logs]
            story.records[place] = replace(record, body=page_of(rows, total=len(rows)))
    assert not [n for n, r in story.results().items() if r.level == 1 and r.verdict is Verdict.FAIL]


def test_a_target_whose_clock_is_elsewhere_is_not_judged_by_what_its_proxies_report() -> None:
    story = Run().shown().journal()
    for place, record in enumerate(story.records):
        if isinstance(record, JudgePlan):
            story.records[place] = replace(record, now="2026-07-01 12:00:00")
    results = [r for r in story.results().values() if r.level == 1]
    assert {r.verdict for r in results} == {Verdict.INCONCLUSIVE}
