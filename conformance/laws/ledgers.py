"""LEDGER=SUM, BALANCE, MONEY-IN, USER-USED and IMMUTABLE: what is paid for, and what is left.

Account-wide figures are compared as movements between two quiet fences, so that what was there
before, and other people's traffic, convict nobody. Where a fence never became quiet, nothing is
said: inconclusive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Final

from conformance import asks, fences
from conformance.facts import Facts
from conformance.laws.shared import NOW, at_stages, of_user
from conformance.model import Ask, Check, Finding
from conformance.money import payments_once
from conformance.oracle import NOTHING
from conformance.rows import Row, day_of, text, whole
from conformance.tally import Tally
from reports.facts import Impact

__all__ = ["CHECKS"]

METERED: Final = ("comb", "twice", "writers", "networks", "interleave", "status", "used")
"""Worlds that move the ledgers: planted whenever a law on ledgers is tested."""
_RESTS: Final = ("AUTH", "PAGE", "FRESH")


def _pools(facts: Facts) -> tuple[str, ...]:
    return tuple(pool for pool in asks.POOLS if pool in facts.scene.claims)


def _quiet(tally: Tally, stage: str, pool: str) -> bool:
    """Whether a stage's fence can be used; a trouble otherwise."""
    for again in (1, 2):
        if tally.walk(stage, asks.ledger(pool, again)) is None:
            return False
    if fences.quiet(tally.facts, stage, pool):
        return True
    tally.trouble(f"foreign traffic moved the {pool} ledger whenever it was read")
    return False


def _numbers(facts: Facts, stage: str, pool: str) -> tuple[int, ...]:
    walk = facts.walk(stage, asks.ledger(pool, 2))
    return () if walk is None else walk.numbers


def ledger_equals_summaries(*stages: str) -> Callable[[Facts], Finding]:
    """A judge: usage and summaries of a pool move by the same bytes in every day of the run."""

    def judge(facts: Facts) -> Finding:
        tally = Tally(facts)
        for stage in stages:
            for pool in _pools(facts):
                if _quiet(tally, "open", pool) and _quiet(tally, stage, pool):
                    _moved_alike(tally, stage, pool)
        return tally.finding("the ledgers moved by the bytes of the summaries, day for day")

    return judge


def _moved_alike(tally: Tally, stage: str, pool: str) -> None:
    facts = tally.facts
    used = [fences.usage_days(facts, each, pool) for each in ("open", stage)]
    summed = [fences.summary_days(facts, each, pool) for each in ("open", stage)]
    events = [event for event in facts.events(*METERED, "late") if event["log_network"] == pool]
    for day in sorted({*used[1], *summed[1]}):
        if day not in summed[1] and used[0].get(day) == used[1].get(day):
            continue  # a day before the fence's: nothing moved
        before, after = (days.get(day, NOTHING).bytes for days in summed)
        charged = used[1].get(day, 0) - used[0].get(day, 0)
        if after - before or charged:
            tally.saw()
        if after - before != charged:
            tally.differs(
                f"{pool} ledger · usage of {day} at stage {stage}",
                f"{after - before} bytes more, as its summaries",
                f"{charged} bytes more",
                events=[e for e in events if day_of(e["log_request_datetime"]) == day],
                exchanges=_numbers(facts, stage, pool),
            )


def _one_usage_row_a_day(facts: Facts) -> Finding:
    """Weak: "incremented or created" lets one expect one usage row a day and pool."""
    tally = Tally(facts)
    for pool in _pools(facts):
        if tally.walk(NOW, asks.ledger(pool, 2)) is None:
            continue
        days = Counter(
            (day_of(row.get(f"{pool}_ledger_period_date")), text(row, "service_id"))
            for row in fences.entries(facts, NOW, pool)
            if fences.is_usage(row, pool)
        )
        for (day, _), rows in days.items():
            tally.holds(
                f"{pool} ledger · {day}", "1 usage row", f"{rows} usage row" + "s" * (rows > 1)
            )
    return tally.finding("each day has one usage row in each ledger")


def _figure(facts: Facts, stage: str, ask: Ask, key: str) -> int | None:
    row = facts.row(stage, ask)
    return None if row is None else whole(row, key)


def _account_adds_up(facts: Facts) -> Finding:
    """Within every account summary: bytes less used is left."""
    tally = Tally(facts)
    for stage in fences.FENCED_STAGES:
        for pool in _pools(facts):
            ask = asks.account(pool, 2)
            if facts.answer(stage, ask) is None:
                continue
            exchange = tally.exchange(stage, ask)
            parts = [
                _figure(facts, stage, ask, f"{pool}_bytes{suffix}")
                for suffix in ("", "_used", "_left")
            ]
            if exchange is not None and None not in parts:
                total, used, left = (part or 0 for part in parts)
                where = f"{pool}/summary at stage {stage} · bytes - used"
                tally.holds(where, left, total - used, exchange.n)
    return tally.finding("bytes less used bytes are the bytes left")


def _account_follows_ledger(facts: Facts) -> Finding:
    """What is left moves exactly as the ledger does: by usage, and by money where money moved."""
    tally = Tally(facts)
    stages = [stage for stage in ("open", NOW, "money") if stage in facts.stages]
    for pool in _pools(facts):
        usable = [stage for stage in stages if _quiet(tally, stage, pool)]
        for before, after in pairwise(usable):
            ask = asks.account(pool, 2)
            left = [_figure(facts, stage, ask, f"{pool}_bytes_left") for stage in (before, after)]
            if left[0] is None or left[1] is None:
                tally.trouble(f"{pool}/summary has no {pool}_bytes_left")
                continue
            moved = fences.ledger_total(facts, after, pool) - fences.ledger_total(
                facts, before, pool
            )
            if moved or left[1] - left[0]:
                tally.holds(
                    f"{pool} · what the bytes left moved by, from stage {before} to {after}",
                    moved,
                    left[1] - left[0],
                    *_numbers(facts, after, pool),
                )
    return tally.finding("the bytes left moved as the ledger's entries add up")


def _used_follows_ledger(facts: Facts) -> Finding:
    """The account's used bytes and requests rise as the summaries do."""
    tally = Tally(facts)
    for pool in _pools(facts):
        if not (_quiet(tally, "open", pool) and _quiet(tally, NOW, pool)):
            continue
        ask = asks.account(pool, 2)
        used = [_figure(facts, stage, ask, f"{pool}_bytes_used") for stage in ("open", NOW)]
        if used[0] is None or used[1] is None:
            tally.trouble(f"{pool}/summary has no {pool}_bytes_used")
            continue
        spent = [sum(fences.usage_days(facts, stage, pool).values()) for stage in ("open", NOW)]
        tally.holds(
            f"{pool}/summary · what the bytes used rose by",
            spent[1] - spent[0],
            used[1] - used[0],
            *_numbers(facts, NOW, pool),
        )
    return tally.finding("used bytes rise as the ledger's usage")


def _customer_agrees(facts: Facts) -> Finding:
    tally = Tally(facts)
    for stage in fences.FENCED_STAGES:
        for pool in _pools(facts):
            if facts.answer(stage, asks.customer(2)) is None or not fences.quiet(
                facts, stage, pool
            ):
                continue
            record = _figure(facts, stage, asks.customer(2), f"{pool}_bytes_left")
            summary = _figure(facts, stage, asks.account(pool, 2), f"{pool}_bytes_left")
            exchange = facts.answer(stage, asks.customer(2))
            if record is not None and summary is not None and exchange is not None:
                where = f"customer/retrieve at stage {stage} · {pool}_bytes_left"
                tally.holds(where, summary, record, exchange.n)
    return tally.finding("the customer record shows the bytes left of the account summaries")


def _money_in(facts: Facts) -> Finding:
    """Every payment has its entry, once: by its own amount, or all of them in their sum."""
    tally = Tally(facts)
    for pool in _pools(facts):
        walks = [tally.walk(stage, asks.ledger(pool, 2)) for stage in (NOW, "money")]
        if None in walks:
            continue
        before, after = (fences.money_rows(facts, stage, pool) for stage in (NOW, "money"))
        fresh = Counter(
            amount - before.get(entry, 0)
            for entry, amount in after.items()
            if amount != before.get(entry)
        )
        paid = [payment for payment in payments_once(facts.scene) if payment.network == pool]
        worked = {
            str(hook.request.get("idempotency_key")): hook.ok
            for hook in facts.hooks
            if hook.hook == "money" and hook.stage == "money"
        }
        paid = [payment for payment in paid if worked.get(payment.key)]
        tally.saw(len(paid))
        if sum(n * amount for amount, n in fresh.items()) == sum(p.bytes for p in paid):
            continue
        for payment in paid:
            entries = fresh.get(payment.bytes, 0)
            if entries != 1:
                tally.differs(
                    f"{pool} ledger · {payment.kind} of {payment.bytes} bytes",
                    "1 entry",
                    f"{entries} entries",
                    exchanges=_numbers(facts, "money", pool),
                )
    return tally.finding("every payment has its entry, and one that was sent again has one")


def _ledger_is_kept(facts: Facts) -> Finding:
    """Entries of the run's own days and payments are still there after 90 days."""
    tally = Tally(facts)
    for pool in _pools(facts):
        first = tally.walk("money" if "money" in facts.stages else NOW, asks.ledger(pool, 2))
        last = tally.walk("past-90", asks.ledger(pool, 2))
        if first is None or last is None:
            continue
        there = {text(row, f"{pool}_ledger_id") for row in last.rows}
        for row in first.rows:
            entry = text(row, f"{pool}_ledger_id")
            reason = text(row, f"{pool}_ledger_reason")
            day = day_of(row.get(f"{pool}_ledger_period_date"))
            tally.saw()
            if entry not in there:
                where = f"{pool} ledger · {reason} of {day} · {entry}"
                tally.differs(where, "kept for ever", "gone", exchanges=last.numbers)
    return tally.finding("every entry is still there after 90 days")


def _past_is_fixed(facts: Facts) -> Finding:
    """Entries of days that are closed to late events never change again."""
    tally = Tally(facts)
    stages = ("past-7", "near-90", "past-90", "again")
    for pool in _pools(facts):
        known: dict[str, Row] = {}
        for stage in stages:
            ask = asks.ledger(pool, 2 if stage == "past-90" else 0)
            walk = tally.walk(stage, ask) if stage in facts.stages else None
            closed = (facts.now(stage) - timedelta(days=8)).strftime("%Y-%m-%d")
            for row in walk.rows if walk else ():
                day = day_of(row.get(f"{pool}_ledger_period_date")) or "9999"
                usage = fences.is_usage(row, pool)
                entry = text(row, f"{pool}_ledger_id") or ""
                for key in (f"{pool}_ledger_{k}" for k in ("bytes", "reason", "period_date")):
                    if entry in known and walk is not None:
                        where = f"{pool} ledger · {entry} · {key} at stage {stage}"
                        tally.holds(where, known[entry].get(key), row.get(key), *walk.numbers)
                if not usage or day <= closed:
                    known[entry] = row
    return tally.finding("closed entries stay as they are")


def _user_used(facts: Facts) -> Finding:
    """A user's used bytes are its metered events, network by network, and nothing else."""
    tally = Tally(facts)
    worlds = ("used", "interleave")
    users = [facts.scene.user("used"), *(facts.scene.user("interleave", n) for n in (1, 2, 3))]
    for user in users:
        exchange = tally.exchange(NOW, asks.proxy_user(user))
        row = facts.row(NOW, asks.proxy_user(user))
        if exchange is None:
            continue
        if row is None:
            tally.trouble(f"{exchange.path}: status {exchange.status}", exchange.n)
            continue
        for pool in _pools(facts):
            events = [e for e in of_user(facts, worlds, user) if e["log_network"] == pool]
            spent = sum(whole(event, "log_total_bytes") or 0 for event in events)
            seen = whole(row, f"proxy_user_{pool}_bytes_used")
            if seen is not None:
                tally.holds(f"{user} · proxy_user_{pool}_bytes_used", spent, seen, exchange.n)
    return tally.finding("used bytes of a user are its metered events")


def _edit_keeps_use(facts: Facts) -> Finding:
    tally = Tally(facts)
    user = facts.scene.user("used")
    edit = facts.answer("steps", asks.edit_user(user))
    if edit is None or edit.status not in (200, 201, 204):
        tally.trouble("proxy_user/edit was not answered with success")
        return tally.finding("")
    before = facts.row(NOW, asks.proxy_user(user))
    after = facts.row("steps", asks.proxy_user(user, again=1))
    if before is None or after is None:
        tally.trouble("proxy_user/retrieve was not answered")
        return tally.finding("")
    for pool in _pools(facts):
        key = f"proxy_user_{pool}_bytes_used"
        tally.holds(
            f"{user} · {key} after an edit of its metadata", before.get(key), after.get(key), edit.n
        )
    return tally.finding("an edit of the metadata leaves the used bytes alone")


CHECKS: Final = (
    Check(
        name="ledgers-equal-summaries",
        law="LEDGER=SUM",
        title="A day's usage in a ledger is what that network's summaries of the day hold.",
        judge=ledger_equals_summaries(NOW),
        worlds=METERED,
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
        fenced=True,
    ),
    Check(
        name="ledgers-equal-summaries-at-every-age",
        law="LEDGER=SUM",
        title="A day's usage stays what its summaries hold when logs and hostnames go.",
        judge=ledger_equals_summaries("past-7", "past-90"),
        level=3,
        worlds=METERED,
        needed=4,
        impact=Impact.OVER_CHARGE,
        rests_on=(*_RESTS, "SUM=LOG", "CONSOL"),
        clauses=("LEDGER-R-2", "LEDGER-M-2"),
        fenced=True,
        timed=True,
    ),
    Check(
        name="one-usage-row-a-day",
        law="LEDGER=SUM",
        title="A day has one usage row in a ledger.",
        judge=_one_usage_row_a_day,
        worlds=METERED,
        needed=2,
        rests_on=_RESTS,
        clauses=(
            "LEDGER-R-4",
            "LEDGER-M-4",
        ),
        fenced=True,
    ),
    Check(
        name="account-adds-up",
        law="BALANCE",
        title="In an account summary, bytes less used bytes are the bytes left.",
        judge=_account_adds_up,
        needed=2,
        impact=Impact.OVER_CHARGE,
        rests_on=("AUTH",),
        clauses=(
            "ACC-R-2",
            "ACC-M-2",
        ),
        fenced=True,
    ),
    Check(
        name="account-follows-the-ledger",
        law="BALANCE",
        title="The bytes left move exactly as the ledger's entries add up.",
        judge=_account_follows_ledger,
        worlds=METERED,
        needed=2,
        impact=Impact.OVER_CHARGE,
        rests_on=(*_RESTS, "LEDGER=SUM"),
        clauses=(
            "LEDGER-R-9",
            "LEDGER-M-9",
            "ACC-R-4",
            "ACC-M-4",
        ),
        fenced=True,
    ),
    Check(
        name="used-follows-the-ledger",
        law="BALANCE",
        title="The account's used bytes rise by the ledger's usage.",
        judge=_used_follows_ledger,
        worlds=METERED,
        needed=1,
        impact=Impact.OVER_CHARGE,
        rests_on=(*_RESTS, "LEDGER=SUM"),
        clauses=(
            "ACC-R-3",
            "ACC-M-3",
            "ACC-R-4",
            "ACC-M-4",
        ),
        fenced=True,
    ),
    Check(
        name="customer-record-agrees",
        law="BALANCE",
        title="The customer record and the account summaries show the same bytes left.",
        judge=_customer_agrees,
        worlds=METERED,
        needed=2,
        claim="customer",
        impact=Impact.OVER_CHARGE,
        rests_on=("AUTH",),
        clauses=("ACC-C-1",),
        fenced=True,
    ),
    Check(
        name="payments-are-entered-once",
        law="MONEY-IN",
        title="Purchases, top-ups, refunds and adjustments each have one entry, retried or not.",
        judge=_money_in,
        needed=2,
        lever="money",
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
        fenced=True,
    ),
    Check(
        name="ledgers-are-kept",
        law="MONEY-IN",
        title="Ledger entries are kept for ever, also when logs and hostnames are gone.",
        judge=_ledger_is_kept,
        level=3,
        worlds=METERED,
        needed=2,
        impact=Impact.UNDER_CHARGE,
        rests_on=("AUTH", "PAGE"),
        clauses=(
            "LEDGER-R-10",
            "LEDGER-M-10",
        ),
        fenced=True,
        timed=True,
    ),
    Check(
        name="past-entries-are-fixed",
        law="IMMUTABLE",
        title="Ledger entries of closed days never change.",
        judge=_past_is_fixed,
        asks=at_stages(
            ("past-7", "near-90", "again"),
            lambda scene: [asks.ledger(pool) for pool in asks.POOLS if pool in scene.claims],
        ),
        level=3,
        worlds=METERED,
        needed=4,
        impact=Impact.OVER_CHARGE,
        rests_on=("AUTH", "PAGE"),
        clauses=(
            "LEDGER-R-11",
            "LEDGER-M-11",
        ),
        fenced=True,
        timed=True,
    ),
    Check(
        name="users-used-bytes",
        law="USER-USED",
        title="A proxy user's used bytes are its metered events.",
        judge=_user_used,
        asks=at_stages(
            (NOW,),
            lambda scene: [
                asks.proxy_user(user)
                for user in (
                    scene.user("used"),
                    *(scene.user("interleave", n) for n in (1, 2, 3)),
                )
            ],
        ),
        worlds=("used", "interleave"),
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
        asks=at_stages((NOW,), lambda scene: [asks.proxy_user(scene.user("used"))]),
        steps=lambda scene: [
            asks.edit_user(scene.user("used")),
            asks.proxy_user(scene.user("used"), again=1),
        ],
        worlds=("used",),
        needed=1,
        eventual=False,
        claim="proxy-user-edit",
        impact=Impact.UNDER_CHARGE,
        rests_on=("AUTH",),
        clauses=("ACC-U-2",),
    ),
)
