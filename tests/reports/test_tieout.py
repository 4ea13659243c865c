"""The tie-out table: wholes with their parts, sums that hide nothing."""

from __future__ import annotations

from reports.facts import TieOut
from reports.records import TieOutSeen
from reports.tieout import pivot, worth_a_line


def seen(view: str, scope: str, expected: int | None, got: int | None, **more: int) -> TieOutSeen:
    sizes = {"expected_bytes": more.get("expected_b"), "seen_bytes": more.get("seen_b")}
    ok = expected == got and sizes["expected_bytes"] == sizes["seen_bytes"]
    row = TieOut(
        view=view, scope=scope, expected_requests=expected, seen_requests=got, ok=ok, **sizes
    )
    return TieOutSeen(part="fleet", row=row)


def test_a_whole_shows_the_sum_of_its_parts_where_it_has_no_row_of_its_own() -> None:
    """Logs are counted for the tenant, summaries by network: they meet in the tenant's row."""
    rows = pivot(
        [
            seen("logs", "tenant 1", 30, 30),
            seen("summaries", "tenant 1 · isp", 10, 10),
            seen("summaries", "tenant 1 · mobile", 20, 20),
            seen("mobile_ledger", "tenant 1", None, None, expected_b=2048, seen_b=2048),
        ]
    )
    assert [(row.name, row.whole, row.expected) for row in rows] == [
        ("fleet tenant 1", True, "30"),
        ("fleet tenant 1 · isp", False, "10"),
        ("fleet tenant 1 · mobile", False, "20"),
    ]
    assert {column: cell.seen for column, cell in rows[0].cells.items()} == {
        "logs": "30",
        "ledgers": "2.00 KiB",
        "summaries": "30",
    }
    assert all(row.ok for row in rows)


def test_a_part_that_is_off_is_seen_in_the_whole_and_on_a_small_screen() -> None:
    """One lost and one doubled event do not cancel out."""
    rows = pivot(
        [
            seen("summaries", "tenant 1 · isp", 10, 9),
            seen("summaries", "tenant 1 · mobile", 20, 21),
            seen("summaries", "tenant 2 · isp", 5, 5),
        ]
    )
    assert not rows[0].ok
    assert rows[0].cells["summaries"].seen in ("−1", "+1")
    assert [row.scope for row in worth_a_line(rows)] == [
        "tenant 1",
        "tenant 1 · isp",
        "tenant 1 · mobile",
        "tenant 2",
    ]


def test_losses_add_up_and_bytes_speak_where_requests_agree() -> None:
    """Two losses of one make two; equal counts with other bytes are off by bytes."""
    losses = pivot(
        [
            seen("graph", "t · isp", 10, 9),
            seen("graph", "t · mobile", 10, 9),
            seen("logs", "u", 5, 5, expected_b=5000, seen_b=5512),
            seen("account", "v", None, None, expected_b=1, seen_b=2),
            seen("account", "w", 7, None),
        ]
    )
    shown = {row.scope: next(iter(row.cells.values())).seen for row in losses if row.whole}
    assert shown == {"t": "−2", "u": "+512 B", "v": "+1 B", "w": "not seen"}
