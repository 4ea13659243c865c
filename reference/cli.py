"""The command line of the reference: `serve` and `mutants`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from trueup.reference.api import log
from trueup.reference.behaviour import Behaviour
from trueup.reference.errors import StartProblem
from trueup.reference.mutants import FAULTS, VARIANTS, Mutant
from trueup.reference.mutants.generated import generated, generated_mutants
from trueup.reference.server import Options, serve

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The reference implementation of the usage-tracking API, embedded."""


def _behaviour(faults: tuple[str, ...], variants: tuple[str, ...]) -> Behaviour:
    behaviour = Behaviour()
    for kind, known, wanted in (("fault", FAULTS, faults), ("variant", VARIANTS, variants)):
        by_id = {mutant.id: mutant for mutant in known}
        for name in wanted:
            # Only ids of generated mutants have a colon; those mutants are built on demand.
            mutant = generated(name) if kind == "fault" and ":" in name else by_id.get(name)
            if mutant is None:
                raise click.UsageError(
                    f"There is no {kind} {name}; "
                    "`python -m trueup.reference mutants` lists them all."
                )
            behaviour = mutant.apply(behaviour)
    return behaviour


def _print_plainly(where: dict[str, Any]) -> None:
    click.echo(f"Serving {where['url']}  (Ctrl-C stops)")
    click.echo(f"Ingest  {where['ingest_url']}")
    if "control_url" in where:
        click.echo(f"Control {where['control_url']}  key {where['control_key']}")
    for tenant in where["tenants"]:
        click.echo(
            f"Tenant  {tenant['name']} ({tenant['customer_id']})  "
            f"public {tenant['public_key']}  private {tenant['private_key']}"
        )
    click.echo("For a target file:")
    for line in _exports(where):
        click.echo(f"  export {line}")


def _exports(where: dict[str, Any]) -> Iterator[str]:
    """Yield the variables that target files for two accounts name, with their values."""
    for letter, tenant in zip("AB", where["tenants"], strict=False):
        yield f"TRUEUP_{letter}_PUBLIC_KEY={tenant['public_key']}"
        yield f"TRUEUP_{letter}_PRIVATE_KEY={tenant['private_key']}"
    if "control_key" in where:
        yield f"TRUEUP_CONTROL_KEY={where['control_key']}"


@main.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=0,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port; 0 takes a free one.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory that keeps everything; without it nothing is kept.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when it listens.")
@click.option("--control", is_flag=True, help="Open the hooks for clock, maintenance and money.")
@click.option(
    "--tenants",
    default=2,
    show_default=True,
    type=click.IntRange(1, 100),
    help="Number of customers.",
)
@click.option(
    "--ingest-key-env",
    metavar="NAME",
    help="Environment variable with the key that deliveries must carry.",
)
@click.option(
    "--rate-limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Requests per second and customer; the documented limit is 10. Default: none.",
)
@click.option("--fault", "faults", multiple=True, metavar="ID", help="Be wrong in this way.")
@click.option(
    "--variant", "variants", multiple=True, metavar="ID", help="Be different in this way."
)
def serve_command(
    host: str,
    port: int,
    data: Path | None,
    as_json: bool,
    control: bool,
    tenants: int,
    ingest_key_env: str | None,
    rate_limit: int | None,
    faults: tuple[str, ...],
    variants: tuple[str, ...],
) -> None:
    """Serve the API, ingestion and (with --control) the control hooks.

    Exit status: 0 ended by a signal, 3 the store cannot be used, 4 usage or a port in use.
    """
    options = Options(
        host=host,
        port=port,
        data=data,
        control=control,
        tenants=tenants,
        ingest_key_env=ingest_key_env,
        rate_limit=rate_limit,
    )

    def announce(where: dict[str, Any]) -> None:
        if as_json:
            click.echo(msgspec.json.encode(where).decode())
        else:
            _print_plainly(where)

    log.configure()
    try:
        asyncio.run(serve(options, _behaviour(faults, variants), announce))
    except StartProblem as problem:
        click.echo(f"trueup reference: {problem}", err=True)
        raise SystemExit(problem.status) from None


@main.command("mutants")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a list.")
@click.option("--generated", "with_generated", is_flag=True, help="Also list generated mutants.")
def mutants_command(as_json: bool, with_generated: bool) -> None:
    """List the faults and the correct variants."""
    groups = {"faults": FAULTS, "variants": VARIANTS}
    if with_generated:
        groups["generated"] = generated_mutants()
    if as_json:
        shown = {
            name: [
                {"id": each.id, "what": each.what, "replaces": sorted(each.replaces)}
                for each in group
            ]
            for name, group in groups.items()
        }
        click.echo(msgspec.json.encode(shown).decode())
        return
    for name, group in groups.items():
        click.echo(f"{name} ({len(group)})")
        for each in group:
            _print_mutant(each)


@main.command("zoo", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def renamed_command(rest: tuple[str, ...]) -> None:
    """Name the present command of one that was renamed."""
    del rest
    name = click.get_current_context().info_name
    raise click.UsageError(f"`{name}` is called `mutants` since trueup 0.2")


def _print_mutant(mutant: Mutant) -> None:
    click.echo(
        click.wrap_text(
            f"{mutant.id:<4} {mutant.what}",
            width=79,
            initial_indent="  ",
            subsequent_indent="       ",
        )
    )
