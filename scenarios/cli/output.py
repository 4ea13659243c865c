"""Standard output as a stream that may fail, so that a lost report never looks like a verdict.

A pipe without a reader, a closed descriptor or a full device end the command with the status of
"could not tell". The command's own status, 1 in particular, would say something of the target.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

import click

__all__ = ["discard_output", "echo_utf8", "open_output"]


def open_output() -> None:
    """Give a process without a standard output one that raises BrokenPipeError when written to.

    Python leaves `sys.stdout` None where descriptor 1 is closed, and the next file that is opened
    gets that descriptor. Descriptors 0 and 2 are given to the null device where they are closed.
    Characters that the encoding of a stream lacks are replaced: a terminal that is not UTF-8 is no
    reason to lose what was found.
    """
    for descriptor in (0, 2):
        if not _is_open(descriptor):
            _put(os.open(os.devnull, os.O_RDWR), descriptor)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8")
    if sys.stdout is None or not _is_open(1):
        read, write = os.pipe()
        if read == 1:
            read = os.dup(read)
        _put(write, 1)
        os.close(read)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def echo_utf8(text: str) -> None:
    """Write text to standard output as UTF-8, whatever the locale: programs read it."""
    click.echo(text.encode("utf-8", errors="replace"), nl=False)


def discard_output() -> bool:
    """Flush standard output and standard error, and discard what cannot be written.

    Returns whether everything was written. Nothing is raised, now or when the process ends.
    """
    written = True
    for stream in (sys.stdout, sys.stderr):
        written = _flush(stream) and written
    return written


def _flush(stream: TextIO | None) -> bool:
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, stream.fileno() if stream is not None else 1)
        return False
    return True


def _put(descriptor: int, at: int) -> None:
    """Move an open descriptor to another number."""
    if descriptor != at:
        os.dup2(descriptor, at)
        os.close(descriptor)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
