"""The tie-out at a glance: every comparison has a cell, and what was not compared is a hole."""

from __future__ import annotations

from tests.reports.test_tieout import seen
from trueup.reports.metrics.tieout_matrix import (
    CellState,
    TieOutMatrix,
    network_requests,
    tieout_matrices,
)


def states(matrix: TieOutMatrix) -> dict[str, list[tuple[str, int, str]]]:
    return {
        row.place: [(str(cell.state), cell.span, cell.seen) for cell in row.cells]
        for row in matrix.rows
    }


def test_places_are_rows_and_networks_of_customers_columns() -> None:
    """A ledger is of its network; a place that has only the whole spans the networks."""
    (matrix,) = tieout_matrices(
        [
            seen("logs", "tenant 1", 30, 30),
            seen("summaries", "tenant 1 · mobile", 20, 19),
            seen("summaries", "tenant 1 · isp", 10, 10),
            seen("mobile_ledger", "tenant 1", None, None, expected_b=2048, seen_b=2048),
            seen("graph", "tenant 2 · isp", 5, 5),
        ]
    )
    assert [(group.name, group.networks) for group in matrix.groups] == [
        ("tenant 1", ("isp", "mobile")),
        ("tenant 2", ("isp",)),
    ]
    assert states(matrix) == {
        "logs": [("ok", 2, "30"), ("hole", 1, "")],
        "summaries": [("ok", 1, "10"), ("off", 1, "−1"), ("hole", 1, "")],
        "ledgers": [("hole", 1, ""), ("ok", 1, ""), ("hole", 1, "")],
        "graph": [("hole", 1, ""), ("hole", 1, ""), ("ok", 1, "5")],
    }
    assert (matrix.comparisons, matrix.off, matrix.holes) == (5, 1, 6)


def test_the_cells_of_a_row_cover_every_column() -> None:
    (matrix,) = tieout_matrices(
        [
            seen("client", "isp · tenant 1", 3, 3),
            seen("client", "mobile · tenant 2", 3, 3),
            seen("account", "tenant 2", 3, 3),
            seen("account", "tenant 3", 3, 4),
            seen("new-place", "isp · tenant 1", 3, 3),
        ]
    )
    columns = sum(max(len(group.networks), 1) for group in matrix.groups)
    assert all(sum(cell.span for cell in row.cells) == columns == 3 for row in matrix.rows)
    assert [row.place for row in matrix.rows] == ["client", "account", "new-place"]


def test_a_whole_that_is_off_is_seen_beside_parts_that_tie_out() -> None:
    (matrix,) = tieout_matrices(
        [seen("logs", "tenant 1 · isp", 3, 3), seen("logs", "tenant 1", 9, 8)]
    )
    assert states(matrix) == {"logs": [("off", 1, "−1")]}
    assert matrix.rows[0].cells[0].state is CellState.OFF


def test_requests_of_a_network_add_up_over_customers_and_not_over_places() -> None:
    """Each place counts the same requests; one that expects fewer does not count."""
    rows = [
        seen("client", "isp · tenant 1", 3, 3),
        seen("origin", "isp · tenant 1", 2, 2),
        seen("client", "isp · tenant 2", 4, 4),
        seen("summaries", "tenant 2 · mobile", 5, 4),
        seen("logs", "tenant 2", 9, 9),
        seen("mobile_ledger", "tenant 2", None, None, expected_b=1, seen_b=1),
    ]
    assert network_requests(rows) == {"fleet": {"isp": 7, "mobile": 5}}
    assert network_requests([seen("logs", "tenant 2", 9, 9)]) == {}
