"""`trueup report`: any run, any format, clear letters for what cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import exit_status
from tests.reports import factory
from trueup.conformance.judge import required_checks
from trueup.reports.journal.storage import read_journal
from trueup.reports.model import RunReport, build_report
from trueup.reports.renderers.writer import RUN_FILES
from trueup.scenarios.cli.report import FORMATS


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of `trueup report …`."""
    status = exit_status("report", *arguments)
    out, err = capsys.readouterr()
    return status, out, err


def test_a_run_is_shown_on_the_screen(
    failing: RunReport, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder or a journal will do; showing a failed run is no failure."""
    folder = failing.journal.parent
    shown = call(capsys, str(folder))
    assert shown[0] == 0
    assert "Does not conform" in shown[1]
    assert call(capsys, str(folder / "journal.ndjson")) == shown


def test_the_latest_run_is_the_default(
    failing: RunReport, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """runs/latest, from where the command is called."""
    where = failing.journal.parent.parent
    (where / "runs").mkdir()
    (where / "runs" / "latest").symlink_to(failing.journal.parent)
    monkeypatch.chdir(where)
    assert "Does not conform" in call(capsys)[1]
    assert call(capsys, "--format", "badge")[1] == call(capsys, "show", "--format", "badge")[1]


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_every_format_goes_to_screen_and_file_alike(
    form: str, failing: RunReport, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same text either way; the file's name is printed."""
    run = str(failing.journal.parent)
    journal = read_journal(failing.journal)
    report = build_report(journal, required=required_checks(journal))
    _, text, _ = call(capsys, run, "--format", form)
    out = tmp_path / "file"
    status, said, _ = call(capsys, run, "--format", form, "--out", str(out))
    assert (status, said.strip()) == (0, str(out))
    assert out.read_text() == text == FORMATS[form](report)


def test_the_screen_can_be_kept_in_a_file(
    failing: RunReport, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As 80 plain columns."""
    run = str(failing.journal.parent)
    assert call(capsys, run, "--format", "terminal", "--out", str(tmp_path / "t"))[0] == 0
    assert "Does not conform" in (tmp_path / "t").read_text()
    assert "\x1b" not in (tmp_path / "t").read_text()


def test_all_files_are_made_again(
    failing: RunReport, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the journal alone, into a new folder."""
    status, out, _ = call(capsys, str(failing.journal.parent), "--out", str(tmp_path / "again"))
    assert status == 0
    assert {Path(line).name for line in out.splitlines()} >= set(RUN_FILES)
    assert json.loads((tmp_path / "again" / "result.json").read_text())["seed"] == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere: no run here"),
        ((".",), "there is no journal.ndjson in this folder"),
        (("--format", "pdf"), "'pdf' is not one of"),
        (("compare", "nowhere"), "compare takes two or more runs"),
    ],
)
def test_wrong_arguments_end_with_an_error_message_and_status_4(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No traceback; the message has the remedy."""
    monkeypatch.chdir(tmp_path)
    status, out, err = call(capsys, *arguments)
    assert (status, out) == (4, "")
    assert message in err
    assert "Traceback" not in err


def test_two_runs_are_compared(
    tmp_path: Path, passing: RunReport, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 0 where nothing got worse, 1 where something did, 4 where they differ in kind."""
    good = str(passing.journal)
    load = (factory.load_result(),)
    bad = str(factory.journal(tmp_path / "bad", load=load).path)
    other = str(factory.journal(tmp_path / "other", factory.PASSES, seed=8).path)
    assert call(capsys, "compare", good, good)[0] == 0
    status, out, _ = call(capsys, "compare", good, bad)
    assert status == 1
    assert "summaries-equal-logs: no result → fail" in out
    document = json.loads(call(capsys, "compare", good, bad, "--json")[1])
    assert document["worse"] is True
    assert {change["trend"] for change in document["load"]} == {"no difference seen"}
    status, _, err = call(capsys, "compare", good, other)
    assert status == 4
    assert "differ in seed (7 and 8)" in err


def test_help_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Both commands, and the options of the one that may go unnamed."""
    for arguments in (("--help",), ("compare", "--help"), ("show", "--help")):
        _, out, _ = call(capsys, *arguments)
        assert max(map(len, out.splitlines())) <= 80
    _, out, _ = call(capsys, "--help")
    assert "--format" in out
    assert "compare A B [C …]" in out


def test_a_closed_pipe_ends_with_could_not_tell(failing: RunReport) -> None:
    """`trueup report … | true`: status 2 and no traceback."""
    command = [sys.executable, "-c", "from trueup.scenarios.cli import main; main()", "report"]
    for form in ("html", "terminal"):
        with subprocess.Popen(
            [*command, str(failing.journal.parent), "--format", form],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            child.stdout.close()
            error = child.stderr.read().decode()
            assert (child.wait(timeout=30), error) == (2, "")
