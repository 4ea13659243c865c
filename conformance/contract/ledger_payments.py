"""Entries of payments in a ledger: each payment has its entry once, and no other entry exists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from trueup.conformance.contract.account_states import AccountState, expected_payments, is_usage
from trueup.conformance.contract.check_names import LEDGER_TIMES, TENANTS
from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.history import PaymentRecord
from trueup.conformance.contract.listing import Listing
from trueup.conformance.contract.matching import SearchRequest
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.target_time import CLOCK_SLACK
from trueup.conformance.rows import Row, as_int, as_str, day_of
from trueup.reports.results import Outcome

__all__ = ["judge_payments"]

PAYMENTS: Final = "payments-have-entries"
AGAIN: Final = "payments-count-once"


def judge_payments(
    model: ContractModel,
    state: AccountState,
    unit: JudgedRequest,
    finding: RequestFinding,
    pool: str,
    listing: Listing,
    search: SearchRequest,
) -> None:
    """Every payment has its entry, once; nothing else has one. `search` restricts days alone."""
    if state.rows is None or "money" not in model.reading.claims:
        return
    must, may = _within(search, pool, *expected_payments(model, unit.customer, pool, unit.op))
    key = f"{pool}_ledger_id"
    fresh = [
        row
        for row in listing.rows
        if not is_usage(row, pool) and (as_str(row, key) or "") not in state.rows
    ]
    left: Counter[int] = Counter(as_int(row, f"{pool}_ledger_bytes") or 0 for row in fresh)
    repeated = {
        p.key
        for p in model.history.payments
        if p.op < unit.op
        and sum(
            1
            for q in model.history.payments
            if (q.key, q.customer, q.pool) == (p.key, p.customer, p.pool)
        )
        > 1
    }
    paid = sum(payment.bytes for payment in must)
    merged = len(fresh) < len(must) and sum(left.elements()) == paid and not may
    for payment in must:
        check = AGAIN if payment.key in repeated else PAYMENTS
        finding.observed(check)
        if merged:
            continue
        wanted = [payment.bytes]
        if payment.kind == "refund":
            wanted.append(-payment.bytes)
        found = next((amount for amount in wanted if left[amount] > 0), None)
        where = f"{pool} ledger · {payment.kind} of {payment.bytes:,} bytes"
        topic = ("payment", unit.customer, pool, payment.key)
        if found is None:
            finding.deviate(check, where, "1 entry", "no entry", topic=topic)
            continue
        left[found] -= 1
        _judge_paid_row(finding, pool, payment, found, fresh, where)
    for payment in may:
        if left[payment.bytes] > 0:
            left[payment.bytes] -= 1
    if merged:
        return
    for amount, number in left.items():
        if number <= 0:
            continue
        if state.shared:
            continue  # another user of the account may have paid as much
        owner = next(
            (
                p
                for p in model.history.payments
                if p.op < unit.op and p.bytes == amount and p.pool == pool
            ),
            None,
        )
        where = f"{pool} ledger · entry of {amount:,} bytes"
        if owner is not None and owner.customer != unit.customer:
            finding.deviate(TENANTS, where, "own entries only", "another customer's payment")
        elif owner is not None and owner.outcome is Outcome.REFUSED and owner.key not in repeated:
            finding.deviate(
                PAYMENTS,
                where,
                "nothing (refused)",
                f"{number} entries",
                topic=("payment", unit.customer, pool, owner.key),
            )
        elif owner is not None:
            finding.deviate(
                AGAIN,
                where,
                "1 entry",
                f"{number} more",
                topic=("payment", unit.customer, pool, owner.key),
            )
        elif amount:
            finding.deviate(
                PAYMENTS,
                where,
                "no such entry",
                f"{number} entries",
                topic=("payment", unit.customer, pool, ""),
            )


def _within(
    search: SearchRequest,
    pool: str,
    must: Sequence[PaymentRecord],
    may: Sequence[PaymentRecord],
) -> tuple[list[PaymentRecord], list[PaymentRecord]]:
    """Payments whose entries a search must list, and those that it may: all without conditions."""
    certain: list[PaymentRecord] = []
    possible = list(may)
    for payment in must:
        held = {search.matches_row({f"{pool}_ledger_period_date": d}) for d in _days(payment)}
        if held == {True}:
            certain.append(payment)
        elif held != {False}:
            possible.append(payment)
    return certain, possible


def _days(payment: PaymentRecord) -> set[str]:
    """The days that the entry of a payment may have: two, if it was made around midnight."""
    return {(payment.at + shift).strftime("%Y-%m-%d") for shift in (-CLOCK_SLACK, CLOCK_SLACK)}


def _judge_paid_row(
    finding: RequestFinding,
    pool: str,
    payment: PaymentRecord,
    amount: int,
    rows: Sequence[Row],
    where: str,
) -> None:
    same = [row for row in rows if as_int(row, f"{pool}_ledger_bytes") == amount]
    if len(same) != 1:
        return
    row = same[0]
    shown = row.get(f"{pool}_ledger_period_date")
    day = day_of(shown)
    near = _days(payment)
    finding.observed(LEDGER_TIMES)
    if (day is not None or shown not in (None, "")) and day not in near:
        finding.deviate(
            LEDGER_TIMES,
            f"{where} · period_date",
            " or ".join(sorted(near)),
            day or shown,
            definite=True,
        )
    reason = as_str(row, f"{pool}_ledger_reason")
    if reason == "usage":
        finding.deviate(PAYMENTS, f"{where} · reason", "another reason", "usage", definite=True)
    wanted = {
        "top_up": {"top_up", "adjustment"},
        "purchase": {"service_purchase", "adjustment", "top_up"},
    }.get(payment.kind)
    known = {"usage", "top_up", "adjustment", "service_purchase"}
    if wanted is not None and reason in known and reason not in wanted:
        finding.deviate(
            PAYMENTS, f"{where} · reason", " or ".join(sorted(wanted)), reason, definite=True
        )
    service = as_str(row, "service_id")
    if payment.service_id and service is not None:
        finding.equal(PAYMENTS, f"{where} · service_id", payment.service_id, service, definite=True)
