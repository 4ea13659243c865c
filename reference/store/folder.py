"""The directory of a store: a given one, or a temporary one that is not kept.

One process at a time uses a directory. What it creates is for its owner alone. A temporary
directory has its owner's process id, so that the next start can tell the remains of a killed
process from the store of a running one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from trueup.reference.errors import StartProblem

__all__ = ["StoreDirectory"]

_PREFIX: Final = "trueup-reference-"
_LOCK: Final = "in-use.lock"


class StoreDirectory:
    """`data`, created if absent and locked; or a temporary directory.

    Raises StartProblem (status 3) where it cannot be created, written or locked.
    """

    def __init__(self, data: Path | None) -> None:
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._lock: int | None = None
        try:
            if data is None:
                _remove_stale_directories()
                self._scratch = tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-")
                self.path = Path(self._scratch.name)
            else:
                _create_private(data)
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
        """Unlock the directory; remove it if it is temporary."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None


def _create_private(folder: Path) -> None:
    """Create the directory for its owner alone; one that exists keeps its permissions."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


def _remove_stale_directories() -> None:
    """Remove the temporary directories of processes that no longer run."""
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
