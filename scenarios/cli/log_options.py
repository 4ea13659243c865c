"""Options that say how an access log is to be read, the same for every command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from trueup.simulator.access_logs import ReadOptions, format_names, parse_fields, parse_zone
from trueup.simulator.model.sizes import NETWORKS

__all__ = ["NETWORK", "log_options", "read_options"]

NETWORK: Final = "residential"
"""Network of requests whose log does not name one."""


def log_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--format`, `--zone`, `--field` and `--network` to a command."""
    for option in reversed(
        (
            click.option(
                "--format", "log_format", default="", metavar="NAME[:TEMPLATE]",
                help=f"Format of the log, by default guessed: {', '.join(format_names())}. squid, "
                "haproxy, nginx and apache take the template of their configuration.",
            ),
            click.option(
                "--zone", default="UTC", show_default=True, metavar="ZONE",
                help="Time zone of a log whose times have none, such as Europe/Berlin.",
            ),
            click.option(
                "--field", "log_fields", multiple=True, metavar="NAME=COLUMN",
                help="Column or key of a value, such as bytes=sent+received; may be repeated.",
            ),
            click.option(
                "--network", "log_network", type=click.Choice(NETWORKS), default=NETWORK,
                show_default=True, help="Network of requests whose log names none.",
            ),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def read_options(log_format: str, zone: str, log_fields: tuple[str, ...]) -> ReadOptions:
    """Return the options as the reader takes them. Raises AccessLogError."""
    return ReadOptions(format=log_format, zone=parse_zone(zone), fields=parse_fields(log_fields))
