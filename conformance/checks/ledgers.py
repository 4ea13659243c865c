"""LEDGER=SUM, MONEY-IN, USER-USED and IMMUTABLE: what is paid for, and by whom.

Account-wide figures are compared as movements between two fences, so that what was there before,
and other people's traffic, convict nobody: see `trueup.conformance.checks.snapshots`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks import snapshots
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.checks.shared import NOW, at_stages, of_user
from trueup.conformance.datasets.payments import payments_once
from trueup.conformance.observed.cells import NOTHING
from trueup.conformance.observed.observations import Observations
from trueup.conformance.rows import Row, as_int, as_str, day_of
from trueup.reports.results import Impact

__all__ = ["CHECKS", "METERED", "hold_intervals", "numbers_of", "pools", "readable"]

METERED: Final = ("comb", "twice", "writers", "networks", "interleave", "status", "used")
"""Worlds that move the ledgers: planted whenever a law on ledgers is tested."""
_RESTS: Final = ("AUTH", "PAGE", "FRESH")


def pools(observations: Observations) -> tuple[str, ...]:
    return tuple(pool for pool in requests.POOLS if pool in observations.context.claims)


def readable(builder: FindingBuilder, stage: str, pool: str) -> bool:
    """Whether a stage's fence has a usable ledger on both of its sides."""
    return all(
        builder.paged_result(stage, requests.ledger(pool, again)) is not None for again in (1, 2)
    )


def hold_intervals(
    builder: FindingBuilder,
    where: str,
    before: tuple[int, int],
    after: tuple[int, int],
    exchanges: tuple[int, ...],
) -> None:
    """A difference of two figures, known to lie in an interval, must not have moved.

    Quiet fences give points, and then it must be the same. Where others were moving the figures,
    intervals that meet agree, and those that do not may be due to views that lag.
    """
    builder.observed()
    if before[0] <= after[1] and after[0] <= before[1]:
        return
    moved = after[0] - before[1] if after[0] > before[1] else after[1] - before[0]
    if before[0] == before[1] and after[0] == after[1]:
        builder.mismatch(where, "moved alike", f"{moved:+} bytes apart", exchanges=exchanges)
    else:
        builder.unusable(f"{where}: {moved:+} bytes apart, while others were using the tenant")


def numbers_of(observations: Observations, stage: str, pool: str) -> tuple[int, ...]:
    walk = observations.paged_result(stage, requests.ledger(pool, 2))
    return () if walk is None else walk.numbers


def ledger_equals_summaries(*stages: str) -> Callable[[Observations], Finding]:
    """A judge: usage and summaries of a pool move by the same bytes in every day of the run."""

    def judge(observations: Observations) -> Finding:
        builder = FindingBuilder(observations)
        for stage in stages:
            for pool in pools(observations):
                if readable(builder, "baseline", pool) and readable(builder, stage, pool):
                    _moved_alike(builder, stage, pool)
        return builder.finding("the ledgers moved by the bytes of the summaries, day for day")

    return judge


def _moved_alike(builder: FindingBuilder, stage: str, pool: str) -> None:
    observations = builder.observations
    sides = {
        each: [snapshots.usage_days(observations, each, pool, again) for again in (1, 2)]
        for each in ("baseline", stage)
    }
    summed = {
        each: snapshots.summary_days(observations, each, pool) for each in ("baseline", stage)
    }
    for day in sorted({*sides[stage][1], *summed[stage]}):
        if not snapshots.covered(observations.context, day):
            continue  # others may use the account later, on days whose summaries were not asked
        if day not in summed[stage] and sides["baseline"][0].get(day) == sides[stage][1].get(day):
            continue  # nothing moved
        low_high = []
        for each in ("baseline", stage):
            bytes_summed = summed[each].get(day, NOTHING).bytes
            first, last = (side.get(day, 0) - bytes_summed for side in sides[each])
            low_high.append((min(first, last), max(first, last)))
        where = f"{pool} ledger · usage of {day} at stage {stage}, against its summaries"
        hold_intervals(
            builder, where, low_high[0], low_high[1], numbers_of(observations, stage, pool)
        )


def _one_usage_row_a_day(observations: Observations) -> Finding:
    """Weak: "incremented or created" lets one expect one usage row a day and pool."""
    builder = FindingBuilder(observations)
    for pool in pools(observations):
        if builder.paged_result(NOW, requests.ledger(pool, 2)) is None:
            continue
        days = Counter(
            (day_of(row.get(f"{pool}_ledger_period_date")), as_str(row, "service_id"))
            for row in snapshots.entries(observations, NOW, pool)
            if snapshots.is_usage(row, pool)
        )
        for (day, _), rows in days.items():
            builder.expect_equal(
                f"{pool} ledger · {day}", "1 usage row", f"{rows} usage row" + "s" * (rows > 1)
            )
    return builder.finding("each day has one usage row in each ledger")


def _money_in(observations: Observations) -> Finding:
    """Every payment has its entry, once: by its own amount, or all of them in their sum."""
    builder = FindingBuilder(observations)
    for pool in pools(observations):
        walks = [builder.paged_result(stage, requests.ledger(pool, 2)) for stage in (NOW, "money")]
        if None in walks:
            continue
        before, after = (
            snapshots.money_rows(observations, stage, pool) for stage in (NOW, "money")
        )
        fresh = Counter(
            amount - before.get(entry, 0)
            for entry, amount in after.items()
            if amount != before.get(entry)
        )
        paid = [
            payment for payment in payments_once(observations.context) if payment.network == pool
        ]
        worked = {
            str(hook.request.get("idempotency_key")): hook.ok
            for hook in observations.hooks
            if hook.hook == "money" and hook.stage == "money"
        }
        paid = [payment for payment in paid if worked.get(payment.key)]
        builder.observed(len(paid))
        if sum(n * amount for amount, n in fresh.items()) == sum(p.bytes for p in paid):
            continue
        for payment in paid:
            entries = fresh.get(payment.bytes, 0)
            if entries != 1:
                builder.mismatch(
                    f"{pool} ledger · {payment.kind} of {payment.bytes} bytes",
                    "1 entry",
                    f"{entries} entries",
                    exchanges=numbers_of(observations, "money", pool),
                )
    return builder.finding("every payment has its entry, and one that was sent again has one")


def _ledger_is_kept(observations: Observations) -> Finding:
    """Entries of the run's own days and payments are still there after 90 days."""
    builder = FindingBuilder(observations)
    for pool in pools(observations):
        first = builder.paged_result(
            "money" if "money" in observations.stages else NOW, requests.ledger(pool, 2)
        )
        last = builder.paged_result("past-90", requests.ledger(pool, 2))
        if first is None or last is None:
            continue
        there = {as_str(row, f"{pool}_ledger_id") for row in last.rows}
        for row in first.rows:
            entry = as_str(row, f"{pool}_ledger_id")
            reason = as_str(row, f"{pool}_ledger_reason")
            day = day_of(row.get(f"{pool}_ledger_period_date"))
            builder.observed()
            if entry not in there:
                where = f"{pool} ledger · {reason} of {day} · {entry}"
                builder.mismatch(where, "kept for ever", "gone", exchanges=last.numbers)
    return builder.finding("every entry is still there after 90 days")


def _past_is_fixed(observations: Observations) -> Finding:
    """Entries of days that are closed to late events never change again."""
    builder = FindingBuilder(observations)
    stages = ("past-7", "near-90", "past-90", "repeat-maintenance")
    for pool in pools(observations):
        known: dict[str, Row] = {}
        for stage in stages:
            ask = requests.ledger(pool, 2 if stage == "past-90" else 0)
            walk = builder.paged_result(stage, ask) if stage in observations.stages else None
            closed = (observations.now(stage) - timedelta(days=8)).strftime("%Y-%m-%d")
            for row in walk.rows if walk else ():
                day = day_of(row.get(f"{pool}_ledger_period_date")) or "9999"
                usage = snapshots.is_usage(row, pool)
                entry = as_str(row, f"{pool}_ledger_id") or ""
                for key in (f"{pool}_ledger_{k}" for k in ("bytes", "reason", "period_date")):
                    if entry in known and walk is not None:
                        where = f"{pool} ledger · {entry} · {key} at stage {stage}"
                        builder.expect_equal(
                            where, known[entry].get(key), row.get(key), *walk.numbers
                        )
                if not usage or day <= closed:
                    known[entry] = row
    return builder.finding("closed entries stay as they are")


def _user_used(observations: Observations) -> Finding:
    """A user's used bytes are its metered events, network by network, and nothing else."""
    builder = FindingBuilder(observations)
    datasets = ("used", "interleave")
    users = [
        observations.context.user("used"),
        *(observations.context.user("interleave", n) for n in (1, 2, 3)),
    ]
    for user in users:
        exchange = builder.exchange(NOW, requests.proxy_user(user))
        row = observations.row(NOW, requests.proxy_user(user))
        if exchange is None:
            continue
        if row is None:
            builder.unusable(f"{exchange.path}: status {exchange.status}", exchange.n)
            continue
        for pool in pools(observations):
            events = [e for e in of_user(observations, datasets, user) if e["log_network"] == pool]
            spent = sum(as_int(event, "log_total_bytes") or 0 for event in events)
            seen = as_int(row, f"proxy_user_{pool}_bytes_used")
            if seen is not None:
                builder.expect_equal(
                    f"{user} · proxy_user_{pool}_bytes_used", spent, seen, exchange.n
                )
    return builder.finding("used bytes of a user are its metered events")


def _edit_keeps_use(observations: Observations) -> Finding:
    builder = FindingBuilder(observations)
    user = observations.context.user("used")
    edit = observations.answer("sequence", requests.edit_user(user))
    if edit is None or edit.status not in (200, 201, 204):
        builder.unusable("proxy_user/edit was not answered with success")
        return builder.finding("")
    before = observations.row(NOW, requests.proxy_user(user))
    after = observations.row("sequence", requests.proxy_user(user, again=1))
    if before is None or after is None:
        builder.unusable("proxy_user/retrieve was not answered")
        return builder.finding("")
    for pool in pools(observations):
        key = f"proxy_user_{pool}_bytes_used"
        builder.expect_equal(
            f"{user} · {key} after an edit of its metadata", before.get(key), after.get(key), edit.n
        )
    return builder.finding("an edit of the metadata leaves the used bytes alone")


CHECKS: Final = (
    Check(
        name="ledgers-equal-summaries",
        law="LEDGER=SUM",
        title="A day's usage in a ledger is what that network's summaries of the day hold.",
        judge=ledger_equals_summaries(NOW),
        datasets=METERED,
        needed=2,
        impact=Impact.OVER_CHARGE,
        rests_on=(*_RESTS, "SUM=LOG"),
        clauses=(
            "LEDGER-R-1",
            "LEDGER-R-2",
            "LEDGER-R-3",
            "LEDGER-R-5",
            "LEDGER-M-1",
            "LEDGER-M-2",
            "LEDGER-M-3",
            "LEDGER-M-5",
            "LEDGER-R-12",
            "LEDGER-M-12",
            "TEN-4",
        ),
        needs_snapshot=True,
    ),
    Check(
        name="ledgers-equal-summaries-at-every-age",
        law="LEDGER=SUM",
        title="A day's usage stays what its summaries hold when logs and hostnames go.",
        judge=ledger_equals_summaries("past-7", "past-90"),
        level=3,
        datasets=METERED,
        needed=4,
        impact=Impact.OVER_CHARGE,
        rests_on=(*_RESTS, "SUM=LOG", "CONSOL"),
        clauses=("LEDGER-R-2", "LEDGER-M-2"),
        needs_snapshot=True,
        timed=True,
    ),
    Check(
        name="one-usage-row-a-day",
        law="LEDGER=SUM",
        title="A day has one usage row in a ledger.",
        judge=_one_usage_row_a_day,
        datasets=METERED,
        needed=2,
        rests_on=_RESTS,
        clauses=(
            "LEDGER-R-4",
            "LEDGER-M-4",
        ),
        needs_snapshot=True,
    ),
    Check(
        name="payments-are-entered-once",
        law="MONEY-IN",
        title="Purchases, top-ups, refunds and adjustments each have one entry, retried or not.",
        judge=_money_in,
        needed=2,
        claim="money",
        needs_hook="money",
        impact=Impact.UNDER_CHARGE,
        rests_on=("AUTH", "PAGE"),
        clauses=(
            "LEDGER-R-6",
            "LEDGER-R-7",
            "LEDGER-R-8",
            "LEDGER-M-6",
            "LEDGER-M-7",
            "LEDGER-M-8",
            "MONEY-1",
        ),
        needs_snapshot=True,
    ),
    Check(
        name="ledgers-are-kept",
        law="MONEY-IN",
        title="Ledger entries are kept for ever, also when logs and hostnames are gone.",
        judge=_ledger_is_kept,
        level=3,
        datasets=METERED,
        needed=2,
        impact=Impact.UNDER_CHARGE,
        rests_on=("AUTH", "PAGE"),
        clauses=(
            "LEDGER-R-10",
            "LEDGER-M-10",
        ),
        needs_snapshot=True,
        timed=True,
    ),
    Check(
        name="past-entries-are-fixed",
        law="IMMUTABLE",
        title="Ledger entries of closed days never change.",
        judge=_past_is_fixed,
        requests=at_stages(
            ("past-7", "near-90", "repeat-maintenance"),
            lambda context: [
                requests.ledger(pool) for pool in requests.POOLS if pool in context.claims
            ],
        ),
        level=3,
        datasets=METERED,
        needed=4,
        impact=Impact.OVER_CHARGE,
        rests_on=("AUTH", "PAGE"),
        clauses=(
            "LEDGER-R-11",
            "LEDGER-M-11",
        ),
        needs_snapshot=True,
        timed=True,
    ),
    Check(
        name="users-used-bytes",
        law="USER-USED",
        title="A proxy user's used bytes are its metered events.",
        judge=_user_used,
        requests=at_stages(
            (NOW,),
            lambda context: [
                requests.proxy_user(user)
                for user in (
                    context.user("used"),
                    *(context.user("interleave", n) for n in (1, 2, 3)),
                )
            ],
        ),
        datasets=("used", "interleave"),
        needed=2,
        claim="proxy-user",
        impact=Impact.OVER_CHARGE,
        rests_on=("AUTH",),
        clauses=("ACC-U-1",),
    ),
    Check(
        name="edits-keep-used-bytes",
        law="USER-USED",
        title="Editing a proxy user does not reset what it used.",
        judge=_edit_keeps_use,
        requests=at_stages((NOW,), lambda context: [requests.proxy_user(context.user("used"))]),
        sequence=lambda context: [
            requests.edit_user(context.user("used")),
            requests.proxy_user(context.user("used"), again=1),
        ],
        datasets=("used",),
        needed=1,
        eventual=False,
        claim="proxy-user-edit",
        impact=Impact.UNDER_CHARGE,
        rests_on=("AUTH",),
        clauses=("ACC-U-2",),
    ),
)
