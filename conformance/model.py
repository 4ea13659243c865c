"""The judge's own nouns: what is planted, what is asked, at which stage, and what a check is.

Frozen values only. Nothing here waits, knows the time or is random.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from trueup.reports.results import Json

if TYPE_CHECKING:
    pass

__all__ = [
    "CheckContext",
    "Dataset",
    "Event",
    "EventBatch",
    "Payment",
]

Event = dict[str, Json]


@dataclass(frozen=True, kw_only=True, slots=True)
class EventBatch:
    """Events handed over in one delivery. Batches of one `together` are sent at the same time."""

    events: tuple[Event, ...]
    together: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Payment:
    """Data bought or given back; `key` makes a repetition recognisable to the target."""

    network: str
    kind: str
    bytes: int
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckContext:
    """Where one run of the judge plays: its names and its times."""

    prefix: str
    """Begins every name that is planted; fresh in each run."""
    now: datetime
    """The target's clock when the run began, UTC."""
    level: int
    customers: Mapping[str, int]
    """Tenant letter to customer number."""
    claims: frozenset[str] = frozenset()
    hooks: frozenset[str] = frozenset()
    late_days: float = 7.0
    """Events older than this are refused by the target."""
    oldest_day: int = 6
    """How many whole days back the combs reach."""

    def user(self, dataset: str, n: int = 1) -> str:
        """Name of the n-th proxy user of a world; 10 to 32 characters, as the API wants."""
        return f"{self.prefix}-{dataset}-{n}"

    def host(self, dataset: str, n: int = 1) -> str:
        """Name of the n-th host of a world, below a domain that nobody owns."""
        return f"h{n}.{dataset}.{self.prefix}.conformance.test"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """Events that one or more checks plant together, under names of their own."""

    name: str
    plant: Callable[[CheckContext], Sequence[EventBatch]]
    stage: str = "inject"
