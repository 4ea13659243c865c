"""The store as other modules use it: deliver events, submit a write, run a read, close.

Reads run in threads of their own (`trueup.reference.store.readers`), so that the event loop never
waits for the disk. A view that is declared to lag (`Behaviour.lag_s`, 0 in a correct server) is
read from a snapshot that is renewed when it is older than that.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from trueup.reference.behaviour import Behaviour, Start
from trueup.reference.clock import ServerClock, monotonic_s
from trueup.reference.errors import StartProblem
from trueup.reference.ids import new_key
from trueup.reference.store.deliveries import ReadDelivery, read_delivery
from trueup.reference.store.folder import StoreDirectory
from trueup.reference.store.readers import Readers
from trueup.reference.store.record import IngestResult
from trueup.reference.store.schema import DATABASE, check, connect, create_file, prepare
from trueup.reference.store.tenants import TenantAccount, ensure_tenants, get_meta, set_meta
from trueup.reference.store.writer import Writer

__all__ = ["Store"]

T = TypeVar("T")
INLINE_LIMIT: Final = 1 << 20
"""Bytes up to which a delivery is read by the event loop itself; a larger one by a thread."""
INLINE_LINES: Final = 2_000
"""Lines up to which that is so: short ones that are no events take longest by the byte."""


class Store:
    """Open from `data`, or from a temporary directory that `close` removes.

    Raises StartProblem where the directory or the database cannot be used.
    """

    def __init__(self, data: Path | None, *, tenants: int, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._folder = StoreDirectory(data)
        self._path = self._folder.path / DATABASE
        self._connections: list[sqlite3.Connection] = []
        self._lagging: dict[float, _Snapshot] = {}
        self._lock = threading.Lock()
        writing: sqlite3.Connection | None = None
        try:
            create_file(self._path)
            writing = connect(self._path, writer=True, durable=data is not None)
            check(writing, self._path)
            prepare(writing, self._path, unique_log_ids=behaviour.unique_log_ids)
            self._begin(writing, tenants)
        except (OSError, ValueError, sqlite3.Error, StartProblem) as error:
            if writing is not None:
                writing.close()
            self._folder.release()
            if isinstance(error, StartProblem):
                raise
            raise StartProblem(
                f"{self._path}: cannot use this as the store: {error}. Give --data a directory "
                f"that can be written and that holds no damaged {DATABASE}.",
                status=3,
            ) from None
        self._writer = Writer(writing, behaviour)
        self._customers = frozenset(tenant.customer_id for tenant in self.tenants)
        self._readers = Readers(self._connect)
        # Several at a time would share one interpreter lock, and leave the event loop little of it.
        self._reading_delivery = asyncio.Semaphore(1)

    def _begin(self, writing: sqlite3.Connection, tenants: int) -> None:
        """Continue with the state of the last process, or create it."""
        writing.execute("BEGIN IMMEDIATE")
        self.clock = ServerClock(int(get_meta(writing, "clock_offset_us") or 0))
        earlier_key = get_meta(writing, "control_key")
        self.control_key = earlier_key or new_key("ck")
        set_meta(writing, "control_key", self.control_key)
        self.tenants: list[TenantAccount] = ensure_tenants(writing, tenants, self.clock.now_us())
        self._behaviour.on_start(
            writing,
            Start(
                restarted=earlier_key is not None,
                customers=tuple(tenant.customer_id for tenant in self.tenants),
            ),
        )
        writing.execute("COMMIT")

    def write(self, job: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run a job in the next transaction; return a future that is done once it is committed."""
        return self._writer.submit(job)

    def deliver(self, body: bytes) -> Future[IngestResult]:
        """Write the events of an NDJSON body in the next transaction.

        Returns a future that is done once they are committed.
        """
        answer: Future[IngestResult] = Future()
        self._writer.enqueue(self._read_delivery(body), answer)
        return answer

    async def delivered(self, body: bytes) -> IngestResult:
        """Write the events of an NDJSON body; return the result once they are committed.

        Raises StoreProblem where they could not be written.
        """
        if len(body) > INLINE_LIMIT or body.count(b"\n") > INLINE_LINES:
            async with self._reading_delivery:
                delivery = await asyncio.to_thread(self._read_delivery, body)
        else:
            delivery = self._read_delivery(body)
        answer: asyncio.Future[IngestResult] = asyncio.get_running_loop().create_future()
        self._writer.enqueue(delivery, answer)
        return await answer

    def _read_delivery(self, body: bytes) -> ReadDelivery:
        return read_delivery(
            body,
            behaviour=self._behaviour,
            now_us=self.clock.now_us(),
            customers=self._customers,
        )

    def read(
        self, job: Callable[[sqlite3.Connection], T], *, view: str, customer_id: int
    ) -> Future[T]:
        """Run a job on a consistent state of the store; return its future.

        `customer_id`: for whom; customers take turns. Cancelling the future interrupts the read.
        StoreProblem is raised in the future.
        """
        return self._readers.submit(partial(self._read, job, view), customer_id)

    def reads(self) -> tuple[int, int]:
        """Return how many reads run, and how many wait."""
        return self._readers.load()

    def catch_up(self) -> None:
        """Let every view that lags continue from the present, as after a move of the clock."""
        with self._lock:
            for snapshot in self._lagging.values():
                snapshot.expire()

    def close(self) -> None:
        """Interrupt reads, commit what is queued, then close every connection."""
        self._readers.close()
        self._writer.close()
        for connection in self._connections:
            connection.close()
        self._folder.release()

    def abandon(self) -> None:
        """Give the directory up at once, as the process is about to end; nothing is waited for."""
        with suppress(OSError):
            self._folder.release()

    def _read(
        self, job: Callable[[sqlite3.Connection], T], view: str, connection: sqlite3.Connection
    ) -> T:
        lag_s = self._behaviour.lag_s(view)
        if lag_s > 0:
            with self._lock:
                return job(self._snapshot(lag_s).connection)
        connection.execute("BEGIN")
        try:
            return job(connection)
        finally:
            connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self._path)
        self._connections.append(connection)
        return connection

    def _snapshot(self, lag_s: float) -> _Snapshot:
        snapshot = self._lagging.get(lag_s)
        if snapshot is None:
            snapshot = self._lagging[lag_s] = _Snapshot(self._connect())
        snapshot.renew_after(lag_s)
        return snapshot


class _Snapshot:
    """A read transaction that is kept open, and so keeps showing the same state."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._since_s: float | None = None

    def expire(self) -> None:
        self._since_s = None

    def renew_after(self, lag_s: float) -> None:
        now_s = monotonic_s()
        if self._since_s is not None and now_s - self._since_s < lag_s:
            return
        if self.connection.in_transaction:
            self.connection.execute("COMMIT")
        self.connection.execute("BEGIN")
        self.connection.execute("SELECT COUNT(*) FROM meta").fetchone()
        self._since_s = now_s
