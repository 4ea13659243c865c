"""The tie-out table: the figures of the same traffic in every view, side by side.

A row is a scope (a customer, a network, a day), a column a view. A scope `a · b` is a part of `a`:
where a view has only the parts, the row of the whole shows their sum. A cell has what the view
shows, or by how much it is off. Deliveries of unknown outcome make the expectation a range.
Requests and bytes are never mixed in a row: a view that has only bytes ties out or is off by bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trueup.reports.formatting import amount, between, signed
from trueup.reports.journal.records import TieOutSeen
from trueup.reports.results import TieOut

__all__ = [
    "COLUMNS",
    "PlaceRow",
    "TableCell",
    "TieOutRow",
    "column_of",
    "pivot",
    "places",
    "rows_for_small_screen",
    "table_cell",
]

COLUMNS: Final[tuple[str, ...]] = (
    *("client", "proxy", "origin"),
    *("logs", "summaries", "ledgers", "graph", "account"),
)
_COLUMN_OF: Final[Mapping[str, str]] = {
    "residential_ledger": "ledgers",
    "mobile_ledger": "ledgers",
}
_PART_OF: Final = " · "
_CLIENT: Final = "client"
"""Only traffic through proxies has clients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCell:
    """One view of one scope."""

    ok: bool
    seen: str
    """What it shows, or the signed difference where it is off. Empty where it ties out and has only
    bytes, which cannot be compared with the requests beside it."""
    rows: tuple[TieOut, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TieOutRow:
    """One scope over all views."""

    part: str
    """Which traffic: `fleet`, `proxied`, `load`."""
    scope: str
    whole: bool
    """False for a scope that is a part of the nearest whole above it."""
    expected: str
    """Requests where requests are counted, else bytes; a range where outcomes are unknown."""
    requests: tuple[int, int] | None
    """Least and most requests that are expected; None where only bytes are counted."""
    cells: Mapping[str, TableCell]

    @property
    def ok(self) -> bool:
        """Whether every view ties out."""
        return all(cell.ok for cell in self.cells.values())

    @property
    def name(self) -> str:
        """Traffic and scope, as a person reads them."""
        return self.scope if self.part in ("", self.scope) else f"{self.part} {self.scope}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRow:
    """One place that counted the requests through proxies."""

    place: str
    """One of `COLUMNS`."""
    cells: tuple[TableCell | None, ...]
    """By network, with bytes; None where the place does not count that network."""


_Columns = dict[str, list[TieOut]]
_Range = tuple[int, int]


def column_of(view: str) -> str:
    """Return the column of a view: ledgers of all networks share one."""
    return _COLUMN_OF.get(view, view)


def table_cell(rows: Sequence[TieOut]) -> TableCell:
    """Return the rows of one view as one cell, held to their own expectation alone."""
    return _cell(rows, None)


def pivot(tie_outs: Sequence[TieOutSeen]) -> tuple[TieOutRow, ...]:
    """Return the journal's rows arranged as scope × view: each whole, followed by its parts."""
    wholes: dict[tuple[str, str], dict[str, _Columns]] = {}
    for seen in tie_outs:
        row = seen.row
        scopes = wholes.setdefault((seen.part, row.scope.split(_PART_OF)[0]), {})
        columns = scopes.setdefault(row.scope, {})
        columns.setdefault(column_of(row.view), []).append(row)
    rows: list[TieOutRow] = []
    for (part, whole), scopes in wholes.items():
        rows.append(_row(part, whole, _with_sums(whole, scopes), whole=True))
        rows += [
            _row(part, scope, columns, whole=False)
            for scope, columns in scopes.items()
            if scope != whole
        ]
    return tuple(rows)


def places(rows: Sequence[TieOutRow]) -> tuple[tuple[str, ...], tuple[PlaceRow, ...]]:
    """Return the traffic through proxies as place × network: its networks, and a row a place.

    Both are empty where no traffic went through proxies.
    """
    proxied = [row for row in rows if row.whole and _CLIENT in row.cells]
    columns = [column for column in COLUMNS if any(column in row.cells for row in proxied)]
    return tuple(row.scope for row in proxied), tuple(
        PlaceRow(place=column, cells=tuple(_place(row.cells.get(column)) for row in proxied))
        for column in columns
    )


def _place(cell: TableCell | None) -> TableCell | None:
    """Return a cell with its bytes; its requests where not all of its rows have bytes."""
    if cell is None or not cell.ok:
        return cell
    sizes = [row.seen_bytes for row in cell.rows]
    known = [size for size in sizes if size is not None]
    seen = f"{amount(sum(known))} B" if len(known) == len(sizes) else f"{cell.seen} requests"
    return TableCell(ok=True, seen=seen, rows=cell.rows)


def rows_for_small_screen(rows: Sequence[TieOutRow]) -> list[TieOutRow]:
    """Return the rows that are off, without those of `places`."""
    proxied = {row.part for row in rows if _CLIENT in row.cells}
    return [row for row in rows if row.part not in proxied and not row.ok]


def _with_sums(whole: str, scopes: Mapping[str, _Columns]) -> _Columns:
    """The columns of the whole; where it has none of its own, the rows of its parts."""
    columns: _Columns = dict(scopes.get(whole, {}))
    for scope, parts in scopes.items():
        for column, rows in parts.items():
            if scope != whole and column not in scopes.get(whole, {}):
                columns[column] = [*columns.get(column, []), *rows]
    return columns


def _row(part: str, scope: str, columns: _Columns, *, whole: bool) -> TieOutRow:
    ranges = [found for rows in columns.values() if (found := _range(rows, "requests"))]
    all_of_it = _whole_range(ranges)
    return TieOutRow(
        part=part,
        scope=scope,
        whole=whole,
        expected=_expected(all_of_it, list(columns.values())),
        requests=all_of_it,
        cells={column: _cell(rows, all_of_it) for column, rows in columns.items()},
    )


def _expected(requests: _Range | None, columns: Sequence[Sequence[TieOut]]) -> str:
    if requests is not None:
        return between(*requests)
    sizes = _whole_range([found for rows in columns if (found := _range(rows, "bytes"))])
    return "–" if sizes is None else f"{between(*sizes)} B"


def _whole_range(ranges: Sequence[_Range]) -> _Range | None:
    """What is expected of the views that show everything: others show a part, none shows more."""
    most = max((high for _, high in ranges), default=None)
    return None if most is None else (min(low for low, high in ranges if high == most), most)


def _range(rows: Sequence[TieOut], unit: str) -> _Range | None:
    """Least and most that rows may show; None where `unit`, requests or bytes, is not counted."""
    least = _sum(rows, f"expected_{unit}")
    slack = sum(getattr(row, f"slack_{unit}") for row in rows)
    return None if least is None else (least, least + slack)


def _sum(rows: Sequence[TieOut], field: str) -> int | None:
    """Sum of a field over the rows that have it; None where none has."""
    values = [value for row in rows if (value := getattr(row, field)) is not None]
    return sum(values) if values else None


def _cell(rows: Sequence[TieOut], all_of_it: _Range | None) -> TableCell:
    ok = all(row.ok for row in rows)
    return TableCell(ok=ok, seen=_seen(rows, all_of_it) if ok else _off(rows), rows=tuple(rows))


def _seen(rows: Sequence[TieOut], all_of_it: _Range | None) -> str:
    """What the view shows; with its own expectation, where that is not the one of the row."""
    seen = _sum(rows, "seen_requests")
    if seen is None:
        return ""
    own = _range(rows, "requests")
    if own is None or all_of_it is None or all_of_it[0] <= seen <= all_of_it[1]:
        return amount(seen)
    return f"{amount(seen)} of {between(*own)}"


def _off(rows: Sequence[TieOut]) -> str:
    """By how much the rows that do not tie out are off: in requests, or in bytes if only those.

    Differences of opposite sign do not cancel out: the largest of them is shown.
    """
    bad = [row for row in rows if not row.ok]
    requests = [found for row in bad if (found := _beyond(row, "requests")) is not None]
    sizes = [found for row in bad if (found := _beyond(row, "bytes")) is not None]
    for differences, unit in ((requests, ""), (sizes, " B")):
        if any(differences):
            one_way = len({difference > 0 for difference in differences if difference}) == 1
            shown = sum(differences) if one_way else max(differences, key=abs)
            return f"{signed(shown)}{unit}"
    return "off" if requests or sizes else "not seen"


def _beyond(row: TieOut, unit: str) -> int | None:
    """How far a row is beyond the nearer end of its range; None where it cannot be computed."""
    seen: int | None = getattr(row, f"seen_{unit}")
    own = _range([row], unit)
    if seen is None or own is None:
        return None
    return seen - min(max(seen, own[0]), own[1])
