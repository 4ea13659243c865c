"""`python -m trueup.reference`: serve the reference, or list its mutants."""

from __future__ import annotations

import sys

import click

from trueup.reference.cli import main

USAGE_STATUS = 4


def run() -> int:
    """Run the command line; usage errors exit with 4, as everywhere in trueup."""
    try:
        status = main.main(prog_name="python -m trueup.reference", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return USAGE_STATUS
    except click.Abort:
        return USAGE_STATUS
    return int(status or 0)


if __name__ == "__main__":
    sys.exit(run())
