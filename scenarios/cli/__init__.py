"""The command line. One file a command; this one lists them."""

from __future__ import annotations

import os
import signal
from difflib import get_close_matches
from importlib import import_module
from typing import Final

import click

from trueup.reports.results import EXIT_STATUS, ExitStatus
from trueup.scenarios.cli.output import discard_output, open_output
from trueup.scenarios.exit_status import exit_status_of, format_error

__all__ = ["main"]

COMMANDS: Final[dict[str, str]] = {
    "run": "trueup.scenarios.cli.run",
    "check": "trueup.scenarios.cli.check",
    "explore": "trueup.scenarios.cli.explore",
    "load": "trueup.scenarios.cli.load",
    "fleet": "trueup.scenarios.cli.fleet",
    "serve": "trueup.scenarios.cli.serve",
    "report": "trueup.scenarios.cli.report",
    "judge": "trueup.scenarios.cli.judge",
    "sensitivity": "trueup.scenarios.cli.sensitivity",
    "prove": "trueup.scenarios.cli.prove",
    "target": "trueup.scenarios.cli.target",
}
"""Command → module that holds it as `command`; loaded when asked for, so that help is quick."""
_COMPLETE: Final = "_TRUEUP_COMPLETE"
"""Environment variable by which a shell asks for completions, as click names it."""


class _Commands(click.Group):
    """The commands of `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Look a command up. Raises click.UsageError with the nearest name where there is none.

        click looks for near names among the commands that are loaded: here none is.
        """
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = get_close_matches(name, COMMANDS, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Commands: {', '.join(COMMANDS)}."
            ctx.fail(f"No such command {name!r}. {hint}")
        return super().resolve_command(ctx, args)


@click.command(
    cls=_Commands,
    context_settings={"max_content_width": 80, "help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="trueup", prog_name="trueup")
def trueup() -> None:
    """Test a usage-tracking API with simulated proxy traffic whose every total is known.

    Exit status: 0 conforms, 1 does not conform, 2 could not tell, 3 our own error, 4 usage.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the `trueup` command and end the process with one of the exit statuses.

    SIGTERM ends a command as Ctrl-C does. Raises SystemExit, always.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    open_output()
    status: object
    try:
        status = trueup.main(arguments, "trueup", complete_var=_COMPLETE, standalone_mode=False)
    except SystemExit as end:
        # click ends the process itself after a completion, and where the output has no reader.
        lost = not os.environ.get(_COMPLETE)
        status = EXIT_STATUS[ExitStatus.COULD_NOT_TELL] if lost else end.code
    except (Exception, KeyboardInterrupt) as error:
        status = exit_status_of(error)
        _tell(error)
    if not discard_output():
        status = EXIT_STATUS[ExitStatus.COULD_NOT_TELL]
    raise SystemExit(status if isinstance(status, int) else 0)


def _tell(error: BaseException) -> None:
    """Print an error on standard error; does nothing where that is closed."""
    if isinstance(error, BrokenPipeError):
        return
    try:
        click.echo(format_error(error), err=True)
    except OSError:
        return
