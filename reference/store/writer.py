"""The one writing thread: work that is queued together is committed together.

Each job has its own savepoint: if it fails, it alone is rolled back. Its result is delivered after
the commit that contains it, so that a caller with a result knows that it is durable.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from trueup.reference.clock import monotonic_s
from trueup.reference.errors import StoreProblem

__all__ = ["GROUP_LIMIT", "Writer"]

T = TypeVar("T")
GROUP_LIMIT: Final = 64
"""Most pieces of work in one transaction."""


@dataclass(frozen=True, slots=True)
class _Work:
    job: Callable[[sqlite3.Connection], Any]
    answer: Future[Any]


class Writer:
    """The writing connection. `hold_s` delays commits behind results; 0 in a correct server."""

    def __init__(self, connection: sqlite3.Connection, *, hold_s: float = 0.0) -> None:
        self._connection = connection
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._hold_s = hold_s
        self._open_since_s: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Queue a job; return a future that is done once it is committed.

        The future raises what the job raised, or StoreProblem where the disk failed.
        """
        answer: Future[T] = Future()
        if self._closed:
            answer.set_exception(StoreProblem("the server is shutting down"))
        else:
            self._queue.put(_Work(job, answer))
        return answer

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
        while len(group) < GROUP_LIMIT and not self._queue.empty():
            work = self._queue.get()
            if work is None:
                self._queue.put(None)
                break
            group.append(work)
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
        # From here on a result can no longer be cancelled, so that it can be delivered.
        group = [work for work in waiting if work.answer.set_running_or_notify_cancel()]
        try:
            self._begin()
            settled = [(work, *self._attempt(work)) for work in group]
            if not self._hold_s:
                self._end("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            for work in group:
                work.answer.set_exception(_store_problem(error))
            return
        for work, value, failure in settled:
            if failure is None:
                work.answer.set_result(value)
            else:
                work.answer.set_exception(failure)

    def _attempt(self, work: _Work) -> tuple[Any, BaseException | None]:
        self._connection.execute("SAVEPOINT work")
        try:
            value = work.job(self._connection)
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


def _store_problem(error: sqlite3.Error) -> StoreProblem:
    return StoreProblem(f"the store could not write: {error}")
