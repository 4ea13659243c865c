"""Recording: every record goes to the journal and to memory, with keys redacted.

Redaction covers what a target returns as well, so that a key that it repeats is not recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from trueup.reports.journal.records import Record
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import Json

__all__ = ["STRUCK", "Recorder", "stamp", "strike"]

STRUCK: Final = "[key]"
"""Replaces a redacted key."""


def strike(value: Json, secrets: Iterable[str]) -> Json:
    """Return the value with every secret replaced, in strings and keys of objects, at any depth."""
    match value:
        case str():
            for secret in secrets:
                if secret:
                    value = value.replace(secret, STRUCK)
            return value
        case list():
            return [strike(each, secrets) for each in value]
        case dict():
            return {str(strike(key, secrets)): strike(each, secrets) for key, each in value.items()}
        case _:
            return value


def stamp(at: datetime) -> str:
    """Return the local time for a record: UTC, ISO 8601 with `Z`, milliseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Recorder:
    """Writes records to the journal, keeps them in memory, and numbers exchanges."""

    def __init__(self, writer: JournalWriter, *, secrets: tuple[str, ...] = ()) -> None:
        self._writer = writer
        self.secrets = secrets
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
        return strike(value, self.secrets)
