"""The tie-out table: wholes with their parts, sums that hide nothing."""

from __future__ import annotations

from trueup.reports.journal.records import TieOutSeen
from trueup.reports.metrics.tieout import pivot, places, rows_for_small_screen
from trueup.reports.results import TieOut


def seen(
    view: str,
    scope: str,
    expected: int | None,
    got: int | None,
    *,
    expected_b: int | None = None,
    seen_b: int | None = None,
    slack: int = 0,
    slack_b: int = 0,
) -> TieOutSeen:
    def within(least: int | None, most: int, value: int | None) -> bool:
        if least is None or value is None:
            return least == value
        return least <= value <= least + most

    row = TieOut(
        view=view,
        scope=scope,
        expected_requests=expected,
        seen_requests=got,
        expected_bytes=expected_b,
        seen_bytes=seen_b,
        slack_requests=slack,
        slack_bytes=slack_b,
        ok=within(expected, slack, got) and within(expected_b, slack_b, seen_b),
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
        "ledgers": "",
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
    assert [row.scope for row in rows_for_small_screen(rows)] == [
        "tenant 1",
        "tenant 1 · isp",
        "tenant 1 · mobile",
    ]


def test_traffic_through_proxies_has_a_row_for_each_place_and_none_on_the_small_screen() -> None:
    """Bytes where the place counts them; what is off says by how much; the origin may differ."""
    rows = pivot(
        [
            seen("client", "isp · tenant 1", 3, 3, expected_b=300, seen_b=300),
            seen("client", "isp · tenant 2", 4, 4, expected_b=400, seen_b=400),
            seen("client", "mobile · tenant 1", 2, 2, expected_b=90, seen_b=90),
            seen("origin", "mobile · tenant 1", 1, 1, expected_b=80, seen_b=81, slack_b=9),
            seen("logs", "isp · tenant 1", 3, 3),
            seen("logs", "isp · tenant 2", 4, 4, expected_b=400, seen_b=400),
            seen("mobile_ledger", "mobile · tenant 1", None, None, expected_b=90, seen_b=80),
        ]
    )
    networks, shown = places(rows)
    assert networks == ("isp", "mobile")
    assert [(row.place, *(cell and cell.seen for cell in row.cells)) for row in shown] == [
        ("client", "700 B", "90 B"),
        ("origin", None, "81 B"),
        ("logs", "7 requests", None),
        ("ledgers", None, "−10 B"),
    ]
    assert rows_for_small_screen(rows) == []


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


def test_unknown_outcomes_make_the_expectation_a_range() -> None:
    """7,792 of 6,154 and up to 7,000 more tie out: the reader sees why."""
    (row,) = pivot(
        [
            seen("logs", "t", 6154, 7792, slack=7000),
            seen("summaries", "t", 6154, 7792, slack=7000),
        ]
    )
    assert (row.ok, row.expected) == (True, "6,154 … 13,154")
    assert row.cells["logs"].seen == "7,792"


def test_beyond_a_range_a_view_is_off_by_what_the_nearer_end_lacks() -> None:
    """Neither the unknown events nor the certain ones explain the difference."""
    rows = pivot(
        [
            seen("logs", "t", 100, 93, slack=10),
            seen("logs", "u", 100, 113, slack=10),
            seen("mobile_ledger", "v", None, None, expected_b=2**60, slack_b=9, seen_b=2**60 - 1),
        ]
    )
    assert [next(iter(row.cells.values())).seen for row in rows] == ["−7", "+3", "−1 B"]


def test_a_view_with_an_expectation_of_its_own_shows_it() -> None:
    """Failed requests need not be counted in a summary: 93 of 90 to 95 is no loss of 7."""
    (row,) = pivot([seen("logs", "t", 100, 100), seen("summaries", "t", 90, 93, slack=5)])
    assert row.ok
    assert {name: cell.seen for name, cell in row.cells.items()} == {
        "logs": "100",
        "summaries": "93 of 90 … 95",
    }


def test_the_range_of_a_row_is_that_of_all_views_that_see_all_of_it() -> None:
    """Where a summary may leave out ten that a log has, 90 to 100 is expected of the row."""
    (row,) = pivot([seen("logs", "t", 100, 100), seen("summaries", "t", 90, 93, slack=10)])
    assert row.expected == "90 … 100"
    assert row.cells["summaries"].seen == "93"
