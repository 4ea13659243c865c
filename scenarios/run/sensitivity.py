"""Measure the sensitivity of a finished run: judge mutants of its responses, several at a time."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from trueup.conformance.judge import BY_NAME
from trueup.conformance.sensitivity.blind_spots import load_unjudgeable
from trueup.conformance.sensitivity.losses import (
    FalseFailure,
    LostResponse,
    false_failures,
    lost_responses,
)
from trueup.conformance.sensitivity.measure import (
    Effect,
    Judged,
    Rejudge,
    judge_mutant,
    rejudge_records,
    summarize,
)
from trueup.conformance.sensitivity.mutants import ResponseMutant, enumerate_mutants, select
from trueup.conformance.sensitivity.recording import Recording
from trueup.reports.journal.records import Record
from trueup.reports.journal.storage import Journal
from trueup.reports.metrics.sensitivity import SENSITIVITY_NAME, Sensitivity, sensitivity_json
from trueup.reports.renderers.writer import write_text
from trueup.reports.results import CheckResult
from trueup.scenarios.errors import UsageProblem

__all__ = ["find_false_failures", "measure_sensitivity", "write_sensitivity"]

Progress: TypeAlias = Callable[[int, int], None]

_T = TypeVar("_T")
_R = TypeVar("_R")
_ALONE_MOST: Final = 60
"""Mutants up to which starting processes would take longer than judging."""
_CHUNK: Final = 20


def measure_sensitivity(
    journal: Journal,
    *,
    limit: int | None,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Sensitivity:
    """Judge at most `limit` mutants (None: all) of a run's responses; return the result.

    `workers` is the number of processes, those of the machine if None. `progress` is called
    with (done, all). Raises UsageProblem where the run's checks recorded nothing.
    """
    judge = _judge_of(journal)
    every = enumerate_mutants(judge.recording, seed=seed)
    mutants = select(every, limit, seed=seed)
    judged: list[Judged] = []
    for some in _mapped(judge, _judge_mutants, mutants, workers):
        judged += some
        progress(len(judged), len(mutants))
    return summarize(
        mutants,
        judged,
        run=journal.header.run,
        seed=seed,
        enumerated=len(every),
        unjudgeable=load_unjudgeable(),
    )


def find_false_failures(
    journal: Journal,
    *,
    limit: int | None,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = lambda _done, _all: None,
) -> tuple[int, tuple[FalseFailure, ...]]:
    """Replace single responses of a run by unusable ones, at most `limit` times (None: all).

    Returns how many were replaced, and every check that failed though it does not in the run.
    Raises UsageProblem where the run's checks recorded nothing.
    """
    judge = _judge_of(journal)
    losses = lost_responses(judge.recording, limit=limit, seed=seed)
    found: list[FalseFailure] = []
    done = 0
    for some in _mapped(judge, _judge_losses, losses, workers):
        found += some
        done = min(done + _CHUNK, len(losses))
        progress(done, len(losses))
    return len(losses), tuple(found)


def write_sensitivity(found: Sensitivity, folder: Path) -> None:
    """Write what was measured into the folder of its run."""
    write_text(folder / SENSITIVITY_NAME, sensitivity_json(found))


class _Judge:
    """A run's records, and the verdicts that they give: evaluated by the process that needs them.

    Where workers judge, the process that starts them needs the index of the responses only.
    """

    def __init__(self, recording: Recording, names: Sequence[str]) -> None:
        self.recording, self.names = recording, tuple(names)

    @cached_property
    def rejudge(self) -> Rejudge:
        return rejudge_records(self.recording.records, [BY_NAME[name] for name in self.names])

    @cached_property
    def baseline(self) -> Sequence[CheckResult]:
        return self.rejudge({})


def _judge_of(journal: Journal) -> _Judge:
    recording = Recording(journal.records)
    names = tuple(name for name in journal.header.checks if name in BY_NAME)
    if recording.plan is None or not names:
        raise UsageProblem(
            f"{journal.path}: this run holds no checks whose responses could be changed. "
            "Make one with `trueup check` or `trueup run`."
        )
    return _Judge(recording, names)


def _judge_mutants(judge: _Judge, mutants: Sequence[ResponseMutant]) -> list[Judged]:
    return [_judge_one(judge, mutant) for mutant in mutants]


def _judge_one(judge: _Judge, mutant: ResponseMutant) -> Judged:
    effect, worse, error = judge_mutant(
        judge.rejudge, judge.baseline, mutant.exchanges(judge.recording)
    )
    return Judged(
        id=mutant.id,
        effect=effect,
        sentence="" if effect is Effect.NOTICED else mutant.sentence(judge.recording),
        check=worse.check if worse else "",
        law=worse.law if worse else "",
        error=error,
    )


def _judge_losses(judge: _Judge, losses: Sequence[LostResponse]) -> list[FalseFailure]:
    return list(false_failures(judge.rejudge, judge.baseline, judge.recording, losses))


_WORKER_JUDGE: list[_Judge] = []
"""In a worker process: its judge. Empty in any other."""


def _start_worker(records: tuple[Record, ...], names: tuple[str, ...]) -> None:
    _WORKER_JUDGE[:] = [_Judge(Recording(records), names)]


def _in_worker(work: Callable[[_Judge, Sequence[_T]], list[_R]], jobs: Sequence[_T]) -> list[_R]:
    (judge,) = _WORKER_JUDGE
    return work(judge, jobs)


def _mapped(
    judge: _Judge,
    work: Callable[[_Judge, Sequence[_T]], list[_R]],
    jobs: Sequence[_T],
    workers: int | None,
) -> Iterator[list[_R]]:
    """`work` over the jobs, some at a time, in the order of the jobs."""
    chunks = [jobs[start : start + _CHUNK] for start in range(0, len(jobs), _CHUNK)]
    workers = workers or os.cpu_count() or 1
    if workers == 1 or len(jobs) <= _ALONE_MOST:
        yield from map(partial(work, judge), chunks)
        return
    with ProcessPoolExecutor(
        max_workers=min(workers, len(chunks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(judge.recording.records, judge.names),
    ) as pool:
        yield from pool.map(partial(_in_worker, work), chunks)
