"""Reports on disk: whole or as before; a full or closed disk is a clear error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.full_disk import files_of_at_most
from trueup.reports.errors import ReportWriteError
from trueup.reports.journal.storage import read_journal
from trueup.reports.model import RunReport
from trueup.reports.renderers.writer import RUN_FILES, write_all, write_text


def test_a_run_leaves_its_files(failing: RunReport, tmp_path: Path) -> None:
    """Every file that is promised, and a script for each counter-example; nothing else."""
    paths = write_all(failing, tmp_path / "out")
    names = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert names == set(paths) == {*RUN_FILES, "evidence/summaries-equal-logs.sh"}
    assert json.loads(paths["result.json"].read_text())["exit_status"] == 1


def test_writing_again_gives_the_same_bytes(failing: RunReport, tmp_path: Path) -> None:
    """A report is a pure function of its journal."""
    first = {name: path.read_bytes() for name, path in write_all(failing, tmp_path / "o").items()}
    again = {name: path.read_bytes() for name, path in write_all(failing, tmp_path / "o").items()}
    assert first == again


def test_a_full_disk_leaves_the_old_file_and_the_journal(
    failing: RunReport, tmp_path: Path
) -> None:
    """Nothing half-written stays; the error names the file, and the journal is untouched."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "result.json").write_text("before")
    unwritable = r"result\.json: the report could not be written"
    with files_of_at_most(2048), pytest.raises(ReportWriteError, match=unwritable):
        write_all(failing, out)
    assert (out / "result.json").read_text() == "before"
    assert [path.name for path in out.iterdir()] == ["result.json"]
    assert read_journal(failing.journal).footer is not None


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    """The error says which path, and what to do."""
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ReportWriteError, match=r"report\.html.*trueup report --out"):
        write_text(tmp_path / "report.html", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
