"""How every kind of error ends the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.command_line import exit_status
from trueup.conformance.errors import TargetFileError, TargetUnreachable
from trueup.reports.errors import JournalError
from trueup.reports.journal.storage import read_journal
from trueup.scenarios.cli import COMMANDS
from trueup.scenarios.errors import CouldNotTell, OwnError, UsageProblem
from trueup.scenarios.exit_status import exit_status_of, format_error
from trueup.simulator.errors import SimulatorError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageProblem("x"), 4),
        (CouldNotTell("x"), 2),
        (OwnError("x"), 3),
        (KeyboardInterrupt(), 2),
        (click.UsageError("x"), 4),
        (JournalError("x"), 4),
        (TargetFileError("x"), 4),
        (TargetUnreachable("x"), 2),
        (SimulatorError("x"), 4),
        (ZeroDivisionError("x"), 3),
    ],
)
def test_every_error_has_its_exit_status(error: BaseException, status: int) -> None:
    """DESIGN's five statuses, and nothing else."""
    assert exit_status_of(error) == status


def test_only_a_fault_of_ours_shows_a_traceback() -> None:
    """Usage and target errors are messages; ours has a traceback."""
    assert format_error(UsageProblem("no such file")) == "Error: no such file"
    assert "Traceback" not in format_error(TargetUnreachable("connection refused"))
    assert "fault of trueup" in format_error(ZeroDivisionError("x"))


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run", "--nonsense"], ["run", "nonsense"], ["check", "--level", "9"]],
)
def test_wrong_usage_ends_with_4_and_a_remedy(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard error says what is wrong with a command line."""
    assert exit_status(*arguments) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.strip()
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    "arguments", [["--help"], *([name, "--help"] for name in COMMANDS if name != "serve")]
)
def test_help_fits_an_80_column_terminal(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No line of help is wider than 80 characters."""
    assert exit_status(*arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert max(map(len, lines)) <= 80


def test_help_loads_no_command() -> None:
    """The list of commands is printed without the modules that run them, and without rich."""
    script = (
        "import sys; from trueup.scenarios.cli import COMMANDS, main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'rich', *(f'trueup.scenarios.cli.{n}' for n in COMMANDS)} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)
    assert done.stdout.endswith("\n[]\n")


def test_a_reader_that_leaves_early_is_no_verdict() -> None:
    """`trueup … | head`: no traceback, and the status of "could not tell"."""
    child = subprocess.Popen(
        [sys.executable, "-m", "trueup", "fleet", "--events", "20000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline().startswith(b"{")
    child.stdout.close()
    assert child.wait(timeout=60) == 2
    assert child.stderr.read() == b""
    child.stderr.close()


LOST_OUTPUT = {
    "a pipe without a reader": "{trueup} {arguments} | true; exit ${{PIPESTATUS[0]}}",
    "a full device": "{trueup} {arguments} >/dev/full",
    "closed": "{trueup} {arguments} >&-",
    "closed, as standard error is": "{trueup} {arguments} >&- 2>&- <&-",
}


def with_lost_output(how: str, arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command whose standard output leads nowhere, as a shell does it."""
    line = LOST_OUTPUT[how].format(trueup=f"{sys.executable} -m trueup", arguments=arguments)
    return subprocess.run(
        ["bash", "-c", line],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("arguments", ["--help", "prove --list", "fleet --events 3000"])
@pytest.mark.parametrize("how", LOST_OUTPUT)
def test_output_that_is_lost_ends_with_could_not_tell(
    how: str, arguments: str, tmp_path: Path
) -> None:
    """Status 2, never a verdict's; a full device is named; there is no traceback."""
    done = with_lost_output(how, arguments, tmp_path)
    if "pipe" not in how:  # a short text may be written before the reader is gone
        assert done.returncode == 2, done.stderr
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr
    assert ("No space left" in done.stderr) == (how == "a full device")


@pytest.mark.slow
@pytest.mark.parametrize("how", LOST_OUTPUT)
def test_a_run_whose_output_is_lost_leaves_a_sealed_journal(how: str, tmp_path: Path) -> None:
    """The run itself is whole and conforms; only its screen could not be shown: status 2."""
    done = with_lost_output(how, "check --quiet --only SUM=LOG --level 2 --depth quick", tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    footer = read_journal(tmp_path / "runs" / "latest").footer
    assert footer is not None
    assert footer.exit_status == 0
    assert not footer.interrupted


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["chekc"], "Did you mean 'check'?"),
        (["run", "--quiett"], "--quiet"),
        (["nonsense"], "Commands: run, check"),
    ],
)
def test_a_misspelt_word_is_refused_with_the_nearest_one(
    arguments: list[str], suggestion: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status(*arguments) == 4
    assert suggestion in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["run"], ["load"], ["report"], ["fleet", "fit"]])
def test_h_is_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`-h` and `--help` print the same, with status 0."""
    shown = []
    for option in ("-h", "--help"):
        assert exit_status(*arguments, option) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert shown[0].startswith("Usage: trueup")


def test_a_shell_completes_commands_and_options() -> None:
    """What docs/scenarios.md has a shell evaluate: the script, and the words it asks for."""
    installed = [sys.executable, "-m", "trueup"]
    script = subprocess.run(
        installed,
        env={**os.environ, "_TRUEUP_COMPLETE": "bash_source"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "_TRUEUP_COMPLETE=bash_complete" in script.stdout

    def completed(words: str) -> str:
        asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        return subprocess.run(
            installed,
            env={**os.environ, "_TRUEUP_COMPLETE": "bash_complete", **asked},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    assert completed("trueup ch") == "plain,check\n"
    assert completed("trueup --v") == "plain,--version\n"
    assert completed("trueup load --find") == "plain,--find-limit\n"
