"""Tables with named columns: CSV, with any of the usual separators, and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Final

from trueup.simulator.access_logs.objects import ObjectReader
from trueup.simulator.access_logs.options import ReadOptions
from trueup.simulator.access_logs.record import BadLine, Parsed, RefusedLine
from trueup.simulator.access_logs.source import Line, Source
from trueup.simulator.errors import AccessLogError

__all__ = ["read_csv", "read_parquet"]

_SEPARATORS: Final = ",;\t|"
_ROW_LINES_MAX: Final = 100
"""Lines that one row of CSV may have, by line breaks within quotes."""
_BATCH_ROWS: Final = 4096


def read_csv(source: Source, options: ReadOptions, template: str) -> Iterator[Parsed]:
    """Yield the record or refusal of each row after the header.

    Raises AccessLogError for a header without a time, and for a quote that is not closed: what
    follows it cannot be split into rows.
    """
    reader = ObjectReader(options)
    lines = _Lines(source.lines())
    begun = lines.begin_row()
    try:
        first = next(lines, "")
        separator = max(_SEPARATORS, key=first.count)
        lines.put_back(first)
        rows = csv.reader(lines, strict=True, delimiter=separator)
        header = [name.strip() for name in next(rows, [])]
        columns = dict.fromkeys(header)
        if not reader.plan(columns)["time"]:
            raise AccessLogError(
                f"{source.path}:1: expected a header that names the columns: "
                f"{reader.missing('time', columns)}"
            )
        begun = lines.begin_row()
        for row in rows:
            if len(row) != len(header):
                yield RefusedLine(line=begun, reason=f"{len(row)} values for {len(header)} columns")
            else:
                values = {
                    name: value if value else None for name, value in zip(header, row, strict=True)
                }
                try:
                    yield reader.read(values)
                except BadLine as error:
                    yield RefusedLine(line=begun, reason=str(error))
            yield from lines.refused()
            begun = lines.begin_row()
    except (csv.Error, _RowTooLong) as error:
        raise AccessLogError(
            f"{source.path}:{begun}: the row that begins here cannot be read: {error}. "
            "Is a quote opened in it and not closed?"
        ) from error


class _RowTooLong(Exception):
    """A row of CSV has too many lines."""


class _Lines:
    """Lines of a file, counted, so that a message can name the line where a row began."""

    def __init__(self, lines: Iterator[Line | RefusedLine]) -> None:
        self._lines = lines
        self._number = self._begun = 0
        self._back: list[str] = []
        self._refused: list[RefusedLine] = []

    def begin_row(self) -> int:
        """Return the line on which the next row begins, from 1."""
        self._begun = self._number
        return self._begun + 1

    def put_back(self, line: str) -> None:
        """Return this line again."""
        self._back.append(line)

    def refused(self) -> list[RefusedLine]:
        """Return, once, the lines that cannot be read."""
        found, self._refused = self._refused, []
        return found

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._back:
            return self._back.pop()
        if self._number - self._begun >= _ROW_LINES_MAX:
            raise _RowTooLong(f"it does not end within {_ROW_LINES_MAX} lines")
        while True:
            line = next(self._lines)
            if isinstance(line, RefusedLine):
                self._refused.append(line)
                self._number = line.line
                continue
            self._number, text = line
            return text + "\n"


def read_parquet(source: Source, options: ReadOptions, template: str) -> Iterator[Parsed]:
    """Yield the record or refusal of each row of a Parquet file; their numbers are the rows'.

    Raises AccessLogError where pyarrow is not installed, or the file is no Parquet.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise AccessLogError(
            f"{source.path}: Parquet needs pyarrow, which is not installed: "
            "pip install 'trueup[parquet]'"
        ) from None
    reader = ObjectReader(options)
    number = 0
    try:
        with parquet.ParquetFile(source.path) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    try:
                        yield reader.read(row)
                    except BadLine as error:
                        yield RefusedLine(line=number, reason=str(error))
    except (pyarrow.ArrowException, OSError) as error:
        raise AccessLogError(f"{source.path}: cannot be read as Parquet: {error}") from error
