"""Every error of every package, and the exit status that it ends the process with."""

from __future__ import annotations

import errno
import traceback
from typing import Final

import click

from trueup.conformance.errors import ConformanceError
from trueup.reports.errors import JournalFull, ReportError
from trueup.reports.results import EXIT_STATUS, ExitStatus
from trueup.scenarios.errors import CouldNotTell, OwnError, UsageProblem
from trueup.simulator.errors import DataError, SimulatorError, TransportUnreachable

__all__ = ["exit_status_of", "format_error"]

_STATUS: Final[dict[type[BaseException], ExitStatus]] = {
    click.ClickException: ExitStatus.USAGE,
    click.exceptions.Abort: ExitStatus.COULD_NOT_TELL,
    KeyboardInterrupt: ExitStatus.COULD_NOT_TELL,
    UsageProblem: ExitStatus.USAGE,
    CouldNotTell: ExitStatus.COULD_NOT_TELL,
    OwnError: ExitStatus.OUR_ERROR,
    JournalFull: ExitStatus.COULD_NOT_TELL,
    ReportError: ExitStatus.USAGE,
    BrokenPipeError: ExitStatus.COULD_NOT_TELL,
    DataError: ExitStatus.OUR_ERROR,
    TransportUnreachable: ExitStatus.COULD_NOT_TELL,
    SimulatorError: ExitStatus.USAGE,
}


_CANNOT_WRITE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""The place that is written to is full or broken: not our own error. Without a file name it is
standard output or standard error, and what was to be shown is lost."""


def _status_of(error: BaseException) -> ExitStatus | None:
    if isinstance(error, ConformanceError):
        return error.exit_status
    if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
        return ExitStatus.USAGE if error.filename else ExitStatus.COULD_NOT_TELL
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), None)


def exit_status_of(error: BaseException) -> int:
    """Return the exit status for an error; one that is not in the table is our own."""
    return EXIT_STATUS[_status_of(error) or ExitStatus.OUR_ERROR]


def format_error(error: BaseException) -> str:
    """Return what the terminal shows of an error: a traceback only where the fault is ours."""
    if isinstance(error, click.exceptions.Abort | KeyboardInterrupt):
        return "Interrupted."
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    if isinstance(error, click.UsageError):
        usage = error.ctx.get_usage() + "\n" if error.ctx else ""
        return f"{usage}Error: {error.format_message()}"
    if isinstance(error, click.ClickException):
        return f"Error: {error.format_message()}"
    if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
        place = error.filename or "standard output"
        return f"Error: {place}: cannot be written: {error.strerror}. Free some space and retry."
    if _status_of(error) is not None:
        return f"Error: {error}"
    trace = "".join(traceback.format_exception(error))
    return (
        f"{trace}\nThis is a fault of trueup, not of yours. Please report it with the lines above."
    )
