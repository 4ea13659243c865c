"""The directory that holds a store: a given one, or a scratch one that is not to be kept.

One process at a time uses a directory. A scratch directory carries its owner's process id, so that
the next start can tell the leavings of a process that was killed from the store of one that lives.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from trueup.reference.errors import StartProblem

__all__ = ["Folder"]

_PREFIX: Final = "trueup-reference-"
_LOCK: Final = "in-use.lock"


class Folder:
    """`data`, made if need be and locked; or a scratch directory that `release` removes.

    Raises StartProblem (status 3) where it cannot be made, written or locked.
    """

    def __init__(self, data: Path | None) -> None:
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._lock: int | None = None
        try:
            if data is None:
                _tidy()
                self._scratch = tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-")
                self.path = Path(self._scratch.name)
            else:
                data.mkdir(parents=True, exist_ok=True)
                self.path = data
            self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise StartProblem(
                f"{data}: another reference is using this directory. Stop it, or give --data "
                f"another directory.",
                status=3,
            ) from None
        except OSError as error:
            self.release()
            raise StartProblem(
                f"{data or tempfile.gettempdir()}: cannot keep a store here: {error.strerror}. "
                f"Give --data a directory that can be written.",
                status=3,
            ) from None

    def release(self) -> None:
        """Unlock; remove what was scratch."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None


def _tidy() -> None:
    """Remove the scratch directories of processes that are no more."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not _lives(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
