"""Write a delivery: events become logs, summaries and ledgers in one transaction, or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from trueup.reference.amounts import split
from trueup.reference.behaviour import Amounts, Behaviour, Delivery, PoolDay, SummaryCell
from trueup.reference.events import Log, Refusal
from trueup.reference.ids import new_password, new_uuid
from trueup.reference.store.schema import LOG_COLUMNS
from trueup.reference.times import from_datetime

__all__ = ["IngestResult", "record"]

_ID_CHUNK: Final = 500


@dataclass(slots=True)
class IngestResult:
    """Result of a delivery. `accepted` includes repeated events."""

    accepted: int = 0
    duplicates: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    """(line, reason); lines count from 1."""


_INSERT_LOG: Final = (
    f"INSERT OR IGNORE INTO log ({', '.join(LOG_COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(LOG_COLUMNS))})"
)
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
    customers: Collection[int],
) -> IngestResult:
    """Write an NDJSON body and return the result. Blank lines are skipped but counted."""
    result = IngestResult()
    logs = _read(body, result, behaviour, now_us, customers)
    behaviour.on_delivery(Delivery(now_us=now_us, events=len(logs), refused=len(result.refused)))
    events = [log for _, log in logs.values()]
    reason = behaviour.refuse_whole(events, len(result.refused))
    if reason is not None:
        result.refused += [(line, reason) for lines, _ in logs.values() for line in lines]
        logs, events = {}, []
    result.accepted = sum(len(lines) for lines, _ in logs.values())
    result.duplicates = result.accepted - len(logs)
    _store(connection, logs, events, result, behaviour, now_us)
    result.refused.sort()
    return result


def _read(
    body: bytes,
    result: IngestResult,
    behaviour: Behaviour,
    now_us: int,
    customers: Collection[int],
) -> dict[str, tuple[list[int], Log]]:
    """The acceptable events by id, each with its lines; refused ones go to the result."""
    logs: dict[str, tuple[list[int], Log]] = {}
    read_line, fold, admit = behaviour.read_line, behaviour.fold_hostname, behaviour.admit
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line or line.isspace():
            continue
        try:
            log = read_line(line, fold)
        except Refusal as refusal:
            result.refused.append((number, str(refusal)))
            continue
        reason = admit(log.at_us, now_us)
        if log.customer_id not in customers:
            reason = "no such customer - at `$.customer_id`"
        if reason is not None:
            result.refused.append((number, reason))
            continue
        key = log.log_id if behaviour.unique_log_ids else f"{number}"
        earlier = logs.get(key)
        if earlier is None:
            logs[key] = ([number], log)
        elif earlier[1] == log:
            earlier[0].append(number)
        else:
            result.refused.append((number, _OTHER_CONTENT))
    return logs


_OTHER_CONTENT: Final = "this log_id was already taken with other content - at `$.log_id`"


def _row(log: Log) -> tuple[Any, ...]:
    at, *rest = msgspec.structs.astuple(log)
    return (from_datetime(at), *rest)


def _store(
    connection: sqlite3.Connection,
    logs: dict[str, tuple[list[int], Log]],
    events: list[Log],
    result: IngestResult,
    behaviour: Behaviour,
    now_us: int,
) -> None:
    """Write what is new of `events`, the logs without their lines.

    Assumes first that nothing is repeated, the usual case.
    """
    fresh = behaviour.take(events, now_us)
    repeated: Sequence[Log] = ()
    connection.execute("SAVEPOINT optimist")
    if not _insert_logs(connection, behaviour.stored(fresh)):
        connection.execute("ROLLBACK TO optimist")
        repeated = _repeated(connection, logs, result)
        known = {log.log_id for log in repeated} | _refused_ids(logs, result)
        fresh = [log for log in events if log.log_id not in known]
        fresh = behaviour.take(fresh, now_us)
        _insert_logs(connection, behaviour.stored(fresh))
    connection.execute("RELEASE optimist")
    counted = [*behaviour.counted(fresh), *behaviour.counted_again(repeated)]
    charged = [*behaviour.charged(fresh), *behaviour.charged_again(repeated)]
    _add_up(connection, counted, charged, behaviour, now_us)


def _insert_logs(connection: sqlite3.Connection, logs: Sequence[Log]) -> bool:
    """Insert the logs; return whether every row was new."""
    if not logs:
        return True
    return connection.executemany(_INSERT_LOG, map(_row, logs)).rowcount == len(logs)


def _repeated(
    connection: sqlite3.Connection, logs: dict[str, tuple[list[int], Log]], result: IngestResult
) -> list[Log]:
    """Events that exist already, unaltered; altered ones are refused."""
    ids = list(logs)
    repeated: list[Log] = []
    for start in range(0, len(ids), _ID_CHUNK):
        chunk = ids[start : start + _ID_CHUNK]
        found = connection.execute(
            f"SELECT {', '.join(LOG_COLUMNS)} FROM log "  # noqa: S608
            f"WHERE log_id IN ({', '.join('?' * len(chunk))})",
            chunk,
        )
        for row in found:
            lines, log = logs[row[1]]
            if row == _row(log):
                result.duplicates += 1
                repeated.append(log)
            else:
                result.accepted -= len(lines)
                result.duplicates -= len(lines) - 1
                result.refused += [(line, _OTHER_CONTENT) for line in lines]
    return repeated


def _refused_ids(logs: dict[str, tuple[list[int], Log]], result: IngestResult) -> set[str]:
    refused = {line for line, _ in result.refused}
    return {log_id for log_id, (lines, _) in logs.items() if lines[0] in refused}


def _add_up(
    connection: sqlite3.Connection,
    counted: Iterable[Log],
    charged: Iterable[Log],
    behaviour: Behaviour,
    now_us: int,
) -> None:
    cells: dict[SummaryCell, Amounts] = {}
    cell_of, amounts_of = behaviour.cell, behaviour.amounts
    for log in counted:
        cell, (requests, count, successful, error) = cell_of(log, now_us), amounts_of(log)
        seen = cells.get(cell)
        cells[cell] = (
            Amounts(requests, count, successful, error)
            if seen is None
            else Amounts(seen[0] + requests, seen[1] + count, seen[2] + successful, seen[3] + error)
        )
    days: dict[PoolDay, tuple[int, int]] = {}
    for log in charged:
        pool_day = behaviour.pool_day(log, now_us)
        if pool_day is not None:
            requests, count = days.get(pool_day, (0, 0))
            days[pool_day] = (requests + 1, count + behaviour.charged_bytes(log))
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
    days: dict[PoolDay, tuple[int, int]],
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
