"""What can go wrong with a journal.

ReportError
├── JournalError          a line, a file or a record is not what it should be
├── JournalWriteError     the journal could not be written (full disk, no permission)
├── ReportWriteError      a report could not be written; the journal is whole
└── NotComparable         two runs that do not answer the same question
"""

from __future__ import annotations

__all__ = [
    "JournalError",
    "JournalWriteError",
    "NotComparable",
    "ReportError",
    "ReportWriteError",
]


class ReportError(Exception):
    """Root of this room's errors; the message is for a person."""


class JournalError(ReportError):
    """A journal cannot be read; names the file and the line."""


class JournalWriteError(ReportError):
    """A journal cannot be written; what was written so far stays readable."""


class ReportWriteError(ReportError):
    """A report cannot be written; names the file and says what to do."""


class NotComparable(ReportError):
    """Two runs differ in what they asked, so a difference in answers would say nothing."""
