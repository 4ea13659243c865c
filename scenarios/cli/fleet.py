"""`trueup fleet`: events of the simulated fleet, to look at, to count on, to feed to anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from trueup.conformance.target.load import load_target
from trueup.reports.results import EXIT_STATUS, ExitStatus, Json, Outcome
from trueup.scenarios.cli.fleet_options import read_customers, usage_errors
from trueup.scenarios.cli.fleet_output import FORMATS, write_events
from trueup.scenarios.cli.fleet_send import recent_naming, send_events
from trueup.scenarios.cli.log_options import log_options, read_options
from trueup.simulator.fingerprint import fingerprint
from trueup.simulator.fleet import EVENTS_MAX, Fleet
from trueup.simulator.model.profile import load_profile
from trueup.simulator.realism import measure
from trueup.simulator.realism.fit import fit_log
from trueup.simulator.realism.page import page, table

__all__ = ["command"]

_START: Final = "2025-04-01 00:00:00"
_SHOW_PROGRESS: Final = 100_000
_MANY: Final = ",".join(map(str, range(1955, 1995)))
"""Tenants whose traffic is measured: popularity is a law of many users."""


def _moment(_ctx: click.Context, _param: click.Parameter, value: str) -> datetime:
    text = value.strip().removesuffix("Z").replace("T", " ")
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise click.BadParameter(f'{value!r} is no moment; write "2025-04-01 13:00:00" (UTC)')


def _sets(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for part in value:
        name, equals, given = part.partition("=")
        if not equals:
            raise click.BadParameter(f"{part!r}; write name=value, such as mix.mobile=0")
        base, dot, key = name.rpartition(".")
        known = load_profile("default").parameters
        if name not in known and dot and base in known and isinstance(known[base].value, tuple):
            table_of = found.setdefault(base, dict(known[base].value))  # type: ignore[arg-type]
            assert isinstance(table_of, dict)
            if key not in table_of and base in ("mix", "archetype"):
                raise click.BadParameter(f"{base} has {', '.join(table_of)}, not {key!r}")
            table_of[key] = _whole(part, given)
        else:
            found[name] = given
    return found


def _whole(part: str, given: str) -> int:
    try:
        return int(given)
    except ValueError:
        raise click.BadParameter(f"{part!r}: a weight is a whole number") from None


def _fleet_options(function: Any) -> Any:
    """The options that name a fleet, the same for every command."""
    for option in reversed(
        (
            click.option("--seed", type=int, default=1, show_default=True, help="Seed."),
            click.option(
                "--profile", default="default", show_default=True, metavar="NAME|FILE",
                help="A committed profile or a TOML file.",
            ),
            click.option(
                "--set", "sets", multiple=True, callback=_sets, metavar="NAME=VALUE",
                help="Override a parameter of the profile; may be repeated.",
            ),
            click.option(
                "--start", default=_START, show_default=True, callback=_moment,
                help="First moment, UTC.",
            ),
            click.option(
                "--customers", default="1955,1956", show_default=True, callback=read_customers,
                metavar="ID,ID…", help="Tenants that the traffic belongs to.",
            ),
            click.option(
                "--rate", type=float, default=None, metavar="EVENTS/S",
                help="Mean events a second; by default the profile's.",
            ),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def _build(
    *,
    seed: int,
    profile: str,
    sets: dict[str, Json],
    start: datetime,
    customers: tuple[int, ...],
    rate: float | None,
) -> Fleet:
    chosen = load_profile(profile, sets)
    return Fleet(
        chosen,
        seed=seed,
        start=start,
        customers=customers,
        events_per_s=float(chosen.decimal("fleet.events_per_s")) if rate is None else rate,
    )


@click.group("fleet", invoke_without_command=True)
@_fleet_options
@click.option(
    "--events", type=click.IntRange(0, EVENTS_MAX), default=1000, show_default=True,
    help="How many events.",
)  # fmt: skip
@click.option(
    "--first", type=click.IntRange(0, EVENTS_MAX), default=0, help="Number of the first one."
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="ndjson", show_default=True,
    help="Form of the output.",
)  # fmt: skip
@click.option(
    "--out", default="-", metavar="FILE", help="Where to write; - is standard output (default)."
)
@click.option(
    "--target", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Send to the target of this file; by default its own tenants and the last six days.",
)  # fmt: skip
@click.option("--fingerprint", "only_hash", is_flag=True, help="Print one hash of the events.")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True,
    help="Processes that draw for --fingerprint.",
)  # fmt: skip
def command(
    events: int,
    first: int,
    form: str,
    out: str,
    only_hash: bool,
    workers: int,
    target: Path | None,
    **naming: Any,
) -> None:
    """Draw events of the simulated fleet.

    The same seed, profile, start, customers and rate give the same events, to
    the byte, on any machine and with any number of workers.

    \b
      trueup fleet --seed 7 --events 5
      trueup fleet --seed 7 --events 200000 --fingerprint --workers 2
      trueup fleet --events 1000000 --format parquet --out events.parquet
      trueup fleet --set mix.mobile=0 --set incident.factor=50 --events 10
    """
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is not None:
        if _given(ctx):
            raise click.UsageError(
                f"put the options behind the command: trueup fleet {ctx.invoked_subcommand} …"
            )
        return
    given = _given(ctx)
    if target is not None:
        if given & {"out", "form", "only_hash"}:
            raise click.UsageError("--target sends: leave --out, --format, --fingerprint out")
        _to_target(target, first, events, naming, given)
        return
    if only_hash and first:
        raise click.UsageError("--fingerprint is of the first events: leave --first out")
    with usage_errors():
        fleet = _build(**naming)
        fleet.check(first, events)
        with _progress(events) as done:
            if only_hash:
                text = fingerprint(fleet, events, workers, done)
            else:
                write_events(fleet, first, events, form, out, done)
    if only_hash:
        click.echo(text)


def _given(ctx: click.Context) -> set[str]:
    """The options that were written on the command line."""
    written = click.core.ParameterSource.COMMANDLINE
    return {name for name in ctx.params if ctx.get_parameter_source(name) is written}


def _to_target(
    file: Path, first: int, events: int, naming: dict[str, Any], given: set[str]
) -> None:
    target = load_target(file)
    with usage_errors():
        fleet = _build(**recent_naming(target, events, naming, given))
        fleet.check(first, events)
    with _progress(events) as done:
        sent = send_events(fleet, first, events, target, done)
    parts = [f"{sent[outcome]:,} {outcome}" for outcome in Outcome]
    click.echo(f"{events:,} events sent: {', '.join(parts)}")
    for reason, count in sent.reasons.most_common(5):
        click.echo(f"  {count:,} x {reason}")
    if sent[Outcome.ACCEPTED] < events:
        raise click.exceptions.Exit(EXIT_STATUS[ExitStatus.COULD_NOT_TELL])


@contextmanager
def _progress(events: int) -> Iterator[Any]:
    """A bar on the terminal for long work; elsewhere nothing."""
    if events < _SHOW_PROGRESS or not sys.stderr.isatty():
        yield lambda _more: None
        return
    with click.progressbar(length=events, label="events", file=sys.stderr) as bar:
        yield bar.update


@command.command()
@click.argument("log_id", metavar="ID")
@_fleet_options
def explain(log_id: str, **naming: Any) -> None:
    """Print the whole event with this ID and its number, or say that it is foreign.

    An id that the fleet made leads back to its event. Give the same seed,
    profile, start, customers and rate as when the events were drawn.
    """
    with usage_errors():
        fleet = _build(**naming)
        position = fleet.position(log_id)
        if position is None:
            click.echo(
                f"{log_id} is foreign: no event of this fleet has that id. (Another seed, "
                "profile, start, rate or other customers make another fleet.)",
                err=True,
            )
            raise click.exceptions.Exit(EXIT_STATUS[ExitStatus.COULD_NOT_TELL])
        row = fleet.row(position)
    shown = {"position": position, "coverage": position < fleet.model.coverage.count, "event": row}
    click.echo(json.dumps(shown, indent=2))


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", default="-", metavar="FILE", help="Where to write the profile.")
@log_options
def fit(
    file: Path, out: str, log_format: str, zone: str, log_fields: tuple[str, ...], log_network: str
) -> None:
    """Fit a profile from an access log of your own.

    Squid, HAProxy, nginx, Apache, Envoy, Zeek, HAR, CSV, NDJSON, Parquet; gzip, bzip2, xz and
    zstd are unpacked. No name or address of the log is in the profile. What the log cannot tell is
    left to the default profile; how far events drawn from the profile differ from the log is
    measured and said.
    """
    with usage_errors():
        fitted = fit_log(file, read_options(log_format, zone, log_fields), network=log_network)
    for note in (*fitted.report.text(file), *fitted.notes):
        click.echo(note, err=True)
    if fitted.check is not None:
        click.echo(fitted.check.text(), err=True)
    if out == "-":
        click.echo(fitted.text, nl=False)
        return
    try:
        Path(out).write_text(fitted.text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{out}: cannot be written: {error.strerror}") from error


@command.command(context_settings={"default_map": {"customers": _MANY}})
@_fleet_options
@click.option(
    "--events", type=click.IntRange(10_000, 20_000_000), default=2_000_000, show_default=True,
    help="How many events to measure.",
)  # fmt: skip
@click.option("--days", type=click.FloatRange(0.05, 60), default=1.0, show_default=True,
    help="Spread over this many days, unless --rate is given.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write an HTML page.")
def realism(events: int, days: float, as_json: bool, out: Path | None, **naming: Any) -> None:
    """Measure how real the traffic is, beside controls that are not real.

    Effect sizes, not p-values: at a million events everything is significant.
    """
    if naming["rate"] is None:
        naming["rate"] = events / (days * 86400)
    with usage_errors():
        fleet = _build(**naming)
        # The first day borrows from the cycle (docs/fleet.md); the second is as all others.
        second_day = fleet.start + timedelta(days=1)
        first, _count = fleet.window(second_day, second_day + timedelta(seconds=1))
        measured = measure(fleet, first, events)
    if out is not None:
        try:
            out.write_text(page(measured), encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"{out}: cannot be written: {error.strerror}") from error
    if as_json:
        rows = [
            {name: getattr(row, name) for name in row.__dataclass_fields__}
            for row in measured.figures
        ]
        click.echo(json.dumps({"events": measured.events, "seconds": measured.seconds,
                               "figures": rows}))  # fmt: skip
    else:
        click.echo(table(measured))
