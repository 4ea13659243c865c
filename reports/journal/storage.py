"""Write and read the journal: what one run did and received, one JSON object a line.

The journal is the only value that travels between the stages of a run. Each record is written with
one call, so a killed process leaves a readable journal without a footer, never half a record in the
middle. Lines are never rewritten.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import msgspec

from trueup.reports.errors import JournalError, JournalFull, JournalWriteError
from trueup.reports.journal.records import SCHEMA, Footer, Header, Record
from trueup.reports.journal.redaction import Redactor

__all__ = ["JOURNAL_NAME", "Journal", "JournalWriter", "read_journal"]

JOURNAL_NAME: Final = "journal.ndjson"
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_DECODER: Final[msgspec.json.Decoder[Record]] = msgspec.json.Decoder(Record)


class JournalWriter:
    """Append records to a file; every record is passed to the operating system at once.

    `secrets` are redacted in every line. Raises JournalWriteError where the file cannot be
    opened or written, or would have more than `most_mb` megabytes. After a record that could not be
    written only a footer can follow, because a journal with a gap would be evaluated as if it had
    none.
    """

    failure: JournalWriteError | None = None
    """The error of the first record that could not be written; None where there is none."""

    def __init__(
        self, path: Path, *, secrets: Iterable[str] = (), most_mb: int | None = None
    ) -> None:
        self._bytes_left = None if most_mb is None else most_mb * 1_000_000
        self.path = path
        self._redactor = Redactor(secrets)
        self._digest = hashlib.sha256()
        self._records = 0
        self._exchanges = 0
        try:
            self._file: IO[bytes] = path.open("xb", buffering=0)
        except OSError as error:
            raise JournalWriteError(f"{path}: cannot start a journal: {error.strerror}") from error

    def next_exchange(self) -> int:
        """Return the number for the next exchange record, counted from 1."""
        self._exchanges += 1
        return self._exchanges

    def write(self, record: Record) -> None:
        """Append a record.

        Raises JournalWriteError where it, or one before it, cannot be written.
        """
        if self.failure is not None and not isinstance(record, Footer):
            raise self.failure
        line = self._redactor.line(_encode(record)) + b"\n"
        if self._bytes_left is not None and not isinstance(record, Footer):
            self._bytes_left -= len(line)
            if self._bytes_left < 0:
                self.failure = JournalFull(
                    f"{self.path}: the journal has as many bytes as it may have; raise "
                    "`budget.journal_mb` in the target file, or run less"
                )
                raise self.failure
        self._write_whole(line)
        self._digest.update(line)
        self._records += 1

    def _write_whole(self, line: bytes) -> None:
        start = os.lseek(self._file.fileno(), 0, os.SEEK_CUR)
        written = 0
        try:
            while written < len(line):
                written += self._file.write(line[written:]) or 0
        except OSError as error:
            os.ftruncate(self._file.fileno(), start)
            os.lseek(self._file.fileno(), start, os.SEEK_SET)
            failed = JournalWriteError(
                f"{self.path}: the journal could not be written after {self._records} records: "
                f"{error.strerror}. What was written so far is readable: trueup report "
                f"{self.path.parent}. Free disk space or choose another directory, and run again."
            )
            self.failure = self.failure or failed
            raise failed from error

    def finish(
        self, *, finished_at: str, exit_status: int, interrupted: bool = False, stopped_by: str = ""
    ) -> None:
        """Write the footer, flush the file to disk and close it. Raises JournalWriteError."""
        self.write(
            Footer(
                finished_at=finished_at,
                records=self._records,
                sha256=self._digest.hexdigest(),
                exit_status=exit_status,
                interrupted=interrupted,
                stopped_by=stopped_by,
            )
        )
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise JournalWriteError(
                f"{self.path}: the journal is complete but may not be on disk: {error.strerror}"
            ) from error
        self.close()

    def close(self) -> None:
        """Close the file without a footer; the journal is then cut short."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """A journal as it was read."""

    path: Path
    header: Header
    records: tuple[Record, ...]
    """All records in order, header and footer included."""
    footer: Footer | None
    """None: the run was cut short."""
    cut_tail: bool = False
    """The last line was incomplete and was left out."""


def _encode(record: Record) -> bytes:
    """The record as one JSON object; surrogates, which UTF-8 cannot hold, are replaced."""
    try:
        return _ENCODER.encode(record)
    except UnicodeEncodeError:
        return _ENCODER.encode(_without_surrogates(msgspec.to_builtins(record)))


def _without_surrogates(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case dict():
            return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
        case list() | tuple():
            return [_without_surrogates(each) for each in value]
        case _:
            return value


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        yield from enumerate(file, start=1)


def read_journal(path: Path) -> Journal:
    """Return the journal in a file, or in a run's directory.

    Raises JournalError, naming the line, where a record cannot be decoded, the header is
    missing, the schema is another, or the footer's digest does not match the records above it.
    """
    if path.is_dir():
        path = path / JOURNAL_NAME
    records: list[Record] = []
    digest = hashlib.sha256()
    footer: Footer | None = None
    cut_tail = False
    try:
        for number, line in _lines(path):
            if footer is not None:
                raise JournalError(f"{path}:{number}: a line after the footer")
            if not line.endswith(b"\n"):
                cut_tail = True
                break
            if number == 1:
                _check_schema(path, line)
            record = _decode(path, number, line)
            if isinstance(record, Footer):
                footer = record
                if record.records != len(records) or record.sha256 != digest.hexdigest():
                    raise JournalError(
                        f"{path}:{number}: the footer does not match the {len(records)} records "
                        "above it; the journal was changed after it was written"
                    )
            records.append(record)
            digest.update(line)
    except OSError as error:
        raise JournalError(f"{path}: cannot be read: {error.strerror}") from error
    if not records or not isinstance(records[0], Header):
        raise JournalError(f"{path}:1: expected the header of a trueup journal")
    return Journal(
        path=path, header=records[0], records=tuple(records), footer=footer, cut_tail=cut_tail
    )


class _Version(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    schema: int
    trueup: str = ""


def _check_schema(path: Path, line: bytes) -> None:
    """Raise JournalError where the header has another schema than the one read here."""
    try:
        header = msgspec.json.decode(line, type=_Version)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    if header.kind != "header" or header.schema == SCHEMA:
        return
    by = f" by trueup {header.trueup}" if header.trueup else ""
    remedy = (
        "trueup 0.1.x reads it" if header.schema < SCHEMA else "a newer version of trueup reads it"
    )
    raise JournalError(
        f"{path}:1: the journal has schema {header.schema}, written{by}; this version of trueup "
        f"reads schema {SCHEMA} only. {remedy}."
    )


def _decode(path: Path, number: int, line: bytes) -> Record:
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise JournalError(f"{path}:{number}: not a journal record: {error}") from error
