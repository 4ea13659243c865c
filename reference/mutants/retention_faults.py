"""Faults that need time to show: D, retention and consolidation."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from trueup.reference.mutants.mutant import Mutant, swap
from trueup.reference.retention import REMOVED, DayRow, consolidate_before, merge, visible_from
from trueup.reference.times import DAY_US, HOUR_US, ceil_day, day_of

__all__ = ["FAULTS", "keep_logs_for"]


def keep_logs_for(age_us: int) -> dict[str, Any]:
    """Return overrides by which logs are shown and kept for this long, in microseconds."""
    return {
        "visible_from": lambda now_us, _view, _customer_id: now_us - age_us,
        "purge_before": lambda now_us: now_us - age_us,
    }


def _consolidate_after(days: int) -> dict[str, Any]:
    return {"consolidate_before": lambda now_us: day_of(ceil_day(now_us - days * DAY_US))}


def _wipe(connection: sqlite3.Connection, now_us: int) -> None:
    connection.execute("DELETE FROM summary WHERE day < ?", (day_of(visible_from(now_us, "", 0)),))


def _double(connection: sqlite3.Connection, now_us: int) -> None:
    connection.execute(
        "UPDATE summary SET requests = requests * 2, successful = successful * 2, "
        "error = error * 2, bytes_high = bytes_high * 2 + ((bytes_low * 2) >> 32), "
        "bytes_low = (bytes_low * 2) & 4294967295 "
        "WHERE hostname = '' AND updated_us < ? AND requests < 1 << 40 "
        "AND bytes_high < 1 << 40",
        (now_us,),
    )


def _keep_one(rows: Sequence[DayRow]) -> Sequence[DayRow]:
    return (replace(rows[0], hostname=REMOVED),)


def _forget_ledger(connection: sqlite3.Connection, now_us: int) -> None:
    connection.execute("DELETE FROM ledger WHERE day < ?", (consolidate_before(now_us),))


def _round_ledger(connection: sqlite3.Connection, now_us: int) -> None:
    connection.execute(
        "UPDATE ledger SET bytes_low = bytes_low & ~1023 WHERE reason = 'usage' AND day < ?",
        (day_of(visible_from(now_us, "", 0)),),
    )


def _first_names(rows: Sequence[DayRow]) -> Sequence[DayRow]:
    merged = merge(rows)[0]
    return (replace(merged, hostname=max(row.hostname for row in rows)),)


def _no_errors(rows: Sequence[DayRow]) -> Sequence[DayRow]:
    merged = merge(rows)[0]
    return (replace(merged, successful=0, error=0),)


FAULTS: Final[tuple[Mutant, ...]] = (
    swap("D1", "Logs are purged after six days.", **keep_logs_for(6 * DAY_US)),
    swap("D2", "Logs are kept and shown for ten days.", **keep_logs_for(10 * DAY_US)),
    swap(
        "D3",
        "A log that aged out is hidden from search but still retrieved by its id.",
        visible_from=lambda now_us, view, _customer_id: (
            now_us - (60 if view == "retrieve" else 7) * DAY_US
        ),
        purge_before=lambda now_us: now_us - 60 * DAY_US,
    ),
    swap(
        "D4",
        "The purge of logs takes the summaries of their days with it.",
        after_maintenance=_wipe,
    ),
    swap("D5", "Consolidation keeps the counts of one hostname only.", merge=_keep_one),
    swap(
        "D6",
        "Every further round of maintenance doubles the consolidated rows.",
        after_maintenance=_double,
    ),
    swap("D7", "Summaries are consolidated after 85 days.", **_consolidate_after(85)),
    swap(
        "D8",
        "Hostnames survive consolidation: rows stay as they are.",
        merge=lambda rows: rows,
    ),
    swap("D9", "Old summaries are deleted instead of consolidated.", merge=lambda rows: ()),
    swap(
        "E8",
        "Ledger rows are purged when the summaries of their day are consolidated.",
        after_maintenance=_forget_ledger,
    ),
    swap("N10", "Hostnames live for 120 days.", **_consolidate_after(120)),
    swap(
        "N11",
        "Ledger usage older than the logs is rounded down to whole KiB.",
        after_maintenance=_round_ledger,
    ),
    swap(
        "N12",
        "A consolidated row sums its parts but keeps one of their hostnames.",
        merge=_first_names,
    ),
    swap(
        "N13",
        "Consolidation forgets the counts of successes and errors.",
        merge=_no_errors,
    ),
    swap(
        "N14",
        "A log disappears from search an hour before its seven days are over.",
        visible_from=lambda now_us, view, _customer_id: (
            now_us - 7 * DAY_US + (HOUR_US if view == "search" else 0)
        ),
    ),
)
