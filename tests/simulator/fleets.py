"""Fleets for tests: small, seeded, with a fixed start."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from trueup.reports.results import Json
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.profile import load_profile

START = datetime(2025, 4, 1, tzinfo=UTC)


def fleet(
    *,
    seed: int = 7,
    rate: float = 25.0,
    customers: tuple[int, ...] = (1955, 1956),
    start: datetime = START,
    **overrides: Json,
) -> Fleet:
    """Return a new fleet; overrides by parameter name with `__` for a dot."""
    changed = {name.replace("__", "."): value for name, value in overrides.items()}
    return Fleet(
        load_profile("default", changed),
        seed=seed,
        start=start,
        customers=customers,
        events_per_s=rate,
    )


@lru_cache(maxsize=1)
def common() -> Fleet:
    """Return the fleet with the defaults above; shared, because it cannot change."""
    return fleet()
