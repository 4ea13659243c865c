"""What `trueup proxies` shows: where they listen, live figures, the end."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from pathlib import Path
from typing import Final

import click
import msgspec

from trueup.reports.results import EXIT_STATUS, ExitStatus, Json, Outcome
from trueup.reports.transport.urls import host_port
from trueup.simulator.proxies import (
    Authentication,
    FleetUser,
    ProxiedTieOut,
    ProxyServer,
    Spool,
)

__all__ = [
    "announcement",
    "live_figures",
    "show_end",
    "show_proxies",
    "show_recovered",
    "show_tie_out",
]

_SHOW_S: Final = 1.0


def announcement(
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
        "origin": f"http://{host_port(*origin)}",
        "tls_origin": f"https://{host_port(*tls_origin)}" if tls_origin else None,
        "ca": str(ca.resolve()) if ca else None,
        "counting": engine.counting.value,
        "delivery": reporter.guarantee.value if reporter else None,
        "spool": str(reporter.spool.folder) if reporter else None,
        "recovered": list(reporter.spool.recovered) if reporter else [],
    }


def show_proxies(
    server: ProxyServer, users: tuple[FleetUser, ...], origin: tuple[str, int]
) -> None:
    """Show where the proxies listen, and a command that uses one of them."""
    for proxy in server.proxies:
        ports = dict.fromkeys((proxy.http_port, proxy.socks_port))
        owner = f"customer {proxy.endpoint.customer_id}" if proxy.endpoint.exit else "gateway"
        where = ", ".join(f"{proxy.host}:{number}" for number in ports)
        click.echo(f"{proxy.endpoint.network:<12} {owner:<16} {where}")
    click.echo(f"Every hostname leads to the origin, http://{host_port(*origin)}")
    for proxy in server.proxies[-1:]:
        for user in users:
            kind = user.memberships.get(proxy.endpoint.network)
            if kind is not None and kind.authentication is Authentication.PASSWORD:
                click.echo(
                    f"  curl -x http://{user.name}:{user.password}@{proxy.host}:{proxy.http_port} "
                    "http://shop.example/bytes/1000"
                )
                break
    if server.reporter is not None:
        click.echo(f"Usage is kept in {server.reporter.spool.folder} until the target has it")
    click.echo("Ctrl-C ends them. --json prints all users.", err=True)


def show_recovered(spool: Spool) -> None:
    """Show which requests a killed process left open."""
    click.echo(
        f"{spool.folder}: {len(spool.recovered)} requests were open when the process before ended. "
        "Their usage has the bytes of their last checkpoint:",
        err=True,
    )
    for log_id in list(spool.recovered)[:20]:
        click.echo(f"  {log_id}", err=True)


def show_tie_out(tie_out: ProxiedTieOut, *, as_json: bool) -> None:
    """Show what clients, proxies and origin counted, a line a network."""
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


async def live_figures(server: ProxyServer, *, quiet: bool) -> None:
    """Show figures on the terminal while the proxies run."""
    if quiet or not sys.stderr.isatty():
        return
    while True:
        await asyncio.sleep(_SHOW_S)
        click.echo(f"\r\x1b[K{_line(server)}", nl=False, err=True)


def show_end(server: ProxyServer, *, as_json: bool) -> None:
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
            f"{spool.waiting:,} usage events are not delivered: "
            f"{reporter.retry_reason or 'no response yet'}. They are in {spool.folder}; "
            f"the same command with --spool {spool.folder} delivers them.",
            err=True,
        )
    else:
        spool.remove_if_delivered()
    if spool.write_errors:
        click.echo(f"{spool.write_errors:,} usage events could not be written: lost.", err=True)
    lost = reporter.outcomes[Outcome.REFUSED] + reporter.outcomes[Outcome.UNKNOWN]
    if spool.waiting or spool.write_errors or lost:
        raise click.exceptions.Exit(EXIT_STATUS[ExitStatus.COULD_NOT_TELL])
