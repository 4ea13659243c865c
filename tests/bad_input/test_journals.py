"""Invalid journals: every command that reads one reports which line is wrong, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import exit_status
from tests.reports import factory
from trueup.reports.journal.storage import read_journal
from trueup.reports.model import build_report
from trueup.reports.results import ExitStatus
from trueup.scenarios.cli.report import FORMATS

LOAD = (
    b'{"kind":"load","generator":{"engine":"e"},'
    b'"plan":{"scenario":"s","shape":"c","duration_s":1.0}'
)
EXCHANGE = b'{"kind":"exchange","n":1,"method":"GET","path":"/","at":"","body":'
DELIVERED = b'{"kind":"delivered","source":"fleet","at":"","outcomes":[{"first":0,"count":'


def after_header(*lines: bytes) -> bytes:
    """Write a journal with a valid header and these lines."""
    return HEADER + b"".join(line + b"\n" for line in lines)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a complete journal."""
    folder = tmp_path_factory.mktemp("good")
    return factory.journal(folder, load=(factory.load_result(),)).path.read_bytes()


HEADER = (
    b'{"kind":"header","base_url":"http://h/1.0","level":3,"run":"r","scenario":"s","schema":2,'
    b'"seed":7,"started_at":"2025-04-01T00:00:00Z","target":"t","trueup":"0"}\n'
)

BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", ":1: expected the header"),
    "html": (b"<!doctype html>\n", ":1: not a journal record"),
    "bytes": (bytes(range(256)) * 20 + b"\n", ":1: not a journal record"),
    "byte order mark": (b"\xef\xbb\xbf" + HEADER, ":1: not a journal record"),
    "utf-16": (HEADER.decode().encode("utf-16"), ":1: "),
    "latin-1": (
        after_header(b'{"kind":"phase","name":"\xe9","state":"begin","at":""}'),
        ":2: not a journal record",
    ),
    "no header": (
        b'{"kind":"phase","name":"p","state":"end","at":""}\n',
        ":1: expected the header",
    ),
    "half a header": (HEADER[:50], ":1: expected the header"),
    "another kind": (after_header(b'{"kind":"nonsense"}'), ":2: not a journal record"),
    "a wrong type": (HEADER.replace(b'"seed":7', b'"seed":"7"'), "`$.seed`"),
    "a list": (after_header(b"[]"), ":2: not a journal record"),
    "too deep": (
        after_header(EXCHANGE + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        ":2: not a journal record",
    ),
    "a count of 5000 digits": (
        after_header(DELIVERED + b"9" * 5000 + b',"outcome":"accepted"}]}'),
        ":2: not a journal record",
    ),
    "an infinite duration": (after_header(LOAD.replace(b"1.0", b"1e999") + b"}"), ":2: "),
    "not a number": (after_header(LOAD.replace(b"1.0", b"NaN") + b"}"), ":2: "),
    "a bucket of no layout": (
        after_header(LOAD + b',"latency":{"response_ns":{"99999999":1}}}'),
        "the response histogram of a load record is broken",
    ),
    "a negative count": (
        after_header(LOAD + b',"latency":{"lateness_ns":{"5":-1}}}'),
        "the lateness histogram of a load record is broken",
    ),
    "a count beyond 64 bits": (
        after_header(LOAD + b',"latency":{"service_ns":{"5":99999999999999999999}}}'),
        "the service histogram of a load record",
    ),
    "counts that overflow together": (
        after_header(
            LOAD + b',"latency":{"reads_ns":{"5":9223372036854775807,"6":9223372036854775807}}}'
        ),
        "impossibly many values",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("command", [["report"], ["report", "--format", "html"], ["judge"]])
def test_an_invalid_journal_ends_with_an_error_message(
    name: str, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 4 with file and line, no traceback, no verdict."""
    content, message = BROKEN[name]
    path = tmp_path / "journal.ndjson"
    path.write_bytes(content)
    status = exit_status(*command, str(path))
    out, err = capsys.readouterr()
    assert status == 4, err
    assert "Conforms" not in out
    assert message in err
    assert str(path) in err
    assert "Traceback" not in err


def test_a_changed_journal_is_rejected_by_every_command(
    good: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A verdict that was edited must not be shown as one of trueup."""
    path = tmp_path / "journal.ndjson"
    path.write_bytes(good.replace(b'"verdict":"fail"', b'"verdict":"pass"'))
    for command in (["report"], ["judge"], ["report", "compare", str(path)]):
        assert exit_status(*command, str(path)) == 4
        assert "changed after it was written" in capsys.readouterr().err


def test_a_journal_that_was_cut_can_be_read_up_to_the_cut(good: bytes, tmp_path: Path) -> None:
    """A process that is killed at any byte after the header loses at most one line."""
    path = tmp_path / "journal.ndjson"
    lines = good.splitlines(keepends=True)
    for kept in range(1, len(lines)):
        for extra in (b"", lines[kept][:1], lines[kept][: len(lines[kept]) // 2], lines[kept][:-1]):
            path.write_bytes(b"".join(lines[:kept]) + extra)
            journal = read_journal(path)
            assert len(journal.records) == kept
            assert journal.cut_tail == bool(extra)
            assert build_report(journal).interrupted


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_unusual_values_break_no_report_format(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Very large counts, invalid times, unknown levels, seconds out of order."""
    path = tmp_path / "journal.ndjson"
    header = HEADER.replace(b'"level":3', b'"level":99').replace(
        b"2025-04-01T00:00:00Z", b"0001-01-01T00:00:00+23:00"
    )
    body = after_header(
        DELIVERED + b'9223372036854775808,"outcome":"accepted"}]}',
        b'{"kind":"phase","name":"p","state":"begin","at":"yesterday"}',
        b'{"kind":"phase","name":"p","state":"end","at":"2025-01-01T00:00:00"}',
        EXCHANGE + b"[" * 500 + b"]" * 500 + b"}",
        LOAD.replace(b"1.0", b"-1.0") + b',"requests":{"completed":-5},'
        b'"timeline":{"seconds":[{"events":1e308},'
        b'{"t":-1e300,"events":1e-320},{"t":1e308,"p50_ms":1e308}]}}',
        b'{"kind":"tie-out","part":"","row":{"view":"?","scope":"","seen_bytes":-1,"ok":false}}',
        b'{"kind":"result","result":{"check":"","law":"","title":"","verdict":"fail",'
        b'"reason":"","counterexample":{"exchanges":[1,77]}}}',
    )
    path.write_bytes(body.replace(HEADER, header))
    status = exit_status("report", str(path), "--format", form)
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    assert out


def test_a_journal_without_passes_does_not_conform_by_default(tmp_path: Path) -> None:
    """A header alone is no evidence."""
    path = tmp_path / "journal.ndjson"
    path.write_bytes(HEADER)
    assert build_report(read_journal(path)).status is ExitStatus.COULD_NOT_TELL
