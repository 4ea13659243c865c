"""The oracle at the size of a load: a hostname that is in the pool twice is one cell."""

from __future__ import annotations

from datetime import UTC, datetime

from trueup.simulator.fleet import Fleet
from trueup.simulator.model.profile import load_profile
from trueup.simulator.totals import totals


def test_no_event_is_lost_where_two_entries_of_the_pool_share_a_name() -> None:
    """All events of a long range are in its cells, and in its hours."""
    fleet = Fleet(
        load_profile("default"),
        seed=7,
        start=datetime(2026, 5, 4, tzinfo=UTC),
        customers=(1001, 1002),
        events_per_s=50_000,
    )
    found = totals(fleet, [(0, 400_000), (600_000, 400_000)])
    assert sum(counts.requests for counts in found.cells.values()) == 800_000
    assert sum(counts.requests for counts in found.hours.values()) == 800_000
