"""Recording: every record goes to the journal and to memory, with keys redacted.

Redaction covers what a target returns as well, so that a key that it repeats is not recorded.
"""

from __future__ import annotations

from datetime import UTC, datetime

from trueup.reports.journal.records import Record
from trueup.reports.journal.redaction import Redactor
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import Json

__all__ = ["Recorder", "stamp"]


def stamp(at: datetime) -> str:
    """Return the local time for a record: UTC, ISO 8601 with `Z`, milliseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Recorder:
    """Writes records to the journal, keeps them in memory, and numbers exchanges."""

    def __init__(self, writer: JournalWriter, *, secrets: tuple[str, ...] = ()) -> None:
        self._writer = writer
        self._redactor = Redactor(secrets)
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        """Write one record. Raises JournalWriteError if the journal cannot be written."""
        self._writer.write(record)
        self.records.append(record)

    def next_exchange(self) -> int:
        """Return the number of the next exchange, from 1."""
        return self._writer.next_exchange()

    def strike(self, value: Json) -> Json:
        """Return the value with the keys of the target redacted."""
        return self._redactor.value(value)

    def strike_text(self, text: str) -> str:
        """Return a target's text with the keys of the target redacted."""
        return self._redactor.text(text)

    def may_hold_keys(self, data: bytes) -> bool:
        """Return whether bytes of a target may hold a key, before they are decoded."""
        return self._redactor.may_touch(data)
