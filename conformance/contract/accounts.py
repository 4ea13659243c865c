"""Account summaries of a pool, and the customer: bought, used and left move as the ledger does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trueup.conformance.contract.account_states import (
    AccountState,
    AccountStates,
    expected_payments,
    moved_by_others,
    own_usage,
)
from trueup.conformance.contract.check_names import BALANCE, TENANTS
from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.model import POOLS
from trueup.conformance.rows import as_int

__all__ = ["judge_account", "judge_customer"]

CUSTOMER: Final = "customer-equals-account"


@dataclass(frozen=True, slots=True)
class _Moves:
    """By how much an account moved since the baseline."""

    used: int
    requests: int
    paid: int
    refunds: int
    """Bytes of the refunds among `paid`; whether they are added or taken off is open."""
    certain: bool

    def left(self, before: int) -> set[int]:
        """Return what may be left; of an overspent pool, what it shows is open."""
        right = {before + paid - self.used for paid in (self.paid, self.paid - 2 * self.refunds)}
        return right | {0 for each in right if each < 0}


def _moves(model: ContractModel, state: AccountState, unit: JudgedRequest, pool: str) -> _Moves:
    own = own_usage(model, unit.customer, pool, unit.op).values()
    must, may = expected_payments(model, unit.customer, pool, unit.op)
    paid = sum(payment.bytes for payment in must)
    if state.shared:  # others may have paid as well: what the ledger shows is taken as given
        shown = state.readings(unit.stage).paid
        paid = paid if shown is None else shown.most
    requests_by_others = moved_by_others(state, unit.stage, requests=True).values()
    return _Moves(
        used=sum(total.bytes for total in own) + sum(moved_by_others(state, unit.stage).values()),
        requests=sum(total.requests for total in own) + sum(requests_by_others),
        paid=paid,
        refunds=sum(payment.bytes for payment in must if payment.kind == "refund"),
        certain=not any(total.possible for total in own) and not any(p.bytes for p in may),
    )


def judge_account(
    model: ContractModel,
    accounts: AccountStates,
    unit: JudgedRequest,
    finding: RequestFinding,
    pool: str,
) -> None:
    """Judge `{pool}/summary`: bought less used is left, and all three moved as they must."""
    exchange = unit.first
    data = model.data(exchange)
    if data is None:
        before = accounts.get((unit.customer, pool), AccountState())
        if exchange.status not in (404, 422):
            finding.cannot_use_response(exchange, BALANCE)
        elif before.left is not None or before.used is not None:
            finding.deviate(
                BALANCE, f"{pool}/summary", "figures, as before", f"status {exchange.status}"
            )
        return
    bought, used, left = (
        as_int(data, f"{pool}_bytes{suffix}") for suffix in ("", "_used", "_left")
    )
    where = f"{pool}/summary"
    for name, value in (("", bought), ("_used", used), ("_left", left)):
        finding.note_optional(f"account.{pool}_bytes{name}", where, value, "a number")
    spent = used is not None and bought is not None and used > bought and left == 0
    if bought is not None and used is not None and left is not None and not spent:
        finding.equal(
            BALANCE, f"{where} · bought less used", bought - used, left, exchange.n, definite=True
        )
    state = accounts.get((unit.customer, pool), AccountState())
    if left is not None and state.left is not None and not state.shared:
        finding.figures["left", unit.customer, pool] = (left, left - state.left)
    if model.read_only or not state.is_known(unit) or unit.op < state.op:
        return  # a live account moves between two readings
    slack = state.slack(unit.stage)
    moves = _moves(model, state, unit, pool)
    if not moves.certain:
        return
    topic = ("account", unit.customer, pool)
    if left is not None and state.left is not None:
        _one_of(finding, BALANCE, f"{where} · left", moves.left(state.left), left, topic, slack)
    if used is not None and state.used is not None:
        right = {state.used + moves.used, state.used + moves.used - moves.refunds}
        _one_of(finding, BALANCE, f"{where} · used", right, used, topic, slack)
    requests = as_int(data, f"{pool}_requests")
    if requests is not None and state.requests is not None and not state.shared:
        finding.equal(
            "account-requests-are-the-traffic",
            f"{where} · requests",
            state.requests + moves.requests,
            requests,
            exchange.n,
        )
    users = data.get("proxy_user_ids")
    if isinstance(users, list):
        foreign = model.history.names_of_others(unit.customer)
        finding.observed(TENANTS)
        for listed in users:
            if isinstance(listed, str) and listed in foreign:
                finding.deviate(
                    TENANTS, f"{where} · proxy_user_ids", "own users only", listed, definite=True
                )


def _one_of(
    finding: RequestFinding,
    check: str,
    where: str,
    right: set[int],
    seen: int,
    topic: tuple[str, ...],
    slack: int,
) -> None:
    finding.observed(check)
    if all(abs(seen - each) > slack for each in right):
        words = " or ".join(f"{each:,}" for each in sorted(right))
        finding.deviate(check, where, f"{words} bytes", f"{seen:,} bytes", topic=topic)


def judge_customer(
    model: ContractModel, accounts: AccountStates, unit: JudgedRequest, finding: RequestFinding
) -> None:
    """Judge `customer/retrieve`: the bytes left of both pools are those of the account."""
    exchange = unit.first
    data = model.data(exchange)
    if data is None:
        if exchange.status == 404 and "customer" in model.reading.claims:
            finding.deviate(CUSTOMER, "customer/retrieve", "the customer", "status 404")
        else:
            finding.cannot_use_response(exchange, CUSTOMER)
        return
    finding.compare_owner("customer/retrieve", data, model.customer_number(unit.customer))
    if model.read_only:
        return  # a live account moves between two readings
    for pool in POOLS:
        if pool not in model.reading.claims:
            continue
        name, topic = f"{pool}_bytes_left", ("customer", unit.customer, pool)
        left = as_int(data, name)
        finding.note_optional(f"customer.{name}", "customer/retrieve", left, "a number")
        state = accounts.get((unit.customer, pool), AccountState())
        if left is None or state.left is None or not state.is_known(unit) or unit.op < state.op:
            continue
        moves = _moves(model, state, unit, pool)
        if moves.certain:
            right, slack = moves.left(state.left), state.slack(unit.stage)
            _one_of(finding, CUSTOMER, f"customer/retrieve · {name}", right, left, topic, slack)
