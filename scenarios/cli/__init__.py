"""The command line. One file a command; this one lists them."""

from __future__ import annotations

import os
import signal
from difflib import get_close_matches
from importlib import import_module
from typing import Final

import click
from click.shell_completion import CompletionItem

from trueup.reports.formatting import visible
from trueup.reports.results import EXIT_STATUS, ExitStatus
from trueup.scenarios.cli.output import discard_output, open_output
from trueup.scenarios.exit_status import exit_status_of, format_error

__all__ = ["main"]

COMMANDS: Final[dict[str, str]] = {
    "run": "Run a scenario: fleet, checks, load, report.",
    "check": "Run the conformance checks against a target.",
    "diff": "Run the checks against two targets; show what differs.",
    "explore": "Run stateful property-based tests and shrink failures.",
    "load": "Load-test the ingestion endpoint; reconcile every accepted event.",
    "capsule": "Judge retention and totals months later, without any hook.",
    "fleet": "Draw events of the simulated fleet.",
    "origin": "Serve exact numbers of bytes: the far end of proxied requests.",
    "proxies": "Serve the fleet as HTTP and SOCKS5 proxies; report their usage.",
    "ship": "Deliver a proxy's access log to a target as it is written.",
    "serve": "Start the reference implementation alone.",
    "report": "Render the reports of a finished run again, or compare two.",
    "judge": "Recompute every verdict of a run from its journal.",
    "sensitivity": "Measure which changed responses a run would have noticed.",
    "prove": "Mutation-test the checks: do they detect known and generated faults?",
    "target": "Write a target file, or validate one.",
}
"""Command → what it does, in a line. The module of that name holds it as `command`; it is loaded
only to run the command, so that help and completion are quick."""
_COMPLETE: Final = "_TRUEUP_COMPLETE"
"""Environment variable by which a shell asks for completions, as click names it."""


class _Commands(click.Group):
    """The commands of `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"{__name__}.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin so, and what any command completes: its options."""
        commands = [
            CompletionItem(name, help=does)
            for name, does in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

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
        click.echo(visible(format_error(error)), err=True)
    except OSError:
        return
