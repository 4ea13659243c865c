"""`trueup serve`: the reference alone, in the place of this process."""

from __future__ import annotations

import os
import sys

import click

__all__ = ["command"]


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def command(options: tuple[str, ...]) -> None:
    """Start the reference alone; `trueup serve --help` prints its options."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "trueup.reference", "serve", *options])
