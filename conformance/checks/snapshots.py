"""Fences: account-wide figures, read so that foreign traffic cannot spoil them.

A pool's ledger and account figures are read before and after the summaries that they are compared
with. Where nothing moved in between, the fence is *quiet* and its figures belong together;
otherwise it is read again, a few times. Figures only ever grow while others use the tenant, so
the two readings enclose what stood at any moment between them, and laws hold for intervals too.
What ran before the run is taken off by the fence at stage `open`.

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
from trueup.conformance.model import Scene
from trueup.conformance.observed.cells import by_day, cells_of_summaries
from trueup.conformance.observed.observations import Facts
from trueup.conformance.requests import Ask
from trueup.conformance.rows import Row, day_of, dotted, text, whole
from trueup.reports.results import Counts, Json

__all__ = [
    "DAYS",
    "FENCED_STAGES",
    "covered",
    "customer",
    "entries",
    "fence",
    "ledger_total",
    "money_rows",
    "quiet",
    "summary_days",
    "usage_days",
]

FENCED_STAGES: Final = ("open", "now", "money", "past-7", "past-90")
DAYS: Final = 8
"""Days before the run's own that a fence covers; events are never older than 7 days."""


def _summaries(scene: Scene, pool: str, *, dates: bool) -> Ask:
    last = scene.now + timedelta(days=1)
    return requests.pool_summaries(pool, scene.now - timedelta(days=DAYS), last, dates=dates)


def covered(scene: Scene, day: str) -> bool:
    """Whether a fence's summaries cover a day, `YYYY-MM-DD`."""
    first, last = scene.now - timedelta(days=DAYS), scene.now + timedelta(days=1)
    return f"{first:%Y-%m-%d}" <= day <= f"{last:%Y-%m-%d}"


def fence(facts: Facts, pool: str) -> Sequence[Ask]:
    """The questions of one fence, in the order in which they must be asked."""
    scene = facts.scene
    claimed = "customer" in scene.claims
    record, record_after = ([customer(pool, n)] if claimed else [] for n in (1, 2))
    dates = facts.reading("summary-period-form") == "date"
    return (
        requests.account(pool, 1),
        *record,
        requests.ledger(pool, 1),
        _summaries(scene, pool, dates=dates),
        requests.ledger(pool, 2),
        requests.account(pool, 2),
        *record_after,
    )


def customer(pool: str, again: int) -> Ask:
    """The customer record as asked within a pool's fence."""
    return requests.customer(again + 10 * requests.POOLS.index(pool))


def quiet(facts: Facts, stage: str, pool: str) -> bool:
    """Whether nothing moved while the fence was read."""
    one, two = (facts.walk(stage, requests.ledger(pool, again)) for again in (1, 2))
    same_ledger = one is not None and two is not None and one.rows == two.rows
    return same_ledger and _body(facts, stage, requests.account(pool, 1)) == _body(
        facts, stage, requests.account(pool, 2)
    )


def _body(facts: Facts, stage: str, ask: Ask) -> Json:
    exchange = facts.answer(stage, ask)
    return None if exchange is None else dotted(exchange.body, "data")


def entries(facts: Facts, stage: str, pool: str, again: int = 2) -> tuple[Row, ...]:
    """All ledger entries of a pool, as read first (1) or last (2) in the stage's fence."""
    return _rows(facts, stage, pool, requests.ledger(pool, again), f"{pool}_ledger_id")


def _rows(facts: Facts, stage: str, pool: str, ask: Ask, key: str) -> tuple[Row, ...]:
    """The rows of a walk of a fence, and each but once, as seen last, where rows came in meanwhile.

    A walk that nothing moved keeps what it gave twice: that is the target's doing.
    """
    walk = facts.walk(stage, ask)
    if walk is None:
        return ()
    totals = {str(dotted(exchange.body, "total_count")) for exchange in walk.exchanges}
    if len(totals) == 1 and quiet(facts, stage, pool):
        return walk.rows
    return tuple({text(row, key) or f"no id {n}": row for n, row in enumerate(walk.rows)}.values())


def is_usage(row: Row, pool: str) -> bool:
    return text(row, f"{pool}_ledger_reason") == "usage"


def usage_days(facts: Facts, stage: str, pool: str, again: int = 2) -> Mapping[str, int]:
    """Bytes used by UTC day, as magnitudes, whatever sign the ledger writes them with."""
    days: dict[str, int] = {}
    for row in entries(facts, stage, pool, again):
        if is_usage(row, pool):
            day = day_of(row.get(f"{pool}_ledger_period_date")) or "no day"
            days[day] = days.get(day, 0) + abs(whole(row, f"{pool}_ledger_bytes") or 0)
    return days


def summary_days(facts: Facts, stage: str, pool: str) -> Mapping[str, Counts]:
    """Requests and bytes of all of a network's summaries by UTC day, within the fence."""
    dates = facts.reading("summary-period-form") == "date"
    ask = _summaries(facts.scene, pool, dates=dates)
    cells = cells_of_summaries(_rows(facts, stage, pool, ask, "log_summary_id"))
    return by_day({cell: counts for cell, counts in cells.items() if cell.network == pool})


def money_rows(facts: Facts, stage: str, pool: str, again: int = 2) -> Mapping[str, int]:
    """Entries that are no usage: ledger id to bytes as written."""
    return {
        text(row, f"{pool}_ledger_id") or f"no id {n}": whole(row, f"{pool}_ledger_bytes") or 0
        for n, row in enumerate(entries(facts, stage, pool, again))
        if not is_usage(row, pool)
    }


def ledger_total(facts: Facts, stage: str, pool: str, again: int = 2) -> int:
    """What the ledger adds up to: entries of money as written, less all usage."""
    used = sum(usage_days(facts, stage, pool, again).values())
    return sum(money_rows(facts, stage, pool, again).values()) - used
