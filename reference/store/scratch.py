"""A temporary directory for a store that is not to be kept, and tidying up after the killed.

The directory carries its owner's process id, so that the next start can tell the leavings of a
process that was killed from the store of one that lives.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from reference.errors import StartProblem

__all__ = ["scratch_directory"]

_PREFIX: Final = "trueup-reference-"


def scratch_directory() -> tempfile.TemporaryDirectory[str]:
    """A fresh directory. Raises StartProblem where none can be made."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not _lives(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    try:
        return tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-")
    except OSError as error:
        raise StartProblem(
            f"Cannot make a temporary directory: {error.strerror}. Give --data a directory.",
            status=3,
        ) from None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
