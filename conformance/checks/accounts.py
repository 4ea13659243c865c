"""BALANCE: account figures, the customer record and the ledgers are one truth.

Figures are compared as movements between fences: see `trueup.conformance.checks.snapshots`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final

from trueup.conformance import requests
from trueup.conformance.checks import snapshots
from trueup.conformance.checks.check import Check
from trueup.conformance.checks.finding import Finding, FindingBuilder
from trueup.conformance.checks.ledgers import METERED, hold_intervals, numbers_of, pools, readable
from trueup.conformance.checks.shared import NOW
from trueup.conformance.observed.observations import Observations
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import as_int
from trueup.reports.results import Impact

__all__ = ["CHECKS"]

_RESTS: Final = ("AUTH", "PAGE", "FRESH")


def _figure(observations: Observations, stage: str, ask: ApiRequest, key: str) -> int | None:
    row = observations.row(stage, ask)
    return None if row is None else as_int(row, key)


def _account_adds_up(observations: Observations) -> Finding:
    """Within every account summary: bytes less used is left."""
    builder = FindingBuilder(observations)
    for stage in snapshots.SNAPSHOT_STAGES:
        for pool in pools(observations):
            ask = requests.account(pool, 2)
            if observations.answer(stage, ask) is None:
                continue
            exchange = builder.exchange(stage, ask)
            parts = [
                _figure(observations, stage, ask, f"{pool}_bytes{suffix}")
                for suffix in ("", "_used", "_left")
            ]
            if exchange is not None and None not in parts:
                total, used, left = (part or 0 for part in parts)
                where = f"{pool}/summary at stage {stage} · bytes - used"
                builder.expect_equal(where, left, total - used, exchange.n)
    return builder.finding("bytes less used bytes are the bytes left")


def _offset(
    observations: Observations, stage: str, pool: str, figure: str
) -> tuple[int, int] | None:
    """Between which bounds an account figure differs from what the ledger adds up to.

    The account is read outside the ledger's two readings, so its movement encloses theirs.
    """
    found = []
    for again in (1, 2):
        value = _figure(
            observations, stage, requests.account(pool, again), f"{pool}_bytes_{figure}"
        )
        if value is None:
            return None
        if figure == "left":
            found.append(value - snapshots.ledger_total(observations, stage, pool, again))
        else:
            found.append(
                value - sum(snapshots.usage_days(observations, stage, pool, again).values())
            )
    return min(found), max(found)


def follows_ledger(figure: str, *wanted: str) -> Callable[[Observations], Finding]:
    """A judge: bytes left, or bytes used, move from stage to stage exactly as the ledger does."""

    def judge(observations: Observations) -> Finding:
        builder = FindingBuilder(observations)
        stages = [stage for stage in wanted if stage in observations.stages]
        for pool in pools(observations):
            usable = [stage for stage in stages if readable(builder, stage, pool)]
            for before, after in pairwise(usable):
                offsets = [_offset(observations, stage, pool, figure) for stage in (before, after)]
                if offsets[0] is None or offsets[1] is None:
                    builder.unusable(f"{pool}/summary has no {pool}_bytes_{figure}")
                    continue
                where = f"{pool} · bytes {figure}, from stage {before} to {after}, and the ledger"
                numbers = numbers_of(observations, after, pool)
                if snapshots.entries(observations, before, pool) != snapshots.entries(
                    observations, after, pool
                ):
                    hold_intervals(builder, where, offsets[0], offsets[1], numbers)
        return builder.finding(f"the bytes {figure} move as the ledger's entries add up")

    return judge


def _customer_agrees(observations: Observations) -> Finding:
    """The record, read between two readings of the account summary, lies between them."""
    builder = FindingBuilder(observations)
    for stage in snapshots.SNAPSHOT_STAGES:
        for pool in pools(observations):
            key = f"{pool}_bytes_left"
            record = [
                _figure(observations, stage, snapshots.customer(pool, n), key) for n in (1, 2)
            ]
            account = [_figure(observations, stage, requests.account(pool, n), key) for n in (1, 2)]
            exchange = observations.answer(stage, snapshots.customer(pool, 1))
            if exchange is None or None in record or None in account:
                continue
            middle = record[0] or 0
            sides = [each or 0 for each in account]
            builder.observed()
            if min(sides) <= middle <= max(sides):
                continue
            where = f"customer/retrieve at stage {stage} · {key}"
            if sides[0] == sides[1] and record[0] == record[1]:
                builder.mismatch(where, sides[0], middle, exchanges=[exchange.n])
            else:
                builder.unusable(f"{where}: moved while it was read")
    return builder.finding("the customer record shows the bytes left of the account summaries")


CHECKS: Final = (
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
        needs_snapshot=True,
    ),
    Check(
        name="account-follows-the-ledger",
        law="BALANCE",
        title="The bytes left move exactly as the ledger's entries add up.",
        judge=follows_ledger("left", "baseline", NOW, "money"),
        datasets=METERED,
        needed=2,
        impact=Impact.OVER_CHARGE,
        rests_on=(*_RESTS, "LEDGER=SUM"),
        clauses=(
            "LEDGER-R-9",
            "LEDGER-M-9",
            "ACC-R-4",
            "ACC-M-4",
        ),
        needs_snapshot=True,
    ),
    Check(
        name="used-follows-the-ledger",
        law="BALANCE",
        title="The account's used bytes rise by the ledger's usage.",
        judge=follows_ledger("used", "baseline", NOW),
        datasets=METERED,
        needed=1,
        impact=Impact.OVER_CHARGE,
        rests_on=(*_RESTS, "LEDGER=SUM"),
        clauses=(
            "ACC-R-3",
            "ACC-M-3",
            "ACC-R-4",
            "ACC-M-4",
        ),
        needs_snapshot=True,
    ),
    Check(
        name="customer-record-agrees",
        law="BALANCE",
        title="The customer record and the account summaries show the same bytes left.",
        judge=_customer_agrees,
        datasets=METERED,
        needed=2,
        claim="customer",
        impact=Impact.OVER_CHARGE,
        rests_on=("AUTH",),
        clauses=("ACC-C-1",),
        needs_snapshot=True,
    ),
)
