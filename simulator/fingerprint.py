"""A hash of a fleet's events that does not depend on who draws them, and in which order.

Events are drawn in blocks of 8,192; a block's digest is SHA-256 of its compact NDJSON, and the
fingerprint is SHA-256 over the digests in the order of the blocks.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trueup.reports.journal.records import FleetDeclared
    from trueup.simulator.fleet import Fleet

__all__ = ["BLOCK_EVENTS", "blocks", "combine", "digest", "fingerprint"]

BLOCK_EVENTS: Final = 8192


def blocks(events: int) -> list[tuple[int, int]]:
    """Return (first, count) of the blocks of events 0 … events-1."""
    starts = range(0, events, BLOCK_EVENTS)
    return [(start, min(BLOCK_EVENTS, events - start)) for start in starts]


def digest(fleet: Fleet, block: tuple[int, int]) -> bytes:
    """Return the SHA-256 of one block's compact NDJSON."""
    return hashlib.sha256(fleet.batch(*block).ndjson(compact=True)).digest()


def combine(digests: Iterable[bytes]) -> str:
    """Return the fingerprint, in hexadecimal, from the digests of all blocks in their order."""
    return hashlib.sha256(b"".join(digests)).hexdigest()


def fingerprint(
    fleet: Fleet,
    events: int,
    workers: int = 1,
    done: Callable[[int], None] | None = None,
) -> str:
    """Return the fingerprint of events 0 … events-1, drawn by that many processes.

    `done` is called with the number of events drawn since its last call.
    """
    wanted = blocks(events)
    found: list[bytes] = []
    if workers <= 1:
        for block in wanted:
            found.append(digest(fleet, block))
            if done:
                done(block[1])
        return combine(found)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_build_fleet, initargs=(fleet.identity(),)
    ) as pool:
        try:
            with _sigint_ignored():
                drawn = pool.map(_work, wanted, chunksize=4)
            for block, one in zip(wanted, drawn, strict=True):
                found.append(one)
                if done:
                    done(block[1])
        except BaseException:
            # Whatever ends this, Ctrl-C included, must not wait for the other blocks.
            pool.shutdown(cancel_futures=True)
            raise
    return combine(found)


_FLEET: list[Fleet] = []
"""The fleet of a worker process, built there from its identity."""


@contextmanager
def _sigint_ignored() -> Iterator[None]:
    """Start processes that ignore Ctrl-C: the parent alone handles it.

    A child inherits that a signal is ignored. Only the main thread can change it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _build_fleet(declared: FleetDeclared) -> None:
    from trueup.simulator.fleet import Fleet

    _FLEET[:] = [Fleet.from_identity(declared)]


def _work(block: tuple[int, int]) -> bytes:
    return digest(_FLEET[0], block)
