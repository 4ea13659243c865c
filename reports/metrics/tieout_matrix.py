"""The tie-out at a glance: places that count × networks of each customer, for each traffic. Pure.

A cell is one comparison. Where a place has only the figures of a customer as a whole, its cell
spans the customer's networks. A cell without a comparison is a hole: the place does not count that
network, or was not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trueup.reports.journal.records import TieOutSeen
from trueup.reports.metrics.tieout import COLUMNS, TableCell, column_of, table_cell
from trueup.reports.results import TieOut

__all__ = [
    "CellState",
    "MatrixCell",
    "MatrixGroup",
    "MatrixRow",
    "TieOutMatrix",
    "network_requests",
    "tieout_matrices",
]

NETWORKS: Final = ("datacenter", "isp", "residential", "mobile")
_PART_OF: Final = " · "


class CellState(StrEnum):
    """What a comparison shows."""

    OK = "ok"
    OFF = "off"
    HOLE = "hole"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """One comparison, or a hole."""

    state: CellState
    span: int
    """Number of columns that it covers."""
    seen: str
    """By how much it is off; else what the place counts. Empty for a hole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixGroup:
    """A customer, or whatever else the networks are networks of, and its networks."""

    name: str
    networks: tuple[str, ...]
    """Empty where only the whole is compared: it then has one column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """One place that counts."""

    place: str
    cells: tuple[MatrixCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TieOutMatrix:
    """The comparisons of one traffic."""

    part: str
    """`fleet`, `proxied`, `load`."""
    groups: tuple[MatrixGroup, ...]
    rows: tuple[MatrixRow, ...]

    @property
    def comparisons(self) -> int:
        """Number of cells that compare something."""
        return sum(cell.state is not CellState.HOLE for row in self.rows for cell in row.cells)

    @property
    def off(self) -> int:
        """Number of comparisons that do not tie out."""
        return sum(cell.state is CellState.OFF for row in self.rows for cell in row.cells)

    @property
    def holes(self) -> int:
        """Number of cells without a comparison."""
        return sum(cell.state is CellState.HOLE for row in self.rows for cell in row.cells)


_Placed = tuple[str, str, str, TieOut]
"""(Place, group, network or "" for a whole, row)."""


def tieout_matrices(tie_outs: Sequence[TieOutSeen]) -> tuple[TieOutMatrix, ...]:
    """Return a matrix for each traffic, in the order of the journal."""
    parts = dict.fromkeys(seen.part for seen in tie_outs)
    return tuple(
        _matrix(part, [_placed(seen.row) for seen in tie_outs if seen.part == part])
        for part in parts
    )


def network_requests(tie_outs: Sequence[TieOutSeen]) -> dict[str, dict[str, int]]:
    """Return traffic → network → requests that were sent, as the place that expects most counts.

    Networks are in their usual order; a traffic without figures by network is left out.
    """
    most: dict[str, dict[tuple[str, str], int]] = {}
    for seen in tie_outs:
        _, group, network, row = _placed(seen.row)
        if network and row.expected_requests:
            counts = most.setdefault(seen.part, {})
            key = (group, network)
            counts[key] = max(counts.get(key, 0), row.expected_requests)
    return {
        part: {
            network: sum(count for (_, at), count in counts.items() if at == network)
            for network in NETWORKS
            if any(at == network for _, at in counts)
        }
        for part, counts in most.items()
    }


def _placed(row: TieOut) -> _Placed:
    """Where a row of the journal belongs: ledgers are of one network by their name."""
    words = row.scope.split(_PART_OF)
    network = next((word for word in words if word in NETWORKS), "")
    group = _PART_OF.join(word for word in words if word != network)
    by_view = row.view.partition("_")[0]
    if not network and by_view in NETWORKS:
        network = by_view
    return column_of(row.view), group, network, row


def _matrix(part: str, placed: Sequence[_Placed]) -> TieOutMatrix:
    groups = []
    for name in dict.fromkeys(group for _, group, _, _ in placed):
        there = {network for _, group, network, _ in placed if group == name}
        networks = tuple(network for network in NETWORKS if network in there)
        groups.append(MatrixGroup(name=name, networks=networks))
    present = {place for place, _, _, _ in placed}
    rows = tuple(
        MatrixRow(
            place=place,
            cells=tuple(
                cell
                for group in groups
                for cell in _cells(group, [one for one in placed if one[0] == place])
            ),
        )
        for place in (*COLUMNS, *sorted(present.difference(COLUMNS)))
        if place in present
    )
    return TieOutMatrix(part=part, groups=tuple(groups), rows=rows)


def _cells(group: MatrixGroup, placed: Sequence[_Placed]) -> list[MatrixCell]:
    """The cells of one place in one group: by network where it has those, else one for all."""
    mine = [(network, row) for _, name, network, row in placed if name == group.name]
    whole = [row for network, row in mine if not network]
    by_network = [[row for at, row in mine if at == network] for network in group.networks]
    width = len(group.networks) or 1
    if whole and not any(by_network):
        return [_cell(whole, span=width)]
    cells = [_cell(rows, span=1) for rows in by_network] or [_cell([], span=1)]
    # A whole that is off beside parts that tie out must be seen.
    if not all(row.ok for row in whole) and all(c.state is not CellState.OFF for c in cells):
        return [_cell(whole, span=width)]
    return cells


def _cell(rows: Sequence[TieOut], *, span: int) -> MatrixCell:
    if not rows:
        return MatrixCell(state=CellState.HOLE, span=span, seen="")
    cell: TableCell = table_cell(rows)
    state = CellState.OK if cell.ok else CellState.OFF
    return MatrixCell(state=state, span=span, seen=cell.seen)
