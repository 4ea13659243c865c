"""`trueup proxies`: the fleet as listening proxies."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click
import msgspec

from trueup.scenarios.cli.fleet_options import read_customers, usage_errors
from trueup.scenarios.cli.proxies_output import (
    announcement,
    show_end,
    show_proxies,
    show_recovered,
    show_tie_out,
)
from trueup.scenarios.cli.proxies_session import ProxySession
from trueup.scenarios.cli.servers import (
    allow_host_option,
    ca_option,
    confirm_address,
    run_until_signal,
    write_authority,
)
from trueup.scenarios.embedded.proxies_part import proxies_part
from trueup.scenarios.errors import OwnError
from trueup.simulator.delivery import Driver
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
    ProxyEngine,
    ProxyLimits,
    ProxyServer,
    RecordFile,
    RecoveredRecord,
    Spool,
    UsageRecord,
    UsageReporter,
    UserDirectory,
    UserNameSyntax,
    fleet_endpoints,
    fleet_users,
    utc_now,
)

__all__ = ["command", "usage_clock"]

_SYNTAX: Final = UserNameSyntax()


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
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the fleet.")
@click.option(
    "--profile", default="default", show_default=True, metavar="NAME|FILE",
    help="A committed profile of a fleet or a TOML file.",
)  # fmt: skip
@click.option(
    "--customers", callback=read_customers, metavar="ID,ID…",
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
    help="Where requests are sent; by default to an origin that this command starts.",
)  # fmt: skip
@click.option(
    "--tls-origin", callback=_address, metavar="HOST:PORT",
    help="Where requests to ports 443 and 8443 are sent.",
)  # fmt: skip
@ca_option
@click.option(
    "--reach", callback=_addresses, multiple=True, metavar="HOST:PORT",
    help="Send requests for this address and port to it, not to the origin; may be repeated.",
)  # fmt: skip
@click.option(
    "--counting", type=click.Choice([each.value for each in ByteCounting]),
    default=ByteCounting.BOTH.value, show_default=True,
    help="Which bytes of a request count as its usage.",
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
    help="Seconds between writes of the bytes of open requests: a kill loses no more.",
)  # fmt: skip
@click.option(
    "--report-every-s", type=click.FloatRange(0, 86400), default=0.0, metavar="S",
    help="Seconds after which an open request is reported in part; 0 (default): at its end.",
)  # fmt: skip
@click.option(
    "--flush-s", type=click.FloatRange(0, 3600), default=1.5, show_default=True,
    help="Seconds that the last delivery may take at the end; the rest stays in the spool.",
)  # fmt: skip
@click.option(
    "--records", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Append a line of JSON for each request that has ended, and each usage event delivered.",
)  # fmt: skip
@click.option(
    "--namespace", default="", metavar="NAME",
    help="A name of which users, passwords and proxies are made, so that they are others.",
)  # fmt: skip
@click.option(
    "--clock-ahead-s", type=float, default=0.0, metavar="S",
    help="Seconds that the time of usage events is ahead of this machine's clock.",
)  # fmt: skip
@click.option(
    "--clock-starts", type=click.DateTime(["%Y-%m-%d %H:%M:%S"]), metavar="TIME",
    help="Time of the first request's usage event, UTC, such as '2026-03-01 23:59:50'.",
)  # fmt: skip
@click.option(
    "--idle-s", type=click.FloatRange(0.1, 86400), default=300.0, show_default=True,
    help="Seconds without a byte after which a tunnel is ended.",
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
    help="How many of --requests are sent at once.",
)  # fmt: skip
@click.option(
    "--bytes-max", type=click.IntRange(0, 1 << 40), default=1 << 20, show_default=True,
    help="Most bytes of a body of --requests; larger ones are cut.",
)  # fmt: skip
@click.option(
    "--access", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write a [proxies] part for a target file, so that trueup check can use these proxies.",
)  # fmt: skip
@allow_host_option
@click.option("--json", "as_json", is_flag=True, help="Print endpoints and users as JSON.")
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
    flush_s: float,
    records: Path | None,
    namespace: str,
    clock_ahead_s: float,
    clock_starts: datetime | None,
    idle_s: float,
    requests_per_user: int,
    requests: int,
    connections: int,
    bytes_max: int,
    access: Path | None,
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
    destinations: list[tuple[str, tuple[str, int] | None]] = [
        ("--origin", origin),
        ("--tls-origin", tls_origin),
        *(("--reach", address) for address in reach),
    ]
    for option, address in destinations:
        if address is not None:
            confirm_address(
                option, address[0], allow_hosts, consequence="requests would leave this machine"
            )
    if requests and (origin is not None or networks):
        raise click.UsageError(
            "--requests compares with an origin of their own, on all networks: leave --origin and "
            "--network out"
        )
    if tls_origin is not None and origin is None:
        raise click.UsageError("--tls-origin needs --origin")
    if origin is not None and ca is not None:
        raise click.UsageError("--ca is for an origin of their own: give it to trueup origin")
    if access is not None and origin is None:
        raise click.UsageError("--access needs --origin: trueup check starts the origin there")
    if spool is not None and target is None:
        raise click.UsageError("--spool keeps usage for a target: add --target FILE")
    with ExitStack() as stack:
        driver, known = _target(target, allow_hosts)
        with usage_errors():
            fleet = Fleet(
                load_profile(profile),
                seed=seed,
                start=datetime.now(UTC),
                customers=customers or known or (1955, 1956),
                events_per_s=1.0,
                namespace=namespace,
            )
        own = None
        if origin is None:
            own = Origin()
            own.open()
            stack.callback(own.close)
            origin, tls_origin = (own.host, own.port), (own.host, own.tls_port or 0)
            write_authority(own, ca)
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
            clock=usage_clock(clock_ahead_s, clock_starts),
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
        if records is not None:
            _keep_records(stack, records, engine, reporter)
        server = ProxyServer(engine=engine, reporter=reporter, flush_s=flush_s)
        endpoints = fleet_endpoints(
            fleet, static_proxies=static_proxies, networks=networks or NETWORKS
        )
        if port is None:
            server.open(endpoints)
        else:
            server.open(endpoints, ports=(port,))
        stack.callback(server.close)
        session = ProxySession(
            server=server,
            own=own,
            driver=driver,
            fleet=fleet,
            users=users,
            requests=requests,
            connections=connections,
            bytes_max=bytes_max,
        )
        if access is not None:
            exports = _write_access(
                access, server, users, fleet.customers, origin, next(iter(reach), None)
            )
            click.echo("\n".join(exports), err=as_json)
        announced = announcement(server, users, origin, tls_origin, ca)
        leads_to = origin

        async def serve(stop: asyncio.Event) -> None:
            # Shown only now, when a signal ends the proxies in order.
            if as_json:
                click.echo(msgspec.json.encode(announced))
            else:
                show_proxies(server, users, leads_to)
            if reporter is not None and reporter.spool.recovered:
                show_recovered(reporter.spool)
            await session.run(stop, quiet=as_json)

        run_until_signal(serve)
        if session.complete:
            show_tie_out(session.tie_out, as_json=as_json)
        show_end(server, as_json=as_json)
        if session.complete and not all(row.ties_out for row in session.tie_out.rows()):
            raise OwnError("clients, proxies and origin counted the same requests differently")


def _write_access(
    path: Path,
    server: ProxyServer,
    users: tuple[FleetUser, ...],
    customers: tuple[int, ...],
    origin: tuple[str, int],
    unreachable: tuple[str, int] | None,
) -> list[str]:
    """Write the `[proxies]` of a target file; return the lines that set its passwords.

    Raises click.UsageError where it cannot be written.
    """
    part = proxies_part(
        server.proxies,
        users,
        server.engine.directory.syntax,
        customers=dict(zip("ab", customers, strict=False)),
        port=origin[1],
        unreachable=unreachable,
    )
    try:
        path.write_text(part.text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"--access {path}: {error.strerror}") from error
    return [f"export {name}={value}" for name, value in part.environment.items()]


def usage_clock(ahead_s: float, starts: datetime | None) -> Callable[[], datetime]:
    """Return a clock that is so many seconds ahead of this machine's, or that has a time when it
    is read first.
    """
    if not ahead_s and starts is None:
        return utc_now
    ahead = timedelta(seconds=ahead_s) if starts is None else None

    def clock() -> datetime:
        nonlocal ahead
        now = utc_now()
        if ahead is None:
            assert starts is not None
            ahead = starts.replace(tzinfo=UTC) - now
        return now + ahead

    return clock


def _keep_records(
    stack: ExitStack, path: Path, engine: ProxyEngine, reporter: UsageReporter | None
) -> None:
    """Append what the proxies count and deliver to a file, and what a kill had left open.

    Raises click.UsageError where it cannot be written.
    """
    try:
        file = stack.enter_context(RecordFile(path))
    except OSError as error:
        raise click.UsageError(f"--records {path}: {error.strerror}") from error
    engine.on_end = lambda request: file.write(request.record())
    if reporter is None:
        return
    reporter.on_delivered = lambda event, outcome: file.write(
        UsageRecord(event=event, outcome=outcome.outcome, reason=outcome.reason)
    )
    for log_id, request in reporter.spool.recovered.items():
        file.write(
            RecoveredRecord(
                request=msgspec.structs.replace(request, log_ids=(*request.log_ids, log_id))
            )
        )


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
