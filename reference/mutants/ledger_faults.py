"""Faults in ledgers, balances and account figures: E, and J2."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

from trueup.reference.behaviour import PaymentRow, PoolDay, Row
from trueup.reference.events import Log
from trueup.reference.mutants.mutant import Mutant, fresh, swap
from trueup.reference.networks import POOLS
from trueup.reference.query import Condition, Equal
from trueup.reference.resources import Resource
from trueup.reference.store.accounts import used_bytes
from trueup.reference.times import day_of

__all__ = ["FAULTS"]

_UNLISTED: Final = "unlisted"


def _charge(networks: Mapping[str, str]) -> Any:
    """Traffic of a network is counted in the pool named for it, other traffic in none."""

    def pool_day(log: Log, _now_us: int) -> PoolDay | None:
        pool = networks.get(log.log_network)
        return None if pool is None else PoolDay(log.customer_id, pool, day_of(log.at_us))

    return pool_day


def _hide_unlisted(resource: Resource, conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    reason = resource.field(f"{resource.name}_reason")
    if reason is None:
        return conditions
    return (*conditions, Equal(field=reason, value=_UNLISTED, negated=True))


def _kind(
    kind: str, change: Callable[[PaymentRow], PaymentRow | None]
) -> Callable[[PaymentRow], PaymentRow | None]:
    """Change the ledger rows of one kind of movement."""
    return lambda row: change(row) if row.kind == kind else row


def _stale_customer() -> dict[str, Any]:
    first: dict[tuple[int, str], Mapping[str, int]] = {}

    def figures(view: str, customer_id: int, now: Mapping[str, int]) -> Mapping[str, int]:
        if view != "customer":
            return now
        return first.setdefault((customer_id, next(iter(now))), now)

    return {"figures": figures}


def _reset_on_edit() -> dict[str, Any]:
    before: dict[tuple[int, str], Mapping[str, int]] = {}

    def on_edit(connection: sqlite3.Connection, customer_id: int, user: str) -> None:
        before[customer_id, user] = used_bytes(connection, customer_id, user)

    def used(customer_id: int, user: str, pool: str, now: Mapping[str, int]) -> int:
        return now[pool] - before.get((customer_id, user), {}).get(pool, 0)

    return {"on_edit": on_edit, "used": used}


def _used_twice(view: str, _customer_id: int, figures: Mapping[str, int]) -> Mapping[str, int]:
    if view != "summary":
        return figures
    pool = next(pool for pool in POOLS if f"{pool}_bytes" in figures)
    left = figures[f"{pool}_bytes_left"] - figures[f"{pool}_bytes_used"]
    return {**figures, f"{pool}_bytes_left": left}


def _charged_everywhere(resource: str, _action: str, row: Row) -> Row:
    if resource != "log_summary":
        return row
    return {**row, "log_summary_charged_bytes": row["log_summary_bytes"]}


FAULTS: Final[tuple[Mutant, ...]] = (
    swap(
        "E1",
        "ISP traffic is deducted from the residential pool.",
        pool_day=_charge({"residential": "residential", "mobile": "mobile", "isp": "residential"}),
    ),
    swap(
        "E2",
        "Mobile traffic is deducted from the residential pool.",
        pool_day=_charge({"residential": "residential", "mobile": "residential"}),
    ),
    swap(
        "E3",
        "Each delivery overwrites the day's usage in the ledger.",
        ledgers_add=False,
    ),
    swap(
        "E4",
        "A refund changes the balance without an entry in the ledger.",
        payment=_kind("refund", lambda row: row._replace(reason=_UNLISTED)),
        conditions=_hide_unlisted,
    ),
    swap(
        "E5",
        "A top-up that is sent twice with one key is applied twice.",
        idempotent_money=False,
    ),
    fresh(
        "E6",
        "The customer record keeps showing the balance of its first reading.",
        _stale_customer,
    ),
    swap(
        "E7",
        "A proxy user's residential bytes include its mobile bytes.",
        used=lambda _customer_id, _user, pool, used: (
            sum(used.values()) if pool == "residential" else used[pool]
        ),
    ),
    fresh("J2", "Editing a proxy user resets its used bytes.", _reset_on_edit),
    swap(
        "N15",
        "The ledger rounds each request up to whole kilobytes of 1000 bytes.",
        charged_bytes=lambda log: -(-log.log_total_bytes // 1000) * 1000,
    ),
    swap(
        "N16",
        "A refund is taken from the pool instead of given back.",
        payment=_kind("refund", lambda row: row._replace(bytes=-row.bytes)),
    ),
    swap(
        "N17",
        "An adjustment is acknowledged and never booked.",
        payment=_kind("adjustment", lambda row: None),
    ),
    swap(
        "N18",
        "The account summary takes the used bytes off twice.",
        figures=_used_twice,
    ),
    swap(
        "N19",
        "The charged bytes of a summary include datacenter and ISP traffic.",
        present=_charged_everywhere,
    ),
)
