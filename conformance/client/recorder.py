"""Where facts go: into the journal and, for judging, into memory. Keys are struck out on the way.

Whoever records passes through `strike`, so that a key that a target echoes is not kept either.
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
"""Stands where a key stood."""


def strike(value: Json, secrets: Iterable[str]) -> Json:
    """The value with every secret replaced, in texts and in keys of objects, at any depth."""
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
    """Our time for a record: UTC, ISO 8601 with a `Z`, milliseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Recorder:
    """Writes records to the journal, keeps them for the judges, and numbers exchanges."""

    def __init__(self, writer: JournalWriter, *, secrets: tuple[str, ...] = ()) -> None:
        self._writer = writer
        self.secrets = secrets
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        self._writer.write(record)
        self.records.append(record)

    def next_exchange(self) -> int:
        return self._writer.next_exchange()

    def strike(self, value: Json) -> Json:
        return strike(value, self.secrets)
