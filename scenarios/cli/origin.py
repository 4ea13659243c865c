"""`trueup origin`: the far end of proxied requests, alone."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec

from trueup.reports.transport.urls import host_port
from trueup.scenarios.cli.servers import (
    allow_host_option,
    ca_option,
    confirm_address,
    run_until_signal,
    write_authority,
)
from trueup.simulator.origin import Origin, OriginConnection

__all__ = ["command"]


@click.command("origin")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="PORT",
    help="Port for HTTP; 0 is a free one (default).",
)  # fmt: skip
@click.option(
    "--tls-port", type=click.IntRange(0, 65535), default=0, metavar="PORT",
    help="Port for HTTPS; 0 is a free one (default).",
)  # fmt: skip
@click.option("--no-tls", is_flag=True, help="Serve HTTP only.")
@ca_option
@click.option(
    "--records", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Append a line of JSON for each connection that has ended.",
)  # fmt: skip
@click.option(
    "--idle-s", type=click.FloatRange(0.1, 86400), default=300.0, show_default=True,
    metavar="S", help="Seconds without a byte after which a connection is closed.",
)  # fmt: skip
@allow_host_option
@click.option("--json", "as_json", is_flag=True, help="Print its URLs as one line of JSON.")
def command(
    host: str,
    port: int,
    tls_port: int,
    no_tls: bool,
    ca: Path | None,
    records: Path | None,
    idle_s: float,
    allow_hosts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Serve exact numbers of bytes, or fail as the URL asks, until Ctrl-C.

    \b
      curl http://127.0.0.1:PORT/bytes/1000000
      curl http://127.0.0.1:PORT/bytes/5000?status=503&delay_ms=200
      curl http://127.0.0.1:PORT/bytes/5000?cut=1000&end=reset
      curl -T file http://127.0.0.1:PORT/upload

    docs/proxies.md lists the resources and their options.
    """
    confirm_address(
        "--host", host, allow_hosts, consequence="other machines could connect to the origin"
    )
    if no_tls and (ca or tls_port):
        raise click.UsageError("--no-tls: leave --ca and --tls-port out")
    with ExitStack() as stack:
        origin = Origin(host=host, port=port, tls_port=None if no_tls else tls_port, idle_s=idle_s)
        if records is not None:
            try:
                out = stack.enter_context(records.open("ab", buffering=0))
            except OSError as error:
                raise click.UsageError(f"--records {records}: {error.strerror}") from error

            def keep(record: OriginConnection) -> None:
                out.write(msgspec.json.encode(record) + b"\n")

            origin.on_end = keep
        origin.open()
        stack.callback(origin.close)
        write_authority(origin, ca)

        async def serve(stop: asyncio.Event) -> None:
            # Shown only now, when a signal ends the origin in order.
            _show(origin, ca, as_json)
            await origin.run(stop)

        run_until_signal(serve)
    if not as_json:
        click.echo(
            f"{origin.connections:,} connections, {origin.requests:,} requests, "
            f"{origin.received:,} bytes received, {origin.sent:,} bytes sent"
        )


def _show(origin: Origin, ca: Path | None, as_json: bool) -> None:
    urls = {"url": f"http://{host_port(origin.host, origin.port)}"}
    if origin.tls_port is not None:
        urls["tls_url"] = f"https://{host_port(origin.host, origin.tls_port)}"
    if as_json:
        announced = {**urls, "ca": str(ca.resolve()) if ca else None}
        click.echo(msgspec.json.encode(announced))
        return
    click.echo("\n".join(f"Origin at {url}" for url in urls.values()))
    if ca is not None:
        click.echo(f"Its certificate authority: {ca}")
    click.echo("Ctrl-C ends it.", file=sys.stderr)
