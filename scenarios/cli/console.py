"""The console of commands that show progress or a screen.

It is apart from `output`, which every command needs, because rich takes long to load.
"""

from __future__ import annotations

from rich.console import Console

__all__ = ["OutputConsole"]


class OutputConsole(Console):
    """A console that raises BrokenPipeError; rich itself would end the process with status 1."""

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that is being handled."""
        raise
