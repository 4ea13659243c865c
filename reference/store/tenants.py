"""The customers of a store: their keys, and what each one starts with."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from trueup.reference.amounts import split
from trueup.reference.ids import new_key, new_password, new_uuid
from trueup.reference.networks import NETWORKS, POOLS
from trueup.reference.times import DAY_US, day_of

__all__ = [
    "FIRST_CUSTOMER",
    "STARTING_BYTES",
    "TenantAccount",
    "ensure_tenants",
    "get_meta",
    "set_meta",
]

FIRST_CUSTOMER: Final = 1001
STARTING_BYTES: Final = 10 * 2**40
"""What each pool of a new tenant holds: 10 TiB, bought with its service."""
DEFAULT_USER: Final = "default_user"
_SERVICE_DAYS: Final = 365
_USER: Final = (
    "INSERT INTO proxy_user (customer_id, proxy_user_id, proxy_user_password, "
    "proxy_user_is_default, proxy_user_creation_datetime, proxy_user_last_update_datetime) "
    "VALUES (?, ?, ?, 1, ?, ?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantAccount:
    customer_id: int
    name: str
    public_key: str
    private_key: str


def ensure_tenants(connection: sqlite3.Connection, count: int, now_us: int) -> list[TenantAccount]:
    """Return all customers, after creating the missing ones of the first `count`."""
    present = connection.execute("SELECT COUNT(*) FROM tenant").fetchone()[0]
    for number in range(present, count):
        _create(connection, FIRST_CUSTOMER + number, f"tenant-{chr(97 + number % 26)}", now_us)
    rows = connection.execute(
        "SELECT customer_id, name, public_key, private_key FROM tenant ORDER BY customer_id"
    )
    return [
        TenantAccount(customer_id=row[0], name=row[1], public_key=row[2], private_key=row[3])
        for row in rows
    ]


def _create(connection: sqlite3.Connection, customer_id: int, name: str, now_us: int) -> None:
    connection.execute(
        "INSERT INTO tenant (customer_id, name, public_key, private_key) VALUES (?, ?, ?, ?)",
        (customer_id, name, new_key("pk"), new_key("sk")),
    )
    connection.execute(_USER, (customer_id, DEFAULT_USER, new_password(), now_us, now_us))
    for number, network in enumerate(NETWORKS, 1):
        service_id = f"{customer_id}-{number:04d}-{network.upper()[:3]}"
        connection.execute(
            "INSERT INTO service (service_id, customer_id, service_name, service_type, "
            "service_status, service_cycle, service_quantity, service_total, "
            "service_creation_datetime, service_dispatch_datetime, service_expiry_datetime, "
            "service_last_update_datetime) VALUES (?, ?, ?, ?, 'active', '1:month', ?, ?, ?, ?, "
            "?, ?)",
            (
                service_id,
                customer_id,
                f"{network.title()} Proxies",
                network,
                100,
                10000,
                now_us,
                now_us,
                now_us + _SERVICE_DAYS * DAY_US,
                now_us,
            ),
        )
        if network in POOLS:
            connection.execute(
                "INSERT INTO ledger (ledger_id, customer_id, network, reason, requests, "
                "bytes_high, bytes_low, day, service_id, created_us, updated_us) "
                "VALUES (?, ?, ?, 'service_purchase', 0, ?, ?, ?, ?, ?, ?)",
                (
                    new_uuid(),
                    customer_id,
                    network,
                    *split(STARTING_BYTES),
                    day_of(now_us),
                    service_id,
                    now_us,
                    now_us,
                ),
            )


def get_meta(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def set_meta(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))
