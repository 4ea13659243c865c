"""Event files for `trueup fleet fit`: invalid ones are reported with their lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import exit_status

ROW = {
    "log_network": "isp",
    "log_total_bytes": 5120,
    "log_request_datetime": "2025-04-01 13:00:00",
    "log_hostname": "apple.com",
}


def line(**changes: object) -> bytes:
    return json.dumps(ROW | changes).encode() + b"\n"


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "0 events"),
    "bytes": (bytes(range(128, 256)) * 8, ":1: not JSON"),
    "html": (b"<!doctype html>\n", ":1: not JSON"),
    "a list that is too deep": (b"[" * 100_000 + b"\n", ":1: expected an object"),
    "400 digits": (line(log_total_bytes=10**400), "not 1" + "0" * 59 + "… (401 characters)"),
    "half a line": (line() * 3 + line()[:40] + b"\n", ":4: not JSON"),
    "a list": (line() + b"[1]\n", ":2: expected an object"),
    "too deep": (line() + b'{"a":' + b"[" * 100_000 + b"}\n", ":2: not JSON that can be read"),
    "5000 digits": (
        line() + b'{"log_total_bytes":' + b"9" * 5000 + b"}\n",
        ":2: a number is too large",
    ),
    "an infinite size": (
        line() + line().replace(b"5120", b"1e999"),
        ":2: a number is too large",
    ),
    "a negative size": (line(log_total_bytes=-5), ":1: log_total_bytes: expected 0"),
    "a size beyond 64 bits": (line(log_total_bytes=2**63), ":1: log_total_bytes: expected 0"),
    "another network": (line(log_network="satellite"), ":1: log_network: expected one of"),
    "no day": (line(log_request_datetime="2025-02-30 00:00:00"), ":1: log_request_datetime"),
    "no time": (line(log_request_datetime=None), ":1: log_request_datetime is missing"),
    "a status of four digits": (line(log_status_code=1234), ":1: status: expected 0 … 999"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_invalid_event_file_ends_with_an_error_message(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 4, the line and what was expected, no traceback, no profile."""
    content, message = BROKEN[name]
    path = tmp_path / "events.ndjson"
    path.write_bytes(content)
    status = exit_status("fleet", "fit", str(path))
    out, err = capsys.readouterr()
    assert (status, out) == (4, ""), err
    assert message in err
    assert "Traceback" not in err


HEAD = b"log_network,log_total_bytes,log_request_datetime,log_hostname\n"
CSV = b"isp,5120,2025-04-01 13:00:00,apple.com\n"
QUOTED = b'isp,5120,2025-04-01 13:00:00,"apple.com\n'
BROKEN_TABLES: dict[str, tuple[bytes, str]] = {
    "html": (b"<!doctype html>\n", ":1: expected a header that names the columns: no time"),
    "a quote without end": (HEAD + CSV * 5 + QUOTED + CSV * 9000, ":7: the row that begins here"),
    "a quote near the end": (HEAD + CSV * 200 + QUOTED + CSV * 3, ":202: the row that begins here"),
    "a quote in the header": (b'"' + HEAD + CSV * 9000, ":1: the row that begins here"),
}


@pytest.mark.parametrize("name", BROKEN_TABLES)
def test_an_invalid_table_of_events_is_reported_with_the_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line on which the row begins, not the end of the file, and the likely cause."""
    content, message = BROKEN_TABLES[name]
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    status = exit_status("fleet", "fit", str(path))
    out, err = capsys.readouterr()
    assert (status, out) == (4, ""), err
    assert message in err
    assert "Traceback" not in err
