"""What can go wrong with a journal.

ReportError
├── JournalError          a line, a file or a record is not what it should be
└── JournalWriteError     the journal could not be written (full disk, no permission)
"""

from __future__ import annotations

__all__ = ["JournalError", "JournalWriteError", "ReportError"]


class ReportError(Exception):
    """Root of this room's errors; the message is for a person."""


class JournalError(ReportError):
    """A journal cannot be read; names the file and the line."""


class JournalWriteError(ReportError):
    """A journal cannot be written; what was written so far stays readable."""
