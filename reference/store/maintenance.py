"""Maintenance: delete logs past their retention, remove the hostnames of old summaries."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from trueup.reference.amounts import join, split
from trueup.reference.behaviour import Behaviour, Group
from trueup.reference.retention import DayRow

__all__ = ["MaintenanceResult", "maintain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceResult:
    """How many rows one round of maintenance changed."""

    logs_deleted: int
    summaries_consolidated: int


def maintain(
    connection: sqlite3.Connection, *, behaviour: Behaviour, now_us: int
) -> MaintenanceResult:
    """Do everything that is due at `now_us` and return what changed.

    A second round at the same time changes nothing.
    """
    rows = connection.execute("SELECT customer_id FROM tenant ORDER BY customer_id")
    everyone = [row[0] for row in rows]
    customers = behaviour.maintained(everyone)
    deleted = _purge(connection, everyone, customers, behaviour.purge_before(now_us))
    consolidated = sum(
        _consolidate(connection, customer_id, behaviour, now_us) for customer_id in customers
    )
    behaviour.after_maintenance(connection, now_us)
    return MaintenanceResult(logs_deleted=deleted, summaries_consolidated=consolidated)


def _purge(
    connection: sqlite3.Connection,
    everyone: Sequence[int],
    customers: Sequence[int],
    before_us: int,
) -> int:
    younger = any(
        connection.execute(
            "SELECT 1 FROM log WHERE customer_id = ? AND log_request_datetime >= ? LIMIT 1",
            (customer_id, before_us),
        ).fetchone()
        for customer_id in everyone
    )
    if not younger and len(customers) == len(everyone):
        # Without a WHERE, SQLite drops the whole tree at once instead of row by row.
        count = int(connection.execute("SELECT COUNT(*) FROM log").fetchone()[0])
        connection.execute("DELETE FROM log")
        return count
    return sum(
        connection.execute(
            "DELETE FROM log WHERE customer_id = ? AND log_request_datetime < ?",
            (customer_id, before_us),
        ).rowcount
        for customer_id in customers
    )


def _consolidate(
    connection: sqlite3.Connection, customer_id: int, behaviour: Behaviour, now_us: int
) -> int:
    groups = connection.execute(
        "SELECT DISTINCT proxy_user_id, network, day FROM summary "
        "WHERE customer_id = ? AND day < ? AND hostname <> ''",
        (customer_id, behaviour.consolidate_before(now_us)),
    ).fetchall()
    return sum(_merge(connection, (customer_id, *group), behaviour, now_us) for group in groups)


def _merge(
    connection: sqlite3.Connection,
    group: tuple[int, str, str, int],
    behaviour: Behaviour,
    now_us: int,
) -> int:
    where = "customer_id = ? AND proxy_user_id = ? AND network = ? AND day = ?"
    rows = [
        DayRow(
            log_summary_id=row[0],
            hostname=row[1],
            requests=row[2],
            successful=row[3],
            error=row[4],
            bytes=join(row[5], row[6]),
            created_us=row[7],
        )
        for row in connection.execute(
            "SELECT log_summary_id, hostname, requests, successful, error, bytes_high, "  # noqa: S608
            f"bytes_low, created_us FROM summary WHERE {where} ORDER BY seq",
            group,
        )
    ]
    merged = behaviour.merged(Group(*group), behaviour.merge(rows))
    if list(merged) == rows:
        return 0
    connection.execute(f"DELETE FROM summary WHERE {where}", group)  # noqa: S608
    connection.executemany(
        "INSERT INTO summary (log_summary_id, customer_id, proxy_user_id, network, day, "
        "hostname, requests, successful, error, bytes_high, bytes_low, created_us, updated_us) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                row.log_summary_id,
                *group,
                row.hostname,
                row.requests,
                row.successful,
                row.error,
                *split(row.bytes),
                row.created_us,
                now_us,
            )
            for row in merged
        ],
    )
    return len(rows)
