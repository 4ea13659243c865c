"""A run's context for tests of plans: level 4, two customers, everything claimed."""

from __future__ import annotations

from datetime import UTC, datetime

from trueup.conformance.contract.claims import CLAIMS
from trueup.conformance.model import CheckContext

__all__ = ["CUSTOMERS", "NOW", "PREFIX", "context_at"]

PREFIX = "cx0123abcd"
NOW = datetime(2026, 11, 30, 9, 50, 3, tzinfo=UTC)
CUSTOMERS = {"a": 1955, "b": 1956}


def context_at(
    now: datetime = NOW,
    *,
    level: int = 4,
    customers: dict[str, int] | None = None,
    without: tuple[str, ...] = (),
    late_days: float = 7.0,
) -> CheckContext:
    """The context of a run at a moment; `without` names claims and hooks that are not there."""
    hooks = {"ingest", "clock", "maintenance", "money", "restart"}
    return CheckContext(
        prefix=PREFIX,
        now=now,
        level=level,
        customers=customers or CUSTOMERS,
        claims=frozenset(set(CLAIMS) - set(without)),
        hooks=frozenset(hooks - set(without)),
        late_days=late_days,
    )
