"""How one target reads the points that the documents leave open, as the model uses them.

A reading is declared in the target file, probed by the run, or left at its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from trueup.conformance.contract.interpretations import READINGS
from trueup.reports.results import Reading

__all__ = ["HOSTNAME_LIFE", "LOG_LIFE", "Interpretation", "freshness_s"]

LOG_LIFE: Final = timedelta(days=7)
"""How long a log is there for certain (guide: Raw Logs)."""
HOSTNAME_LIFE: Final = timedelta(days=90)
"""How long a summary shows its hostname for certain (guide: Log Summaries)."""
MARGIN: Final = timedelta(minutes=10)
"""Around the very end of a life nothing is expected either way."""


UNDECLARED_FRESHNESS_S: Final = 35.0
"""How long a view may lag where the target file does not say."""


def freshness_s(declared: Mapping[str, str]) -> float:
    """Return how long a view may lag after a change, by the readings of a target file."""
    return float(declared.get("freshness-s") or UNDECLARED_FRESHNESS_S)


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpretation:
    """The readings of one run, typed. Durations are those of the target's clock."""

    values: Mapping[str, str]
    declared: frozenset[str]
    claims: frozenset[str]

    @classmethod
    def of(cls, readings: Mapping[str, Reading], claims: frozenset[str]) -> Interpretation:
        """Return the interpretation that the readings of a journal, by name, amount to."""
        return cls(
            values={name: reading.value for name, reading in readings.items()},
            declared=frozenset(n for n, r in readings.items() if r.how == "declared"),
            claims=claims,
        )

    def value(self, name: str) -> str:
        """Return the value of a reading: declared, probed, or its default."""
        return self.values.get(name, READINGS[name].default)

    def number(self, name: str) -> float:
        """Return the value of a reading as a number."""
        return float(self.value(name))

    def declared_value(self, name: str) -> str:
        """Return the value if the target file declares it, else an empty text."""
        return self.values[name] if name in self.declared else ""

    # --- ages

    def log_kept_until(self, at: datetime) -> datetime:
        """Return the time until which a log of a request at `at` must be there."""
        return at + LOG_LIFE - MARGIN

    def log_must_show(self, at: datetime, now: datetime) -> bool:
        """Return whether a log of a request at `at` must still be there."""
        return now < self.log_kept_until(at)

    def log_gone_after(self, at: datetime) -> datetime:
        """Return the time after which a log of a request at `at` must be gone: with the lag."""
        end = at + LOG_LIFE
        if self.value("retention") == "calendar":
            end = _next_midnight(at) + LOG_LIFE
        return end + timedelta(hours=self.number("retention-lag-h")) + MARGIN

    def log_may_show(self, at: datetime, now: datetime) -> bool:
        """Return whether a log of a request at `at` may still be there: within the declared lag."""
        return now <= self.log_gone_after(at)

    def hostname_kept_until(self, day: datetime) -> datetime:
        """Return the time until which summaries of the day beginning at `day` show hostnames."""
        return day + HOSTNAME_LIFE - MARGIN

    def hostname_must_show(self, day: datetime, now: datetime) -> bool:
        """Return whether a summary of the day beginning at `day` must still show its hostname."""
        return now < self.hostname_kept_until(day)

    def hostname_gone_after(self, day: datetime, created: datetime) -> datetime:
        """Return the time after which a summary must not show its hostname.

        Its age is that of the day or of the row's creation, plus the lag.
        """
        begins = max(_next_midnight(day), created)
        return begins + HOSTNAME_LIFE + timedelta(hours=self.number("consolidation-lag-h"))

    def hostname_may_show(self, day: datetime, created: datetime, now: datetime) -> bool:
        """Return whether a summary of the day beginning at `day` may still show its hostname."""
        return now <= self.hostname_gone_after(day, created)


def _next_midnight(at: datetime) -> datetime:
    return datetime(at.year, at.month, at.day, tzinfo=UTC) + timedelta(days=1)
