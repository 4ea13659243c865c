"""The folder of one run, and the link to the latest one; a journal that is not kept."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from trueup.conformance.target.model import Target
from trueup.reports.journal.storage import JOURNAL_NAME, JournalWriter
from trueup.scenarios.errors import UsageProblem

__all__ = ["LATEST", "make_run_folder", "temporary_journal"]

LATEST: Final = "latest"


def make_run_folder(root: Path, *, scenario: str, seed: int, now: datetime) -> Path:
    """Make `root/<when>-<scenario>-<seed>/`, point `root/latest` at it, and return it.

    A second run in the same second gets a number behind its name. Raises UsageProblem when the
    folder cannot be made.
    """
    name = f"{now:%Y%m%d-%H%M%S}-{scenario}-{seed}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        for attempt in itertools.count():
            folder = root / (name if attempt == 0 else f"{name}-{attempt}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            _point(root / LATEST, folder.name)
            return folder
    except OSError as error:
        raise UsageProblem(
            f"{root}: cannot keep runs here: {error.strerror}. "
            "Choose a writable folder with --runs."
        ) from error
    raise AssertionError("unreachable")


def _point(link: Path, name: str) -> None:
    fresh = link.with_name(f".{LATEST}-{name}")
    fresh.symlink_to(name)
    try:
        fresh.replace(link)
    except IsADirectoryError as error:
        fresh.unlink()
        raise UsageProblem(f"{link} is a folder, not a link; move it away") from error


@contextlib.contextmanager
def temporary_journal(target: Target) -> Iterator[JournalWriter]:
    """Yield a journal of requests to a target that are no run; it is removed at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="trueup-") as folder,
        JournalWriter(Path(folder) / JOURNAL_NAME, secrets=target.secrets) as writer,
    ):
        yield writer
