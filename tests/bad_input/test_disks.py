"""Full disks and paths that cannot be written: an error message, and complete files up to there."""

from __future__ import annotations

import asyncio
import resource
import stat
from pathlib import Path

import pytest

from tests.command_line import exit_status
from tests.full_disk import files_of_at_most
from tests.journal_header import header
from tests.reports import factory
from trueup.reports.errors import JournalWriteError
from trueup.reports.journal.records import Exchange
from trueup.reports.journal.storage import JournalWriter, read_journal
from trueup.scenarios.run.phases import RunContext


def test_a_journal_on_a_full_disk_ends_with_a_complete_line(tmp_path: Path) -> None:
    """The error names the cause, and every earlier record can be read."""
    path = tmp_path / "journal.ndjson"
    written = 1
    with files_of_at_most(8192), JournalWriter(path) as writer:
        writer.write(header())
        with pytest.raises(JournalWriteError, match="What was written so far is readable"):
            while written < 100:
                writer.write(
                    Exchange(n=written, method="GET", path="/", at="", body_text="x" * 700)
                )
                written += 1
        journal = read_journal(path)
        assert len(journal.records) == written
        assert 5 < written < 100
        assert not journal.cut_tail
        writer.finish(finished_at="2025-04-01T00:00:01Z", exit_status=2)
    sealed = read_journal(path)
    assert sealed.footer is not None
    assert sealed.footer.records == written


def test_reports_on_a_full_device_end_with_an_error_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """/dev/full accepts nothing; it must remain a device, and the journal must not change."""
    run = factory.journal(tmp_path / "run").path
    before = run.read_bytes()
    assert exit_status("report", str(run), "--format", "html", "--out", "/dev/full") == 4
    err = capsys.readouterr().err
    assert "/dev/full: the report could not be written" in err
    assert "Traceback" not in err
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
    assert run.read_bytes() == before


def test_a_report_can_be_written_to_a_device(tmp_path: Path) -> None:
    """/dev/null is written to, never replaced by a file."""
    run = str(factory.journal(tmp_path / "run").path)
    assert exit_status("report", run, "--format", "json", "--out", "/dev/null") == 0
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("place", ["a file", "a folder in a file", "a place that takes no files"])
def test_a_folder_that_cannot_be_created_is_reported(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For reports and runs: the path, the reason, and what to do; nothing is started."""
    (tmp_path / "file").write_text("in the way")
    out = {
        "a file": tmp_path / "file",
        "a folder in a file": tmp_path / "file" / "folder",
        "a place that takes no files": Path("/proc/trueup"),
    }[place]
    run = str(factory.journal(tmp_path / "run").path)
    assert exit_status("report", run, "--out", str(out)) == 4
    letter = capsys.readouterr().err
    assert str(out) in letter
    assert "could not be written" in letter
    assert exit_status("check", "--quiet", "--runs", str(out)) == 4
    letter = capsys.readouterr().err
    assert str(out) in letter
    assert "--runs" in letter
    assert "Traceback" not in letter
    assert (tmp_path / "file").read_text() == "in the way"


def test_no_record_follows_one_that_was_not_written(tmp_path: Path) -> None:
    """A journal has no gaps: a smaller record that would fit is rejected like the first."""
    path = tmp_path / "journal.ndjson"
    with files_of_at_most(8192), JournalWriter(path) as writer:
        writer.write(header())
        with pytest.raises(JournalWriteError) as first:
            writer.write(Exchange(n=1, method="GET", path="/", at="", body_text="x" * 9000))
        with pytest.raises(JournalWriteError) as second:
            writer.write(Exchange(n=2, method="GET", path="/", at=""))
    assert second.value is first.value is writer.failure
    assert len(read_journal(path).records) == 1


class FullDisk:
    """Fill the disk of the journal, then raise the error inside a group."""

    async def __call__(self, context: RunContext, part: object) -> None:
        path = context.folder / "journal.ndjson"
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (path.stat().st_size + 2000, resource.RLIM_INFINITY)
        )
        async with asyncio.TaskGroup() as group:
            for n in range(1, 30):
                group.create_task(self.write(context, n))

    async def write(self, context: RunContext, n: int) -> None:
        context.writer.write(Exchange(n=n, method="GET", path="/", at="", body_text="x" * 150))


def test_a_full_disk_ends_a_run_with_an_error_message_about_the_disk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Status 4 and the end of the journal, although neither footer nor report could be written;
    judging it again says that it was cut short, not that its verdicts differ."""
    monkeypatch.setattr("trueup.scenarios.run.orchestrator.run_checks_part", FullDisk())
    monkeypatch.setenv("T_PUBLIC", "public-key")
    monkeypatch.setenv("T_PRIVATE", "private-key")
    file = tmp_path / "t.toml"
    file.write_text(
        'name = "x"\nbase_url = "http://127.0.0.1:9/1.0"\n[tenants.a]\n'
        'public_key = { env = "T_PUBLIC" }\nprivate_key = { env = "T_PRIVATE" }\n'
    )
    runs = tmp_path / "runs"
    with files_of_at_most(8192):
        assert exit_status("check", "--quiet", "--target", str(file), "--runs", str(runs)) == 4
        said = capsys.readouterr().err
        assert "the journal could not be written after" in said
        assert "What was written so far is readable" in said
        assert "journal is whole" not in said
        assert "Traceback" not in said
        status = exit_status("judge", str(runs / "latest"))
    said = capsys.readouterr().out
    assert "the journal was cut short after" in said
    assert "verdicts differ" not in said
    assert status in (2, 4)
