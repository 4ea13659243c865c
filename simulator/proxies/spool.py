"""Usage on disk until it is delivered: what a killed proxy has written is not lost.

A folder of segments, files of JSON lines. A request writes a line when it begins (`open`, with
which request it is), one
when its bytes have changed (`progress`, at the pace of the checkpoints), and one with its usage
event when it ends (`event`). Lines are written to the kernel at once, without fsync: they survive
the death of the process, not that of the machine.

After a kill, a request that had begun and not ended is completed from its last line: its event has
the bytes of the last checkpoint, and the error of a broken connection. So a kill loses at most the
bytes that open requests transferred since the last checkpoint, and the ids of those requests are
known.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from trueup.reports.results import Json
from trueup.simulator.errors import SpoolError
from trueup.simulator.proxies.records import OpenRequest

__all__ = ["Spool", "SpoolPosition", "SpooledBatch"]

SEGMENT_BYTES: Final = 16 << 20
"""A segment that is longer is not continued; the next one begins with the open requests."""
_BROKEN: Final = "connection_terminated"
_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder(dict[str, Any]).decode


class SpoolPosition(msgspec.Struct, frozen=True, kw_only=True):
    """How far usage has been delivered: a segment, and a place in it."""

    segment: int = 1
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledBatch:
    """Usage events in the order in which they were written, and where the next ones begin."""

    events: tuple[dict[str, Json], ...]
    after: SpoolPosition


class _Open(msgspec.Struct, frozen=True, kw_only=True):
    """The usage event that an open request would leave, and which request it is."""

    event: dict[str, Json]
    request: OpenRequest

    def with_bytes(self, total_bytes: int) -> _Open:
        return msgspec.structs.replace(self, event={**self.event, "log_total_bytes": total_bytes})


@dataclass(slots=True, kw_only=True)
class Spool:
    """The usage of one process in one folder. Open it before use, close it after."""

    folder: Path
    segment_bytes: int = SEGMENT_BYTES
    recovered: dict[str, OpenRequest] = field(default_factory=dict)
    """Requests that were open when the process before was killed, by the id of their event."""
    waiting: int = 0
    """Usage events that are not delivered yet."""
    write_errors: int = 0
    """Usage events that could not be written: the disk is full or broken."""
    position: SpoolPosition = field(default_factory=SpoolPosition)
    _open: dict[str, _Open] = field(default_factory=dict)
    _segment: int = 1
    _size: int = 0
    _restated: int = 0
    """Bytes of the segment that are open requests, restated at its beginning."""
    _file: int = -1
    _lock: int = -1

    def open(self) -> None:
        """Lock the folder, complete what a killed process left open, and begin to write.

        Raises SpoolError where the folder cannot be used, or another process uses it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise SpoolError(
                f"{self.folder}: another process uses this spool. Give each process a folder."
            ) from None
        except OSError as error:
            self.close()
            raise SpoolError(f"{self.folder}: cannot be used: {error.strerror}") from error
        self.position = self._read_position()
        numbers = self._segments()
        known = [number for number in numbers if number >= self.position.segment]
        if not known:
            self.position = SpoolPosition(segment=max([self.position.segment, *numbers]))
        for number in known:
            self._read_again(number)
        self._start_segment(max([*numbers, self.position.segment - 1]) + 1)
        left, self._open = self._open, {}
        self.recovered = {log_id: each.request for log_id, each in left.items()}
        for event in (each.event for each in left.values()):
            self.end({**event, "log_error_code": event.get("log_error_code") or _BROKEN})

    def close(self) -> None:
        """Close the files; what is not delivered stays in the folder."""
        for number in (self._file, self._lock):
            if number >= 0:
                os.close(number)
        self._file = self._lock = -1

    def remove_if_delivered(self) -> None:
        """Remove the folder's files where nothing waits in them. Call it before closing."""
        if self.waiting or self._open:
            return
        for path in self.folder.iterdir():
            if path.name in ("lock", "position") or path.suffix == ".ndjson":
                path.unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def begin(self, event: dict[str, Json], request: OpenRequest) -> None:
        """Keep the event that a request would leave if it were cut off now."""
        made = _Open(event=event, request=request)
        self._open[str(event["log_id"])] = made
        self._write({"open": made})

    def progress(self, log_id: str, total_bytes: int) -> None:
        """Keep the bytes of an open request."""
        made = self._open.get(log_id)
        if made is not None and made.event["log_total_bytes"] != total_bytes:
            self._open[log_id] = made.with_bytes(total_bytes)
            self._write({"progress": log_id, "bytes": total_bytes})

    def part(self, event: dict[str, Json], left: dict[str, Json], request: OpenRequest) -> None:
        """Keep a usage event of a request that goes on; `left` is what it would leave besides."""
        # In this order: a kill between the two leaves both open, and loses neither.
        self.begin(left, request)
        self.end(event)

    def end(self, event: dict[str, Json]) -> None:
        """Keep a usage event, to be delivered."""
        self._open.pop(str(event["log_id"]), None)
        if self._write({"event": event}):
            self.waiting += 1
        if self._size > max(self.segment_bytes, 4 * self._restated):
            self._rotate()

    def next_batch(self, most: int) -> SpooledBatch | None:
        """Return the next usage events that were not delivered; None where there is none."""
        events: list[dict[str, Json]] = []
        position = self.position
        while len(events) < most:
            for record, end in self._lines(position):
                position = SpoolPosition(segment=position.segment, offset=end)
                if "event" in record:
                    events.append(record["event"])
                    if len(events) == most:
                        break
            else:
                if position.segment >= self._segment:
                    break
                position = SpoolPosition(segment=position.segment + 1)
        return SpooledBatch(events=tuple(events), after=position) if events else None

    def delivered(self, batch: SpooledBatch) -> None:
        """Note that a batch needs no delivery any more, and remove segments that are done with."""
        old = self.position.segment
        self.position = batch.after
        self.waiting -= len(batch.events)
        fresh = self.folder / "position.new"
        fresh.write_bytes(_ENCODE(self.position))
        fresh.replace(self.folder / "position")
        for number in range(old, self.position.segment):
            self._path(number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:09d}.ndjson"

    def _segments(self) -> list[int]:
        return sorted(
            int(path.stem) for path in self.folder.glob("*.ndjson") if path.stem.isdecimal()
        )

    def _read_position(self) -> SpoolPosition:
        try:
            return msgspec.json.decode((self.folder / "position").read_bytes(), type=SpoolPosition)
        except FileNotFoundError:
            return SpoolPosition()
        except (msgspec.MsgspecError, OSError) as error:
            raise SpoolError(f"{self.folder / 'position'}: cannot be read: {error}") from error

    def _read_again(self, number: int) -> None:
        """Read a segment of a process that has ended: what it left open, and what waits."""
        begin = self.position.offset if number == self.position.segment else 0
        for record, end in self._lines(SpoolPosition(segment=number)):
            if "open" in record:
                made = msgspec.convert(record["open"], _Open)
                self._open[str(made.event["log_id"])] = made
            elif "progress" in record:
                known = self._open.get(record["progress"])
                if known is not None:
                    self._open[record["progress"]] = known.with_bytes(record["bytes"])
            elif "event" in record:
                self._open.pop(record["event"]["log_id"], None)
                self.waiting += end > begin

    def _lines(self, position: SpoolPosition) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield the records from a position on, and where each ends; not a line that is cut."""
        try:
            file = self._path(position.segment).open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(position.offset)
            at = position.offset
            for line in file:
                if not line.endswith(b"\n"):
                    return
                at += len(line)
                with contextlib.suppress(msgspec.MsgspecError):
                    yield _DECODE(line), at

    def _start_segment(self, number: int) -> None:
        if self._file >= 0:
            os.close(self._file)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC
        self._file = os.open(self._path(number), flags, 0o600)
        self._segment, self._size, self._restated = number, 0, 0

    def _rotate(self) -> None:
        """Begin a new segment, with the open requests: the older ones can then be removed."""
        try:
            self._start_segment(self._segment + 1)
        except OSError:
            self.write_errors += 1
            return
        for each in self._open.values():
            self._write({"open": each})
        self._restated = self._size

    def _write(self, record: dict[str, Any]) -> bool:
        line = _ENCODE(record) + b"\n"
        try:
            count = os.write(self._file, line)
        except OSError:
            self.write_errors += 1
            return False
        if count < len(line):
            # The disk is full: end the line that was cut, so that the next one can be read.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            self.write_errors += 1
            return False
        self._size += count
        return True
