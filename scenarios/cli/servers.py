"""What the commands that listen share: confirmation of addresses, and ending on a signal."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from collections.abc import Callable, Coroutine

import click

__all__ = ["allow_host_option", "confirm_address", "run_until_signal"]

allow_host_option = click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="HOST",
    help="Confirm an address that is not this machine's loopback.",
)


def confirm_address(option: str, host: str, allowed: tuple[str, ...]) -> None:
    """Refuse to listen off the loopback on an address that the user did not confirm.

    Raises click.UsageError, also for what is no IP address.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise click.UsageError(
            f"{option} {host}: expected an IP address, such as 127.0.0.1"
        ) from None
    if not address.is_loopback and host not in allowed:
        raise click.UsageError(
            f"{option} {host}: other machines could connect there. "
            f"Confirm it with --allow-host {host}."
        )


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
