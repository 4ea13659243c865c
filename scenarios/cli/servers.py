"""What the commands that listen share: confirmation of addresses, the origin's certificate
authority, and ending on a signal.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path

import click

from trueup.simulator.origin import Origin

__all__ = [
    "allow_host_option",
    "ca_option",
    "confirm_address",
    "run_until_signal",
    "write_authority",
]

allow_host_option = click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="HOST",
    help="Confirm an address that is not this machine's loopback.",
)
ca_option = click.option(
    "--ca",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the certificate authority of the origin there, for clients to trust.",
)


def confirm_address(option: str, host: str, allowed: tuple[str, ...], *, consequence: str) -> None:
    """Refuse an address off the loopback that the user did not confirm by `--allow-host`.

    `option` names it on the command line; `consequence` says what using it would mean. Raises
    click.UsageError, also for what is no IP address.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise click.UsageError(
            f"{option} {host}: expected an IP address, such as 127.0.0.1"
        ) from None
    if not address.is_loopback and host not in allowed:
        raise click.UsageError(
            f"{option} {host}: {consequence}. Confirm it with --allow-host {host}."
        )


def write_authority(origin: Origin, path: Path | None) -> None:
    """Write the certificate of an origin's authority to the file of `--ca`, if both exist.

    Raises click.UsageError where it cannot be written.
    """
    if path is None or origin.authority is None:
        return
    try:
        origin.authority.write(path)
    except OSError as error:
        raise click.UsageError(f"--ca {path}: {error.strerror}") from error


def run_until_signal(main: Callable[[asyncio.Event], Coroutine[object, object, None]]) -> None:
    """Run `main` with an event that SIGINT or SIGTERM sets. A second signal ends it at once."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)

        def end() -> None:
            stop.set()
            for number in signals:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.default_int_handler)

        for number in signals:
            loop.add_signal_handler(number, end)
        await main(stop)

    asyncio.run(run())
