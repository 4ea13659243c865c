"""What the terminal shows while a run works: the phase and its progress.

On a terminal one live line a phase; elsewhere plain lines: when a phase begins, every few seconds
while it lasts, and when it ends. All of it goes to the standard error, so that output can be piped.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

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

from trueup.reports.formatting import visible

__all__ = ["LineReporter", "LiveReporter", "ProgressReporter", "SilentReporter", "reporter_for"]


EVERY_S: Final = 5.0
"""Pause between two lines of a phase where there is no terminal."""


class ProgressReporter(Protocol):
    """Receives progress and shows it."""

    def start(self, phase: str, total: int | None = None) -> None: ...
    def update(self, done: int, note: str = "", *, total: int | None = None) -> None:
        """Show how far the phase is; `total` replaces the one that it began with."""
        ...

    def finish(self, note: str = "") -> None: ...
    def info(self, words: str) -> None:
        """Something worth a line of its own."""
        ...

    def notice(self, words: str) -> None:
        """Something that a person must know for the run to go on: shown in any case."""
        ...


class SilentReporter:
    """Shows nothing but what a person must know."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)

    def start(self, phase: str, total: int | None = None) -> None:
        del phase, total

    def update(self, done: int, note: str = "", *, total: int | None = None) -> None:
        del done, note, total

    def finish(self, note: str = "") -> None:
        del note

    def info(self, words: str) -> None:
        del words

    def notice(self, words: str) -> None:
        _line(self._console, words)


def _line(console: Console, words: str) -> None:
    console.print(visible(words), highlight=False, soft_wrap=True, markup=False)


class LineReporter:
    """A line when a phase begins and ends, and every few seconds between; for logs and pipes."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._phase, self._total = "", 0
        self._since = self._told = 0.0

    def start(self, phase: str, total: int | None = None) -> None:
        self._phase, self._total = phase, total or 0
        self._since = self._told = self._clock()
        _line(self._console, f"{phase} …")

    def update(self, done: int, note: str = "", *, total: int | None = None) -> None:
        self._total = total or self._total
        if self._clock() - self._told < EVERY_S:
            return
        self._told = self._clock()
        far = f"{done:,} of {self._total:,}" if self._total else f"{done:,}"
        _line(self._console, f"{self._phase}: {far}{f', {note}' if note else ''}")

    def finish(self, note: str = "") -> None:
        took = self._clock() - self._since
        _line(self._console, f"{self._phase}: {note or 'done'} ({took:.1f} s)")

    def info(self, words: str) -> None:
        _line(self._console, words)

    def notice(self, words: str) -> None:
        _line(self._console, words)


class LiveReporter:
    """A live line a phase; the lines of ended phases stay."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._total: int | None = None

    def start(self, phase: str, total: int | None = None) -> None:
        self._total = total
        self._task = self._progress.add_task(phase, total=total, note="")

    def update(self, done: int, note: str = "", *, total: int | None = None) -> None:
        self._total = total or self._total
        if self._task is not None:
            self._progress.update(self._task, total=self._total, completed=done, note=note)

    def finish(self, note: str = "") -> None:
        if self._task is not None:
            total = self._total or 1
            self._progress.update(self._task, total=total, completed=total, note=note or "done")
            self._progress.stop_task(self._task)

    def info(self, words: str) -> None:
        _line(self._progress.console, words)

    def notice(self, words: str) -> None:
        _line(self._progress.console, words)


@contextlib.contextmanager
def reporter_for(console: Console, *, quiet: bool = False) -> Iterator[ProgressReporter]:
    """Yield the reporter that fits a console."""
    if quiet:
        yield SilentReporter(console)
    elif not console.is_terminal:
        yield LineReporter(console)
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
            yield LiveReporter(progress)
