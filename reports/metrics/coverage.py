"""Contract coverage of a run: how many classes of the contract's dimensions it reached. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trueup.reports.formatting import amount, plural
from trueup.reports.results import CoverageRow

__all__ = ["CoverageSummary", "TableCoverage", "coverage_summary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCoverage:
    """Classes of all dimensions of one table: `event`, `payment`, `operation` or `request`."""

    name: str
    reached: int
    classes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageSummary:
    """The coverage table with its counts."""

    tables: tuple[TableCoverage, ...]
    """In the order of the rows."""
    reached_rows: tuple[CoverageRow, ...]
    not_reached: tuple[CoverageRow, ...]

    @property
    def reached(self) -> int:
        """Number of classes that were reached."""
        return len(self.reached_rows)

    @property
    def classes(self) -> int:
        """Number of classes of all dimensions."""
        return self.reached + len(self.not_reached)

    @property
    def headline(self) -> str:
        """How many classes were reached, in a phrase."""
        dimensions = {(r.table, r.dimension) for r in (*self.reached_rows, *self.not_reached)}
        return (
            f"{amount(self.reached)} of {plural(self.classes, 'class', 'classes')} "
            f"of {plural(len(dimensions), 'dimension')} reached"
        )


def coverage_summary(rows: Sequence[CoverageRow]) -> CoverageSummary | None:
    """Return the counts of a coverage table by table; None where there are no rows."""
    if not rows:
        return None
    names = dict.fromkeys(row.table for row in rows)
    return CoverageSummary(
        tables=tuple(
            TableCoverage(
                name=name,
                reached=sum(row.table == name and row.reached for row in rows),
                classes=sum(row.table == name for row in rows),
            )
            for name in names
        ),
        reached_rows=tuple(row for row in rows if row.reached),
        not_reached=tuple(row for row in rows if not row.reached),
    )
