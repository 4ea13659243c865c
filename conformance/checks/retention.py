"""RETAIN-MIN, RETAIN-MAX and CONSOL: what time takes away, and what it must not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.checks.shared import LOG_LIFE, NOW, all_of, logs_of, of_user, summaries_of
from trueup.conformance.checks.summaries import show, summaries_equal_logs
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.observed.cells import NOTHING, UsageCell, cells_of_summaries
from trueup.conformance.observed.observations import Observations
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import Row, as_int, as_str, day_of, parse_time
from trueup.reports.results import Impact

__all__ = ["CHECKS"]

MARGIN: Final = timedelta(minutes=10)
"""Around the very end of a log's life nothing is expected either way."""
LIFE_OF_HOSTS: Final = timedelta(days=90)
_RESTS: Final = ("AUTH", "PAGE")
KEPT_AT: Final = (NOW, "week")
GONE_AT: Final = ("past-7", "near-90")
OLD_AT: Final = ("past-90", "repeat-maintenance")
COUNTERS: Final = ("requests", "bytes", "successful", "error")


def _follow_logs(stages: tuple[str, ...]) -> Callable[[Observations, str], Sequence[ApiRequest]]:
    """Retrieves of a few planted logs, of every age."""

    def follow(observations: Observations, stage: str) -> Sequence[ApiRequest]:
        if stage not in stages:
            return ()
        return [requests.log(str(event["log_id"])) for event in _sample(observations)]

    return follow


def _sample(observations: Observations) -> list[Event]:
    events = observations.events("comb", "late")
    return [*events[:: max(1, len(events) // 6)], *events[-1:]]


def _logs_are_kept(observations: Observations) -> Finding:
    """A log younger than 7 days is listed, and can be retrieved."""
    builder = FindingBuilder(observations)
    for stage in KEPT_AT:
        if stage not in observations.stages:
            continue
        for dataset in ("comb", "late"):
            user = observations.context.user(dataset)
            walk = builder.paged_result(stage, requests.logs(user))
            if walk is None:
                continue
            listed = {(as_str(row, "log_id") or "").lower() for row in walk.rows}
            for event in of_user(observations, (dataset,), user):
                if _judged_missing(observations, stage, event):
                    builder.observed()
                    if str(event["log_id"]) not in listed:
                        age = observations.age(stage, event)
                        where = f"log {event['log_id']}, {_days(age)} old"
                        builder.mismatch(
                            where, "listed", "gone", events=[event], exchanges=walk.numbers
                        )
    return builder.finding("every log younger than 7 days is listed")


def _judged_missing(observations: Observations, stage: str, event: Event) -> bool:
    """Whether a log's absence speaks of retention: young enough, and not just lost on arrival."""
    age = observations.age(stage, event)
    if age > LOG_LIFE - MARGIN:
        return False
    return age > timedelta(days=6) or stage != NOW


def _days(age: timedelta) -> str:
    return f"{age / timedelta(days=1):.2f} days"


def _bound(observations: Observations) -> timedelta:
    """Age at which a log must be gone: declared, else 9 days, which is clearly above 7."""
    if observations.declared("retention-lag-h"):
        calendar = (
            timedelta(days=1) if observations.reading("retention") == "calendar" else timedelta()
        )
        return LOG_LIFE + calendar + timedelta(hours=float(observations.reading("retention-lag-h")))
    return timedelta(days=9)


def _logs_go(observations: Observations) -> Finding:
    """A log clearly older than 7 days is neither listed nor retrieved."""
    builder = FindingBuilder(observations)
    for stage in GONE_AT:
        if stage not in observations.stages:
            continue
        for user in (observations.context.user("comb"), observations.context.user("late")):
            walk = builder.paged_result(stage, requests.logs(user))
            if walk is not None:
                _none_listed(builder, stage, user, walk.rows, walk.numbers)
        for event in _sample(observations):
            exchange = builder.exchange(stage, requests.log(str(event["log_id"])))
            if exchange is not None and observations.age(stage, event) > _bound(observations):
                builder.observed()
                if exchange.status == 200:
                    where = f"retrieve of log {event['log_id']}"
                    old = f"served at {_days(observations.age(stage, event))}"
                    builder.mismatch(where, "gone", old, events=[event], exchanges=[exchange.n])
    return builder.finding("logs clearly older than 7 days are neither listed nor retrieved")


def _none_listed(
    builder: FindingBuilder, stage: str, user: str, rows: tuple[Row, ...], numbers: tuple[int, ...]
) -> None:
    observations = builder.observations
    injected = of_user(observations, ("comb", "late"), user)
    builder.observed(
        sum(observations.age(stage, event) > _bound(observations) for event in injected)
    )
    for row in rows:
        at = parse_time(row.get("log_request_datetime"))
        if at is not None and observations.now(stage) - at > _bound(observations):
            where = f"log {as_str(row, 'log_id')} of {user}"
            old = f"listed at {_days(observations.now(stage) - at)}"
            builder.mismatch(where, "gone", old, exchanges=numbers)


def _survive_the_purge(observations: Observations) -> Finding:
    """Summaries after the logs are gone are what they were before."""
    builder = FindingBuilder(observations)
    user = observations.context.user("comb")
    before = builder.paged_result(NOW, requests.summaries(user))
    after = builder.paged_result("past-7", requests.summaries(user))
    if before is not None and after is not None:
        want, have = cells_of_summaries(before.rows), cells_of_summaries(after.rows)
        for cell in sorted({*want, *have}):
            builder.expect_equal(
                f"{user} · {cell} after the logs are gone",
                show(want.get(cell, NOTHING)),
                show(have.get(cell, NOTHING)),
                *after.numbers,
            )
    return builder.finding("summaries are untouched when their logs go")


def _hosts_are_kept(observations: Observations) -> Finding:
    """For 90 days from the start of its day a summary keeps its hostname and its counts."""
    builder = FindingBuilder(observations)
    user = observations.context.user("comb")
    before = builder.paged_result(NOW, requests.summaries(user))
    after = builder.paged_result("near-90", requests.summaries(user))
    if before is not None and after is not None:
        last = (observations.now("near-90") - LIFE_OF_HOSTS).strftime("%Y-%m-%d")
        want, have = cells_of_summaries(before.rows), cells_of_summaries(after.rows)
        for cell, counts in sorted(want.items()):
            if cell.day > last:
                builder.expect_equal(
                    f"{user} · {cell} before it is 90 days old",
                    show(counts),
                    show(have.get(cell, NOTHING)),
                    *after.numbers,
                )
    return builder.finding("summaries younger than 90 days keep hostname and counts")


def _day_that_old(observations: Observations, stage: str, age: timedelta) -> str:
    """The last day whose end is at least `age` old at a stage."""
    return (observations.now(stage) - age - timedelta(days=1)).strftime("%Y-%m-%d")


def _old_days(observations: Observations, stage: str) -> str:
    lag = timedelta(hours=72)
    if observations.declared("consolidation-lag-h"):
        lag = timedelta(hours=float(observations.reading("consolidation-lag-h")))
    return _day_that_old(observations, stage, LIFE_OF_HOSTS + lag)


def _hosts_are_gone(observations: Observations) -> Finding:
    """No summary clearly older than 90 days shows a hostname, nor is found by one."""
    builder = FindingBuilder(observations)
    context = observations.context
    user = context.user("comb")
    for stage in OLD_AT:
        if stage not in observations.stages:
            continue
        last = _old_days(observations, stage)
        walk = builder.paged_result(stage, requests.summaries(user))
        for row in walk.rows if walk else ():
            day = day_of(row.get("log_summary_period"))
            if day is not None and day <= last and walk is not None:
                name = as_str(row, "log_summary_hostname") or ""
                where = f"{user} · summary of {day} at stage {stage} · hostname"
                builder.expect_equal(where, "none", name or "none", *walk.numbers)
        found = builder.paged_result(stage, _by_host(context))
        for row in found.rows if found else ():
            day = day_of(row.get("log_summary_period"))
            if day is not None and day <= last and found is not None:
                where = f"{user} · search by hostname at stage {stage} · {day}"
                builder.expect_equal(where, "no row", "a row", *found.numbers)
    return builder.finding("no old summary shows a hostname or is found by one")


def _by_host(context: CheckContext) -> ApiRequest:
    host = context.host("comb", 1)
    return requests.summaries(context.user("comb"), log_summary_hostname=host)


def _old_asks(context: CheckContext, stage: str) -> Sequence[ApiRequest]:
    return [_by_host(context)] if stage in OLD_AT else []


def _per_network_and_day(rows: Sequence[Row], counter: str) -> dict[str, int]:
    """A counter of summary rows by network and day; rows without it are left out."""
    totals: dict[str, int] = {}
    for row in rows:
        amount = as_int(row, f"log_summary_{counter}")
        if amount is not None:
            key = f"{as_str(row, 'log_summary_network')} · {day_of(row.get('log_summary_period'))}"
            totals[key] = totals.get(key, 0) + amount
    return totals


def _counts_are_kept(observations: Observations) -> Finding:
    """Per network and day, every counter is what it was before the hostname went."""
    builder = FindingBuilder(observations)
    user = observations.context.user("comb")
    before = builder.paged_result(NOW, requests.summaries(user))
    for stage in ("near-90", *OLD_AT):
        if stage not in observations.stages or before is None:
            continue
        walk = builder.paged_result(stage, requests.summaries(user))
        if walk is None:
            continue
        for counter in COUNTERS:
            want = _per_network_and_day(before.rows, counter)
            have = _per_network_and_day(walk.rows, counter)
            for key in sorted({*want, *have}):
                where = f"{user} · {key} · {counter} at stage {stage}"
                builder.expect_equal(where, want.get(key, 0), have.get(key, 0), *walk.numbers)
    return builder.finding("every counter of every network and day is what it was")


def _one_row_when_old(observations: Observations) -> Finding:
    """Consolidated: one row for a network and day."""
    builder = FindingBuilder(observations)
    user = observations.context.user("comb")
    for stage in OLD_AT:
        walk = (
            builder.paged_result(stage, requests.summaries(user))
            if stage in observations.stages
            else None
        )
        if walk is None:
            continue
        last = _old_days(observations, stage)
        rows: dict[UsageCell, int] = {}
        for row in walk.rows:
            day = day_of(row.get("log_summary_period")) or "no day"
            if day <= last:
                cell = UsageCell(as_str(row, "log_summary_network") or "", "", day)
                rows[cell] = rows.get(cell, 0) + 1
        for cell, number in sorted(rows.items()):
            where = f"{user} · {cell} at stage {stage} · rows"
            builder.expect_equal(where, 1, number, *walk.numbers)
    return builder.finding("old summaries are one row per network and day")


def _eve(observations: Observations) -> Finding:
    return summaries_equal_logs("midnight", stage="after-midnight")(observations)


CHECKS: Final = (
    Check(
        name="logs-are-kept-7-days",
        law="RETAIN-MIN",
        title="A log is listed for 7 days.",
        judge=_logs_are_kept,
        requests=logs_of("comb", "late", stages=KEPT_AT),
        datasets=("comb",),
        needed=1,
        impact=Impact.COSMETIC,
        rests_on=(*_RESTS, "FRESH"),
        clauses=(
            "RET-1",
            "RET-2",
            "LOG-10",
        ),
        timed=True,
    ),
    Check(
        name="logs-go-after-7-days",
        law="RETAIN-MAX",
        title="A log clearly older than 7 days is gone, from search and from retrieve alike.",
        judge=_logs_go,
        requests=logs_of("comb", "late", stages=GONE_AT),
        follow_ups=_follow_logs(GONE_AT),
        level=3,
        datasets=("comb",),
        needed=4,
        impact=Impact.PRIVACY,
        rests_on=_RESTS,
        clauses=(
            "RET-3",
            "RET-4",
            "RET-5",
        ),
        timed=True,
    ),
    Check(
        name="last-events-of-a-day",
        law="SUM=LOG",
        title="The last events before midnight are summed though nothing follows them.",
        judge=_eve,
        requests=all_of(
            logs_of("midnight", stages=("after-midnight",)),
            summaries_of("midnight", stages=("after-midnight",)),
        ),
        level=3,
        datasets=("midnight",),
        needed=1,
        impact=Impact.UNDER_CHARGE,
        rests_on=("AUTH", "DAY"),
        clauses=("SUM-7",),
        timed=True,
    ),
    Check(
        name="summaries-survive-the-purge",
        law="SUM=LOG",
        title="Summaries stay what they are when their logs go.",
        judge=_survive_the_purge,
        requests=summaries_of("comb", stages=(NOW, "past-7")),
        level=3,
        datasets=("comb",),
        needed=4,
        impact=Impact.UNDER_CHARGE,
        rests_on=_RESTS,
        clauses=("RET-6",),
        timed=True,
    ),
    Check(
        name="hostnames-are-kept-90-days",
        law="CONSOL",
        title="For 90 days a summary keeps its hostname.",
        judge=_hosts_are_kept,
        requests=summaries_of("comb", stages=(NOW, "near-90")),
        level=3,
        datasets=("comb",),
        needed=1,
        rests_on=_RESTS,
        clauses=(
            "SUM-10",
            "CON-4",
        ),
        timed=True,
    ),
    Check(
        name="hostnames-go-after-90-days",
        law="CONSOL",
        title="A summary clearly older than 90 days shows no hostname and is not found by one.",
        judge=_hosts_are_gone,
        requests=all_of(summaries_of("comb", stages=OLD_AT), _old_asks),
        level=3,
        datasets=("comb",),
        needed=4,
        impact=Impact.PRIVACY,
        rests_on=_RESTS,
        clauses=(
            "CON-1",
            "CON-6",
        ),
        timed=True,
    ),
    Check(
        name="consolidation-keeps-the-counts",
        law="CONSOL",
        title="After 90 days every counter per network and day is what it was, however often run.",
        judge=_counts_are_kept,
        requests=summaries_of("comb", stages=(NOW, "near-90", *OLD_AT)),
        level=3,
        datasets=("comb",),
        needed=8,
        impact=Impact.UNDER_CHARGE,
        rests_on=_RESTS,
        clauses=(
            "CON-3",
            "CON-5",
            "CON-7",
            "CON-8",
            "CON-9",
        ),
        timed=True,
    ),
    Check(
        name="consolidated-to-one-row",
        law="CONSOL",
        title="After 90 days a proxy user, network and day has one summary.",
        judge=_one_row_when_old,
        requests=summaries_of("comb", stages=OLD_AT),
        level=3,
        datasets=("comb",),
        needed=4,
        rests_on=_RESTS,
        clauses=("CON-2",),
        timed=True,
    ),
)
