"""The bytes of a log, plain or compressed, as numbered lines; one pass, one line in memory."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from trueup.simulator.access_logs.record import BadLine, Parsed, RefusedLine
from trueup.simulator.errors import AccessLogError

__all__ = [
    "LINE_MAX",
    "UNREADABLE",
    "Line",
    "ParseLine",
    "Source",
    "parse_lines",
    "unreadable",
]


def _zstd() -> Any:
    """Return the module that unpacks zstd; None where it is not installed."""
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_ZSTD: Final = _zstd()
UNREADABLE: Final[tuple[type[Exception], ...]] = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    *(() if _ZSTD is None else (_ZSTD.ZstdError,)),
)
"""What reading a damaged or cut file raises."""
LINE_MAX: Final = 1 << 20
"""Bytes of the longest line that is read."""
_SAMPLE: Final = 1 << 18
"""Bytes at the start of a log from which its format is guessed."""
_PIECE: Final = 1 << 12
"""Bytes that are unpacked at once for the sample: a cut file is read to the cut."""


def _zstd_open(path: Path) -> object:
    """Open a file that zstd packed. Raises AccessLogError where it cannot be unpacked here."""
    if _ZSTD is None:
        raise AccessLogError(
            f"{path}: unpacking zstd needs a package that is not installed: "
            "pip install 'trueup[zstd]'"
        )
    return _ZSTD.open(path)


_PACKED: Final[tuple[tuple[str, bytes, Callable[[Path], object]], ...]] = (
    (".gz", b"\x1f\x8b", gzip.open),
    (".bz2", b"BZh", bz2.open),
    (".xz", b"\xfd7zXZ\x00", lzma.open),
    (".zst", b"\x28\xb5\x2f\xfd", _zstd_open),
)
"""(suffix of the name, first bytes, how to unpack)."""
_PACKED_SUFFIXES: Final = tuple(suffix for suffix, _, _ in _PACKED)

Line = tuple[int, str]
"""(number from 1, text without its end)."""
ParseLine = Callable[[str], "Parsed | None"]
"""Returns the record of a line, or None where the line holds none. Raises BadLine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A log file, or the sample of one."""

    path: Path
    content: bytes | None = None
    """The first lines of the file, where this is a sample."""

    @property
    def suffix(self) -> str:
        """Return the suffix of the log's name in lower case, without that of a compression."""
        name = self.path.with_suffix("") if self.path.suffix in _PACKED_SUFFIXES else self.path
        return name.suffix.lower()

    def open(self) -> IO[bytes]:
        """Open the log for reading, unpacked. Raises AccessLogError."""
        if self.content is not None:
            return io.BytesIO(self.content)
        try:
            with self.path.open("rb") as file:
                start = file.read(6)
            unpack = next((each for _, magic, each in _PACKED if start.startswith(magic)), None)
            return self.path.open("rb") if unpack is None else cast(IO[bytes], unpack(self.path))
        except OSError as error:
            raise AccessLogError(f"{self.path}: cannot be read: {error.strerror}") from error

    def sample(self) -> Source:
        """Return the complete lines at the start of the log. Raises AccessLogError."""
        content = b""
        try:
            with self.open() as file:
                while len(content) < _SAMPLE and (more := file.read(_PIECE)):
                    content += more
        except UNREADABLE as error:
            if not content:
                raise AccessLogError(f"{self.path}: cannot be read: {error}") from error
        if len(content) >= _SAMPLE and b"\n" in content:
            content = content[: content.rfind(b"\n") + 1]
        return Source(path=self.path, content=content)

    def lines(self) -> Iterator[Line | RefusedLine]:
        """Yield the lines that are not blank, each with its number from 1.

        Bytes that are not UTF-8 are shown as escapes. A line that is too long is a RefusedLine,
        and so is the place where a compressed file is cut off.
        """
        number = 0
        try:
            with self.open() as file:
                while raw := file.readline(LINE_MAX):
                    number += 1
                    if len(raw) == LINE_MAX and not raw.endswith(b"\n"):
                        while more := file.readline(LINE_MAX):
                            if more.endswith(b"\n"):
                                break
                        yield RefusedLine(line=number, reason=f"longer than {LINE_MAX} bytes")
                        continue
                    text = raw.decode("utf-8", errors="backslashreplace").rstrip("\r\n")
                    if number == 1:
                        text = text.removeprefix("\ufeff")
                    if text and not text.isspace():
                        yield number, text
        except UNREADABLE as error:
            yield RefusedLine(line=number + 1, reason=str(unreadable(error)))


def unreadable(error: Exception) -> BadLine:
    """Return what is refused where a file is damaged or cut: `error` is one of `UNREADABLE`."""
    return BadLine(f"the file cannot be read further: {error}")


def parse_lines(source: Source, parse: ParseLine) -> Iterator[Parsed]:
    """Yield the record or the refusal of every line that holds one."""
    for line in source.lines():
        if isinstance(line, RefusedLine):
            yield line
            continue
        number, text = line
        try:
            record = parse(text)
        except BadLine as error:
            yield RefusedLine(line=number, reason=str(error))
        else:
            if record is not None:
                yield record
