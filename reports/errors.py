"""What can go wrong with a journal.

ReportError
├── JournalError          a line, a file or a record is not what it should be
├── JournalWriteError     the journal could not be written (full disk, no permission)
│   └── JournalFull       it has as many bytes as the target file allows
├── ConfigurationError    a file that a person wrote is wrong; lists every mistake
├── ReportWriteError      a report could not be written; the journal is whole
└── NotComparable         two runs that did not measure the same thing
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "JournalError",
    "JournalFull",
    "JournalWriteError",
    "NotComparable",
    "ReportError",
    "ReportWriteError",
]


class ReportError(Exception):
    """Base of the errors of this package; the message is shown to the user."""


class ConfigurationError(ReportError):
    """A configuration file cannot be used; names the file, every wrong key and the remedies."""


class JournalError(ReportError):
    """A journal cannot be read; the message names the file and the line."""


class JournalWriteError(ReportError):
    """A journal cannot be written; what was written before stays readable."""


class JournalFull(JournalWriteError):
    """A run's journal has reached the bytes that it may have; what was written is whole."""


class ReportWriteError(ReportError):
    """A report cannot be written; the message names the file and the remedy."""


class NotComparable(ReportError):
    """Two runs differ in what they measured, so that comparing their results has no meaning."""
