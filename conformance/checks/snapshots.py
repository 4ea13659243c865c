"""Fences: account-wide figures, read so that foreign traffic cannot spoil them.

A pool's ledger and account figures are read before and after the summaries that they are compared
with. Where nothing moved in between, the fence is *quiet* and its figures belong together;
otherwise it is read again, a few times. Figures only ever grow while others use the tenant, so
the two readings enclose what stood at any moment between them, and laws hold for intervals too.
What ran before the run is taken off by the fence at stage `baseline`.

A row that comes in while a walk is under way pushes the rows after it along, and the last of a
page is then given again at the head of the next. In a walk that moved, such a row counts once, as
it was seen last; a row that was not there yet had nothing. So the sum of a moving walk, too, lies
between what stood at its start and what stood at its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.model import CheckContext
from trueup.conformance.observed.cells import by_day, cells_of_summaries
from trueup.conformance.observed.observations import Observations
from trueup.conformance.requests import ApiRequest
from trueup.conformance.rows import Row, as_int, as_str, day_of, get_path
from trueup.reports.results import Counts, Json

__all__ = [
    "DAYS",
    "SNAPSHOT_STAGES",
    "covered",
    "customer",
    "entries",
    "is_stable",
    "ledger_total",
    "money_rows",
    "snapshot_requests",
    "summary_days",
    "usage_days",
]

SNAPSHOT_STAGES: Final = ("baseline", "inject", "money", "past-7", "past-90")
DAYS: Final = 8
"""Days before the run's own that a fence covers; events are never older than 7 days."""


def _summaries(context: CheckContext, pool: str, *, dates: bool) -> ApiRequest:
    last = context.now + timedelta(days=1)
    return requests.pool_summaries(pool, context.now - timedelta(days=DAYS), last, dates=dates)


def covered(context: CheckContext, day: str) -> bool:
    """Whether a fence's summaries cover a day, `YYYY-MM-DD`."""
    first, last = context.now - timedelta(days=DAYS), context.now + timedelta(days=1)
    return f"{first:%Y-%m-%d}" <= day <= f"{last:%Y-%m-%d}"


def snapshot_requests(observations: Observations, pool: str) -> Sequence[ApiRequest]:
    """The questions of one fence, in the order in which they must be asked."""
    context = observations.context
    claimed = "customer" in context.claims
    record, record_after = ([customer(pool, n)] if claimed else [] for n in (1, 2))
    dates = observations.reading("summary-period-form") == "date"
    return (
        requests.account(pool, 1),
        *record,
        requests.ledger(pool, 1),
        _summaries(context, pool, dates=dates),
        requests.ledger(pool, 2),
        requests.account(pool, 2),
        *record_after,
    )


def customer(pool: str, again: int) -> ApiRequest:
    """The customer record as asked within a pool's fence."""
    return requests.customer(again + 10 * requests.POOLS.index(pool))


def is_stable(observations: Observations, stage: str, pool: str) -> bool:
    """Whether nothing moved while the fence was read."""
    one, two = (observations.paged_result(stage, requests.ledger(pool, again)) for again in (1, 2))
    same_ledger = one is not None and two is not None and one.rows == two.rows
    return same_ledger and _body(observations, stage, requests.account(pool, 1)) == _body(
        observations, stage, requests.account(pool, 2)
    )


def _body(observations: Observations, stage: str, ask: ApiRequest) -> Json:
    exchange = observations.answer(stage, ask)
    return None if exchange is None else get_path(exchange.body, "data")


def entries(observations: Observations, stage: str, pool: str, again: int = 2) -> tuple[Row, ...]:
    """All ledger entries of a pool, as read first (1) or last (2) in the stage's fence."""
    return _rows(observations, stage, pool, requests.ledger(pool, again), f"{pool}_ledger_id")


def _rows(
    observations: Observations, stage: str, pool: str, ask: ApiRequest, key: str
) -> tuple[Row, ...]:
    """The rows of a walk of a fence, and each but once, as seen last, where rows came in meanwhile.

    A walk that nothing moved keeps what it gave twice: that is the target's doing.
    """
    walk = observations.paged_result(stage, ask)
    if walk is None:
        return ()
    totals = {str(get_path(exchange.body, "total_count")) for exchange in walk.exchanges}
    if len(totals) == 1 and is_stable(observations, stage, pool):
        return walk.rows
    return tuple(
        {as_str(row, key) or f"no id {n}": row for n, row in enumerate(walk.rows)}.values()
    )


def is_usage(row: Row, pool: str) -> bool:
    return as_str(row, f"{pool}_ledger_reason") == "usage"


def usage_days(
    observations: Observations, stage: str, pool: str, again: int = 2
) -> Mapping[str, int]:
    """Bytes used by UTC day, as magnitudes, whatever sign the ledger writes them with."""
    days: dict[str, int] = {}
    for row in entries(observations, stage, pool, again):
        if is_usage(row, pool):
            day = day_of(row.get(f"{pool}_ledger_period_date")) or "no day"
            days[day] = days.get(day, 0) + abs(as_int(row, f"{pool}_ledger_bytes") or 0)
    return days


def summary_days(observations: Observations, stage: str, pool: str) -> Mapping[str, Counts]:
    """Requests and bytes of all of a network's summaries by UTC day, within the fence."""
    dates = observations.reading("summary-period-form") == "date"
    ask = _summaries(observations.context, pool, dates=dates)
    cells = cells_of_summaries(_rows(observations, stage, pool, ask, "log_summary_id"))
    return by_day({cell: counts for cell, counts in cells.items() if cell.network == pool})


def money_rows(
    observations: Observations, stage: str, pool: str, again: int = 2
) -> Mapping[str, int]:
    """Entries that are no usage: ledger id to bytes as written."""
    return {
        as_str(row, f"{pool}_ledger_id") or f"no id {n}": as_int(row, f"{pool}_ledger_bytes") or 0
        for n, row in enumerate(entries(observations, stage, pool, again))
        if not is_usage(row, pool)
    }


def ledger_total(observations: Observations, stage: str, pool: str, again: int = 2) -> int:
    """What the ledger adds up to: entries of money as written, less all usage."""
    used = sum(usage_days(observations, stage, pool, again).values())
    return sum(money_rows(observations, stage, pool, again).values()) - used
