"""What can go wrong with the judging itself; never a verdict about the target.

    ConformanceError
    ├── TargetFileError     you: the target file is not what it should be     exit status 4
    ├── BadSelection        you: no such check, or none that can be run       exit status 4
    ├── TargetTrouble       they: the target cannot be judged                 exit status 2
    │   ├── TargetUnreachable   nobody answers at the address
    │   ├── WrongKeys           the target refuses the keys of the target file
    │   ├── NotAnApi            something answers that is not this API
    │   └── TargetClockUnknown  the clock hook does not move the clock
    ├── BudgetExhausted     the target file allows no further requests        exit status 2
    └── JudgeBroken         we: a check did not report, or reported nonsense  exit status 3

Every message is a letter to a person: where, what was expected, what came, what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from trueup.reports.errors import ConfigurationError, JournalWriteError
from trueup.reports.results import ExitStatus

__all__ = [
    "BadSelection",
    "BudgetExhausted",
    "ConformanceError",
    "JudgeBroken",
    "NotAnApi",
    "TargetClockUnknown",
    "TargetFileError",
    "TargetTrouble",
    "TargetUnreachable",
    "WrongKeys",
    "unwrap_group",
]


class ConformanceError(Exception):
    """Root of this room's errors; the message is for a person."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.OUR_ERROR
    """How a run ends that meets it."""


class TargetFileError(ConformanceError, ConfigurationError):
    """You: a target file cannot be used. Lists every problem found, not only the first."""

    exit_status = ExitStatus.USAGE


class BadSelection(ConformanceError):
    """You: the checks asked for do not exist, or none of them can be run on this target."""

    exit_status = ExitStatus.USAGE


class TargetTrouble(ConformanceError):
    """They: the target cannot be judged as it is."""

    exit_status = ExitStatus.COULD_NOT_TELL


class TargetUnreachable(TargetTrouble):
    """Nobody answers at the target's address, or not in time."""


class WrongKeys(TargetTrouble):
    """The target answers 401 or 403 to the keys of the target file."""


class NotAnApi(TargetTrouble):
    """Something answers, but not with the JSON objects of this API."""


class TargetClockUnknown(TargetTrouble):
    """The clock hook failed or did not move the target's clock."""


class BudgetExhausted(ConformanceError):
    """The requests that the target file allows are used up."""

    exit_status = ExitStatus.COULD_NOT_TELL


class JudgeBroken(ConformanceError):
    """We: the judge itself did not do its work."""


@contextmanager
def unwrap_group() -> Iterator[None]:
    """Let the one named error out of a group of tasks, so that callers meet no ExceptionGroup.

    Several tasks may meet the same end; the first that has a letter for a person speaks. A group
    in which nobody has one is a mistake of ours and passes as it is.
    """
    try:
        yield
    except ExceptionGroup as group:
        named = _named(group)
        if named is None:
            raise
        raise named from group


def _named(error: Exception) -> ConformanceError | JournalWriteError | None:
    if isinstance(error, ConformanceError | JournalWriteError):
        return error
    if isinstance(error, ExceptionGroup):
        return next((found for one in error.exceptions if (found := _named(one))), None)
    return None
