"""What the judge buys and gives back, in amounts that no one else would use by chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trueup.conformance.model import CheckContext, Payment
from trueup.conformance.requests import POOLS

__all__ = ["payments", "payments_once"]

GIB: Final = 2**30
_KINDS: Final = (("purchase", 1), ("top_up", 1), ("top_up", 1), ("refund", -1), ("adjustment", 1))
"""Kinds in order, with their sign. The top-up stands twice, to be paid under one key."""
_AGAIN: Final = 2
"""Place of the payment that repeats the one before it."""


def payments(context: CheckContext) -> Sequence[Payment]:
    """Every payment in order; the top-up stands twice, with the same key, where that is claimed."""
    mark = int(context.prefix[2:8], 16)
    made = []
    for lane, pool in enumerate(POOLS):
        if pool not in context.claims:
            continue
        for n, (kind, sign) in enumerate(_KINDS):
            if n == _AGAIN and "idempotent-money" not in context.claims:
                continue
            part = _AGAIN - 1 if n == _AGAIN else n
            amount = sign * ((part + 1) * 2 * GIB + mark * 16 + part * 2 + lane)
            key = f"{context.prefix}-{pool}-{part}"
            made.append(Payment(network=pool, kind=kind, bytes=amount, key=key))
    return made


def payments_once(context: CheckContext) -> Sequence[Payment]:
    """What the payments amount to where the same key again changes nothing."""
    return list({payment.key: payment for payment in payments(context)}.values())
