"""Errors of conformance itself; never a verdict about the target.

    ConformanceError
    ├── TargetFileError     usage: the target file is invalid                  exit status 4
    ├── BadSelection        usage: no such check, or none that can be run      exit status 4
    ├── LawUnusable         usage: a law of an installed package is invalid    exit status 4
    ├── ManifestUnusable    usage: no manifest of a capsule, or another's      exit status 4
    ├── TargetTrouble       target: it cannot be tested                        exit status 2
    │   ├── TargetUnreachable   no connection, or no response in time
    │   ├── TargetLost          it responded, and then no longer did
    │   ├── WrongKeys           the target rejects the keys of the target file
    │   ├── NotAnApi            the responses are not those of this API
    │   ├── TargetClockUnknown  the clock hook does not move the clock
    │   └── TargetClockMoved    another client moved the clock during the run
    ├── BudgetExhausted     the target file allows no further requests         exit status 2
    │   └── DeadlineReached     nor any more time
    └── JudgeBroken         internal: a check reported nothing, or wrongly     exit status 3

Every message states where, what was expected, what was found, and what to do.
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
    "DeadlineReached",
    "JudgeBroken",
    "LawUnusable",
    "ManifestUnusable",
    "NotAnApi",
    "TargetClockMoved",
    "TargetClockUnknown",
    "TargetFileError",
    "TargetLost",
    "TargetTrouble",
    "TargetUnreachable",
    "WrongKeys",
    "unwrap_group",
]


class ConformanceError(Exception):
    """Base class of the errors of this package. The message is shown to users."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.OUR_ERROR
    """Exit status of a run that raises it."""


class TargetFileError(ConformanceError, ConfigurationError):
    """The target file is invalid. The message lists every problem."""

    exit_status = ExitStatus.USAGE


class BadSelection(ConformanceError):
    """The selected checks do not exist, or none of them can be run on this target."""

    exit_status = ExitStatus.USAGE


class LawUnusable(ConformanceError):
    """A law that an installed package adds cannot be loaded, or is not a valid law."""

    exit_status = ExitStatus.USAGE


class ManifestUnusable(ConformanceError):
    """The file is no manifest of a capsule, was changed, or is not of this target."""

    exit_status = ExitStatus.USAGE


class TargetTrouble(ConformanceError):
    """The target cannot be tested as it is."""

    exit_status = ExitStatus.COULD_NOT_TELL


class TargetUnreachable(TargetTrouble):
    """No connection to the target, or no response in time."""


class TargetLost(TargetTrouble):
    """The target stopped to respond, or to accept what this run may send."""


class WrongKeys(TargetTrouble):
    """The target responds with 401 or 403 to the keys of the target file."""


class NotAnApi(TargetTrouble):
    """The responses are not the JSON objects of this API."""


class TargetClockUnknown(TargetTrouble):
    """The clock hook failed or did not move the target's clock."""


class TargetClockMoved(TargetTrouble):
    """The target reports another time than the one that this run has brought its clock to."""


class BudgetExhausted(ConformanceError):
    """The number of requests that the target file allows has been reached."""

    exit_status = ExitStatus.COULD_NOT_TELL


class DeadlineReached(BudgetExhausted):
    """The time that a run may take is over."""


class JudgeBroken(ConformanceError):
    """Conformance itself failed: an error of trueup."""


@contextmanager
def unwrap_group() -> Iterator[None]:
    """Raise the one error of a task group that has a message for users, instead of the group.

    If several tasks raise such an error, the first is raised. A group without one is an internal
    error and is raised unchanged.
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
