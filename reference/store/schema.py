"""The tables, and how a connection is opened.

Days are numbers since the epoch, times are microseconds, amounts are two limbs
(`trueup.reference.amounts`). `seq` is the order of arrival; it breaks every tie.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from trueup.reference.errors import StartProblem
from trueup.reference.events import Log

__all__ = [
    "DATABASE",
    "LOG_COLUMNS",
    "SCHEMA_VERSION",
    "check",
    "connect",
    "create_file",
    "prepare",
]

DATABASE: Final = "reference.sqlite3"
SCHEMA_VERSION: Final = 2
CHECK_LIMIT: Final = 256 << 20
"""Bytes up to which a store is read as a whole when it is opened; a larger one takes too long."""
LOG_COLUMNS: Final = Log.__struct_fields__

_INTEGERS: Final = frozenset(
    {"log_request_datetime", "customer_id", "asn_id", "log_status_code", "log_local_port"}
    | {"log_total_bytes", "log_authentication_type", "log_total_elapsed_ms", "log_concurrency"}
    | {"log_handshake_elapsed_ms", "log_tunnel_elapsed_ms", "log_is_tls_enabled"}
    | {"log_smartpath_enabled", "log_smartpath_routed"}
)
_ADDED_UP: Final = (
    "proxy_user_id",
    "log_network",
    "log_hostname",
    "log_total_bytes",
    "log_status_code",
    "log_error_code",
    "log_concurrency",
)
"""What graph and breakdown read of a log: in the index of times, so that no row is looked up."""


def _log_table(unique_log_ids: bool) -> str:
    columns = ", ".join(
        f"{name} {'INTEGER' if name in _INTEGERS else 'TEXT'}" for name in LOG_COLUMNS
    )
    return f"""
    CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, {columns});
    CREATE {"UNIQUE" if unique_log_ids else ""} INDEX IF NOT EXISTS log_by_id ON log (log_id);
    CREATE INDEX IF NOT EXISTS log_by_time
        ON log (customer_id, log_request_datetime, seq, {", ".join(_ADDED_UP)});
    CREATE INDEX IF NOT EXISTS log_by_user
        ON log (customer_id, proxy_user_id, log_request_datetime);
    CREATE INDEX IF NOT EXISTS log_by_hostname
        ON log (customer_id, log_hostname, log_request_datetime);
    """


_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tenant (
    customer_id INTEGER PRIMARY KEY, name TEXT NOT NULL,
    public_key TEXT NOT NULL UNIQUE, private_key TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS summary (
    seq INTEGER PRIMARY KEY, log_summary_id TEXT NOT NULL, customer_id INTEGER NOT NULL,
    proxy_user_id TEXT NOT NULL, network TEXT NOT NULL, hostname TEXT NOT NULL,
    day INTEGER NOT NULL, requests INTEGER NOT NULL, successful INTEGER NOT NULL,
    error INTEGER NOT NULL, bytes_high INTEGER NOT NULL, bytes_low INTEGER NOT NULL,
    created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL,
    charged_high INTEGER GENERATED ALWAYS AS
        (CASE WHEN network IN ('residential', 'mobile') THEN bytes_high ELSE 0 END) VIRTUAL,
    charged_low INTEGER GENERATED ALWAYS AS
        (CASE WHEN network IN ('residential', 'mobile') THEN bytes_low ELSE 0 END) VIRTUAL);
CREATE UNIQUE INDEX IF NOT EXISTS summary_by_key
    ON summary (customer_id, proxy_user_id, network, hostname, day);
CREATE INDEX IF NOT EXISTS summary_by_id ON summary (log_summary_id);
CREATE INDEX IF NOT EXISTS summary_by_day ON summary (customer_id, day);
CREATE INDEX IF NOT EXISTS summary_with_hostname
    ON summary (customer_id, day) WHERE hostname <> '';
CREATE TABLE IF NOT EXISTS ledger (
    seq INTEGER PRIMARY KEY, ledger_id TEXT NOT NULL UNIQUE, customer_id INTEGER NOT NULL,
    network TEXT NOT NULL, reason TEXT NOT NULL, requests INTEGER NOT NULL,
    bytes_high INTEGER NOT NULL, bytes_low INTEGER NOT NULL, day INTEGER NOT NULL,
    service_id TEXT, service_adjustment_id INTEGER,
    created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS ledger_usage
    ON ledger (customer_id, network, day) WHERE reason = 'usage';
CREATE INDEX IF NOT EXISTS ledger_by_day ON ledger (customer_id, network, day);
CREATE TABLE IF NOT EXISTS money (
    customer_id INTEGER NOT NULL, idempotency_key TEXT NOT NULL, request TEXT NOT NULL,
    ledger_id TEXT NOT NULL, PRIMARY KEY (customer_id, idempotency_key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS proxy_user (
    seq INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, proxy_user_id TEXT NOT NULL,
    proxy_user_password TEXT NOT NULL, proxy_user_access_type TEXT NOT NULL DEFAULT 'all',
    proxy_user_is_strict_security INTEGER NOT NULL DEFAULT 0,
    proxy_user_enforce_https INTEGER NOT NULL DEFAULT 0,
    proxy_user_is_default INTEGER NOT NULL DEFAULT 0,
    proxy_user_is_deleted INTEGER NOT NULL DEFAULT 0,
    proxy_user_ip_address_authentication_limit INTEGER NOT NULL DEFAULT 3,
    ip_address_authentications TEXT NOT NULL DEFAULT '[]',
    proxy_user_metadata TEXT NOT NULL DEFAULT '{}',
    proxy_user_residential_bytes_limit INTEGER, proxy_user_mobile_bytes_limit INTEGER,
    proxy_user_creation_datetime INTEGER NOT NULL,
    proxy_user_last_update_datetime INTEGER NOT NULL,
    UNIQUE (customer_id, proxy_user_id));
CREATE TABLE IF NOT EXISTS service (
    seq INTEGER PRIMARY KEY, service_id TEXT NOT NULL UNIQUE, customer_id INTEGER NOT NULL,
    service_name TEXT NOT NULL, service_type TEXT NOT NULL, service_status TEXT NOT NULL,
    service_protocol TEXT, service_cycle TEXT NOT NULL, country_id TEXT,
    payment_method_id TEXT, service_subscription_id TEXT, service_promotional_code TEXT,
    service_image TEXT, service_quantity INTEGER NOT NULL, service_total INTEGER NOT NULL,
    service_is_automatic_collection INTEGER NOT NULL DEFAULT 0,
    service_is_pending_cancellation INTEGER NOT NULL DEFAULT 0,
    service_subscription_is_paused INTEGER NOT NULL DEFAULT 0,
    service_metadata TEXT NOT NULL DEFAULT '{}', service_creation_datetime INTEGER NOT NULL,
    service_dispatch_datetime INTEGER, service_earliest_cancellation_datetime INTEGER,
    service_expiry_datetime INTEGER, service_last_update_datetime INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS service_adjustment (
    service_adjustment_id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL,
    service_id TEXT NOT NULL, invoice_id TEXT, service_adjustment_type TEXT NOT NULL,
    service_adjustment_status TEXT NOT NULL, service_adjustment_pre TEXT NOT NULL,
    service_adjustment_post TEXT NOT NULL, service_adjustment_eval TEXT NOT NULL,
    service_adjustment_is_administrator INTEGER NOT NULL,
    service_adjustment_is_automatic INTEGER NOT NULL,
    service_adjustment_is_customer INTEGER NOT NULL,
    service_adjustment_creation_datetime INTEGER NOT NULL,
    service_adjustment_last_update_datetime INTEGER NOT NULL);
"""


_STATISTICS: Final = {
    "log": {
        "log_by_id": (1_000_000, 1),
        "log_by_time": (1_000_000, 500_000, 50, *[1] * (1 + len(_ADDED_UP))),
        "log_by_user": (1_000_000, 500_000, 2_000, 2),
        "log_by_hostname": (1_000_000, 500_000, 1_000, 2),
    },
    "summary": {
        "summary_by_key": (1_000_000, 500_000, 5_000, 2_000, 50, 1),
        "summary_by_id": (1_000_000, 1),
        "summary_by_day": (1_000_000, 500_000, 10_000),
        "summary_with_hostname": (900_000, 450_000, 10_000),
    },
}
"""Table → index → rows, and rows for each further column that is known: typical of a large store.

They are given, not measured, so that a store has the same query plans at any size.
"""


def _give_statistics(connection: sqlite3.Connection) -> None:
    connection.execute("ANALYZE sqlite_schema")
    for table, indexes in _STATISTICS.items():
        connection.execute("DELETE FROM sqlite_stat1 WHERE tbl = ?", (table,))
        connection.executemany(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)",
            [
                (table, index, " ".join(str(number) for number in numbers))
                for index, numbers in indexes.items()
            ],
        )
    connection.execute("ANALYZE sqlite_schema")


def create_file(path: Path) -> None:
    """Create the database's file if there is none, readable by its owner alone.

    SQLite gives the files that it adds the same permissions. Raises StartProblem for a file that
    was cut to nothing.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if path.stat().st_size == 0:
            raise StartProblem(
                f"{path}: the file is empty, although a store was kept here. Restore it from a "
                f"copy; to start anew, delete it or choose another --data directory.",
                status=3,
            ) from None


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StartProblem where the file lacks its end or, up to CHECK_LIMIT bytes, is damaged."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    found = path.stat().st_size
    damage = f"it has {found} bytes and should have {pages * size}" if found < pages * size else ""
    if not damage and found <= CHECK_LIMIT:
        report = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        damage = "" if report == "ok" else str(report).replace("\n", " ")
    if damage:
        raise StartProblem(
            f"{path}: the store is damaged: {damage}. Restore it from a copy; to start anew, "
            f"choose another --data directory.",
            status=3,
        )


def connect(path: Path, *, writer: bool = False, durable: bool = True) -> sqlite3.Connection:
    """Open one connection, for use by one thread at a time, and return it.

    `durable`: a commit is on disk before it returns, so that it survives a power failure;
    without it, a commit survives only the end of the process.
    """
    connection = sqlite3.connect(
        path, isolation_level=None, timeout=30.0, check_same_thread=False, cached_statements=256
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = {-131072 if writer else -32768}")
        connection.execute("PRAGMA wal_autocheckpoint = 8000")
        if not writer:
            connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection, path: Path, *, unique_log_ids: bool = True) -> None:
    """Create missing tables; in a store of version 1, replace the index of times.

    Raises StartProblem where the file has another version.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 1:
        connection.execute("DROP INDEX IF EXISTS log_by_time")
    elif version not in (0, SCHEMA_VERSION):
        raise StartProblem(
            f"{path}: made by another version (store version {version}, this one reads "
            f"{SCHEMA_VERSION}). Choose another --data directory.",
            status=3,
        )
    connection.executescript(_log_table(unique_log_ids) + _TABLES)
    _give_statistics(connection)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
