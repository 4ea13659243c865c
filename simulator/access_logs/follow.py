"""Read an access log while it is written: each line once it is complete, and its record."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from trueup.simulator.access_logs.record import AccessRecord, BadLine
from trueup.simulator.access_logs.source import ParseLine

__all__ = ["FollowedLog"]

_PAUSE_S: Final = 0.1
_REFUSED_KEPT: Final = 5


@dataclass(slots=True, kw_only=True)
class FollowedLog:
    """A log that grows. A file of the same name that is new, or shorter, is read from its start."""

    path: Path
    parse: ParseLine
    read: int = 0
    refused: int = 0
    first_refused: list[str] = field(default_factory=list)
    _offset: int = 0
    _inode: int = 0
    _alike: Counter[str] = field(default_factory=Counter)
    """How often a line was read, of those of the last time."""
    _time_us: int = 0

    async def records(self, stop: asyncio.Event) -> AsyncIterator[list[tuple[str, AccessRecord]]]:
        """Yield ids and records of new lines, what there is at once, until `stop` is set.

        A line has the same id whenever it is read: it is made of its text.
        """
        while True:
            ending = stop.is_set()
            if found := list(self._new()):
                yield found
            elif ending:
                return
            else:
                await asyncio.sleep(_PAUSE_S)

    def _new(self) -> list[tuple[str, AccessRecord]]:
        """Return what was written since, up to the last complete line."""
        try:
            with self.path.open("rb") as file:
                return [found for line in self._lines(file) if (found := self._read(line))]
        except FileNotFoundError:
            return []

    def _lines(self, file: IO[bytes]) -> list[bytes]:
        inode = self.path.stat().st_ino
        size = file.seek(0, 2)
        if inode != self._inode or size < self._offset:
            self._inode, self._offset = inode, 0
        file.seek(self._offset)
        whole = file.read(size - self._offset).rpartition(b"\n")
        self._offset += len(whole[0]) + len(whole[1])
        return whole[0].splitlines() if whole[1] else []

    def _read(self, raw: bytes) -> tuple[str, AccessRecord] | None:
        text = raw.decode("utf-8", errors="backslashreplace")
        if not text or text.isspace():
            return None
        try:
            record = self.parse(text)
        except BadLine as error:
            self.refused += 1
            if len(self.first_refused) < _REFUSED_KEPT:
                self.first_refused.append(str(error))
            return None
        if not isinstance(record, AccessRecord):
            return None
        self.read += 1
        if record.time_us != self._time_us:
            self._time_us = record.time_us
            self._alike.clear()
        self._alike[text] += 1
        digest = hashlib.sha256(f"{self._alike[text]}\n{text}".encode()).digest()
        return str(uuid.UUID(bytes=digest[:16], version=4)), record
