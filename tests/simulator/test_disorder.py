"""Disorder is planned, counted, and changes the expectation only where it must."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.fleets import fleet
from trueup.reports.results import CellKey, Counts, HourKey
from trueup.simulator.disorder import AnomalyKind, Disorder, Plan, expected, plan
from trueup.simulator.errors import FleetError
from trueup.simulator.totals import add_row, totals

MUCH = Disorder(
    duplicates=20_000, late=50_000, skewed=60_000, malformed=20_000, late_by=300, skew_s=4000
)
RANGES = ((10, 1500), (86_000, 1500))
SOME = fleet(rate=0.05, seed=11)


def receive(sent: Plan) -> tuple[dict[CellKey, Counts], dict[HourKey, Counts], int]:
    """What a small honest target counts: each id once, bad lines refused."""
    cells: dict[CellKey, Counts] = {}
    hours: dict[HourKey, Counts] = {}
    known: set[str] = set()
    refused = 0
    for body in sent.bodies(97):
        for line in body.splitlines():
            row = parse(line)
            if row is None:
                refused += 1
            elif row["log_id"] not in known:
                known.add(row["log_id"])
                add_row(cells, hours, row)
    return cells, hours, refused


def parse(line: bytes) -> dict[str, Any] | None:
    """The event in a line, or None where it is to be refused."""
    try:
        row: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    good = (
        row.get("log_network") in ("datacenter", "isp", "residential", "mobile")
        and row["log_total_bytes"] >= 0
        and "proxy_user_id" in row
        and row["log_request_datetime"][:2] == "20"
        and row["log_hostname"]
    )
    return row if good else None


def test_an_honest_target_counts_what_is_expected() -> None:
    """Cells and hours after all disorder; malformed lines are refused and nothing else is."""
    sent = plan(SOME, RANGES, MUCH)
    cells, hours, refused = receive(sent)
    assert (cells, hours) == expected(SOME, RANGES, MUCH)
    assert refused == sent.counts[AnomalyKind.MALFORMED]
    assert cells != totals(SOME, RANGES).cells


def test_every_kind_occurs_about_as_often_as_asked() -> None:
    """Counts are of this plan, and near their shares of 3,000 events."""
    counts = plan(SOME, RANGES, MUCH).counts
    assert (
        sum(counts.values()) == 3000 + counts[AnomalyKind.DUPLICATE] + counts[AnomalyKind.MALFORMED]
    )
    for kind, share in (
        (AnomalyKind.DUPLICATE, 60),
        (AnomalyKind.LATE, 150),
        (AnomalyKind.SKEWED, 180),
    ):
        assert 0.6 * share < counts[kind] < 1.4 * share
    assert 30 < counts[AnomalyKind.MALFORMED] < 90


def test_the_plan_is_the_same_again_and_out_of_order() -> None:
    """Seeded: two plans agree; events are not sent by number; late ones come long after."""
    one, two = plan(SOME, RANGES, MUCH), plan(SOME, RANGES, MUCH)
    assert one == two
    places = {line.position: place for place, line in enumerate(one.lines)}
    order = [line.position for line in one.lines]
    assert order != sorted(order)
    late = [
        places[line.position] - line.position for line in one.lines if line.kind is AnomalyKind.LATE
    ]
    assert max(late) > 300


def test_no_disorder_is_plain_delivery() -> None:
    """With every share at 0 the lines are the events, in their order."""
    none = Disorder(duplicates=0, late=0, skewed=0, malformed=0, reorder=0)
    sent = plan(SOME, ((0, 200),), none)
    assert [json.loads(line.body) for line in sent.lines] == SOME.batch(0, 200).rows()
    assert expected(SOME, ((0, 200),), none)[0] == totals(SOME, ((0, 200),)).cells


def test_shares_beyond_a_million_are_refused() -> None:
    """A share is per million events."""
    with pytest.raises(FleetError, match="per million"):
        Disorder(late=2_000_000)
