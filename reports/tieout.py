"""The tie-out table: one truth, seen from every view, side by side.

Each row is a scope (a network, a day, a tenant); each column a view. A cell gives what the view
shows, or by how much it is off. Widening by deliveries of unknown outcome is already in `ok`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reports.facts import TieOut
from reports.records import TieOutSeen
from reports.text import amount, signed

__all__ = ["COLUMNS", "Cell", "TieOutRow", "pivot"]

COLUMNS: Final[tuple[str, ...]] = ("logs", "summaries", "ledgers", "graph", "account")
_COLUMN_OF: Final[Mapping[str, str]] = {
    "residential_ledger": "ledgers",
    "mobile_ledger": "ledgers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One view of one scope. `seen` is what it shows, or the signed difference where it is off."""

    ok: bool
    seen: str
    rows: tuple[TieOut, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TieOutRow:
    """One scope over all views; `expected` in requests where requests are counted, else bytes."""

    part: str
    scope: str
    expected: str
    cells: Mapping[str, Cell]

    @property
    def ok(self) -> bool:
        return all(cell.ok for cell in self.cells.values())


def pivot(tie_outs: Sequence[TieOutSeen]) -> tuple[TieOutRow, ...]:
    """Arrange rows of the journal as scope × view, in the order in which scopes first came."""
    scopes: dict[tuple[str, str], dict[str, list[TieOut]]] = {}
    for seen in tie_outs:
        row = seen.row
        columns = scopes.setdefault((seen.part, row.scope), {})
        columns.setdefault(_COLUMN_OF.get(row.view, row.view), []).append(row)
    return tuple(
        TieOutRow(
            part=part,
            scope=scope,
            expected=_expected([row for rows in columns.values() for row in rows]),
            cells={column: _cell(rows) for column, rows in columns.items()},
        )
        for (part, scope), columns in scopes.items()
    )


def _expected(rows: Sequence[TieOut]) -> str:
    """The largest expectation of the scope: a view may see only a part, none sees more."""
    requests = [row.expected_requests for row in rows if row.expected_requests is not None]
    if requests:
        return amount(max(requests))
    octets = [row.expected_bytes for row in rows if row.expected_bytes is not None]
    return f"{amount(max(octets))} B" if octets else "–"


def _cell(rows: Sequence[TieOut]) -> Cell:
    ok = all(row.ok for row in rows)
    return Cell(ok=ok, seen=_seen(rows) if ok else _off(rows), rows=tuple(rows))


def _seen(rows: Sequence[TieOut]) -> str:
    requests = [row.seen_requests for row in rows if row.seen_requests is not None]
    if requests:
        return amount(sum(requests))
    octets = [row.seen_bytes for row in rows if row.seen_bytes is not None]
    return f"{amount(sum(octets))} B" if octets else "–"


def _off(rows: Sequence[TieOut]) -> str:
    """By how much the rows that do not tie out are off: in requests, or in bytes if only those."""
    bad = [row for row in rows if not row.ok]
    requests = sum(
        row.seen_requests - row.expected_requests
        for row in bad
        if row.seen_requests is not None and row.expected_requests is not None
    )
    if requests:
        return signed(requests)
    octets = sum(
        row.seen_bytes - row.expected_bytes
        for row in bad
        if row.seen_bytes is not None and row.expected_bytes is not None
    )
    if octets:
        return f"{signed(octets)} B"
    return "not seen" if any(row.seen_requests is None for row in bad) else "off"
