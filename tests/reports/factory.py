"""Synthetic journals: every kind of verdict, a load run, hostile text, an interrupted run."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final

import msgspec
import numpy as np

from trueup.reports.journal.records import (
    SCHEMA,
    CoverageSeen,
    Delivered,
    EventCounts,
    Exchange,
    FleetDeclared,
    GeneratorUsage,
    Header,
    LatencyHistograms,
    LoadResult,
    LoadTimeline,
    OutcomeRange,
    Phase,
    PlannedLoad,
    ReadingSeen,
    Record,
    RequestCounts,
    Result,
    TieOutSeen,
)
from trueup.reports.journal.storage import Journal, JournalWriter, read_journal
from trueup.reports.metrics.histogram import Histogram
from trueup.reports.results import (
    CheckResult,
    Counterexample,
    CoverageRow,
    Difference,
    Impact,
    LoadThreshold,
    Outcome,
    Reading,
    TieOut,
    Verdict,
)

__all__ = [
    "COVERAGE",
    "HOSTILE",
    "PASSES",
    "RESULTS",
    "changed_load",
    "failing_result",
    "journal",
    "load_result",
    "records",
]

HOSTILE: Final = (
    "</script><script>alert('owned')</script><img src=x onerror=alert(1)> \x1b[31mred\x00"
    " ]]> --> {{ 7*7 }} | `rm -rf` $(id) \u202ereversed"
)
"""Text of a response that breaks a renderer which prints it as it is."""

_PASS: Final[tuple[tuple[str, str, str, int], ...]] = (
    ("AUTH", "keys-required", "Keys are required on every documented path.", 24),
    ("BALANCE", "balance-is-ledger-sum", "Account figures are the sum of the ledger.", 8),
    ("CONSOL", "consolidation-keeps-totals", "After 90 days the hostname is gone and every "
     "counter per user, network and day is what it was.", 96),
    ("DAY", "day-of-request", "An event counts in the day of its request, whenever it came.", 64),
    ("ENVELOPE", "envelopes-documented", "Bodies have the documented envelopes.", 211),
    ("FILTER", "filters-exact", "Rows satisfy the filter and no matching row is left out.", 88),
    ("GRAPH=SENT", "graph-equals-sent", "Graph points are the events of their window.", 48),
    ("GRAPH=SUM", "graph-equals-summaries", "Graph points are the summaries of closed days.", 31),
    ("KEY", "one-row-per-key", "There is one summary row for each key.", 73),
    ("PAGE", "pages-are-complete", "All pages together have every row once.", 140),
    ("RETAIN-MAX", "logs-gone-after-bound", "A log is gone after the declared bound.", 12),
    ("RETAIN-MIN", "logs-kept-seven-days", "A log is there for seven days.", 12),
    ("RETRIEVE", "retrieve-equals-search", "Retrieve gives the row that search gave.", 40),
    ("SORT", "sort-both-ways", "The order asked for holds, both ways.", 36),
)  # fmt: skip
PASSES: Final = tuple(
    CheckResult(
        check=check,
        law=law,
        title=title,
        verdict=Verdict.PASS,
        reason="Everything seen is as expected.",
        clauses=(f"{law}-1",),
        level=2,
        evidence=evidence,
        evidence_needed=4,
    )
    for law, check, title, evidence in _PASS
)
RESULTS: Final = (
    CheckResult(
        check="summaries-equal-logs",
        law="SUM=LOG",
        title="Per proxy user, network, hostname and day, a summary's requests are the number of "
        "its logs and its bytes are their sum.",
        verdict=Verdict.FAIL,
        reason="One of 20 concurrent events on one key is missing from the summary: digit 7 of "
        "the total, read in base 4, is 0.",
        clauses=("SUMMARY-1", "SUMMARY-2"),
        level=2,
        impact=Impact.UNDER_CHARGE,
        grade="B",
        evidence=1204,
        evidence_needed=20,
        expected="20 requests, 366,503,875,925 bytes",
        seen="19 requests, 366,503,859,541 bytes",
        counterexample=Counterexample(
            differences=(
                Difference(
                    where="cx7-1 · residential · lost.conformance.test · 2025-04-01",
                    expected="20 requests",
                    seen="19 requests",
                ),
                Difference(where=HOSTILE, expected="16,384 bytes", seen=HOSTILE),
            ),
            events=(
                {
                    "log_id": "6f1c2a04-9b1e-4c59-8d10-0c7f3a1f6a01",
                    "proxy_user_id": "cx7-1",
                    "log_network": "residential",
                    "log_hostname": "lost.conformance.test",
                    "log_total_bytes": 16384,
                    "log_request_datetime": "2025-04-01 13:00:00",
                },
            ),
            exchanges=(2, 3),
        ),
    ),
    CheckResult(
        check="ledger-equals-summaries",
        law="LEDGER=SUM",
        title="A day's usage in a ledger is the sum of that day's summaries of its network.",
        verdict=Verdict.BLOCKED,
        reason="Summaries cannot be trusted while SUM=LOG fails.",
        blocked_by="summaries-equal-logs",
        impact=Impact.OVER_CHARGE,
        level=2,
    ),
    CheckResult(
        check="foreign-rows-hidden",
        law="TENANT",
        title="Nothing of one customer is visible to another.",
        verdict=Verdict.INCONCLUSIVE,
        reason="The second tenant has 2 events; at least 4 are needed to refute the law.",
        impact=Impact.PRIVACY,
        level=1,
        evidence=2,
        evidence_needed=4,
    ),
    CheckResult(
        check="money-in",
        law="MONEY-IN",
        title="Entries that are not usage are what was bought, topped up, refunded or adjusted.",
        verdict=Verdict.NOT_TESTABLE,
        reason="The target file claims top-ups but gives no way to make one.",
        impact=Impact.OVER_CHARGE,
        level=2,
    ),
    CheckResult(
        check="rate-limit-recovers",
        law="RATE",
        title="A client that waited after a 429 is served again.",
        verdict=Verdict.WARN,
        reason=f"429 carries no Retry-After; {HOSTILE}",
        evidence=3,
    ),
    CheckResult(
        check="charged-counters",
        law="CHARGED",
        title="Charged counters are the metered part.",
        verdict=Verdict.NOT_APPLICABLE,
        reason="The target gives no charged counters.",
    ),
)


COVERAGE: Final = CoverageSeen(
    rows=(
        CoverageRow(
            table="event",
            dimension="network",
            name="mobile",
            sentence="drawn from the mobile pool",
            reached=True,
        ),
        CoverageRow(
            table="event",
            dimension="age",
            name="older than 90 days",
            sentence="older than the retention of hostnames",
            reached=False,
            why="needs level 3",
        ),
        CoverageRow(
            table="request",
            dimension="operator",
            name="like_",
            sentence="a pattern with wildcards",
            reached=False,
            why="`filters` is not claimed",
        ),
    )
)


def failing_result(number: int, *, differences: int) -> CheckResult:
    """Return a failing check of a law of its own with so many differing cells."""
    return CheckResult(
        check=f"check-{number}",
        law=f"LAW-{number}",
        title="Cells hold what was sent.",
        verdict=Verdict.FAIL,
        reason=f"cell 0: expected 100, saw 0, and {differences - 1} more",
        evidence=differences,
        expected="100",
        seen="0",
        counterexample=Counterexample(
            differences=tuple(
                Difference(where=f"user-{number} · cell {cell}.", expected="100", seen=str(cell))
                for cell in range(differences)
            )
        ),
    )


def load_result(*, limited: bool = False, missed: bool = False) -> LoadResult:
    """A load run of 12 s at 2,000 requests/s with a slow moment at second 7."""
    seconds = tuple(
        {
            "t": float(t),
            "requests": 2000.0 - 40 * (t == 7),
            "events": 200000.0 - 4000 * (t == 7),
            "errors": 3.0 if t == 7 else 0.0,
            "p50_ms": 0.42 + 0.02 * math.sin(t),
            "p99_ms": 38.0 if t == 7 else 2.1 + 0.3 * math.cos(t),
        }
        for t in range(12)
    )
    return LoadResult(
        plan=PlannedLoad(
            scenario="load-steady",
            shape="constant 2,000/s",
            duration_s=12.0,
            warmup_s=2.0,
            rate_rps=2000.0,
            batch=100,
        ),
        requests=RequestCounts(completed=23960, bytes_sent=702028000, errors={"timed out": 3}),
        events=EventCounts(sent=2396000, accepted=2395700, refused=0, unknown=300, correct=2395700),
        latency=LatencyHistograms(
            response_ns=_histogram(420_000, spread=0.9),
            service_ns=_histogram(390_000, spread=0.8),
            lateness_ns=_histogram(9_000, spread=0.6),
            freshness_ns=_histogram(38_000_000, spread=0.3, count=400),
        ),
        timeline=LoadTimeline(seconds=seconds),
        generator=GeneratorUsage(
            engine="locust reactor",
            cpu_share=0.97 if limited else 0.41,
            limited=limited,
            null_sink_rps=52000.0,
        ),
        thresholds=(
            LoadThreshold(name="response p99", limit=25.0, value=6.1, unit="ms", ok=True),
            LoadThreshold(
                name="correct events per second",
                limit=250000.0 if missed else 150000.0,
                value=199600.0,
                unit="events/s",
                ok=not missed,
            ),
        ),
        reconcile_s=1.9,
    )


def changed_load(load: LoadResult, **parts: Any) -> LoadResult:
    """Return a load result with other values; a dict changes these fields of a nested record."""
    return msgspec.structs.replace(
        load,
        **{
            name: msgspec.structs.replace(getattr(load, name), **value)
            if isinstance(value, dict)
            else value
            for name, value in parts.items()
        },
    )


def _histogram(median_ns: float, *, spread: float, count: int = 23960) -> dict[str, int]:
    """A log-normal distribution without chance: its values at evenly spaced shares."""
    normal = NormalDist()
    values = [
        median_ns * math.exp(spread * normal.inv_cdf((i + 0.5) / count)) for i in range(count)
    ]
    histogram = Histogram()
    histogram.add(np.array(values, dtype=np.int64))
    return histogram.sparse()


def records(results: tuple[CheckResult, ...] = (*RESULTS, *PASSES)) -> tuple[Record, ...]:
    """Everything between header and footer of a full run, load aside."""
    tie_outs = tuple(
        TieOutSeen(part="fleet", row=row)
        for network, count, octets in (
            ("datacenter", 6021, 181_203_441),
            ("isp", 3988, 120_440_120),
            ("residential", 8012, 402_118_990),
            ("mobile", 1979, 58_110_204),
        )
        for row in _views(network, count, octets, lost=RESULTS[0] in results)
    )
    return (
        Phase(name="fleet", state="begin", at="2025-04-01T12:00:01Z"),
        FleetDeclared(
            fleet="main",
            profile="default",
            profile_sha256="0" * 64,
            model_version="1",
            seed=7,
            start="2025-04-01 00:00:00",
            customers=(1001, 1002),
        ),
        Delivered(
            source="fleet",
            fleet="main",
            at="2025-04-01T12:00:04Z",
            outcomes=(OutcomeRange(first=0, count=20000, outcome=Outcome.ACCEPTED),),
        ),
        Phase(name="fleet", state="end", at="2025-04-01T12:00:06Z"),
        Phase(name="conformance", state="begin", at="2025-04-01T12:00:06Z"),
        Delivered(
            source="probe",
            check="summaries-equal-logs",
            at="2025-04-01T12:00:07Z",
            outcomes=(
                OutcomeRange(first=0, count=20, outcome=Outcome.ACCEPTED),
                OutcomeRange(first=20, count=1, outcome=Outcome.UNKNOWN, reason="timed out"),
            ),
        ),
        Exchange(
            n=1, method="GET", path="/public/user/log/search", at="2025-04-01T12:00:08Z",
            tenant="a", status=200, body={"data": []}, elapsed_ms=2.5,
        ),
        Exchange(
            n=2, method="GET", path="/public/user/log/search", at="2025-04-01T12:00:08Z",
            query=(("proxy_user_id", "cx7-1"), ("log_hostname", HOSTILE)),
            tenant="a", check="summaries-equal-logs", status=200,
            body={"data": [{"log_hostname": HOSTILE, "log_total_bytes": 16384}],
                  "item_count": 20, "message": "Log search successful."},
            elapsed_ms=3.25,
        ),
        Exchange(
            n=3, method="GET", path="/public/user/log_summary/search",
            at="2025-04-01T12:00:09Z", query=(("proxy_user_id", "cx7-1"),),
            tenant="b", check="summaries-equal-logs", status=502,
            body_text="<html>" + HOSTILE + "x" * 200_000, content_type="text/html",
            elapsed_ms=1500.0,
        ),
        ReadingSeen(
            reading=Reading(
                name="usage-sign", value="negative", how="probed",
                why="The one usage entry seen is -4096.",
            )
        ),
        ReadingSeen(reading=Reading(name="expired-log", value=HOSTILE, how="declared")),
        *tie_outs,
        *(Result(result=result) for result in results),
        Phase(name="conformance", state="end", at="2025-04-01T12:00:21.500Z"),
        Phase(name="load", state="begin", at="2025-04-01T12:00:22Z"),
        Phase(name="load", state="end", at="2025-04-01T12:00:37Z"),
    )  # fmt: skip


def _views(network: str, count: int, octets: int, *, lost: bool) -> tuple[TieOut, ...]:
    ledger = f"{network}_ledger"
    lost = lost and network == "residential"
    views = ["logs", "summaries", "graph"]
    if network in ("residential", "mobile"):
        views.append(ledger)
    return tuple(
        TieOut(
            view=view,
            scope=network,
            expected_requests=count,
            seen_requests=count - (lost and view == "summaries"),
            expected_bytes=octets,
            seen_bytes=octets - 16384 * (lost and view == "summaries"),
            ok=not (lost and view == "summaries"),
        )
        for view in views
    )


def journal(
    folder: Path,
    results: tuple[CheckResult, ...] = (*RESULTS, *PASSES),
    *,
    load: tuple[LoadResult, ...] = (),
    extra: tuple[Record, ...] = (),
    declared: tuple[str, ...] = (),
    finish: bool = True,
    interrupted: bool = False,
    exit_status: int = 0,
    stopped_by: str = "",
    seed: int = 7,
    scenario: str = "everything",
    only: tuple[str, ...] = (),
) -> Journal:
    """Write a run's journal into `folder` and return it as read back."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "journal.ndjson"
    with JournalWriter(path) as writer:
        writer.write(
            Header(
                trueup="0.1.0",
                schema=SCHEMA,
                run="20250401T120000-everything-7",
                seed=seed,
                started_at="2025-04-01T12:00:00Z",
                scenario=scenario,
                target="reference",
                base_url="http://127.0.0.1:41234/1.0",
                level=3,
                checks=(*(result.check for result in results), *declared),
                only=only,
            )
        )
        for record in (*records(results), *extra, *load):
            writer.write(record)
        if finish:
            writer.finish(
                finished_at="2025-04-01T12:00:52Z",
                exit_status=exit_status,
                interrupted=interrupted,
                stopped_by=stopped_by,
            )
    return read_journal(path)
