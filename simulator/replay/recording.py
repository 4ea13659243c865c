"""Record a log as rows of fixed width on disk, in order of time, so that any event can be read.

A row has 48 bytes; names are codes. Memory grows with the number of distinct names and by 16 bytes
a request while the rows are put in order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from trueup.simulator.access_logs import AccessRecord
from trueup.simulator.errors import AccessLogError
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.replay.names import Names, ShownNames

__all__ = ["RECORDING_FILES", "ReplayRecording", "record_log"]

ROWS: Final = "replay.rows"
NAMES: Final = "replay.names.json"
RECORDING_FILES: Final = (ROWS, NAMES)
_UNSORTED: Final = "replay.unsorted"
_CHUNK: Final = 65_536
_MS_MAX: Final = 2**31 - 1
_BY_NAME, _BY_ADDRESS = 1, 2
"""Kinds of authentication: a user's name and password, or the client's address."""
ROW: Final = np.dtype(
    [
        ("time_us", "<i8"), ("size", "<i8"), ("user", "<i4"), ("host", "<i4"), ("client", "<i4"),
        ("duration_ms", "<i4"), ("method", "<i4"), ("error", "<i4"), ("status", "<i2"),
        ("authentication", "<i4"), ("network", "i1"), ("socks", "i1"),
    ]
)  # fmt: skip
"""Of one request. Absent values are -1."""

Rows = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRecording:
    """A recorded log."""

    rows: Rows
    """Of `ROW`, in order of time; read from disk as it is needed."""
    names: ShownNames
    sha256: str
    """Of both files."""

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Return the recording of a folder. Raises AccessLogError if there is none."""
        path = folder / ROWS
        try:
            text = (folder / NAMES).read_bytes()
            size = path.stat().st_size
            rows: Rows = np.memmap(path, dtype=ROW, mode="r") if size else np.zeros(0, dtype=ROW)
            digest = hashlib.sha256(text)
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
        except OSError as error:
            raise AccessLogError(
                f"{folder}: the recording of the replayed log cannot be read: {error.strerror}. "
                f"It is in {' and '.join(RECORDING_FILES)}, beside the journal"
            ) from error
        names = ShownNames.from_json(msgspec.json.decode(text))
        return cls(rows=rows, names=names, sha256=digest.hexdigest())


def record_log(
    records: Iterable[AccessRecord], folder: Path, *, network: str, keep_names: bool
) -> ReplayRecording:
    """Write the records of a log into a folder, in order of time, and return the recording.

    `network` is that of requests whose log names none.
    """
    names = Names(keep=keep_names)
    unsorted = folder / _UNSORTED
    default = NETWORKS.index(network)
    pending: list[tuple[int, ...]] = []
    with unsorted.open("wb") as file:
        for record in records:
            pending.append(_row(record, names, default))
            if len(pending) == _CHUNK:
                file.write(np.array(pending, dtype=ROW).tobytes())
                pending.clear()
        file.write(np.array(pending, dtype=ROW).tobytes())
    _sort(unsorted, folder / ROWS)
    unsorted.unlink()
    (folder / NAMES).write_bytes(msgspec.json.encode(names.to_json()))
    return ReplayRecording.open(folder)


def _row(record: AccessRecord, names: Names, default: int) -> tuple[int, ...]:
    duration = record.duration_ms
    return (
        record.time_us,
        -1 if record.size is None else record.size,
        names.user(record.customer, record.user or record.client),
        names.host(record.host.rstrip(".")),
        names.client(record.client),
        -1 if duration is None else min(duration, _MS_MAX),
        names.word(record.method),
        names.word(record.error) if record.error else -1,
        -1 if record.status is None else record.status,
        _authentication(record),
        NETWORKS.index(record.network) if record.network else default,
        record.protocol == "socks",
    )


def _authentication(record: AccessRecord) -> int:
    """Return the kind of authentication: as logged, else by name for a user, by address without."""
    if record.authentication is not None:
        return min(record.authentication, _MS_MAX)
    return _BY_NAME if record.user else _BY_ADDRESS


def _sort(source: Path, target: Path) -> None:
    """Write the rows of a file in order of time; equal times keep their order."""
    if not source.stat().st_size:
        target.write_bytes(b"")
        return
    rows: Rows = np.memmap(source, dtype=ROW, mode="r")
    order = np.argsort(rows["time_us"], kind="stable")
    with target.open("wb") as file:
        for first in range(0, len(order), _CHUNK):
            file.write(rows[order[first : first + _CHUNK]].tobytes())
