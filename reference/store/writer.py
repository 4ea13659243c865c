"""The one writing thread: work that is queued together is committed together.

Each job has its own savepoint: if it fails, it alone is rolled back. Deliveries that follow each
other are one job, and are tried one by one where it fails. A result is delivered after the commit
that contains it, so that a caller with a result knows that it is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, Final, TypeAlias, TypeVar

from trueup.reference.behaviour import Behaviour
from trueup.reference.clock import monotonic_s
from trueup.reference.errors import StoreProblem
from trueup.reference.store.deliveries import ReadDelivery
from trueup.reference.store.record import record_together

__all__ = ["GROUP_LIMIT", "Writer"]

T = TypeVar("T")
GROUP_LIMIT: Final = 256
"""Most pieces of work in one transaction."""
EVENT_LIMIT: Final = 8_192
"""Events after which a transaction takes no further piece of work."""

Job: TypeAlias = Callable[[sqlite3.Connection], Any]
_Outcome: TypeAlias = tuple[Any, Exception | None]
"""What a job returned, or what it raised."""


@dataclass(frozen=True, slots=True)
class _Work:
    job: Job | ReadDelivery
    answer: Future[Any] | asyncio.Future[Any]

    def starts(self) -> bool:
        """Whether it is still wanted; from here on a future of threads cannot be cancelled."""
        if isinstance(self.answer, asyncio.Future):
            return not self.answer.cancelled()
        return self.answer.set_running_or_notify_cancel()

    @property
    def events(self) -> int:
        return len(self.job.events) if isinstance(self.job, ReadDelivery) else 0


class Writer:
    """The writing connection.

    `behaviour.hold_commit_s` delays commits behind results; 0 in a correct server.
    """

    def __init__(self, connection: sqlite3.Connection, behaviour: Behaviour) -> None:
        self._connection = connection
        self._behaviour = behaviour
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._hold_s = behaviour.hold_commit_s
        self._open_since_s: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Queue a job; return a future that is done once it is committed.

        The future raises what the job raised, or StoreProblem where the disk failed.
        """
        answer: Future[T] = Future()
        self.enqueue(job, answer)
        return answer

    def enqueue(self, job: Job | ReadDelivery, answer: Future[Any] | asyncio.Future[Any]) -> None:
        """Queue a job or a delivery, and complete the future given as that of `submit` is."""
        if self._closed:
            answer.set_exception(StoreProblem("the server is shutting down"))
        else:
            self._queue.put(_Work(job, answer))

    def close(self) -> None:
        """Finish what is queued, then close the connection."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            if group:
                self._commit_together(group)

    def _next_group(self) -> list[_Work] | None:
        """The queued jobs; an empty list where only time passed; None at the end."""
        try:
            first = self._queue.get(timeout=self._remaining_s())
        except queue.Empty:
            self._end("COMMIT")
            return []
        group = [] if first is None else [first]
        events = sum(work.events for work in group)
        while len(group) < GROUP_LIMIT and events < EVENT_LIMIT and not self._queue.empty():
            work = self._queue.get()
            if work is None:
                self._queue.put(None)
                break
            group.append(work)
            events += work.events
        if first is None and not group:
            self._end("ROLLBACK")
            return None
        if first is None:
            self._queue.put(None)
        return group

    def _remaining_s(self) -> float | None:
        if self._open_since_s is None:
            return None
        return max(0.0, self._open_since_s + self._hold_s - monotonic_s())

    def _commit_together(self, waiting: list[_Work]) -> None:
        group = [work for work in waiting if work.starts()]
        try:
            self._begin()
            outcomes = list(self._outcomes(group))
            if not self._hold_s:
                self._end("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            outcomes = [(None, _store_problem(error))] * len(group)
        _settle(group, outcomes)

    def _outcomes(self, group: Sequence[_Work]) -> Iterator[_Outcome]:
        """Run a group in order; yield an outcome for each piece of work."""
        for together, run in groupby(group, lambda work: isinstance(work.job, ReadDelivery)):
            jobs = [work.job for work in run]
            deliveries = [job for job in jobs if isinstance(job, ReadDelivery)]
            if together:
                yield from self._deliveries(deliveries)
            else:
                yield from (self._attempt(job) for job in jobs if callable(job))

    def _deliveries(self, deliveries: Sequence[ReadDelivery]) -> Iterator[_Outcome]:
        results, failure = self._attempt(self._recording(deliveries))
        if failure is None:
            yield from ((result, None) for result in results)
        elif len(deliveries) == 1:
            yield None, failure
        else:
            for delivery in deliveries:
                yield from self._deliveries([delivery])

    def _recording(self, deliveries: Sequence[ReadDelivery]) -> Job:
        return partial(record_together, deliveries=deliveries, behaviour=self._behaviour)

    def _attempt(self, job: Job) -> _Outcome:
        self._connection.execute("SAVEPOINT work")
        try:
            value = job(self._connection)
        except sqlite3.Error as error:
            if not self._connection.in_transaction:
                raise
            self._back_out()
            return None, _store_problem(error)
        except Exception as error:
            self._back_out()
            return None, error
        self._connection.execute("RELEASE work")
        return value, None

    def _back_out(self) -> None:
        self._connection.execute("ROLLBACK TO work")
        self._connection.execute("RELEASE work")

    def _begin(self) -> None:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")
            self._open_since_s = monotonic_s() if self._hold_s else None

    def _end(self, how: str) -> None:
        if self._connection.in_transaction:
            self._connection.execute(how)
        self._open_since_s = None

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._open_since_s = None


def _settle(group: Sequence[_Work], outcomes: Sequence[_Outcome]) -> None:
    """Complete every future with its outcome; an event loop is woken once for all of its own."""
    for_loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], _Outcome]]] = {}
    for work, outcome in zip(group, outcomes, strict=True):
        if isinstance(work.answer, asyncio.Future):
            for_loops.setdefault(work.answer.get_loop(), []).append((work.answer, outcome))
        else:
            _give(work.answer, outcome)
    for loop, answers in for_loops.items():
        # Nothing waits in a loop that was closed.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_give_all, answers)


def _give_all(answers: Sequence[tuple[asyncio.Future[Any], _Outcome]]) -> None:
    for answer, outcome in answers:
        if not answer.done():
            _give(answer, outcome)


def _give(answer: Future[Any] | asyncio.Future[Any], outcome: _Outcome) -> None:
    value, failure = outcome
    if failure is None:
        answer.set_result(value)
    else:
        answer.set_exception(failure)


def _store_problem(error: sqlite3.Error) -> StoreProblem:
    return StoreProblem(f"the store could not write: {error}")
