"""`trueup ship`: deliver a proxy's access log to a target as it is written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import click

from trueup.conformance.target.load import load_target
from trueup.conformance.target.model import Target
from trueup.reports.results import EXIT_STATUS, ExitStatus, Outcome
from trueup.scenarios.cli.servers import allow_host_option, run_until_signal
from trueup.scenarios.drivers import open_driver
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.run.log_shipper import LogShipper, ShippedAs
from trueup.scenarios.run.orchestrator import confirm_host
from trueup.simulator.access_logs import FollowedLog, ReadOptions, line_parser, parse_zone
from trueup.simulator.model.sizes import NETWORKS

__all__ = ["command"]

_REASONS: Final = 3


def _users(_ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Return address → user of `ADDRESS=USER`."""
    found = {}
    for one in given:
        address, equals, user = one.partition("=")
        if not (address and equals and user):
            raise click.BadParameter(f"{one!r}; write ADDRESS=USER")
        found[address] = user
    return found


@click.command()
@click.argument("log", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--target", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
    metavar="FILE", help="Deliver to the target of this file, through its [ingest].",
)  # fmt: skip
@click.option(
    "--format", "log_format", required=True, metavar="NAME[:TEMPLATE]",
    help="Format of the log, such as squid, squid:LOGFORMAT or dante.",
)  # fmt: skip
@click.option(
    "--network", type=click.Choice(NETWORKS), required=True, help="Network of the requests."
)
@click.option(
    "--customer", "customer_id", type=int, metavar="ID",
    help="Customer of the requests; by default that of tenant a.",
)  # fmt: skip
@click.option(
    "--user", "users", multiple=True, callback=_users, metavar="ADDRESS=USER",
    help="User of a client's address, where the log names none; may be repeated.",
)  # fmt: skip
@click.option("--zone", default="UTC", show_default=True, metavar="ZONE",
              help="Time zone of a log whose times have none.")  # fmt: skip
@click.option("--once", is_flag=True, help="Deliver what is written now, and end.")
@allow_host_option
def command(
    log: Path,
    target: Path,
    log_format: str,
    network: str,
    customer_id: int | None,
    users: dict[str, str],
    zone: str,
    once: bool,
    allow_hosts: tuple[str, ...],
) -> int:
    """Deliver the requests of a proxy's access LOG to a target, until Ctrl-C.

    Each line becomes a usage event, with an id that is made of the line: what is
    delivered again is recognised. Requests without a user are left out.

    \b
      trueup ship access.log --format squid --network isp --target mine.toml

    Exit status: 0; 2 where events were refused, or are not delivered.
    """
    known = load_target(target)
    confirm_host(known, allow_hosts)
    shipper_log = FollowedLog(
        path=log, parse=line_parser(ReadOptions(format=log_format, zone=parse_zone(zone)))
    )
    shown = ShippedAs(customer_id=_customer(known, customer_id), network=network, users=users)

    shippers: list[LogShipper] = []

    async def ship(stop: asyncio.Event) -> None:
        if once:
            stop.set()
        async with open_driver(known) as driver:
            shippers.append(LogShipper(log=shipper_log, driver=driver, shown=shown))
            await shippers[0].run(stop)

    run_until_signal(ship)
    return _show(shippers[0])


def _customer(target: Target, given: int | None) -> int:
    """Return the customer of the requests. Raises UsageProblem where it is not known."""
    known = given if given is not None else target.tenants["a"].customer_id
    if known is None:
        raise UsageProblem(f"{target.path}: no customer_id below [tenants.a]; give --customer ID")
    return known


def _show(shipper: LogShipper) -> int:
    """Print what was delivered; return the exit status."""
    log, outcomes = shipper.log, shipper.outcomes
    accepted = outcomes[Outcome.ACCEPTED]
    failed = sum(outcomes.values()) - accepted
    click.echo(
        f"{log.read:,} requests read, {log.refused:,} lines refused, {shipper.without_user:,} "
        f"without a user; {accepted:,} events accepted, {failed:,} refused or not delivered"
    )
    for reason in (*log.first_refused, *(one for one, _ in shipper.reasons.most_common(_REASONS))):
        click.echo(f"  {reason}", err=True)
    return EXIT_STATUS[ExitStatus.COULD_NOT_TELL if failed else ExitStatus.CONFORMS]
