"""How every kind of error ends the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from trueup.conformance.errors import TargetFileError, TargetUnreachable
from trueup.reports.errors import JournalError
from trueup.scenarios.cli import main
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
    """You and they get a letter; we get the trace."""
    assert format_error(UsageProblem("no such file")) == "Error: no such file"
    assert "Traceback" not in format_error(TargetUnreachable("nobody there"))
    assert "fault of trueup" in format_error(ZeroDivisionError("x"))


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run", "--nonsense"], ["run", "nonsense"], ["check", "--level", "9"]],
)
def test_wrong_usage_ends_with_4_and_a_remedy(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped command line is told what is wrong, on the standard error."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.strip()
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["check", "--help"]])
def test_help_fits_an_80_column_terminal(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No line of help is wider than 80 characters."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert max(map(len, lines)) <= 80


def test_a_reader_that_leaves_early_is_no_verdict() -> None:
    """`trueup … | head`: no traceback, and never the status of a target that does not conform."""
    child = subprocess.Popen(
        [sys.executable, "-m", "trueup", "fleet", "--events", "20000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline().startswith(b"{")
    child.stdout.close()
    assert child.wait(timeout=60) in (0, 2)
    assert b"Traceback" not in child.stderr.read()
    child.stderr.close()


@pytest.mark.parametrize("arguments", [["--help"], ["prove", "--list"], ["fleet", "--events", "3"]])
def test_output_that_does_not_fit_is_told(arguments: list[str]) -> None:
    """A full disk behind the standard output: one line, status 4, no traceback."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "trueup", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 4
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
