"""Values of conformance: events, and the names and times of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trueup.reports.results import Json

__all__ = [
    "NETWORKS",
    "POOLS",
    "TARGET_LOG_ID",
    "UNREPORTED",
    "CheckContext",
    "Event",
]

Event = dict[str, Json]
UNREPORTED: Final = "delivered; whether the target refused it is not reported by this ingestion"
"""Reason of an unknown outcome of an event that reached the target."""

NETWORKS: Final = ("datacenter", "isp", "residential", "mobile")
POOLS: Final = ("residential", "mobile")
"""Networks that are paid by the byte; each has a ledger and an account summary (guide)."""


TARGET_LOG_ID: Final = "target_log_id"
"""Key of a recorded row for the target's own id of a log, where logs have ids of their own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckContext:
    """Names and times of one run."""

    prefix: str
    """Begins every injected name; new in each run."""
    now: datetime
    """The target's clock when the run began, UTC."""
    level: int
    customers: Mapping[str, int]
    """Tenant letter → customer number."""
    claims: frozenset[str] = frozenset()
    hooks: frozenset[str] = frozenset()
    unsent: frozenset[str] = frozenset()
    """Fields of events whose values do not arrive at the target."""
    late_days: float = 7.0
    """Events older than this are refused by the target."""
    date_periods: bool = False
    """Whether the period of a summary is a bare date at this target, not a midnight."""

    def period(self, day: str) -> str:
        """Return a day `YYYY-MM-DD` in the form in which the target shows periods of summaries."""
        return day if self.date_periods else f"{day} 00:00:00"

    def user(self, dataset: str, n: int = 1) -> str:
        """Return the name of the n-th proxy user of a dataset, 10 to 32 characters long."""
        return f"{self.prefix}-{dataset}-{n}"
