"""The command line. One file a command; this one lists them."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Final

import click

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


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)
        return command


@click.command(cls=_Commands, context_settings={"max_content_width": 80})
@click.version_option(package_name="trueup", prog_name="trueup")
def trueup() -> None:
    """Send a usage-tracking API traffic that is known to the last byte, and say where it differs.

    Exit status: 0 conforms, 1 does not, 2 could not tell, 3 our own error, 4 usage.
    """


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `trueup` command. Ends the process with one of the exit statuses."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = _invoke(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        status = exit_status_of(error)
        if not isinstance(error, BrokenPipeError):  # there is nobody to tell
            click.echo(format_error(error), err=True)
    _let_go_of_output()
    sys.exit(status)


def _let_go_of_output() -> None:
    """Flush, and where that fails send the rest nowhere, so that ending raises nothing."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _invoke(arguments: list[str]) -> int:
    """The status that a command gives; unlike click's own main, its errors are ours to tell."""
    try:
        with trueup.make_context("trueup", arguments) as context:
            status = trueup.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    return status if isinstance(status, int) else 0
