"""Payments of a plan: the payment table's covering array, sorted by the moment of each payment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import product, zip_longest
from typing import Final

from trueup.conformance.datasets.covering import Constraint, Row, cover
from trueup.conformance.datasets.dimensions import table
from trueup.conformance.datasets.operations import Operation, Pay, Together
from trueup.conformance.model import POOLS, CheckContext

__all__ = [
    "CONSTRAINTS",
    "PaymentPlan",
    "later_payments",
    "many_payments",
    "payment",
    "payment_plan",
    "payment_rows",
]

GIB: Final = 2**30
MANY: Final = 60
"""Payments that, with those of the run's stages, are more than the 100 entries of a page."""
_LATER_KINDS: Final = ("purchase", "top_up", "refund")
_AMOUNTS: Final[Mapping[str, int]] = {"1": 1, "2^53+1": 2**53 + 1, "zero": 0}


def _amount_fits_kind(row: Row) -> bool:
    """Purchases and top-ups add; a refund takes back, so that only its size is typical."""
    if row["kind"] in ("purchase", "top_up"):
        return row["amount"] in ("1", "typical", "2^53+1")
    return row["kind"] != "refund" or row["amount"] != "typical"


def _order_is_known(row: Row) -> bool:
    """Two amounts under one key have no predictable outcome if they are sent at once."""
    return (row["key"], row["moment"]) != ("repeated-other-amount", "two-at-once")


CONSTRAINTS: Final = (
    Constraint(fields=("kind", "amount"), allows=_amount_fits_kind),
    Constraint(fields=("key", "moment"), allows=_order_is_known),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PaymentPlan:
    """Payments by the moment at which they are made; `restarted`: again after the restart."""

    moments: Mapping[str, tuple[Operation, ...]] = field(default_factory=dict)
    restarted: tuple[Operation, ...] = ()


def payment_rows(
    context: CheckContext, *, seed: int, triples: bool, most: int | None
) -> tuple[Row, ...]:
    """Return the payments' covering array for what the target claims; empty without a hook."""
    if "money" not in context.hooks or "money" not in context.claims:
        return ()
    factors = {
        each.name: each.reachable(context.level, context.claims, context.hooks)
        for each in table("payment")
    }
    factors["customer"] = tuple(n for n in factors["customer"] if n in context.customers)
    if not all(factors.values()):
        return ()
    strong = [tuple(factors)] if triples else []
    return cover(factors, seed=seed, triples=strong, constraints=CONSTRAINTS)[:most]


def payment_plan(context: CheckContext, rows: Sequence[Row]) -> PaymentPlan:
    """Return the operations that the rows stand for, in order."""
    moments: dict[str, list[Operation]] = defaultdict(list)
    restarted: list[Operation] = []
    for n, row in enumerate(rows):
        first = payment(context, row, n)
        moments[row["moment"]].append(first)
        match row["key"]:
            case "repeated":
                moments[row["moment"]].append(first)
            case "repeated-other-amount":
                moments[row["moment"]].append(_with_other_amount(first))
            case "after-restart":
                restarted.append(first)
            case _:
                pass
        if row["key"] == "other-customer" and len(context.customers) > 1:
            moments[row["moment"]].append(_of_other_customer(context, first))
    if moments["after-refund"]:
        moments["after-refund"].insert(0, _refund(context, rows))
    moments["two-at-once"] = _in_pairs(moments["two-at-once"])
    return PaymentPlan(
        moments={moment: tuple(own) for moment, own in moments.items()},
        restarted=tuple(restarted),
    )


def payment(context: CheckContext, row: Row, n: int) -> Pay:
    """Return the n-th payment; its amount is one that no one else would use by chance."""
    own = int.from_bytes(sha256(context.prefix.encode()).digest()[:3], "big") * 64 + n
    amount = _AMOUNTS.get(row["amount"], (n % 5 + 1) * 2 * GIB + own)
    if row["amount"] == "negative" or row["kind"] == "refund":
        amount = -amount
    return Pay(
        tenant=row["customer"],
        network=row["pool"],
        kind=row["kind"],
        bytes=amount,
        key=f"{context.prefix}-pay-{n}",
    )


def later_payments(context: CheckContext, stage: str, turn: int) -> tuple[Pay, ...]:
    """Return one payment for each pool and customer; the kinds take turns."""
    return tuple(
        Pay(
            tenant=tenant,
            network=pool,
            kind=kind,
            bytes=(-1 if kind == "refund" else 1) * (GIB + 1000 * turn + n + 1),
            key=f"{context.prefix}-{stage}-{tenant}-{pool}",
        )
        for n, (tenant, pool) in enumerate(product(context.customers, _paid_pools(context)))
        for kind in (_LATER_KINDS[(turn + n) % len(_LATER_KINDS)],)
    )


def _paid_pools(context: CheckContext) -> list[str]:
    """The pools that payments go to; none where the target has no hook for them."""
    if "money" not in context.hooks or "money" not in context.claims:
        return []
    return [pool for pool in POOLS if pool in context.claims]


def many_payments(context: CheckContext) -> tuple[Pay, ...]:
    """Return small top-ups of one pool of one customer, so that its ledger fills a page."""
    tenant = next(iter(context.customers))
    return tuple(
        Pay(
            tenant=tenant,
            network=pool,
            kind="top_up",
            bytes=1000 + n,
            key=f"{context.prefix}-many-{n}",
        )
        for pool in _paid_pools(context)[-1:]
        for n in range(MANY)
    )


def _with_other_amount(payment: Pay) -> Pay:
    sign = -1 if payment.bytes < 0 or payment.kind == "refund" else 1
    return replace(payment, bytes=payment.bytes + sign * 4096)


def _of_other_customer(context: CheckContext, payment: Pay) -> Pay:
    """The same payment by the other customer, under the key that this one has used."""
    other = next(tenant for tenant in context.customers if tenant != payment.tenant)
    return replace(payment, tenant=other)


def _refund(context: CheckContext, rows: Sequence[Row]) -> Operation:
    """Small refunds in every pool and customer that is paid for afterwards."""
    places = {(row["customer"], row["pool"]) for row in rows if row["moment"] == "after-refund"}
    return Together(
        operations=tuple(
            Pay(
                tenant=tenant,
                network=pool,
                kind="refund",
                bytes=-10,
                key=f"{context.prefix}-back-{tenant}-{pool}",
            )
            for tenant, pool in sorted(places)
        )
    )


def _in_pairs(operations: Sequence[Operation]) -> list[Operation]:
    """Two payments at a time; a payment and its repetition stay together."""
    payments = [each for each in operations if isinstance(each, Pay)]
    return [
        Together(operations=tuple(each for each in pair if each is not None))
        for pair in zip_longest(payments[::2], payments[1::2])
    ]
