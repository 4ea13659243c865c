"""`prove`: every fault of the zoo is tried, every variant too, and the judge is held to both.

A fault is killed only where one of the laws that it is charged with fails; another failing law is
a kill for another reason. A variant, and the reference itself, must raise nothing. Trials run in
processes of their own, a bounded number at a time, so that one that hangs costs only its time.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from reports.facts import EXIT_STATUS, ExitStatus, Verdict
from scenarios.trial import Trial, TrialPlan
from scenarios.zoo import Charge, Zoo

__all__ = ["CLEAN", "Proof", "Status", "Tried", "alarms", "prove", "status_of"]

CLEAN: Final = "reference"
"""Name of the reference without any fault, tried among the variants."""

TRIAL_LIMIT_S: Final = 180.0


class Status(StrEnum):
    """What became of one fault."""

    KILLED = "killed"
    KILLED_OTHER = "killed-other"
    """A law failed, but none that the fault is charged with."""
    SURVIVED = "survived"
    VOID = "void"
    """The fault did not start, or the judge could not do its work: it proves nothing."""
    TIMEOUT = "timeout"


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A fault or a variant, and what its trial showed."""

    id: str
    what: str
    laws: tuple[str, ...] = ()
    """The laws charged; empty for a variant."""
    trial: Trial
    status: Status | None = None
    """None for a variant."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The whole proof."""

    faults: tuple[Tried, ...]
    variants: tuple[Tried, ...]
    wall_s: float

    def named(self, *statuses: Status) -> list[str]:
        """Ids of the faults with one of the statuses."""
        return [tried.id for tried in self.faults if tried.status in statuses]

    @property
    def exit_status(self) -> int:
        """0: all killed for the right reason, no alarm; 1: not so; 2: some fault proves nothing."""
        if self.false_alarms or self.named(Status.SURVIVED, Status.KILLED_OTHER):
            return EXIT_STATUS[ExitStatus.VIOLATES]
        if self.named(Status.VOID, Status.TIMEOUT):
            return EXIT_STATUS[ExitStatus.COULD_NOT_TELL]
        return EXIT_STATUS[ExitStatus.CONFORMS]

    @property
    def false_alarms(self) -> list[str]:
        """`variant: check` for every check that failed where nothing is wrong."""
        return [f"{tried.id}: {alarm}" for tried in self.variants for alarm in alarms(tried.trial)]


def status_of(trial: Trial, laws: Sequence[str]) -> Status:
    """The status that a trial gives a fault charged with `laws`."""
    if trial.timed_out:
        return Status.TIMEOUT
    if trial.error or not trial.results:
        return Status.VOID
    failed = {result.law for result in trial.results if result.verdict is Verdict.FAIL}
    if failed & set(laws):
        return Status.KILLED
    return Status.KILLED_OTHER if failed else Status.SURVIVED


def alarms(trial: Trial) -> list[str]:
    """What a trial of something correct raised: failures, and a trial that could not be held."""
    if trial.timed_out:
        return ["the trial took too long"]
    if trial.error or not trial.results:
        return [f"the trial could not be held: {trial.error or 'no check reported'}"]
    convicting = (Verdict.FAIL, Verdict.NOT_TESTABLE)
    return [result.check for result in trial.results if result.verdict in convicting]


async def prove(
    zoo: Zoo,
    charges: Mapping[str, Charge],
    *,
    only: frozenset[str] | None,
    seed: int,
    workers: int,
    progress: Callable[[int, int, str], None],
) -> Proof:
    """Try the zoo, or those of its ids in `only`, `workers` trials at a time.

    The reference itself is always tried. `progress` is told (done, all, id).
    """
    since = time.monotonic()
    faults = [entry for entry in zoo.faults if only is None or entry.id in only]
    variants = [entry for entry in zoo.variants if only is None or entry.id in only]
    plans = [
        TrialPlan(id=CLEAN, options=(), seed=seed),
        *(TrialPlan(id=v.id, options=("--variant", v.id), seed=seed) for v in variants),
        *(TrialPlan(id=f.id, options=("--fault", f.id), seed=seed) for f in faults),
    ]
    trials = await _hold(plans, workers, progress)
    return Proof(
        faults=tuple(
            Tried(
                id=entry.id,
                what=entry.what,
                laws=charges[entry.id].laws,
                trial=trials[entry.id],
                status=status_of(trials[entry.id], charges[entry.id].laws),
            )
            for entry in faults
        ),
        variants=(
            Tried(id=CLEAN, what="the reference as it is", trial=trials[CLEAN]),
            *(Tried(id=v.id, what=v.what, trial=trials[v.id]) for v in variants),
        ),
        wall_s=time.monotonic() - since,
    )


async def _hold(
    plans: Sequence[TrialPlan], workers: int, progress: Callable[[int, int, str], None]
) -> dict[str, Trial]:
    places = asyncio.Semaphore(workers)
    trials: dict[str, Trial] = {}

    async def one(plan: TrialPlan) -> None:
        async with places:
            trials[plan.id] = await _hold_one(plan)
            progress(len(trials), len(plans), plan.id)

    async with asyncio.TaskGroup() as group:
        for plan in plans:
            group.create_task(one(plan))
    return trials


async def _hold_one(plan: TrialPlan) -> Trial:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "scenarios.trial",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TRIAL_LIMIT_S):
            out, err = await child.communicate(msgspec.json.encode(plan))
    except TimeoutError:
        return Trial(timed_out=True)
    finally:
        if child.returncode is None:
            child.terminate()
            await child.wait()
    if child.returncode != 0:
        return Trial(error=err.decode(errors="replace").strip()[-2000:] or "no word")
    return msgspec.json.decode(out, type=Trial)
