"""The target's clock, as far as a run knows it: as the target or a move of it showed it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.recorder import stamp
from trueup.reports.journal.records import Hook
from trueup.reports.journal.storage import JournalWriter, read_journal

__all__ = ["ShiftedClock", "our_stamp", "target_now"]


def our_stamp() -> str:
    """Return our time now, as records contain it."""
    return stamp(datetime.now(UTC))


def target_now(writer: JournalWriter, ahead: timedelta) -> datetime:
    """Return the target's time, UTC: `ahead` of ours, unless its clock was moved in this run."""
    now = datetime.now(UTC)
    for record in reversed(read_journal(writer.path).records):
        if isinstance(record, Hook) and record.hook == "clock" and record.ok:
            told = datetime.fromisoformat(str(record.request["now"])).replace(tzinfo=UTC)
            return told + (now - datetime.fromisoformat(record.at))
    return now + ahead


class ShiftedClock(WallClock):
    """The machine's clock, set to the target's time."""

    def __init__(self, target_now: datetime) -> None:
        self._ahead: timedelta = target_now - datetime.now(UTC)

    def now(self) -> datetime:
        return super().now() + self._ahead
