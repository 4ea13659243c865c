"""Zeek's http.log, ssl.log and conn.log, as tab-separated values or as JSON.

Source: Zeek's documentation of its log formats and of http.log, ssl.log and conn.log. An ssl.log
has no sizes; conn.log has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trueup.simulator.access_logs.json_lines import decode_object
from trueup.simulator.access_logs.objects import Names, ObjectReader
from trueup.simulator.access_logs.options import ReadOptions
from trueup.simulator.access_logs.record import AccessRecord, BadLine, shorten
from trueup.simulator.access_logs.source import ParseLine

__all__ = ["zeek_parser"]

_NAMES: Final[Names] = {
    "time": [("ts",)],
    "bytes": [
        ("request_body_len", "response_body_len"),
        ("orig_ip_bytes", "resp_ip_bytes"),
        ("orig_bytes", "resp_bytes"),
    ],
    "host": [("host",), ("server_name",), ("id.resp_h",)],
    "user": [("username",)],
    "client": [("id.orig_h",)],
    "method": [("method",)],
    "status": [("status_code",)],
    "duration": [("duration_s",), ("duration",)],
}
_KEYS: Final = ("ts", "uid", "id.orig_h")
_UNSET: Final = "-"
_SEPARATOR: Final = re.compile(r"#separator \\x([0-9a-fA-F]{2})$")


def zeek_parser(options: ReadOptions, template: str) -> ParseLine:
    """Return the parser of Zeek's logs; one for each file, because the header names the columns."""
    reader = ObjectReader(options, _NAMES)
    columns: list[str] = []
    separator = "\t"

    def parse(line: str) -> AccessRecord | None:
        nonlocal columns, separator
        if line.startswith("#"):
            if line.startswith("#separator "):
                found = _SEPARATOR.match(line)
                if found is None:
                    raise BadLine(f"no separator that can be read: {shorten(line)}")
                separator = chr(int(found[1], 16))
            head, *rest = line.split(separator)
            columns = rest if head == "#fields" else columns
            return None
        if line.startswith("{"):
            return _record(decode_object(line), reader)
        if not columns:
            raise BadLine("no #fields line before it, which names the columns")
        values = line.split(separator)
        if len(values) != len(columns):
            raise BadLine(f"{len(values)} values for {len(columns)} columns")
        row = {name: None if value == _UNSET else value for name, value in
               zip(columns, values, strict=True)}  # fmt: skip
        return _record(row, reader)

    return parse


def _record(row: Mapping[str, object], reader: ObjectReader) -> AccessRecord:
    if missing := [key for key in _KEYS if key not in row]:
        raise BadLine(f"no {', '.join(missing)}: not a line of http.log, ssl.log or conn.log")
    if "duration" in row:
        # conn.log's is in seconds.
        row = {**row, "duration_s": row["duration"]}
    return reader.read(row)
