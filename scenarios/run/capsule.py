"""The part of a run that plants a time capsule, or harvests one."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import Final

from trueup.conformance.capsule.contents import manifest_of
from trueup.conformance.capsule.manifest import ReadManifest, read_manifest, write_manifest
from trueup.conformance.capsule.run import expect_target, harvest_capsule, plant_capsule
from trueup.conformance.runner import ProgressEvent, RunOutcome
from trueup.conformance.target.model import Target
from trueup.reports.journal.storage import read_journal
from trueup.scenarios.drivers import open_driver
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.run.phases import RunContext
from trueup.scenarios.scenario import CapsulePart

__all__ = ["KEY_VARIABLE", "check_capsule", "open_manifest", "run_capsule_part"]

KEY_VARIABLE: Final = "TRUEUP_CAPSULE_KEY"
"""Environment variable with the key that signs manifests; without it they are not signed."""


def open_manifest(path: Path) -> ReadManifest:
    """Return a manifest, its signature verified where there is a key. Raises ManifestUnusable."""
    return read_manifest(path, key=os.environ.get(KEY_VARIABLE, ""))


def check_capsule(part: CapsulePart, target: Target) -> None:
    """See that a capsule can be planted or harvested, before anything is sent.

    Raises UsageProblem where the manifest's file cannot be made or is there already,
    ManifestUnusable where it is no manifest, or one of another target.
    """
    path = Path(part.manifest)
    if part.harvest:
        expect_target(open_manifest(path).manifest, target, moved=part.moved)
        return
    if path.exists():
        raise UsageProblem(
            f"{path}: already exists. Name another file: a manifest is never replaced, because "
            "its capsule cannot be harvested without it."
        )
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageProblem(f"{path}: cannot be written: no folder {path.parent} that is writable.")


async def run_capsule_part(context: RunContext, part: CapsulePart) -> None:
    """Plant a capsule and write its manifest, or harvest one.

    A planting that is cut short writes the manifest of what was sent until then. Raises what
    `plant_capsule` and `harvest_capsule` raise, and UsageProblem where the manifest cannot be
    written; its content is in the run's journal then.
    """

    def progress(event: ProgressEvent) -> None:
        note = f"{event.what} ({event.requests:,} requests so far)"
        context.reporter.update(event.done, note, total=event.total)

    context.reporter.start("harvest" if part.harvest else "planting", None)
    if part.harvest:
        read = open_manifest(Path(part.manifest))
        outcome = await harvest_capsule(
            context.target, read, writer=context.writer, progress=progress
        )
        _finish(context, outcome)
        return
    complete = False
    try:
        async with open_driver(context.target) as driver:
            outcome = await plant_capsule(
                context.target,
                writer=context.writer,
                ingest=driver,
                seed=context.seed,
                progress=progress,
            )
        complete = True
    finally:
        _write(context, Path(part.manifest), complete=complete)
    _finish(context, outcome)


def _finish(context: RunContext, outcome: RunOutcome) -> None:
    context.reporter.finish(f"{len(outcome.results)} checks, {outcome.requests} requests")


def _write(context: RunContext, path: Path, *, complete: bool) -> None:
    """Write the manifest of what the journal says was sent; nothing where nothing was."""
    records = read_journal(context.writer.path).records
    manifest = manifest_of(
        records,
        context.target,
        trueup=version("trueup"),
        run=context.folder.name,
        complete=complete,
    )
    if manifest is None:
        return
    if not complete:
        context.reporter.notice(f"{path}: the manifest of what was sent until then")
    try:
        path.touch(mode=0o600, exist_ok=False)
        write_manifest(manifest, path, key=os.environ.get(KEY_VARIABLE, ""))
    except OSError as error:
        raise UsageProblem(
            f"{path}: cannot be written: {error.strerror}. The capsule was planted: the journal "
            f"{context.writer.path} says what was sent."
        ) from error
