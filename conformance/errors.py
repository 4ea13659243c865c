"""What can go wrong with the judging itself; never a verdict about the target.

    ConformanceError
    └── TargetFileError     the target file is not what it should be: exit status 4 (usage)

Every message is a letter to a person: where, what was expected, what came, what to do.
"""

from __future__ import annotations

__all__ = ["ConformanceError", "TargetFileError"]


class ConformanceError(Exception):
    """Root of this room's errors; the message is for a person."""


class TargetFileError(ConformanceError):
    """You: a target file cannot be used. Lists every problem found, not only the first."""
