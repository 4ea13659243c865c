"""Maintenance: delete logs past their retention, remove the hostnames of old summaries.

A round is done in steps, each a transaction of its own, so that no other writer waits for a whole
round. What a step leaves for later is not seen: reads hide logs past their retention, and every
step of consolidation leaves all sums as they were.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trueup.reference.amounts import join, split
from trueup.reference.behaviour import Behaviour, Group
from trueup.reference.clock import monotonic_s
from trueup.reference.retention import DayRow

__all__ = ["MaintenanceResult", "MaintenanceRound", "maintain"]

STEP_S: Final = 0.03
"""After this time a step ends with the chunk in hand, in seconds."""
LOG_CHUNK: Final = 200
"""Logs that are deleted at once."""
SUMMARY_CHUNK: Final = 500
"""Old summary rows that are looked for at once."""
CLEAR_LIMIT: Final = 50_000
"""Most logs that are deleted at once where all of them go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceResult:
    """How many rows one round of maintenance changed."""

    logs_deleted: int
    summaries_consolidated: int


class MaintenanceRound:
    """Everything that is due at `now_us`, step by step."""

    def __init__(self, *, behaviour: Behaviour, now_us: int) -> None:
        self._behaviour = behaviour
        self._now_us = now_us
        self._deleted = 0
        self._consolidated = 0
        self._chunks: Iterator[None] | None = None

    def step(self, connection: sqlite3.Connection) -> MaintenanceResult | None:
        """Do the next part, for about STEP_S; return the result if nothing is left, else None.

        Call it with the same connection each time, in a transaction of its own.
        """
        if self._chunks is None:
            self._chunks = self._work(connection)
        until_s = monotonic_s() + STEP_S
        for _ in self._chunks:
            if monotonic_s() >= until_s:
                return None
        return MaintenanceResult(
            logs_deleted=self._deleted, summaries_consolidated=self._consolidated
        )

    def _work(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Do one chunk after another; yield after each."""
        rows = connection.execute("SELECT customer_id FROM tenant ORDER BY customer_id")
        everyone = [row[0] for row in rows.fetchall()]
        customers = self._behaviour.maintained(everyone)
        before_us = self._behaviour.purge_before(self._now_us)
        if len(customers) == len(everyone):
            self._deleted += _clear(connection, everyone, before_us)
        for customer_id in customers:
            while deleted := _purge(connection, customer_id, before_us):
                self._deleted += deleted
                yield
        for customer_id in customers:
            for group in _old_groups(connection, customer_id, self._behaviour, self._now_us):
                self._consolidated += _merge(connection, group, self._behaviour, self._now_us)
                yield
        self._behaviour.after_maintenance(connection, self._now_us)


def maintain(
    connection: sqlite3.Connection, *, behaviour: Behaviour, now_us: int
) -> MaintenanceResult:
    """Do everything that is due at `now_us` at once, and return what changed.

    A second round at the same time changes nothing.
    """
    due = MaintenanceRound(behaviour=behaviour, now_us=now_us)
    while (result := due.step(connection)) is None:
        pass
    return result


def _clear(connection: sqlite3.Connection, everyone: list[int], before_us: int) -> int:
    """Delete all logs where all are due and they are few; return how many."""
    if any(
        connection.execute(
            "SELECT 1 FROM log WHERE customer_id = ? AND log_request_datetime >= ? LIMIT 1",
            (customer_id, before_us),
        ).fetchone()
        for customer_id in everyone
    ):
        return 0
    first, last = connection.execute("SELECT MIN(seq), MAX(seq) FROM log").fetchone()
    if first is None or last - first >= CLEAR_LIMIT:
        return 0
    # Without a WHERE, SQLite drops the whole tree at once instead of row by row.
    count = int(connection.execute("SELECT COUNT(*) FROM log").fetchone()[0])
    connection.execute("DELETE FROM log")
    return count


def _purge(connection: sqlite3.Connection, customer_id: int, before_us: int) -> int:
    return connection.execute(
        "DELETE FROM log WHERE seq IN (SELECT seq FROM log "
        "WHERE customer_id = ? AND log_request_datetime < ? LIMIT ?)",
        (customer_id, before_us, LOG_CHUNK),
    ).rowcount


def _old_groups(
    connection: sqlite3.Connection, customer_id: int, behaviour: Behaviour, now_us: int
) -> Iterator[tuple[int, str, str, int]]:
    """Yield each group that is due once, the oldest day first."""
    before = behaviour.consolidate_before(now_us)
    seen: set[tuple[int, str, str, int]] = set()
    last = (-(2**63), 0)
    while rows := connection.execute(
        "SELECT day, seq, proxy_user_id, network FROM summary WHERE customer_id = ? "
        "AND day < ? AND hostname <> '' AND (day, seq) > (?, ?) ORDER BY day, seq LIMIT ?",
        (customer_id, before, *last, SUMMARY_CHUNK),
    ).fetchall():
        last = rows[-1][:2]
        for day, _, user, network in rows:
            group = (customer_id, user, network, day)
            if group not in seen:
                seen.add(group)
                yield group


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
