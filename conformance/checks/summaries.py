"""SUM=LOG, KEY, DAY and OK+ERR: what the daily summaries must add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.checks.shared import (
    NOW,
    all_of,
    counted,
    logs_of,
    of_user,
    summaries_of,
    users_of,
)
from trueup.conformance.model import Event
from trueup.conformance.observed.cells import (
    NOTHING,
    UsageCell,
    by_day,
    cells_of_events,
    cells_of_logs,
    cells_of_summaries,
    culprits,
)
from trueup.conformance.observed.observations import Observations
from trueup.conformance.rows import Row, as_int, as_str, day_of, same_hostname
from trueup.reports.results import Counts, Impact

__all__ = ["CHECKS", "show", "summaries_equal_logs"]

_RESTS: Final = ("AUTH", "PAGE", "FRESH", "DAY")
SUMMED: Final = (
    "comb",
    "batches",
    "twice",
    "race",
    "writers",
    "networks",
    "interleave",
    "hosts",
    "status",
    "zero",
    "sizes",
)


def show(counts: Counts) -> str:
    """A total for a person."""
    plural = "" if counts.requests == 1 else "s"
    return f"{counts.requests} request{plural}, {counts.bytes} bytes"


def _of_cell(events: tuple[Event, ...], cell: UsageCell) -> list[Event]:
    return [
        event
        for event in events
        if event["log_network"] == cell.network
        and same_hostname(str(event["log_hostname"]), cell.hostname)
        and day_of(event["log_request_datetime"]) == cell.day
    ]


def summaries_equal_logs(*datasets: str, stage: str = NOW) -> Callable[[Observations], Finding]:
    """A judge: per network, hostname and day, summaries hold what the logs add up to.

    Days that may have lost logs to retention already are left out.
    """

    def judge(observations: Observations) -> Finding:
        builder = FindingBuilder(observations)
        oldest = (observations.now(stage) - timedelta(days=6)).strftime("%Y-%m-%d")
        for user in users_of(observations.context, *datasets):
            logs = builder.paged_result(stage, requests.logs(user))
            summaries = builder.paged_result(stage, requests.summaries(user))
            if logs is None or summaries is None:
                continue
            _compare(builder, user, datasets, oldest, logs.rows, summaries.rows, summaries.numbers)
        return builder.finding("requests and bytes of every cell are those of its logs")

    return judge


def _compare(
    builder: FindingBuilder,
    user: str,
    datasets: tuple[str, ...],
    oldest: str,
    logs: tuple[Row, ...],
    summaries: tuple[Row, ...],
    numbers: tuple[int, ...],
) -> None:
    counts = counted(builder.observations)
    expected = cells_of_logs(row for row in logs if counts(row))
    seen = cells_of_summaries(summaries)
    events = of_user(builder.observations, datasets, user)
    for cell in sorted({*cells_of_logs(logs), *seen}):
        if cell.day <= oldest:
            continue
        builder.observed()
        want, have = expected.get(cell, NOTHING), seen.get(cell, NOTHING)
        if want != have:
            builder.mismatch(
                f"{user} · {cell}",
                show(want),
                show(have),
                events=culprits(_of_cell(events, cell), have.requests, have.bytes),
                exchanges=numbers,
            )


def _declared_hostnames(observations: Observations) -> Finding:
    """Hostnames are folded as the target reads them, kept where it keeps them, in both views."""
    builder = FindingBuilder(observations)
    user = observations.context.user("hosts")
    folded = observations.reading("hostname-case") == "folded"
    stripped = observations.reading("hostname-dot") == "stripped"

    def as_read(name: str) -> str:
        name = name.lower() if folded else name
        return name.removesuffix(".") if stripped else name

    injected = {
        as_read(str(event["log_hostname"])) for event in of_user(observations, ("hosts",), user)
    }
    for ask, key in (
        (requests.logs(user), "log_hostname"),
        (requests.summaries(user), "log_summary_hostname"),
    ):
        walk = builder.paged_result(NOW, ask)
        for row in () if walk is None else walk.rows:
            name = as_str(row, key) or ""
            meant = sorted(one for one in injected if same_hostname(one, name))
            if walk is not None and meant:
                right = name if name in meant else meant[0]
                builder.expect_equal(f"{user} · {key}", right, name, *walk.numbers)
    return builder.finding("hostnames are identified as the reading says, in logs and summaries")


def _one_row_per_key(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    for user in users_of(observations.context, *SUMMED):
        walk = builder.paged_result(NOW, requests.summaries(user))
        if walk is None:
            continue
        keys = Counter(
            UsageCell(
                as_str(row, "log_summary_network") or "",
                as_str(row, "log_summary_hostname") or "",
                day_of(row.get("log_summary_period")) or "no day",
            )
            for row in walk.rows
        )
        for cell, rows in keys.items():
            builder.expect_equal(
                f"{user} · {cell}", "1 row", f"{rows} row{'s'[: rows > 1]}", *walk.numbers
            )
        for row in walk.rows:
            builder.expect_equal(
                f"{user} · proxy_user_id", user, as_str(row, "proxy_user_id"), *walk.numbers
            )
    return builder.finding("no key has two summary rows")


def _day_of_the_request(observations: Observations) -> Finding:
    """An event is in its own day: no day has too much while another has too little.

    Losses and doubles move nothing between days; they are the affair of other laws.
    """
    builder = FindingBuilder(observations)
    user = observations.context.user("comb")
    walk = builder.paged_result(NOW, requests.summaries(user))
    if walk is not None:
        events = of_user(observations, ("comb",), user)
        want = by_day(cells_of_events(events))
        have = by_day(cells_of_summaries(walk.rows))
        over = [d for d in have if have[d].requests > want.get(d, NOTHING).requests]
        under = [d for d in want if want[d].requests > have.get(d, NOTHING).requests]
        builder.observed(len(want))
        if over and under:
            for day in sorted({*over, *under}):
                builder.mismatch(
                    f"{user} · {day}",
                    show(want.get(day, NOTHING)),
                    show(have.get(day, NOTHING)),
                    events=[e for e in events if day_of(e["log_request_datetime"]) == day],
                    exchanges=walk.numbers,
                )
    return builder.finding("events of every hour are counted in the UTC day of their request")


def _success_and_error(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    for user in users_of(observations.context, "comb", "status", "zero"):
        walk = builder.paged_result(NOW, requests.summaries(user))
        for row in () if walk is None else walk.rows:
            good, bad = as_int(row, "log_summary_successful"), as_int(row, "log_summary_error")
            if good is not None and bad is not None and walk is not None:
                name = as_str(row, "log_summary_hostname")
                where = f"{user} · {name} · successful + error"
                builder.expect_equal(
                    where, as_int(row, "log_summary_requests"), good + bad, *walk.numbers
                )
                builder.expect_equal(f"{where} · none is negative", False, min(good, bad) < 0)
    return builder.finding("successes and errors add up to the requests")


def _charged(observations: Observations) -> Finding:
    """Where charged counters are given: the metered part, and nothing for datacenter and isp."""
    builder = FindingBuilder(observations)
    for user in users_of(observations.context, "comb", "status", "networks"):
        walk = builder.paged_result(NOW, requests.summaries(user))
        for row in () if walk is None else walk.rows:
            network = as_str(row, "log_summary_network")
            metered = network in requests.POOLS
            for counter in ("requests", "bytes"):
                charged = as_int(row, f"log_summary_charged_{counter}")
                if charged is None or walk is None:
                    continue
                all_of_it = as_int(row, f"log_summary_{counter}") or 0
                where = f"{user} · {network} · charged {counter}"
                if not metered:
                    builder.expect_equal(where, 0, charged, *walk.numbers)
                else:
                    builder.expect_equal(where, all_of_it, charged, *walk.numbers)
    return builder.finding("charged counters hold the metered traffic and nothing else")


def _check(
    name: str,
    title: str,
    *datasets: str,
    clauses: tuple[str, ...],
    needed: int,
    impact: Impact,
    claim: str = "",
) -> Check:
    return Check(
        name=name,
        law="SUM=LOG",
        title=title,
        judge=summaries_equal_logs(*datasets),
        requests=all_of(logs_of(*datasets), summaries_of(*datasets)),
        datasets=datasets,
        needed=needed,
        impact=impact,
        rests_on=_RESTS,
        clauses=clauses,
        claim=claim,
    )


CHECKS: Final = (
    _check(
        "summaries-equal-logs",
        "Summaries of every network, hostname and day hold what their logs add up to.",
        "comb",
        "batches",
        "interleave",
        clauses=("SUM-2", "SUM-3", "SUM-17"),
        needed=8,
        impact=Impact.UNDER_CHARGE,
    ),
    _check(
        "summaries-of-duplicates",
        "An event that is delivered again is summed once.",
        "twice",
        clauses=("SUM-14",),
        claim="deduplication",
        needed=1,
        impact=Impact.OVER_CHARGE,
    ),
    _check(
        "summaries-of-concurrent-writers",
        "Events that arrive at once on one key are all added.",
        "race",
        clauses=("SUM-11",),
        needed=1,
        impact=Impact.UNDER_CHARGE,
    ),
    _check(
        "summaries-of-later-batches",
        "A later batch adds to a summary that is already there.",
        "writers",
        clauses=("SUM-4",),
        needed=1,
        impact=Impact.UNDER_CHARGE,
    ),
    _check(
        "summaries-by-network",
        "One user and one host on four networks give four summaries.",
        "networks",
        clauses=("SUM-8",),
        needed=4,
        impact=Impact.OVER_CHARGE,
    ),
    _check(
        "summaries-of-statuses",
        "Failed requests and their bytes are summed where they are logged.",
        "status",
        clauses=("SUM-12",),
        needed=2,
        impact=Impact.UNDER_CHARGE,
    ),
    _check(
        "summaries-of-zero-bytes",
        "A request without bytes is a request.",
        "zero",
        clauses=("SUM-12",),
        needed=2,
        impact=Impact.COSMETIC,
    ),
    _check(
        "summaries-of-large-amounts",
        "Sums beyond 25, 32 and 53 bits and of odd sizes stay exact.",
        "sizes",
        clauses=("SUM-13",),
        needed=4,
        impact=Impact.UNDER_CHARGE,
    ),
    _check(
        "summaries-of-hostnames",
        "Summaries and logs agree on what one hostname is.",
        "hosts",
        clauses=("SUM-9",),
        needed=4,
        impact=Impact.COSMETIC,
    ),
    Check(
        name="hostnames-as-read",
        law="SUM=LOG",
        title="Letter case and a trailing dot of hostnames are treated as the target reads them.",
        judge=_declared_hostnames,
        requests=all_of(logs_of("hosts"), summaries_of("hosts")),
        datasets=("hosts",),
        needed=1,
        rests_on=_RESTS,
        clauses=("SUM-9",),
    ),
    Check(
        name="one-summary-per-key",
        law="KEY",
        title="A proxy user, network, hostname and day has one summary.",
        judge=_one_row_per_key,
        requests=summaries_of(*SUMMED),
        datasets=SUMMED,
        needed=12,
        impact=Impact.OVER_CHARGE,
        rests_on=("AUTH", "PAGE"),
        clauses=("SUM-1",),
    ),
    Check(
        name="day-of-the-request",
        law="DAY",
        title="An event is counted in the UTC day of its request, whenever it arrives.",
        judge=_day_of_the_request,
        requests=summaries_of("comb"),
        datasets=("comb",),
        needed=2,
        impact=Impact.OVER_CHARGE,
        rests_on=("AUTH", "PAGE", "FRESH"),
        clauses=("SUM-7",),
        timed=True,
    ),
    Check(
        name="successes-and-errors-add-up",
        law="OK+ERR",
        title="Where success and error counts are given, they add up to the requests.",
        judge=_success_and_error,
        requests=summaries_of("comb", "status", "zero"),
        datasets=("comb", "status", "zero"),
        needed=4,
        claim="success-counts",
        rests_on=("AUTH",),
        clauses=(
            "SUM-5",
            "SUM-6",
        ),
    ),
    Check(
        name="charged-is-metered",
        law="CHARGED",
        title="Charged counters hold the metered traffic and nothing of datacenter and isp.",
        judge=_charged,
        requests=summaries_of("comb", "status", "networks"),
        datasets=("comb", "status", "networks"),
        needed=4,
        claim="charged",
        impact=Impact.OVER_CHARGE,
        rests_on=("AUTH",),
        clauses=("SUM-15",),
    ),
)
