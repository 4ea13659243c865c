"""Write deliveries: events become logs, summaries and ledgers in one transaction, or none.

Deliveries that wait together are written together: their rows are inserted at once, and each row of
a summary or a ledger is added to once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import msgspec

from trueup.reference.amounts import split
from trueup.reference.behaviour import Amounts, Behaviour, Delivery, SummaryCell
from trueup.reference.events import Log
from trueup.reference.ids import new_password, new_uuid
from trueup.reference.store.deliveries import OTHER_CONTENT, ReadDelivery, read_delivery
from trueup.reference.store.rollup import Cells, PoolDays, add_up
from trueup.reference.store.schema import LOG_COLUMNS
from trueup.reference.times import from_datetime

__all__ = ["IngestResult", "insert_logs", "record", "record_together"]

_ID_CHUNK: Final = 500


@dataclass(slots=True)
class IngestResult:
    """Result of a delivery. `accepted` includes repeated events."""

    accepted: int = 0
    duplicates: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    """(line, reason); lines count from 1."""


_ROW: Final = f"({', '.join('?' * len(LOG_COLUMNS))})"
_INSERT_LOG: Final = f"INSERT OR IGNORE INTO log ({', '.join(LOG_COLUMNS)}) VALUES "  # noqa: S608
_ROWS_AT_ONCE: Final = 50
"""Logs that one statement inserts: the interpreter's lock is given up once for all of them."""
_INSERT_USER: Final = (
    "INSERT OR IGNORE INTO proxy_user (customer_id, proxy_user_id, proxy_user_password, "
    "proxy_user_creation_datetime, proxy_user_last_update_datetime) VALUES (?, ?, ?, ?, ?)"
)
_ADD_BYTES: Final = (
    "bytes_high = bytes_high + excluded.bytes_high + ((bytes_low + excluded.bytes_low) >> 32), "
    "bytes_low = (bytes_low + excluded.bytes_low) & 4294967295"
)
_SET_BYTES: Final = "bytes_high = excluded.bytes_high, bytes_low = excluded.bytes_low"
_SUMMARY: Final = (
    "INSERT INTO summary (log_summary_id, customer_id, proxy_user_id, network, hostname, day, "
    "requests, successful, error, bytes_high, bytes_low, created_us, updated_us) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (customer_id, proxy_user_id, network, hostname, day) DO UPDATE SET "
    "updated_us = excluded.updated_us, "
)
_LEDGER: Final = (
    "INSERT INTO ledger (ledger_id, customer_id, network, day, reason, requests, bytes_high, "
    "bytes_low, service_id, created_us, updated_us) "
    "VALUES (?, ?, ?, ?, 'usage', ?, ?, ?, "
    "(SELECT service_id FROM service WHERE customer_id = ? AND service_type = ? LIMIT 1), "
    "?, ?) ON CONFLICT (customer_id, network, day) WHERE reason = 'usage' DO UPDATE SET "
    "updated_us = excluded.updated_us, "
)


def _upsert(head: str, counters: Sequence[str], add: bool) -> str:
    form = "{0} = {0} + excluded.{0}" if add else "{0} = excluded.{0}"
    parts = [form.format(name) for name in counters]
    return head + ", ".join([*parts, _ADD_BYTES if add else _SET_BYTES])


def record(
    connection: sqlite3.Connection,
    body: bytes,
    *,
    behaviour: Behaviour,
    now_us: int,
    customers: AbstractSet[int],
) -> IngestResult:
    """Write an NDJSON body and return the result. Blank lines are skipped but counted."""
    delivery = read_delivery(body, behaviour=behaviour, now_us=now_us, customers=customers)
    return record_together(connection, [delivery], behaviour)[0]


def record_together(
    connection: sqlite3.Connection, deliveries: Sequence[ReadDelivery], behaviour: Behaviour
) -> list[IngestResult]:
    """Write deliveries in their order and return their results, the same as one by one."""
    if len(deliveries) < 2 or not _may_be_joined(deliveries, behaviour):
        return [_record_one(connection, delivery, behaviour) for delivery in deliveries]
    events: dict[str, Log] = {}
    for delivery in deliveries:
        events.update(delivery.events)
    fresh = list(events.values())
    connection.execute("SAVEPOINT together")
    whole = len(fresh) == sum(len(delivery.events) for delivery in deliveries)
    if not whole or not insert_logs(connection, fresh):
        # An event is repeated: what each delivery has of it is found out one by one.
        connection.execute("ROLLBACK TO together")
        connection.execute("RELEASE together")
        return [_record_one(connection, delivery, behaviour) for delivery in deliveries]
    connection.execute("RELEASE together")
    now_us = deliveries[-1].now_us
    _write(connection, add_up(fresh, fresh, behaviour, now_us), behaviour, now_us)
    return [_result(delivery, 0) for delivery in deliveries]


_CORRECT: Final = Behaviour()
_DECISIONS: Final = (
    "on_delivery",
    "refuse_whole",
    "take",
    "stored",
    "counted",
    "charged",
    "counted_again",
    "charged_again",
    "unique_log_ids",
    "settle",
    "summaries_add",
    "ledgers_add",
)


def _may_be_joined(deliveries: Sequence[ReadDelivery], behaviour: Behaviour) -> bool:
    """Whether no decision is made about a delivery as a whole."""
    return all(getattr(behaviour, name) == getattr(_CORRECT, name) for name in _DECISIONS)


def _record_one(
    connection: sqlite3.Connection, delivery: ReadDelivery, behaviour: Behaviour
) -> IngestResult:
    refused = len(delivery.refused)
    behaviour.on_delivery(
        Delivery(now_us=delivery.now_us, events=len(delivery.events), refused=refused)
    )
    reason = behaviour.refuse_whole(list(delivery.events.values()), refused)
    if reason is not None:
        for key in list(delivery.events):
            delivery.refuse(key, reason)
    fresh, repeated = _store(connection, delivery, behaviour)
    counted = [*behaviour.counted(fresh), *behaviour.counted_again(repeated)]
    charged = [*behaviour.charged(fresh), *behaviour.charged_again(repeated)]
    sums = add_up(counted, charged, behaviour, delivery.now_us)
    _write(connection, sums, behaviour, delivery.now_us)
    return _result(delivery, len(repeated))


def _result(delivery: ReadDelivery, repeated: int) -> IngestResult:
    accepted = delivery.count_lines()
    return IngestResult(
        accepted=accepted,
        duplicates=accepted - len(delivery.events) + repeated,
        refused=sorted(delivery.refused),
    )


def _store(
    connection: sqlite3.Connection, delivery: ReadDelivery, behaviour: Behaviour
) -> tuple[list[Log], list[Log]]:
    """Insert the logs that are new; return the events kept, and those that existed already.

    Assumes first that nothing is repeated, the usual case. Events that exist with other content
    are refused.
    """
    now_us = delivery.now_us
    fresh = behaviour.take(list(delivery.events.values()), now_us)
    repeated: list[Log] = []
    connection.execute("SAVEPOINT optimist")
    if not insert_logs(connection, behaviour.stored(fresh)):
        connection.execute("ROLLBACK TO optimist")
        repeated = _repeated(connection, delivery)
        known = {log.log_id for log in repeated}
        fresh = [log for log in delivery.events.values() if log.log_id not in known]
        fresh = behaviour.take(fresh, now_us)
        insert_logs(connection, behaviour.stored(fresh))
    connection.execute("RELEASE optimist")
    return fresh, repeated


def _row(log: Log) -> tuple[Any, ...]:
    row = msgspec.structs.astuple(log)
    return (row[0], from_datetime(row[1]), *row[2:])


def insert_logs(connection: sqlite3.Connection, logs: Sequence[Log]) -> bool:
    """Insert the logs; return whether every row was new."""
    rows = list(map(_row, logs))
    inserted = 0
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        statement = _INSERT_LOG + ", ".join([_ROW] * len(part))
        inserted += connection.execute(statement, tuple(chain.from_iterable(part))).rowcount
    return inserted == len(rows)


def _repeated(connection: sqlite3.Connection, delivery: ReadDelivery) -> list[Log]:
    """The events that exist already, unaltered; altered ones are refused."""
    ids = list(delivery.events)
    repeated: list[Log] = []
    for start in range(0, len(ids), _ID_CHUNK):
        chunk = ids[start : start + _ID_CHUNK]
        found = connection.execute(
            f"SELECT {', '.join(LOG_COLUMNS)} FROM log "  # noqa: S608
            f"WHERE log_id IN ({', '.join('?' * len(chunk))})",
            chunk,
        )
        for row in found.fetchall():
            log = delivery.events[row[0]]
            if row == _row(log):
                repeated.append(log)
            else:
                delivery.refuse(row[0], OTHER_CONTENT)
    return repeated


def _write(
    connection: sqlite3.Connection,
    sums: tuple[Cells, PoolDays],
    behaviour: Behaviour,
    now_us: int,
) -> None:
    cells, days = sums
    _write_cells(connection, behaviour.settle(cells), behaviour, now_us)
    _write_days(connection, days, behaviour, now_us)


def _write_cells(
    connection: sqlite3.Connection,
    cells: dict[SummaryCell, Amounts],
    behaviour: Behaviour,
    now_us: int,
) -> None:
    users = {(cell.customer_id, cell.proxy_user_id) for cell in cells}
    connection.executemany(
        _INSERT_USER, [(*user, new_password(), now_us, now_us) for user in sorted(users)]
    )
    connection.executemany(
        _upsert(_SUMMARY, ("requests", "successful", "error"), behaviour.summaries_add),
        [
            (
                new_uuid(),
                *cell,
                amounts.requests,
                amounts.successful,
                amounts.error,
                *split(amounts.bytes),
                now_us,
                now_us,
            )
            for cell, amounts in cells.items()
        ],
    )


def _write_days(
    connection: sqlite3.Connection,
    days: PoolDays,
    behaviour: Behaviour,
    now_us: int,
) -> None:
    connection.executemany(
        _upsert(_LEDGER, ("requests",), behaviour.ledgers_add),
        [
            (
                new_uuid(),
                *day,
                requests,
                *split(behaviour.usage_sign * count),
                day.customer_id,
                day.network,
                now_us,
                now_us,
            )
            for day, (requests, count) in days.items()
        ],
    )
