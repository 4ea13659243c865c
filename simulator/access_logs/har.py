"""HTTP archives (HAR), as browsers and proxies export them; one entry in memory at a time.

Source: HAR 1.2 specification. `_transferSize` is what Chromium adds.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from typing import IO, Final

from trueup.simulator.access_logs.build import as_status, host_of, milliseconds
from trueup.simulator.access_logs.options import ReadOptions
from trueup.simulator.access_logs.record import AccessRecord, BadLine, Parsed, RefusedLine
from trueup.simulator.access_logs.source import UNREADABLE, Source, unreadable
from trueup.simulator.access_logs.times import TimeReader

__all__ = ["read_har"]

_ENTRIES: Final = re.compile(r'"entries"\s*:\s*\[')
_CHUNK: Final = 1 << 18
_ENTRY_MAX: Final = 1 << 28
"""Characters of the longest entry that is read: 256 million."""
_DECODER: Final = json.JSONDecoder()


def read_har(source: Source, options: ReadOptions, template: str) -> Iterator[Parsed]:
    """Yield the record or refusal of each entry; their numbers are the entries'."""
    times = TimeReader(options.zone)
    number = 0
    try:
        with source.open() as file:
            for entry in _entries(file):
                number += 1
                try:
                    yield _record(entry, times)
                except BadLine as error:
                    yield RefusedLine(line=number, reason=str(error))
    except BadLine as error:
        yield RefusedLine(line=number + 1, reason=str(error))


def _entries(file: IO[bytes]) -> Iterator[object]:
    """Yield the members of `log.entries`.

    Raises BadLine where the text is not JSON, or the file is damaged or cut.
    """
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    buffer, at, ended = "", -1, False
    wanted = _CHUNK
    while True:
        while len(buffer) < wanted and not ended:
            try:
                chunk = file.read(wanted)
            except UNREADABLE as error:
                raise unreadable(error) from error
            ended = not chunk
            buffer += decode(chunk, ended)
        if at < 0:
            found = _ENTRIES.search(buffer)
            if found is None:
                if ended or len(buffer) > 64 * _CHUNK:
                    raise BadLine('not an HTTP archive: it has no "entries"')
                wanted = len(buffer) + _CHUNK
                continue
            buffer, at = buffer[found.end() :], 0
        rest = buffer[at:].lstrip(" \t\r\n,")
        if rest.startswith("]"):
            return
        try:
            entry, end = _DECODER.raw_decode(rest)
        except RecursionError:
            raise BadLine("nested too deeply") from None
        except ValueError as error:
            if ended or len(rest) > _ENTRY_MAX:
                raise BadLine(f"not JSON, or cut off: {str(error)[:80]}") from None
            # The entry may go on: read as much again.
            buffer, at, wanted = rest, 0, 2 * len(rest) + _CHUNK
            continue
        yield entry
        buffer, at, wanted = rest[end:], 0, _CHUNK


def _record(entry: object, times: TimeReader) -> AccessRecord:
    if not isinstance(entry, Mapping):
        raise BadLine("expected an object")
    request, response = entry.get("request"), entry.get("response")
    if not isinstance(request, Mapping) or not isinstance(response, Mapping):
        raise BadLine("no request, or no response")
    sizes = [request.get("headersSize"), request.get("bodySize")]
    transferred = response.get("_transferSize")
    sizes += (
        [transferred]
        if isinstance(transferred, int) and transferred > 0
        else [response.get("headersSize"), response.get("bodySize")]
    )
    known = [size for size in sizes if isinstance(size, int) and size >= 0]
    status = as_status(response.get("status"))
    return AccessRecord(
        time_us=times.read(entry.get("startedDateTime")),
        size=sum(known) if known else None,
        host=host_of(str(request.get("url") or "")),
        client=str(entry.get("clientIPAddress") or ""),
        method=str(request.get("method") or "")[:32],
        status=status,
        duration_ms=milliseconds(entry.get("time")),
        error="" if status is not None else "har_no_response",
        protocol="http",
    )
