"""The journal: lines whole or absent, readable after a kill, sealed by its footer."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.journal_header import header
from trueup.reports.errors import JournalError
from trueup.reports.journal.records import Delivered, Exchange, OutcomeRange
from trueup.reports.journal.storage import JournalWriter, read_journal
from trueup.reports.results import Outcome

HEADER = header()
DELIVERED = Delivered(
    source="fleet",
    at="2025-04-01T00:00:01Z",
    outcomes=(OutcomeRange(first=0, count=5, outcome=Outcome.UNKNOWN, reason="cut"),),
    fleet="main",
)


def written(path: Path, *, finish: bool = True) -> Path:
    with JournalWriter(path) as writer:
        writer.write(HEADER)
        writer.write(DELIVERED)
        writer.write(Exchange(n=writer.next_exchange(), method="GET", path="/x", at="-"))
        if finish:
            writer.finish(finished_at="2025-04-01T00:00:02Z", exit_status=0)
    return path


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    """Round trip: records, order and footer survive."""
    journal = read_journal(written(tmp_path / "j"))
    assert journal.records[:2] == (HEADER, DELIVERED)
    assert journal.footer is not None
    assert journal.footer.records == 3


def test_a_journal_without_a_footer_is_read_as_cut_short(tmp_path: Path) -> None:
    """The records of a killed run stay readable."""
    journal = read_journal(written(tmp_path / "j", finish=False))
    assert journal.footer is None
    assert len(journal.records) == 3


def test_half_a_last_line_is_left_out(tmp_path: Path) -> None:
    """A kill in the middle of a write costs that record only."""
    path = written(tmp_path / "j", finish=False)
    path.write_bytes(path.read_bytes()[:-5])
    journal = read_journal(path)
    assert journal.cut_tail
    assert journal.records == (HEADER, DELIVERED)


def test_a_changed_journal_is_refused(tmp_path: Path) -> None:
    """The footer's digest covers every line above it."""
    path = written(tmp_path / "j")
    path.write_bytes(path.read_bytes().replace(b'"count":5', b'"count":6'))
    with pytest.raises(JournalError, match="changed after it was written"):
        read_journal(path)


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    """The error says which line and why."""
    path = tmp_path / "j"
    written(path, finish=False)
    with path.open("ab") as file:
        file.write(b'{"kind":"nonsense"}\n')
    with pytest.raises(JournalError, match=r"j:4: not a journal record"):
        read_journal(path)


def test_an_existing_journal_is_never_overwritten(tmp_path: Path) -> None:
    """Starting a second journal at the same place is an error."""
    written(tmp_path / "j")
    with pytest.raises(Exception, match="cannot start a journal"):
        JournalWriter(tmp_path / "j")


def test_keys_are_redacted_in_every_encoding(tmp_path: Path) -> None:
    """Plain, percent-encoded or base64, in any record; the seal covers what was written."""
    key = "s3cret/key+1"
    echoes = (key, quote(key, safe=""), base64.b64encode(key.encode()).decode())
    with JournalWriter(tmp_path / "j", secrets=(key,)) as writer:
        writer.write(HEADER)
        for echo in echoes:
            reason = OutcomeRange(first=0, count=1, outcome=Outcome.REFUSED, reason=f"no: {echo}")
            writer.write(Delivered(source="fleet", at="-", outcomes=(reason,), fleet="f"))
        writer.finish(finished_at="-", exit_status=0, stopped_by=f"stopped by {key}")
    text = (tmp_path / "j").read_text()
    assert not [echo for echo in echoes if echo.rstrip("=") in text]
    assert text.count("[key]") == 4
    assert read_journal(tmp_path / "j").footer is not None
