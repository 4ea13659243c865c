"""`trueup capsule`: plant known traffic now, and judge months later what became of it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import click
import msgspec

from trueup.conformance.capsule.contents import dates_now
from trueup.conformance.capsule.manifest import ReadManifest
from trueup.conformance.contract.capsule_dates import PhaseDates, Timing
from trueup.reports.formatting import visible
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import Json
from trueup.scenarios.cli.shared import command_line, run_options, show, watched
from trueup.scenarios.run.capsule import KEY_VARIABLE, open_manifest
from trueup.scenarios.run.orchestrator import RunRequest, RunResult
from trueup.scenarios.scenario import CapsulePart, Scenario

__all__ = ["command"]

_Dates: TypeAlias = Sequence[tuple[PhaseDates, Timing]]

_WIDTH: Final = 80
_LABEL: Final = 9
_SEED: Final = 7
_SIGNED: Final = {
    "none": "not signed",
    "not verified": f"signed, not verified: {KEY_VARIABLE} is not set",
    "verified": "signed, verified",
}


@click.group()
def command() -> None:
    """Judge retention, consolidation and totals of a target whose clock cannot be moved.

    `plant` sends traffic and writes a manifest; `harvest` judges days or months later, with that
    manifest, what the target still shows of it.
    """


@command.command(short_help="Send exactly known traffic; write its manifest.")
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--manifest",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="File to write; a manifest is never replaced.",
)
@run_options
def plant(
    target: Path,
    manifest: Path,
    seed: int | None,
    allow_hosts: tuple[str, ...],
    runs: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Send some hundred events to the target of file TARGET and write what they were.

    On all four networks, of every kind of status, size and hostname, for each customer, as many
    days back as the target accepts. They are read back and judged as far as that is possible now.
    Nothing is paid, and neither clock nor restart is used. A key in TRUEUP_CAPSULE_KEY signs the
    manifest.

    Exit status: 0 planted and right so far, 1 something is wrong already, 2 could not tell.
    """
    result = watched(
        _order(
            "capsule-plant", target, CapsulePart(manifest=str(manifest)), runs, seed, allow_hosts
        ),
        quiet=quiet,
    )
    return _show(result, manifest, as_json=as_json)


@command.command(short_help="Judge what a target still shows of a capsule.")
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--moved", is_flag=True, help="The target has another address than at the planting.")
@run_options
def harvest(
    target: Path,
    manifest: Path,
    moved: bool,
    seed: int | None,
    allow_hosts: tuple[str, ...],
    runs: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Judge what the target of file TARGET shows of the capsule of MANIFEST.

    At any time, and as often as wanted: what its age does not allow yet, or no longer, is not
    applicable, with the dates between which it can be judged. Only reads.

    Exit status: 0 what can be judged now conforms, 1 it does not, 2 could not tell, 4 the manifest
    cannot be used.
    """
    part = CapsulePart(manifest=str(manifest), harvest=True, moved=moved)
    result = watched(_order("capsule-harvest", target, part, runs, seed, allow_hosts), quiet=quiet)
    return _show(result, manifest, as_json=as_json)


def _order(
    name: str,
    target: Path,
    part: CapsulePart,
    runs: Path,
    seed: int | None,
    allow_hosts: tuple[str, ...],
) -> RunRequest:
    return RunRequest(
        scenario=Scenario(name=name, what="a time capsule", capsule=part),
        seed=_SEED if seed is None else seed,
        runs=runs,
        target=target,
        allow_hosts=allow_hosts,
        command=command_line(),
    )


def _show(result: RunResult, path: Path, *, as_json: bool) -> int:
    """Show a run and its capsule; return the exit status. Raises what cut the run short."""
    if result.error is not None:
        return show(result, as_json=as_json)
    read = open_manifest(path)
    dates = dates_now(read_journal(result.folder).records)
    if as_json:
        return show(result, as_json=True, extra={"capsule": _document(read, dates)})
    status = show(result, as_json=False)
    click.echo(visible("\n".join(_lines(read, path, dates))))
    return status


def _document(read: ReadManifest, dates: _Dates) -> dict[str, Json]:
    manifest = read.manifest
    return {
        "sha256": read.sha256,
        "signature": read.signature,
        "planted_at": manifest.planted.at,
        "target_time": manifest.planted.target_time,
        "complete": manifest.planted.complete,
        "events": dict(msgspec.to_builtins(manifest.events)),
        "parts": [
            {"part": str(each.phase), "now": str(timing), "when": each.words()}
            for each, timing in dates
        ],
    }


def _lines(read: ReadManifest, path: Path, dates: _Dates) -> Iterator[str]:
    """The capsule, for a terminal of 80 columns."""
    manifest = read.manifest
    counts = manifest.events
    yield ""
    yield from _row("capsule", f"{path}, {_SIGNED[read.signature]}")
    yield from _row("planted", f"{manifest.planted.target_time} by the target's clock")
    yield from _row(
        "events",
        f"{counts.accepted} accepted, {counts.unknown} unknown, {counts.refused} refused"
        + ("" if manifest.planted.complete else "; the planting ended early"),
    )
    yield from _row("digest", read.sha256)
    for number, (each, timing) in enumerate(dates):
        when = "" if timing is Timing.NOW and each.ends is None else f"; {each.words()}"
        yield from _row("" if number else "judged", f"{each.phase}: {timing}{when}")


def _row(label: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f"{label:<{_LABEL}}",
        subsequent_indent=" " * (_LABEL + 2 * (not label)),
        break_on_hyphens=False,
        break_long_words=False,
    )
