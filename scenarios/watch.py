"""What a person sees while a run works: the phase, how far it is, and nothing else.

On a terminal one live line a phase; elsewhere one plain line when a phase begins and one when it
ends. Everything goes to the standard error, so that output can be piped.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

__all__ = ["LineWatch", "LiveWatch", "SilentWatch", "Watch", "watch_for"]


class Watch(Protocol):
    """Told of progress; never asked."""

    def begin(self, phase: str, total: int | None = None) -> None: ...
    def step(self, done: int, note: str = "") -> None: ...
    def end(self, note: str = "") -> None: ...


class SilentWatch:
    """Shows nothing."""

    def begin(self, phase: str, total: int | None = None) -> None:
        del phase, total

    def step(self, done: int, note: str = "") -> None:
        del done, note

    def end(self, note: str = "") -> None:
        del note


class LineWatch:
    """One line when a phase ends; for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._phase = ""
        self._since = 0.0

    def begin(self, phase: str, total: int | None = None) -> None:
        del total
        self._phase = phase
        self._since = time.monotonic()
        self._console.print(f"{phase} …", highlight=False, soft_wrap=True)

    def step(self, done: int, note: str = "") -> None:
        del done, note

    def end(self, note: str = "") -> None:
        took = time.monotonic() - self._since
        self._console.print(
            f"{self._phase}: {note or 'done'} ({took:.1f} s)", highlight=False, soft_wrap=True
        )


class LiveWatch:
    """A live line a phase; the lines of ended phases stay."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._total: int | None = None

    def begin(self, phase: str, total: int | None = None) -> None:
        self._total = total
        self._task = self._progress.add_task(phase, total=total, note="")

    def step(self, done: int, note: str = "") -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done, note=note)

    def end(self, note: str = "") -> None:
        if self._task is not None:
            total = self._total or 1
            self._progress.update(self._task, total=total, completed=total, note=note or "done")
            self._progress.stop_task(self._task)


@contextlib.contextmanager
def watch_for(console: Console, *, quiet: bool = False) -> Iterator[Watch]:
    """The right watch for a console, for the length of a `with` block."""
    if quiet:
        yield SilentWatch()
    elif not console.is_terminal:
        yield LineWatch(console)
    else:
        columns = (
            SpinnerColumn(finished_text="·"),
            TextColumn("{task.description:<26}", markup=False),
            BarColumn(bar_width=14),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False, style="dim"),
        )
        with Progress(*columns, console=console, transient=False) as progress:
            yield LiveWatch(progress)
