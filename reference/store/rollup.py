"""Add events up: increments of summary rows and of the ledgers' usage rows. Pure.

The correct decisions are added up in one loop. Where a mutant has replaced one of them, each event
is asked about by the functions of the behaviour, with the same result for the correct ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from trueup.reference.behaviour import Amounts, Behaviour, PoolDay, SummaryCell
from trueup.reference.events import Log
from trueup.reference.networks import POOLS
from trueup.reference.times import DAY_US, from_datetime

__all__ = ["Cells", "PoolDays", "add_up"]

Cells: TypeAlias = dict[SummaryCell, Amounts]
PoolDays: TypeAlias = dict[PoolDay, tuple[int, int]]
"""Row of a ledger → requests and bytes to be added."""

_CORRECT: Final = Behaviour()
_DECISIONS: Final = ("cell", "amounts", "pool_day", "charged_bytes")


def add_up(
    counted: Sequence[Log], charged: Sequence[Log], behaviour: Behaviour, now_us: int
) -> tuple[Cells, PoolDays]:
    """Return what `counted` adds to the summaries, and `charged` to the ledgers."""
    correct = all(getattr(behaviour, name) is getattr(_CORRECT, name) for name in _DECISIONS)
    if correct and counted == charged:
        cells = _cells(counted)
        return cells, _pool_days(cells)
    return _decided_cells(counted, behaviour, now_us), _decided_days(charged, behaviour, now_us)


def _cells(logs: Iterable[Log]) -> Cells:
    sums: dict[tuple[int, str, str, str, int], list[int]] = {}
    for log in logs:
        key = (
            log.customer_id,
            log.proxy_user_id,
            log.log_network,
            log.log_hostname,
            from_datetime(log.log_request_datetime) // DAY_US,
        )
        successful = int(log.log_error_code is None and (log.log_status_code or 0) < 400)
        seen = sums.get(key)
        if seen is None:
            sums[key] = [1, log.log_total_bytes, successful]
        else:
            seen[0] += 1
            seen[1] += log.log_total_bytes
            seen[2] += successful
    return {
        SummaryCell._make(key): Amounts(requests, amount, successful, requests - successful)
        for key, (requests, amount, successful) in sums.items()
    }


def _pool_days(cells: Cells) -> PoolDays:
    days: PoolDays = {}
    for (customer_id, _, network, _, day), amounts in cells.items():
        if network in POOLS:
            key = PoolDay(customer_id, network, day)
            requests, amount = days.get(key, (0, 0))
            days[key] = (requests + amounts.requests, amount + amounts.bytes)
    return days


def _decided_cells(logs: Iterable[Log], behaviour: Behaviour, now_us: int) -> Cells:
    cells: Cells = {}
    for log in logs:
        cell, (requests, count, successful, error) = (
            behaviour.cell(log, now_us),
            behaviour.amounts(log),
        )
        seen = cells.get(cell)
        cells[cell] = (
            Amounts(requests, count, successful, error)
            if seen is None
            else Amounts(seen[0] + requests, seen[1] + count, seen[2] + successful, seen[3] + error)
        )
    return cells


def _decided_days(logs: Iterable[Log], behaviour: Behaviour, now_us: int) -> PoolDays:
    days: PoolDays = {}
    for log in logs:
        pool_day = behaviour.pool_day(log, now_us)
        if pool_day is not None:
            requests, count = days.get(pool_day, (0, 0))
            days[pool_day] = (requests + 1, count + behaviour.charged_bytes(log))
    return days
