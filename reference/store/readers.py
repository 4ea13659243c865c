"""The reading threads: reads are taken in turn by customer, and end when their client is gone.

At most CUSTOMER_READS reads of one customer run at a time, so that slow reads of one leave threads
for the others. A read whose future is cancelled is not started or, where it runs, interrupted.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from trueup.reference.errors import StoreProblem

__all__ = ["CUSTOMER_READS", "READERS", "WAITING_LIMIT", "Readers"]

T = TypeVar("T")
READERS: Final = 4
"""Number of reading threads."""
CUSTOMER_READS: Final = 2
"""Most reads of one customer that run at the same time."""
WAITING_LIMIT: Final = 1000
"""Most reads of one customer that wait; further ones are refused."""
_CHECK_EVERY: Final = 20_000
"""Steps of SQLite's virtual machine after which a read that was cancelled ends: about 1 ms."""


class _Read(Future[Any]):
    """The future of one read; cancelling it also ends a read that runs."""

    def __init__(self, job: Callable[[sqlite3.Connection], Any]) -> None:
        super().__init__()
        self.job = job
        self.is_abandoned = False

    def cancel(self) -> bool:
        self.is_abandoned = True
        return super().cancel()

    def ends_early(self) -> bool:
        """Return whether SQLite is to interrupt it."""
        return self.is_abandoned


class Readers:
    """Threads that read, each with a connection of its own made by `connect`."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._changed = threading.Condition()
        self._waiting: dict[int, deque[_Read]] = {}
        """Reads by customer; the customer whose turn is next comes first."""
        self._running: Counter[int] = Counter()
        self._current: set[_Read] = set()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"reader-{number}", daemon=True)
            for number in range(READERS)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Callable[[sqlite3.Connection], T], customer_id: int) -> Future[T]:
        """Queue a read of a customer and return its future.

        The future raises what the job raises, or StoreProblem where the read is not possible, was
        cancelled while it ran, or exceeds WAITING_LIMIT.
        """
        read = _Read(job)
        with self._changed:
            waiting = self._waiting.setdefault(customer_id, deque())
            if self._closed:
                read.set_exception(StoreProblem("the server is shutting down"))
            elif len(waiting) >= WAITING_LIMIT:
                read.set_exception(StoreProblem(f"{WAITING_LIMIT} reads are waiting already"))
            else:
                waiting.append(read)
                self._changed.notify()
        return read

    def load(self) -> tuple[int, int]:
        """Return how many reads run, and how many wait."""
        with self._changed:
            return len(self._current), sum(map(len, self._waiting.values()))

    def close(self) -> None:
        """Interrupt the reads that run, refuse those that wait, and end the threads."""
        with self._changed:
            self._closed = True
            left = [read for waiting in self._waiting.values() for read in waiting]
            self._waiting.clear()
            for read in self._current:
                read.is_abandoned = True
            self._changed.notify_all()
        for read in left:
            if read.set_running_or_notify_cancel():
                read.set_exception(StoreProblem("the server is shutting down"))
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while (taken := self._take()) is not None:
            customer_id, read = taken
            try:
                connection = connection or self._connect()
                connection.set_progress_handler(read.ends_early, _CHECK_EVERY)
                read.set_result(read.job(connection))
            except sqlite3.Error as error:
                read.set_exception(StoreProblem(f"the store could not be read: {error}"))
            except Exception as error:
                read.set_exception(error)
            finally:
                self._finish(customer_id, read)

    def _take(self) -> tuple[int, _Read] | None:
        """Wait for the read whose turn it is and return it; None when there will be no more."""
        with self._changed:
            while True:
                if self._closed:
                    return None
                taken = self._next()
                if taken is None:
                    self._changed.wait()
                elif taken[1].set_running_or_notify_cancel():
                    self._running[taken[0]] += 1
                    self._current.add(taken[1])
                    return taken

    def _next(self) -> tuple[int, _Read] | None:
        """Take the first read of the first customer that may read more; its turn is last then."""
        for customer_id, waiting in self._waiting.items():
            if waiting and self._running[customer_id] < CUSTOMER_READS:
                self._waiting[customer_id] = self._waiting.pop(customer_id)
                return customer_id, waiting.popleft()
        return None

    def _finish(self, customer_id: int, read: _Read) -> None:
        with self._changed:
            self._running[customer_id] -= 1
            self._current.discard(read)
            self._changed.notify()
