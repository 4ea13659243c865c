"""`trueup proxies`: the fleet as listening proxies."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click
import msgspec

from trueup.reports.results import EXIT_STATUS, ExitStatus, Json, Outcome
from trueup.scenarios.cli.servers import allow_host_option, confirm_address, run_until_signal
from trueup.scenarios.errors import OwnError
from trueup.simulator.delivery import Driver
from trueup.simulator.errors import DataError, SimulatorError
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.profile import load_profile
from trueup.simulator.model.sizes import NETWORKS
from trueup.simulator.origin import Origin
from trueup.simulator.proxies import (
    ByteCounting,
    DeliveryGuarantee,
    Destinations,
    FleetPlanner,
    FleetUser,
    NoFaults,
    ProxiedTieOut,
    ProxyClient,
    ProxyEngine,
    ProxyLimits,
    ProxyServer,
    Spool,
    UsageReporter,
    UserDirectory,
    UserNameSyntax,
    fleet_endpoints,
    fleet_requests,
    fleet_users,
)

__all__ = ["command"]

_SHOW_S: Final = 1.0
_SETTLE_S: Final = 10.0
_SYNTAX: Final = UserNameSyntax()


def _customers(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r}; write whole numbers such as 1955,1956") from None


def _syntax(_ctx: click.Context, _param: click.Parameter, value: str) -> UserNameSyntax:
    try:
        return UserNameSyntax.from_template(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _address(_ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """Return host and port of a URL or of HOST:PORT."""
    if value is None:
        return None
    try:
        parts = urlsplit(value if "//" in value else f"//{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise click.BadParameter(f"{value!r}; write HOST:PORT, or a URL with a port")
    return host, port


def _addresses(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> Any:
    return tuple(_address(ctx, param, one) for one in value)


@click.command("proxies")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the fleet.")
@click.option(
    "--profile", default="default", show_default=True, metavar="NAME|FILE",
    help="A committed profile of a fleet or a TOML file.",
)  # fmt: skip
@click.option(
    "--customers", callback=_customers, metavar="ID,ID…",
    help="Tenants whose proxies these are; by default the target's, else 1955,1956.",
)  # fmt: skip
@click.option(
    "--network", "networks", type=click.Choice(NETWORKS), multiple=True,
    help="Only this network; may be repeated.",
)  # fmt: skip
@click.option(
    "--proxies", "static_proxies", type=click.IntRange(1, 1000), default=2, show_default=True,
    help="Static proxies of each customer and network.",
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="PORT",
    help="One port of each proxy, for HTTP and SOCKS5; 0: free ones. Default: 8080 and 1080.",
)  # fmt: skip
@click.option(
    "--behaviour", type=click.Choice(["none", "fleet"]), default="none", show_default=True,
    help="Failures, delays and line rates: none, or those of the profile.",
)  # fmt: skip
@click.option(
    "--delay-factor", type=click.FloatRange(0, 100), default=1.0, show_default=True,
    help="Shorten the delays of --behaviour fleet.",
)  # fmt: skip
@click.option(
    "--origin", callback=_address, metavar="HOST:PORT",
    help="Where requests lead; by default to an origin of their own.",
)  # fmt: skip
@click.option(
    "--tls-origin", callback=_address, metavar="HOST:PORT",
    help="Where requests to ports 443 and 8443 lead.",
)  # fmt: skip
@click.option(
    "--ca", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write the certificate authority of the origin there.",
)  # fmt: skip
@click.option(
    "--reach", callback=_addresses, multiple=True, metavar="HOST:PORT",
    help="Reach this itself instead of the origin; may be repeated.",
)  # fmt: skip
@click.option(
    "--counting", type=click.Choice([each.value for each in ByteCounting]),
    default=ByteCounting.BOTH.value, show_default=True,
    help="Which bytes of a request its usage has.",
)  # fmt: skip
@click.option(
    "--user-names", "syntax", callback=_syntax, default=_SYNTAX.template, show_default=True,
    metavar="TEMPLATE", help="How a user name asks gateways for a place and a session.",
)  # fmt: skip
@click.option(
    "--target", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Report usage to the target of this file.",
)  # fmt: skip
@click.option(
    "--delivery", type=click.Choice([each.value for each in DeliveryGuarantee]),
    default=DeliveryGuarantee.AT_LEAST_ONCE.value, show_default=True,
    help="What happens to usage whose delivery got no response.",
)  # fmt: skip
@click.option(
    "--spool", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Keep usage there until it is delivered; the same folder continues after a kill.",
)  # fmt: skip
@click.option(
    "--checkpoint-s", type=click.FloatRange(0.05, 3600), default=1.0, show_default=True,
    help="A kill loses at most the bytes of so long, of the requests then open.",
)  # fmt: skip
@click.option(
    "--report-every-s", type=click.FloatRange(0, 86400), default=0.0, metavar="S",
    help="Report requests that last longer in parts; by default at their end.",
)  # fmt: skip
@click.option(
    "--idle-s", type=click.FloatRange(0.1, 86400), default=300.0, show_default=True,
    help="End a tunnel on which nothing happens for so long.",
)  # fmt: skip
@click.option(
    "--requests-per-user", type=click.IntRange(0), default=0, metavar="N",
    help="Refuse more open requests of one user with 429.",
)  # fmt: skip
@click.option(
    "--requests", type=click.IntRange(0), default=0, metavar="N",
    help="Send the fleet's first N requests through the proxies, compare all counts, and end.",
)  # fmt: skip
@click.option(
    "--connections", type=click.IntRange(1, 10_000), default=8, show_default=True,
    help="Requests of --requests at once.",
)  # fmt: skip
@click.option(
    "--bytes-max", type=click.IntRange(0, 1 << 40), default=1 << 20, show_default=True,
    help="Cut the sizes of --requests.",
)  # fmt: skip
@allow_host_option
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON: endpoints, users.")
def command(
    seed: int,
    profile: str,
    customers: tuple[int, ...] | None,
    networks: tuple[str, ...],
    static_proxies: int,
    port: int | None,
    behaviour: str,
    delay_factor: float,
    origin: tuple[str, int] | None,
    tls_origin: tuple[str, int] | None,
    ca: Path | None,
    reach: tuple[tuple[str, int], ...],
    counting: str,
    syntax: UserNameSyntax,
    target: Path | None,
    delivery: str,
    spool: Path | None,
    checkpoint_s: float,
    report_every_s: float,
    idle_s: float,
    requests_per_user: int,
    requests: int,
    connections: int,
    bytes_max: int,
    allow_hosts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Serve the fleet's proxies, and report their usage, until Ctrl-C.

    HTTP, CONNECT and SOCKS5 on addresses of the loopback. Whatever hostname a
    request names, it leads to the origin.

    \b
      trueup proxies
      trueup proxies --requests 2000
      trueup proxies --target my-target.toml --spool spool
      curl -x http://USER:PASSWORD@127.66.0.1:8080 http://shop.example/bytes/1000
    """
    for option, given in (("--origin", origin), ("--tls-origin", tls_origin)):
        if given is not None:
            confirm_address(option, given[0], allow_hosts)
    for host, _port in reach:
        confirm_address("--reach", host, allow_hosts)
    if requests and (origin is not None or networks):
        raise click.UsageError(
            "--requests compares with an origin of their own, on all networks: leave --origin and "
            "--network out"
        )
    if tls_origin is not None and origin is None:
        raise click.UsageError("--tls-origin needs --origin")
    if origin is not None and ca is not None:
        raise click.UsageError("--ca is for an origin of their own: give it to trueup origin")
    if spool is not None and target is None:
        raise click.UsageError("--spool keeps usage for a target: add --target FILE")
    with ExitStack() as stack:
        driver, known = _target(target, allow_hosts)
        with _usage_errors():
            fleet = Fleet(
                load_profile(profile),
                seed=seed,
                start=datetime.now(UTC),
                customers=customers or known or (1955, 1956),
                events_per_s=1.0,
            )
        own = None if origin is not None else Origin()
        if own is not None:
            own.open()
            stack.callback(own.close)
            origin, tls_origin = (own.host, own.port), (own.host, own.tls_port or 0)
            if ca is not None and own.authority is not None:
                _write_authority(own, ca)
        assert origin is not None
        users = fleet_users(fleet)
        engine = ProxyEngine(
            directory=UserDirectory(users, syntax),
            destinations=Destinations(plain=origin, tls=tls_origin, allowed=frozenset(reach)),
            behaviour=(
                FleetPlanner(fleet.model, seed, delay_factor=delay_factor)
                if behaviour == "fleet"
                else NoFaults()
            ),
            counting=ByteCounting(counting),
            limits=ProxyLimits(idle_s=idle_s, requests_per_user=requests_per_user),
            checkpoint_s=checkpoint_s,
            report_every_s=report_every_s,
        )
        reporter = None
        if driver is not None:
            folder = spool or Path(tempfile.mkdtemp(prefix="trueup-spool-"))
            kept = Spool(folder=folder)
            kept.open()
            stack.callback(kept.close)
            engine.sink = kept
            reporter = UsageReporter(
                spool=kept, driver=driver, guarantee=DeliveryGuarantee(delivery)
            )
        server = ProxyServer(engine=engine, reporter=reporter)
        endpoints = fleet_endpoints(
            fleet, static_proxies=static_proxies, networks=networks or NETWORKS
        )
        if port is None:
            server.open(endpoints)
        else:
            server.open(endpoints, ports=(port,))
        stack.callback(server.close)
        announced = _announcement(server, users, origin, tls_origin, ca)
        if as_json:
            click.echo(msgspec.json.encode(announced))
        else:
            _show(server, users, origin)
        if reporter is not None and reporter.spool.recovered:
            _show_recovered(reporter.spool)

        sent = ProxyClient(proxies=tuple(server.proxies), syntax=syntax)
        tie_out = ProxiedTieOut(client=sent.counts)
        if requests and own is not None:
            engine.on_end, own.on_end = tie_out.add_request, tie_out.add_connection

        async def send(stop: asyncio.Event) -> None:
            by_name = {user.name: user for user in users}
            planned = fleet_requests(fleet, by_name, 0, requests, bytes_max=bytes_max)
            await sent.send_all(planned, connections)
            # A moment for what clients have ended: both ends of a tunnel have to notice.
            async with asyncio.timeout(_SETTLE_S):
                while server.server.open or (own is not None and own.server.open):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)  # Two servers, each of which may end last.
            stop.set()

        async def serve(stop: asyncio.Event) -> None:
            async with asyncio.TaskGroup() as group:
                if requests:
                    group.create_task(send(stop))
                if own is not None:
                    group.create_task(own.run(stop))
                shown = group.create_task(_figures(server, quiet=as_json))
                await server.run(stop)
                shown.cancel()
            if driver is not None:
                await driver.close()

        run_until_signal(serve)
        if requests:
            _show_tie_out(tie_out, as_json=as_json)
        _end(server, as_json=as_json)
        if not all(row.ties_out for row in tie_out.rows()):
            raise OwnError("clients, proxies and origin counted the same requests differently")


@contextlib.contextmanager
def _usage_errors() -> Iterator[None]:
    """Raise errors of the fleet as usage errors, but for a changed data file: that is ours."""
    try:
        yield
    except DataError:
        raise
    except SimulatorError as error:
        raise click.UsageError(str(error)) from error


def _target(
    file: Path | None, allow_hosts: tuple[str, ...]
) -> tuple[Driver | None, tuple[int, ...]]:
    """Return the driver of a target's ingestion and its tenants, where a file is given."""
    if file is None:
        return None, ()
    # Loaded here: most of the package is not needed without a target.
    from trueup.conformance.target.load import load_target
    from trueup.scenarios.drivers import driver_of
    from trueup.scenarios.run.orchestrator import confirm_host

    target = load_target(file)
    confirm_host(target, allow_hosts)
    known = [tenant.customer_id for tenant in target.tenants.values()]
    return driver_of(target), tuple(number for number in known if number is not None)


def _write_authority(origin: Origin, path: Path) -> None:
    assert origin.authority is not None
    try:
        origin.authority.write(path)
    except OSError as error:
        raise click.UsageError(f"--ca {path}: {error.strerror}") from error


def _url(scheme: str, address: tuple[str, int]) -> str:
    host, port = address
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _announcement(
    server: ProxyServer,
    users: tuple[FleetUser, ...],
    origin: tuple[str, int],
    tls_origin: tuple[str, int] | None,
    ca: Path | None,
) -> dict[str, Json]:
    """Return what a program needs to use the proxies."""
    engine = server.engine
    reporter = server.reporter
    proxies: list[Json] = []
    for proxy in server.proxies:
        row: dict[str, Json] = {
            "network": proxy.endpoint.network,
            "kind": "static" if proxy.endpoint.exit else "gateway",
            "customer_id": proxy.endpoint.customer_id,
            "proxy_id": proxy.endpoint.exit.proxy_id if proxy.endpoint.exit else None,
            "host": proxy.host,
            "http_port": proxy.http_port,
            "socks_port": proxy.socks_port,
        }
        proxies.append(row)
    people: list[Json] = []
    for user in users:
        ways: dict[str, Json] = {
            network: member.authentication.name.lower()
            for network, member in user.memberships.items()
        }
        people.append(
            {
                "customer_id": user.customer_id,
                "user": user.name,
                "password": user.password,
                "client_addresses": list(user.addresses),
                "networks": ways,
            }
        )
    return {
        "proxies": proxies,
        "users": people,
        "user_names": engine.directory.syntax.template,
        "origin": _url("http", origin),
        "tls_origin": _url("https", tls_origin) if tls_origin else None,
        "ca": str(ca.resolve()) if ca else None,
        "counting": engine.counting.value,
        "delivery": reporter.guarantee.value if reporter else None,
        "spool": str(reporter.spool.folder) if reporter else None,
    }


def _show(server: ProxyServer, users: tuple[FleetUser, ...], origin: tuple[str, int]) -> None:
    for proxy in server.proxies:
        ports = dict.fromkeys((proxy.http_port, proxy.socks_port))
        owner = f"customer {proxy.endpoint.customer_id}" if proxy.endpoint.exit else "gateway"
        where = ", ".join(f"{proxy.host}:{number}" for number in ports)
        click.echo(f"{proxy.endpoint.network:<12} {owner:<16} {where}")
    click.echo(f"Every hostname leads to the origin, {_url('http', origin)}")
    for proxy in server.proxies[-1:]:
        for user in users:
            kind = user.memberships.get(proxy.endpoint.network)
            if kind is not None and kind.authentication == 1:
                click.echo(
                    f"  curl -x http://{user.name}:{user.password}@{proxy.host}:{proxy.http_port} "
                    "http://shop.example/bytes/1000"
                )
                break
    click.echo("Ctrl-C ends them. --json prints all users.", err=True)


def _show_recovered(spool: Spool) -> None:
    click.echo(
        f"{spool.folder}: {len(spool.recovered)} requests were open when the process before ended. "
        "Their usage has the bytes of their last checkpoint:",
        err=True,
    )
    for log_id in spool.recovered[:20]:
        click.echo(f"  {log_id}", err=True)


def _show_tie_out(tie_out: ProxiedTieOut, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode([dataclasses.asdict(row) for row in tie_out.rows()]))
        return
    click.echo(
        f"{'network':<12}{'requests':>10}{'failed':>8}{'client bytes':>16}{'proxy':>16}"
        f"{'proxy to origin':>17}{'origin':>16}{'cut':>10}"
    )
    for row in tie_out.rows():
        click.echo(
            f"{row.network:<12}{row.proxy_requests:>10,}{row.failed:>8,}{row.client_bytes:>16,}"
            f"{row.proxy_bytes:>16,}{row.proxy_origin_bytes:>17,}{row.origin_bytes:>16,}"
            f"{row.cut_bytes:>10,}"
            f"  {'✓' if row.ties_out else '✗ they differ'}"
        )


def _line(server: ProxyServer) -> str:
    engine, reporter = server.engine, server.reporter
    parts = [
        f"{sum(engine.states.values()):,} requests",
        f"{len(engine.open):,} open",
        f"{engine.up:,} bytes up",
        f"{engine.down:,} down",
    ]
    if reporter is not None:
        parts += [f"{reporter.outcomes[outcome]:,} {outcome}" for outcome in Outcome]
        parts.append(f"{reporter.spool.waiting:,} waiting")
    return " · ".join(parts)


async def _figures(server: ProxyServer, *, quiet: bool) -> None:
    """Show figures on the terminal while the proxies run."""
    if quiet or not sys.stderr.isatty():
        return
    while True:
        await asyncio.sleep(_SHOW_S)
        click.echo(f"\r\x1b[K{_line(server)}", nl=False, err=True)


def _end(server: ProxyServer, *, as_json: bool) -> None:
    """Show what was done. Ends with status 2 where usage was refused, or could not be kept."""
    engine, reporter = server.engine, server.reporter
    if not as_json:
        if sys.stderr.isatty():
            click.echo(err=True)
        click.echo(_line(server))
        states = ", ".join(f"{count:,} {state}" for state, count in engine.states.most_common())
        click.echo(f"  {states or 'no requests'}; {engine.unattributed:,} of no known user")
    if reporter is None:
        return
    spool = reporter.spool
    for reason, count in reporter.reasons.most_common(5):
        click.echo(f"  {count:,} x {reason}", err=True)
    if spool.waiting:
        click.echo(
            f"{spool.waiting:,} usage events are not delivered: {reporter.trouble or 'no time'}. "
            f"They are in {spool.folder}; the same command with --spool {spool.folder} delivers "
            "them.",
            err=True,
        )
    else:
        spool.remove_if_delivered()
    if spool.write_errors:
        click.echo(f"{spool.write_errors:,} usage events could not be written: lost.", err=True)
    lost = reporter.outcomes[Outcome.REFUSED] + reporter.outcomes[Outcome.UNKNOWN]
    if spool.waiting or spool.write_errors or lost:
        raise click.exceptions.Exit(EXIT_STATUS[ExitStatus.COULD_NOT_TELL])
