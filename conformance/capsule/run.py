"""Plant a time capsule, and harvest one: the checks of the contract, months apart.

Both are runs of checks. The harvest's journal begins with the records of the planting, which its
manifest holds, so that the same evaluation judges it and `trueup judge` recomputes its verdicts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from trueup.conformance.capsule.contents import sent_by_customer
from trueup.conformance.capsule.manifest import Manifest, ReadManifest
from trueup.conformance.client.clock import Clock, WallClock
from trueup.conformance.client.recorder import stamp
from trueup.conformance.contract.capsule_dates import PHASES
from trueup.conformance.datasets.capsule import harvest_stage, plant_plan
from trueup.conformance.datasets.operations import Stage
from trueup.conformance.errors import ManifestUnusable, TargetClockUnknown
from trueup.conformance.judge import BY_NAME
from trueup.conformance.model import CheckContext
from trueup.conformance.ports import Ingest
from trueup.conformance.rows import format_time
from trueup.conformance.runner import (
    LEVEL_OF_INJECTION,
    ProgressEvent,
    RunOutcome,
    read_on,
    run_checks,
)
from trueup.conformance.target.model import Target
from trueup.reports.journal.records import CapsulePlanted, Exchange, Record
from trueup.reports.journal.storage import JournalWriter

__all__ = [
    "HARVEST_CHECKS",
    "PLANT_CHECKS",
    "expect_target",
    "harvest_capsule",
    "plant_capsule",
]

HARVEST_CHECKS: Final = tuple(name for name in BY_NAME if name in PHASES)
"""Checks of a harvest, in the order of the report."""
PLANT_CHECKS: Final = tuple(
    name for name in HARVEST_CHECKS if BY_NAME[name].level <= LEVEL_OF_INJECTION
)
"""Those that say something of a capsule that was just planted."""
CLOCK_SLACK: Final = timedelta(minutes=5)
"""How far a target's clock may have been set back since the planting."""


async def plant_capsule(
    target: Target,
    *,
    writer: JournalWriter,
    ingest: Ingest,
    seed: int,
    progress: Callable[[ProgressEvent], None],
) -> RunOutcome:
    """Send a capsule's traffic, read it back, and return what the checks say of it so far.

    Raises TargetTrouble, BudgetExhausted: what was sent until then is in the journal.
    """
    return await run_checks(
        target,
        writer=writer,
        ingest=ingest,
        seed=seed,
        level=LEVEL_OF_INJECTION,
        only=PLANT_CHECKS,
        progress=progress,
        planner=plant_plan,
    )


def expect_target(manifest: Manifest, target: Target, *, moved: bool) -> None:
    """Raise ManifestUnusable where a manifest is of another target than a target file.

    `moved`: the target has another address since.
    """
    if manifest.target.base_url != target.base_url and not moved:
        raise ManifestUnusable(
            f"the capsule was planted at {manifest.target.base_url}, and {target.path} leads to "
            f"{target.base_url}\n  expected: the target file of the same target; --moved if it "
            "has another address since"
        )
    known = {letter: tenant.customer_id for letter, tenant in target.tenants.items()}
    _expect_customers(manifest, {k: v for k, v in known.items() if v is not None}, target)


def _expect_customers(manifest: Manifest, found: dict[str, int], target: Target) -> None:
    planted = manifest.target.customers
    if missing := sorted(planted.keys() - target.tenants.keys()):
        raise ManifestUnusable(
            f"the capsule holds events of tenant {', '.join(missing)}, which {target.path} does "
            f"not have\n  expected: [tenants.{missing[0]}] with the keys of customer "
            f"{planted[missing[0]]}"
        )
    for letter, number in found.items():
        if letter in planted and planted[letter] != number:
            raise ManifestUnusable(
                f"the capsule was planted for customer {planted[letter]}, but tenant {letter} of "
                f"{target.path} is customer {number}\n  expected: the target file, with the keys, "
                "that the capsule was planted with"
            )


async def harvest_capsule(
    target: Target,
    read: ReadManifest,
    *,
    writer: JournalWriter,
    progress: Callable[[ProgressEvent], None],
    clock: Clock | None = None,
) -> RunOutcome:
    """Read what a target still shows of a capsule, and return what the checks say of it.

    Raises ManifestUnusable where the keys are of other customers, TargetClockUnknown where the
    target's clock is before the planting, other TargetTrouble and BudgetExhausted.
    """
    manifest = read.manifest

    def stage_of(context: CheckContext) -> Stage:
        _expect_customers(manifest, dict(context.customers), target)
        planted = manifest.target_time
        if context.now < planted - CLOCK_SLACK:
            raise TargetClockUnknown(
                f"the target's time is {format_time(context.now)}, before that of the planting, "
                f"{format_time(planted)}\n  expected: a clock that was not set back; if the time "
                f"is wrong, add [clock.read] to {target.path}"
            )
        sent = sent_by_customer(manifest.records, manifest.target.customers)
        return harvest_stage(context, planted, sent)

    return await read_on(
        target,
        writer=writer,
        before=_records(read, writer, opened=(clock or WallClock()).now()),
        prefix=manifest.prefix,
        checks=[BY_NAME[name] for name in HARVEST_CHECKS],
        stage_of=stage_of,
        progress=progress,
        clock=clock,
    )


def _records(read: ReadManifest, writer: JournalWriter, *, opened: datetime) -> list[Record]:
    """The records with which the harvest's journal begins; exchanges are numbered anew."""
    manifest = read.manifest
    planted = CapsulePlanted(
        at=manifest.planted.at,
        now=manifest.planted.target_time,
        run=manifest.planted.run,
        trueup=manifest.trueup,
        sha256=read.sha256,
        signature=read.signature,
        opened_at=stamp(opened),
    )
    return [
        planted,
        *(
            replace(record, n=writer.next_exchange()) if isinstance(record, Exchange) else record
            for record in manifest.records
        ),
    ]
