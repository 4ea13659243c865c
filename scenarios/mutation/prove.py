"""Mutation-test the checks: named faults, generated mutants, variants and their combinations.

A named fault is killed only where one of the laws that are expected of it fails; another failing
law is a kill for another reason. A generated mutant is detected where any law fails; the first in
order is kept. A variant, a combination of variants, and the reference itself must raise nothing.
Trials run in processes of their own, a bounded number at a time, so that one that hangs costs only
its time.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from trueup.conformance.datasets.depth import Depth
from trueup.reports.renderers.kill_matrix import (
    FaultRow,
    FaultStatus,
    GeneratedRow,
    KillMatrix,
    VariantRow,
    wrongly_explained,
)
from trueup.reports.results import EXIT_STATUS, ExitStatus, Verdict
from trueup.scenarios.mutation.accounting_plan import AccountingPlan
from trueup.scenarios.mutation.register import (
    ExpectedKill,
    MutantCatalogue,
    MutantEntry,
    ProxiedRegister,
    ProxiedSetup,
    VariantSetup,
)
from trueup.scenarios.mutation.sampling import combined_setup, explanation
from trueup.scenarios.mutation.trial import Trial, TrialPlan

__all__ = ["CLEAN", "alarms", "exit_status_of_proof", "prove", "prove_accountings", "status_of"]

CLEAN: Final = "reference"
LIMITED: Final = "reference-limited"
CORRECT: Final = {CLEAN: "the reference as it is", LIMITED: "the reference with its rate limit"}
"""The reference without any fault, tried among the variants."""
NOTHING_EXPLAINED: Final[Mapping[str, str]] = MappingProxyType({})
_AT_ONCE: Final = "all of these at once"

TRIAL_LIMIT_S: Final = 600.0


def status_of(trial: Trial, laws: Sequence[str]) -> FaultStatus:
    """Return the status of a fault that `laws` must detect, after a trial."""
    if trial.timed_out:
        return FaultStatus.TIMEOUT
    if trial.error or not trial.results:
        return FaultStatus.VOID
    failed = {result.law for result in trial.results if result.verdict is Verdict.FAIL}
    if failed & set(laws):
        return FaultStatus.KILLED
    return FaultStatus.KILLED_OTHER if failed else FaultStatus.SURVIVED


def alarms(trial: Trial) -> list[str]:
    """Return what a trial of something correct raised: failures, or why it could not be run."""
    if trial.timed_out:
        return ["the trial took too long"]
    if trial.error or not trial.results:
        why = trial.error.strip().splitlines()[-1:] or ["no check reported"]
        return [f"the trial could not be run: {why[0]}"]
    convicting = (Verdict.FAIL, Verdict.NOT_TESTABLE)
    return [result.check for result in trial.results if result.verdict in convicting]


def exit_status_of_proof(matrix: KillMatrix) -> int:
    """Return 0 if all were killed by their law, 1 if not, 2 if a fault proves nothing.

    A generated mutant that survives does not count: their share is a measurement. One that is
    detected though `explained.toml` says that no check can is a mistake of that table, and gives 1.
    """
    survived = matrix.ids(FaultStatus.SURVIVED, FaultStatus.KILLED_OTHER)
    if matrix.false_alarms or survived or wrongly_explained(matrix):
        return EXIT_STATUS[ExitStatus.VIOLATES]
    unproven = (FaultStatus.VOID, FaultStatus.TIMEOUT)
    if matrix.ids(*unproven) or any(row.status in unproven for row in matrix.generated):
        return EXIT_STATUS[ExitStatus.COULD_NOT_TELL]
    return EXIT_STATUS[ExitStatus.CONFORMS]


async def prove(
    mutants: MutantCatalogue,
    expected_kills: Mapping[str, ExpectedKill],
    setups: Mapping[str, VariantSetup],
    *,
    only: frozenset[str] | None,
    seed: int,
    workers: int,
    progress: Callable[[int, int, str], None],
    generated: Sequence[MutantEntry] = (),
    combinations: Sequence[Sequence[str]] = (),
    explained: Mapping[str, str] = NOTHING_EXPLAINED,
    depth: Depth = Depth.STANDARD,
) -> KillMatrix:
    """Try every named fault and variant, or those in `only`, `workers` trials at a time.

    `depth`: that of the trials; a fault is tried at depth `quick` first.

    The reference itself is always tried, and so are all of `generated` and `combinations`; a
    combination of variants twice, with its readings declared and without. `progress` is called
    with (done, all, id). Returns the kill matrix.
    """
    since = time.monotonic()
    faults = [entry for entry in mutants.faults if only is None or entry.id in only]
    variants = [
        *(MutantEntry(id=name, what=what) for name, what in CORRECT.items()),
        *(entry for entry in mutants.variants if only is None or entry.id in only),
    ]
    joined = {
        _combination_id(ids, declared): combined_setup(ids, setups, declared=declared)
        for ids in combinations
        for declared in (True, False)
    }
    correct = [
        *(_plan("--variant", v.id, setups.get(v.id), seed) for v in variants),
        *(
            TrialPlan(id=name, options=setup.options, seed=seed, overrides=setup.overrides)
            for name, setup in joined.items()
        ),
    ]
    plans: list[tuple[TrialPlan, tuple[str, ...] | None]] = [
        *((plan, None) for plan in correct),
        *(
            (_plan("--fault", f.id, expected_kills[f.id], seed), expected_kills[f.id].laws)
            for f in faults
        ),
        *((_plan("--fault", g.id, None, seed), ()) for g in generated),
    ]
    plans = [(msgspec.structs.replace(plan, depth=depth), laws) for plan, laws in plans]
    trials = await _run_trials(plans, workers, progress)
    return KillMatrix(
        faults=tuple(_fault_row(f, expected_kills[f.id].laws, trials[f.id]) for f in faults),
        variants=tuple(
            VariantRow(id=v.id, what=v.what, alarms=tuple(alarms(trials[v.id]))) for v in variants
        ),
        combinations=tuple(
            VariantRow(id=name, what=_AT_ONCE, alarms=tuple(alarms(trials[name])))
            for name in joined
        ),
        generated=tuple(_generated_row(g, trials[g.id], explained) for g in generated),
        generated_in_all=len(mutants.generated),
        laws={result.check: result.law for result in trials[CLEAN].results},
        wall_s=time.monotonic() - since,
        seed=seed,
    )


def _plan(flag: str, name: str, setup: VariantSetup | None, seed: int) -> TrialPlan:
    setup = setup or VariantSetup()
    flags = () if name in CORRECT else (flag, name)
    return TrialPlan(
        id=name, options=(*flags, *setup.options), seed=seed, overrides=setup.overrides
    )


def _fault_row(entry: MutantEntry, laws: tuple[str, ...], trial: Trial) -> FaultRow:
    return FaultRow(
        id=entry.id,
        what=entry.what,
        laws=laws,
        status=status_of(trial, laws),
        verdicts={result.check: result.verdict for result in trial.results},
        note=trial.error,
    )


def _combination_id(ids: Sequence[str], declared: bool) -> str:
    return "+".join(ids) + (", declared" if declared else "")


def _generated_row(entry: MutantEntry, trial: Trial, explained: Mapping[str, str]) -> GeneratedRow:
    failed = [result.law for result in trial.results if result.verdict is Verdict.FAIL]
    status = status_of(trial, failed)
    return GeneratedRow(
        id=entry.id,
        what=entry.what,
        status=status,
        first_law=failed[0] if failed else "",
        explained=explanation(entry.id, explained),
        note=trial.error,
    )


async def prove_accountings(
    register: ProxiedRegister,
    mutants: MutantCatalogue,
    *,
    only: frozenset[str] | None,
    seed: int,
    workers: int,
    progress: Callable[[int, int, str], None],
) -> KillMatrix:
    """Try every faulty and every correct accounting of proxies at level 1, or those in `only`.

    The fleet as it is is always tried. `progress` is called as by `prove`. Returns the kill matrix.
    """
    since = time.monotonic()
    faults = [entry for entry in mutants.faults if only is None or entry.id in only]
    variants = [
        MutantEntry(id=CLEAN, what="the fleet's proxies as they are"),
        *(entry for entry in mutants.variants if only is None or entry.id in only),
    ]
    plans = [(_proxied_plan(register, entry.id, seed), None) for entry in (*variants, *faults)]
    trials = await _run_trials(plans, workers, progress)
    return KillMatrix(
        faults=tuple(_fault_row(f, register.faults[f.id].laws, trials[f.id]) for f in faults),
        variants=tuple(
            VariantRow(id=v.id, what=v.what, alarms=tuple(alarms(trials[v.id]))) for v in variants
        ),
        laws={result.check: result.law for result in trials[CLEAN].results},
        wall_s=time.monotonic() - since,
        subject="the fleet's proxies",
        seed=seed,
    )


def _proxied_plan(register: ProxiedRegister, name: str, seed: int) -> AccountingPlan:
    setup = register.faults.get(name) or register.variants.get(name) or ProxiedSetup()
    plan = AccountingPlan(id=name, options=setup.options, overrides=setup.overrides, seed=seed)
    if not isinstance(setup, ProxiedSetup):
        return plan
    return msgspec.structs.replace(plan, protocols=setup.protocols, delay_s=setup.delay_s)


async def _run_trial(plan: TrialPlan | AccountingPlan, laws: tuple[str, ...] | None) -> Trial:
    """Run a trial: of a fault at depth `quick` first, and whole where that does not detect it.

    `laws`: those that must fail, empty for any; None for what is correct.
    """
    if laws is not None and isinstance(plan, TrialPlan) and plan.depth is not Depth.QUICK:
        trial = await _run_process(msgspec.structs.replace(plan, depth=Depth.QUICK))
        failed = {result.law for result in trial.results if result.verdict is Verdict.FAIL}
        if failed & set(laws or failed):
            return trial
    return await _run_process(plan)


async def _run_trials(
    plans: Sequence[tuple[TrialPlan | AccountingPlan, tuple[str, ...] | None]],
    workers: int,
    progress: Callable[[int, int, str], None],
) -> dict[str, Trial]:
    places = asyncio.Semaphore(workers)
    trials: dict[str, Trial] = {}

    async def one(plan: TrialPlan | AccountingPlan, laws: tuple[str, ...] | None) -> None:
        async with places:
            trials[plan.id] = await _run_trial(plan, laws)
            progress(len(trials), len(plans), plan.id)

    async with asyncio.TaskGroup() as group:
        for plan, laws in plans:
            group.create_task(one(plan, laws))
    return trials


async def _run_process(plan: TrialPlan | AccountingPlan) -> Trial:
    name = "trial" if isinstance(plan, TrialPlan) else "proxied_trial"
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"trueup.scenarios.mutation.{name}",
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
