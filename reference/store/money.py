"""Payments of a data pool: each is one ledger row, beside the usage rows."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

import msgspec

from trueup.reference.amounts import split
from trueup.reference.behaviour import Behaviour, PaymentRow
from trueup.reference.errors import ApiProblem
from trueup.reference.ids import new_uuid
from trueup.reference.store.accounts import balance
from trueup.reference.times import day_of

__all__ = ["KINDS", "Movement", "move_money"]

KINDS: Final[dict[str, tuple[str, str]]] = {
    "purchase": ("service_purchase", "fulfillment"),
    "top_up": ("top_up", "top_up"),
    "refund": ("adjustment", "update"),
    "adjustment": ("adjustment", "update"),
}
"""Kind of movement → (ledger reason, type of the service adjustment that it is linked to)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Bytes added to a pool of one customer or, negative, removed."""

    customer_id: int
    network: str
    kind: str
    bytes: int
    idempotency_key: str
    service_id: str | None = None


def move_money(
    connection: sqlite3.Connection, movement: Movement, *, behaviour: Behaviour, now_us: int
) -> str:
    """Write the payment and return its ledger id; a repeated key returns the first id.

    Raises ApiProblem (404, 409) for an unknown customer or service, or a key used for another
    payment.
    """
    fingerprint = msgspec.json.encode(
        [movement.network, movement.kind, movement.bytes, movement.service_id]
    ).decode()
    remembered_by = behaviour.payment_key(movement.customer_id, movement.idempotency_key)
    if behaviour.idempotent_money:
        earlier = connection.execute(
            "SELECT request, ledger_id FROM money WHERE customer_id = ? AND idempotency_key = ?",
            remembered_by,
        ).fetchone()
        if earlier is not None and earlier[0] != fingerprint:
            raise ApiProblem(409, "This idempotency_key was already used for another movement.")
        if earlier is not None:
            return str(earlier[1])
    service_id = _service(connection, movement)
    ledger_id = _write(connection, movement, service_id, behaviour, now_us)
    connection.execute(
        "INSERT OR REPLACE INTO money (customer_id, idempotency_key, request, ledger_id) "
        "VALUES (?, ?, ?, ?)",
        (*remembered_by, fingerprint, ledger_id),
    )
    return ledger_id


def _service(connection: sqlite3.Connection, movement: Movement) -> str:
    row = connection.execute(
        "SELECT service_id FROM service WHERE customer_id = ? AND service_type = ? "
        "AND (service_id = ? OR ? IS NULL) ORDER BY seq LIMIT 1",
        (movement.customer_id, movement.network, movement.service_id, movement.service_id),
    ).fetchone()
    if row is None:
        raise ApiProblem(
            404, f"Customer {movement.customer_id} has no such {movement.network} service."
        )
    return str(row[0])


def _write(
    connection: sqlite3.Connection,
    movement: Movement,
    service_id: str,
    behaviour: Behaviour,
    now_us: int,
) -> str:
    reason, adjustment_type = KINDS[movement.kind]
    row = behaviour.payment(
        PaymentRow(
            customer_id=movement.customer_id,
            network=movement.network,
            kind=movement.kind,
            reason=reason,
            bytes=movement.bytes,
            day=day_of(now_us),
            service_id=service_id,
        )
    )
    amount = movement.bytes if row is None else row.bytes
    ledger_id = new_uuid()
    left = balance(connection, movement.customer_id, movement.network)
    adjustment_id = connection.execute(
        "INSERT INTO service_adjustment (customer_id, service_id, service_adjustment_type, "
        "service_adjustment_status, service_adjustment_pre, service_adjustment_post, "
        "service_adjustment_eval, service_adjustment_is_administrator, "
        "service_adjustment_is_automatic, service_adjustment_is_customer, "
        "service_adjustment_creation_datetime, service_adjustment_last_update_datetime) "
        "VALUES (?, ?, ?, 'complete', ?, ?, ?, ?, 0, ?, ?, ?)",
        (
            movement.customer_id,
            service_id,
            adjustment_type,
            _document({"bytes_left": left}),
            _document({"bytes_left": left + amount}),
            _document({"bytes_left": [left, left + amount]}),
            movement.kind in ("refund", "adjustment"),
            movement.kind in ("purchase", "top_up"),
            now_us,
            now_us,
        ),
    ).lastrowid
    if row is not None:
        connection.execute(
            "INSERT INTO ledger (ledger_id, customer_id, network, reason, requests, bytes_high, "
            "bytes_low, day, service_id, service_adjustment_id, created_us, updated_us) "
            "VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)",
            (
                ledger_id,
                row.customer_id,
                row.network,
                row.reason,
                *split(row.bytes),
                row.day,
                row.service_id,
                adjustment_id,
                now_us,
                now_us,
            ),
        )
    return ledger_id


def _document(value: object) -> str:
    return msgspec.json.encode(value).decode()
