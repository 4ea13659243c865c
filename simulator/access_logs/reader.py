"""Read a log: guess its format or take the one that was named, and count what was read and refused.

A few broken lines do not end the reading: they are counted, and the first ones are kept with their
numbers and reasons. More than a tenth of them do, because then the format is likely another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo
from itertools import islice
from pathlib import Path
from typing import Final

from trueup.simulator.access_logs.formats import FORMATS, LogFormat
from trueup.simulator.access_logs.options import ReadOptions
from trueup.simulator.access_logs.record import AccessRecord, RefusedLine, shorten
from trueup.simulator.access_logs.source import Source
from trueup.simulator.errors import AccessLogError

__all__ = ["LogReader", "ReadReport", "format_names"]

_SAMPLE_LINES: Final = 100
_ANOTHER_ZONE: Final = timezone(timedelta(hours=1))
_REFUSED_SHARE_MAX: Final = 0.1
_REFUSED_MIN: Final = 1
"""So many refused lines are never too many, however short the log is."""
_REFUSED_KEPT: Final = 5
_EARLY: Final = 10_000
"""After so many lines the share of refused ones is looked at, and again at the end."""
_JSON: Final = ("zeek", "envoy", "ndjson", "har")
_BY_SUFFIX: Final = {
    ".ndjson": _JSON, ".jsonl": _JSON, ".json": _JSON, ".har": ("har",), ".csv": ("csv",),
    ".tsv": ("csv",), ".parquet": ("parquet",),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """What was read of a log so far."""

    format: str
    title: str
    guessed: bool
    read: int
    refused: int
    first_refused: tuple[RefusedLine, ...]
    zone: str = ""
    """Zone in which times were read that have none; empty where they have one."""

    def text(self, path: Path) -> list[str]:
        """Return lines for the user: the format, the counts, and the first lines refused."""
        how = " (guessed; --format names another)" if self.guessed else ""
        lines = [f"{path}: {self.title}{how}: {self.read:,} read, {self.refused:,} refused"]
        if self.zone:
            lines.append(f"its times have no zone and are read as {self.zone}; see --zone")
        lines += [f"refused: {path}:{each.line}: {each.reason}" for each in self.first_refused]
        if self.refused > len(self.first_refused):
            lines.append(f"refused: {self.refused - len(self.first_refused):,} more")
        return lines


class LogReader:
    """One pass over a log: iterate over its records, then ask for the report.

    Raises AccessLogError, which names the file and the line: for a format that is not recognised,
    or is not the named one, and, at the end, if more than a tenth of the lines were refused.
    """

    def __init__(self, path: Path, options: ReadOptions | None = None) -> None:
        self.path = path
        self._options = options or ReadOptions()
        self._source = Source(path=path)
        name, _, self._template = self._options.format.partition(":")
        self._guessed = not name
        self._format = _named(name, self._template) if name else _guess(self._source, self._options)
        self._read = self._refused = 0
        self._kept: list[RefusedLine] = []
        # A template is compiled when reading begins: a wrong one is reported now.
        self._zoneless = self._first_time(UTC) != self._first_time(_ANOTHER_ZONE)

    @property
    def report(self) -> ReadReport:
        """Return what was read so far."""
        return ReadReport(
            format=self._format.name,
            title=self._format.title,
            guessed=self._guessed,
            read=self._read,
            refused=self._refused,
            first_refused=tuple(self._kept),
            zone=str(self._options.zone) if self._zoneless else "",
        )

    def _first_time(self, zone: tzinfo) -> int:
        """Return the time of the first record, with a zone for times that have none; 0 for none."""
        options = ReadOptions(zone=zone, fields=self._options.fields)
        try:
            some = islice(self._format.read(self._source, options, self._template), _SAMPLE_LINES)
            return next((each.time_us for each in some if isinstance(each, AccessRecord)), 0)
        except AccessLogError:
            if self._template:
                raise
            return 0

    def __iter__(self) -> Iterator[AccessRecord]:
        self._read = self._refused = 0
        self._kept = []
        for parsed in self._format.read(self._source, self._options, self._template):
            if isinstance(parsed, AccessRecord):
                self._read += 1
                yield parsed
            else:
                self._refused += 1
                if len(self._kept) < _REFUSED_KEPT:
                    self._kept.append(parsed)
                if self._read + self._refused == _EARLY:
                    self._check()
        self._check()

    def _check(self) -> None:
        """Raise AccessLogError if too many lines were refused."""
        total = self._read + self._refused
        if self._refused <= max(_REFUSED_SHARE_MAX * total, _REFUSED_MIN):
            return
        how = "which was guessed: name another with --format" if self._guessed else "as you named"
        first = "\n".join(f"{self.path}:{each.line}: {each.reason}" for each in self._kept)
        raise AccessLogError(
            f"{self.path}: {self._refused:,} of {total:,} lines cannot be read as "
            f"{self._format.name} ({self._format.title}), {how}. The first ones:\n{first}"
            + self._other()
        )

    def _other(self) -> str:
        """Return which format reads the start of the log, where that is another one."""
        if self._guessed:
            return ""
        try:
            other = _guess(self._source, ReadOptions(zone=self._options.zone))
        except AccessLogError:
            return ""
        return "" if other is self._format else f"\nIt looks like {other.name} ({other.title})."


def format_names() -> list[str]:
    """Return the names that `--format` takes."""
    return [each.name for each in FORMATS]


def _named(name: str, template: str) -> LogFormat:
    found = next((each for each in FORMATS if each.name == name), None)
    if found is None:
        raise AccessLogError(
            f"{name!r} is no format of logs; choose one of {', '.join(format_names())}"
        )
    if template and not found.template:
        takes = ", ".join(each.name for each in FORMATS if each.template)
        raise AccessLogError(f"{name} takes no template; these do: {takes}")
    return found


def _guess(source: Source, options: ReadOptions) -> LogFormat:
    """Return the format that reads most of the first lines. Raises AccessLogError."""
    sample = source.sample()
    assert sample.content is not None
    if not sample.content.strip():
        raise AccessLogError(f"{source.path}: 0 events: the file is empty")
    if sample.content.startswith(b"PAR1"):
        return _named("parquet", "")
    candidates = _candidates(source.suffix, sample.content)
    if len(candidates) == 1 and candidates[0].name == "har":
        return candidates[0]
    tried = [(_score(each, sample, options), each) for each in candidates]
    score, best = max(tried, key=lambda pair: pair[0].share)
    if score.share > 0:
        return best
    # What the most general format says, which is the last one.
    score = tried[-1][0]
    line = score.refused or RefusedLine(line=1, reason="no line holds a record")
    first = sample.content[:200].decode("utf-8", errors="backslashreplace").split("\n")[0]
    names = ", ".join(each.name for each in candidates)
    raise AccessLogError(
        f"{source.path}:{line.line}: {line.reason}\n"
        f"The format is not recognised from the first lines; tried: {names}. The first line is "
        f"{shorten(first)}. Name the format with --format: {', '.join(format_names())}; "
        "squid, haproxy, nginx and apache may be followed by a colon and the template of their "
        "configuration"
    )


def _candidates(suffix: str, content: bytes) -> list[LogFormat]:
    """Return the formats that a log may have, by its name and its first character."""
    names = _BY_SUFFIX.get(suffix, ())
    if not names:
        start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        names = (
            _JSON
            if start in (b"{", b"[")
            else tuple(each.name for each in FORMATS if each.name not in (*_JSON[1:], "parquet"))
        )
    if names == _JSON:
        is_archive = b'"log"' in content and b'"entries"' in content
        names = ("har",) if is_archive else _JSON[:3]
    return [each for each in FORMATS if each.name in names and each.guessed]


@dataclass(frozen=True, slots=True)
class _Score:
    """How much of a sample a format reads, and the first line that it refuses."""

    share: float
    refused: RefusedLine | None


def _score(form: LogFormat, sample: Source, options: ReadOptions) -> _Score:
    read, refused = 0, []
    try:
        for parsed in islice(form.read(sample, options, ""), _SAMPLE_LINES):
            if isinstance(parsed, RefusedLine):
                refused.append(parsed)
            else:
                read += 1
    except AccessLogError as error:
        refused.append(RefusedLine(line=1, reason=str(error).removeprefix(f"{sample.path}:1: ")))
        return _Score(0.0, refused[0])
    return _Score(read / max(1, read + len(refused)), refused[0] if refused else None)
