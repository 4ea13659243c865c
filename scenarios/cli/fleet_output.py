"""Events of a fleet as a file: NDJSON, one JSON array, CSV or Parquet, piece by piece."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import click

from trueup.simulator.fleet import Fleet

__all__ = ["FORMATS", "write_events"]

FORMATS: Final = ("ndjson", "json", "csv", "parquet")
_PIECE: Final = 16_384
Done = Callable[[int], None]


def write_events(fleet: Fleet, first: int, events: int, form: str, out: str, done: Done) -> None:
    """Write events first … first+events-1 in that form to a file, or to standard output (`-`).

    Raises click.UsageError where the file cannot be written, OSError where standard output cannot.
    """
    writers: dict[str, Callable[[IO[bytes], Fleet, Iterator[tuple[int, int]]], Iterator[int]]] = {
        "ndjson": _ndjson,
        "json": _json,
        "csv": _csv,
        "parquet": _parquet,
    }
    if form == "parquet":
        _arrow()
    pieces = iter(
        [(at, min(_PIECE, first + events - at)) for at in range(first, first + events, _PIECE)]
    )
    with _opened(out) as file:
        if form == "parquet" and file.isatty():
            raise click.UsageError("Parquet is not for a terminal: use --out FILE")
        for count in writers[form](file, fleet, pieces):
            done(count)


@contextmanager
def _opened(out: str) -> Iterator[IO[bytes]]:
    try:
        if out != "-":
            with Path(out).open("wb") as file:
                yield file
            return
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        if out == "-":
            raise
        raise click.UsageError(
            f"{out}: cannot be written: {error.strerror}; what was written so far is incomplete"
        ) from error


def _ndjson(file: IO[bytes], fleet: Fleet, pieces: Iterator[tuple[int, int]]) -> Iterator[int]:
    for first, count in pieces:
        file.write(fleet.batch(first, count).ndjson(compact=True))
        yield count


def _json(file: IO[bytes], fleet: Fleet, pieces: Iterator[tuple[int, int]]) -> Iterator[int]:
    opening = b"[\n"
    for first, count in pieces:
        lines = fleet.batch(first, count).ndjson(compact=True)[:-1]
        file.write(opening + lines.replace(b"\n", b",\n"))
        opening = b",\n"
        yield count
    file.write(b"\n]\n" if opening == b",\n" else b"[]\n")


def _csv(file: IO[bytes], fleet: Fleet, pieces: Iterator[tuple[int, int]]) -> Iterator[int]:
    names = list(fleet.row(0))
    file.write((",".join(names) + "\r\n").encode())
    for first, count in pieces:
        text = io.StringIO(newline="")
        out = csv.DictWriter(text, names)
        out.writerows(fleet.batch(first, count).rows())
        file.write(text.getvalue().encode())
        yield count


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise click.UsageError(
            "Parquet needs pyarrow, which is not installed: pip install 'trueup[parquet]'"
        ) from error
    return pyarrow, pyarrow.parquet


def _parquet(file: IO[bytes], fleet: Fleet, pieces: Iterator[tuple[int, int]]) -> Iterator[int]:
    arrow, parquet = _arrow()
    sample = fleet.row(fleet.model.coverage.count)
    kinds = {bool: arrow.bool_(), int: arrow.int64(), str: arrow.string()}
    numbers = {"log_status_code"}
    schema = arrow.schema(
        [
            (name, arrow.int64() if name in numbers else kinds.get(type(value), arrow.string()))
            for name, value in sample.items()
        ]
    )
    with parquet.ParquetWriter(file, schema, compression="zstd") as out:
        for first, count in pieces:
            rows = fleet.batch(first, count).rows()
            out.write_table(arrow.Table.from_pylist(rows, schema=schema))
            yield count
