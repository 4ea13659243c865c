"""The option for a file of known failures, which commands that end with a verdict share."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["known_option"]

known_option = click.option(
    "--known",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file of known failures: only others count.",
)
