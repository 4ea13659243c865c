"""`trueup target`: write a target file, validate it, and show what the target allows."""

from __future__ import annotations

import asyncio
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.deadline import Deadline
from trueup.conformance.errors import BudgetExhausted, ConformanceError, TargetTrouble
from trueup.conformance.runner import probe_readings
from trueup.conformance.target.inspect import TargetCheck, look_at
from trueup.conformance.target.load import load_target
from trueup.conformance.target.model import Target
from trueup.reports.formatting import visible
from trueup.reports.results import EXIT_STATUS, ExitStatus, Outcome, Reading
from trueup.scenarios.cli.event_probe import is_right, probe_json, probe_lines
from trueup.scenarios.cli.shared import allow_host_option
from trueup.scenarios.drivers import check_ingest
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.run.event_probe import EventProbe, send_probe
from trueup.scenarios.run.orchestrator import confirm_host
from trueup.scenarios.run.run_directory import temporary_journal
from trueup.simulator.errors import TransportUnreachable

__all__ = ["command"]

_KINDS: Final[Mapping[str, str]] = {
    "reference": "what `trueup serve` starts",
    "http": "takes events over HTTP",
    "program": "takes events through a program of yours",
    "broker": "takes events through a message broker",
    "read-only": "an account that is only read",
}
EXAMPLES: Final = tuple(_KINDS)
_EXAMPLE_URL: Final = "http://127.0.0.1:8080/1.0"
_API_URL: Final = re.compile(r"https?://[^\s\"'\\\\/?#]+(/[^\s\"'\\\\?#]*)?")
_BASE_URL: Final = re.compile(r'^base_url = "(.*)"$', re.MULTILINE)
_VARIABLE: Final = re.compile(r'\{ env = "(\w+)" \}')
_MINUTES: Final = 10.0
"""Longest time of a check of a target file that says nothing of it."""
_WIDTH: Final = 80
_LABEL: Final = 9
_HOW: Final = {"default": "assumed: declare it if it is another"}


@click.group()
def command() -> None:
    """Validate target files and show what their targets allow."""


@command.command(short_help="Validate a target file; show levels, claims and readings.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--offline", is_flag=True, help="Validate the file only; send no request.")
@click.option(
    "--probe",
    is_flag=True,
    help="Send one event as well, once you agree, and show where it appears.",
)
@click.option("--yes", is_flag=True, help="With --probe: agree; do not ask.")
@allow_host_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
def check(
    file: Path, offline: bool, probe: bool, yes: bool, allow_hosts: tuple[str, ...], as_json: bool
) -> int:
    """Validate FILE, and show what the target allows.

    Prints the levels that the target reaches, what it claims, and how it reads the points that
    the guide leaves open. Sends the target some twenty requests and writes nothing, unless --probe
    is given: then one event of a new proxy user is sent, and stays.

    Exit status: 0 right, 2 the target cannot be reached or used, 4 the file is wrong.
    """
    target = load_target(file)
    if probe:
        if offline:
            raise UsageProblem("--probe sends an event: leave --offline out")
        if target.ingest is None:
            raise UsageProblem(f"{file}: has no [ingest], so that no event can be sent")
        confirm_host(target, allow_hosts)
    found: tuple[Reading, ...] = ()
    trouble: ConformanceError | TransportUnreachable | None = None
    if not offline:
        deadline = Deadline(WallClock(), target.budget.minutes or _MINUTES)
        found, trouble = asyncio.run(deadline.within(_ask(target)))
    seen = look_at(target, found=found, asked=not offline, trouble=str(trouble) if trouble else "")
    shown = _probed(target, yes) if probe and not trouble else None
    if as_json:
        told = seen.to_json() | ({} if shown is None else {"probe": probe_json(shown)})
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        lines = [*_lines(seen), *([] if shown is None else ["", *probe_lines(shown), ""])]
        click.echo(visible("\n".join([*lines, *_end(seen, target, shown)])))
    failed = trouble or (shown is not None and not is_right(shown))
    return EXIT_STATUS[ExitStatus.COULD_NOT_TELL if failed else ExitStatus.CONFORMS]


def _probed(target: Target, yes: bool) -> EventProbe:
    """Send one event if the user agrees. Raises click.Abort otherwise."""
    if not yes:
        click.confirm(
            f"Send one event of 1,024 bytes to {target.name}? It stays there", abort=True, err=True
        )
    deadline = Deadline(WallClock(), target.budget.minutes or _MINUTES)
    return asyncio.run(deadline.within(send_probe(target)))


@command.command(short_help="Write a target file to start from.")
@click.option(
    "--from",
    "kind",
    type=click.Choice(EXAMPLES),
    help="The example to start from; asked for if it is left out.",
)
@click.option("--url", metavar="URL", help="URL of the API, with its version, to write into it.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
def new(kind: str | None, url: str | None, file: Path) -> None:
    """Write FILE, a commented target file to start from; - prints it.

    reference is what `trueup serve` starts, http takes events over HTTP, program through a program
    of yours, broker through a message broker, and read-only is never written to. A file that is
    there already is not replaced.
    """
    kind = kind or _ask_kind()
    text = _example(kind, url)
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError as error:
        raise UsageProblem(f"{file}: already exists. Name another file, or remove it.") from error
    except OSError as error:
        raise UsageProblem(f"{file}: cannot be written: {error.strerror}") from error
    variables = dict.fromkeys(_VARIABLE.findall(text))
    click.echo(f"Wrote {file}. It names these environment variables: {', '.join(variables)}.")
    probe = "" if kind == "read-only" else "--probe "
    click.echo(f"Next: change what is different, then trueup target check {probe}{file}")


def _ask_kind() -> str:
    """Ask which example to start from."""
    width = max(map(len, _KINDS))
    for name, what in _KINDS.items():
        click.echo(f"  {name:<{width}}  {what}", err=True)
    kind: str = click.prompt("What is the target like", type=click.Choice(EXAMPLES), err=True)
    return kind


def _example(kind: str, url: str | None) -> str:
    """Return the text of an example, for the API at `url`. Raises UsageProblem for another URL."""
    text = (
        resources.files("trueup.scenarios").joinpath("targets", f"{kind}.toml").read_text("utf-8")
    )
    if url is None:
        return text
    if not _API_URL.fullmatch(url):
        raise UsageProblem(f"--url {url}: not the URL of an API, such as {_EXAMPLE_URL}")
    (there,) = _BASE_URL.findall(text)
    origin = url.removesuffix(urlsplit(url).path)
    return text.replace(there, url.rstrip("/")).replace(
        f'"{there.rsplit("/", 1)[0]}/', f'"{origin}/'
    )


async def _ask(
    target: Target,
) -> tuple[tuple[Reading, ...], ConformanceError | TransportUnreachable | None]:
    """Return the readings of the target, or why it cannot be tested.

    Raises TransportMissing where a package that its ingestion needs is not installed.
    """
    with temporary_journal(target) as writer:
        try:
            await check_ingest(target)
            return await probe_readings(target, writer=writer), None
        except (TargetTrouble, BudgetExhausted, TransportUnreachable) as trouble:
            return (), trouble


def _lines(seen: TargetCheck) -> Iterator[str]:
    """The screen: at most 80 columns."""
    yield from _row("target", seen.target)
    yield from _row("file", seen.path)
    yield from _row("address", seen.address)
    if seen.outside_hosts:
        hosts = ", ".join(seen.outside_hosts)
        yield from _row("", f"not this machine: runs need --allow-host {hosts}")
    yield from _row("tenants", _tenants(seen))
    for number, one in enumerate(seen.levels):
        mark = "yes" if one.reached else "no "
        text = f"{one.level} {mark} {one.what} ({one.how})"
        yield from _row("" if number else "levels", text)
    yield from _row("claims", ", ".join(seen.claims) or "none")
    rate = "as fast as it responds" if seen.requests_per_s is None else f"{seen.requests_per_s:g}/s"
    yield from _row("budget", f"{seen.requests} requests, {rate}")
    yield ""
    yield from _readings(seen)
    yield ""
    for note in seen.notes:
        yield from _row("note", note)


def _tenants(seen: TargetCheck) -> str:
    names = " and ".join(seen.tenants)
    known = "keys work" if seen.asked and not seen.trouble else "keys found"
    return f"{names}, {known}"


def _readings(seen: TargetCheck) -> Iterator[str]:
    still_open = [reading.name for reading in seen.readings if reading.how == "open"]
    for reading in seen.readings:
        if reading.how != "open":
            how = _HOW.get(reading.how, reading.how)
            yield f"{reading.name:<24}{reading.value:<14}{how}"
    if still_open:
        yield from _row("open", f"{', '.join(still_open)}: found out by a run, or declared")


def _end(seen: TargetCheck, target: Target, probe: EventProbe | None) -> Iterator[str]:
    if seen.trouble:
        yield "The target file is valid, but the target cannot be judged:"
        for line in seen.trouble.splitlines():
            yield from textwrap.wrap(line, _WIDTH, subsequent_indent="    ", break_long_words=False)
    elif not seen.asked:
        yield "The target file is valid. The target was not asked."
    elif probe is not None:
        yield _probe_end(probe)
    elif target.ingest is not None:
        yield "The target file is valid, and the target responds. Whether it takes events"
        yield "was not tried: --probe sends one."
    else:
        yield "The target file is right, and the target responds."


def _probe_end(probe: EventProbe) -> str:
    if is_right(probe):
        return "The target file is right: the event appears in every view as it was sent."
    if probe.outcome.outcome is Outcome.REFUSED:
        return "The target refused the event: see [ingest] in the target file."
    return "The event does not appear everywhere as it was sent: see the views above."


def _row(label: str, text: str) -> Iterator[str]:
    indent = " " * _LABEL
    yield from textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f"{label:<{_LABEL}}",
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
