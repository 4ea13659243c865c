"""Faults in adding up: B, and C, the day that an event belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trueup.reference.behaviour import Amounts, PoolDay, Row, SummaryCell
from trueup.reference.clock import monotonic_s
from trueup.reference.events import FUTURE_LIMIT_US, Log, admit, fold_hostname
from trueup.reference.mutants.ingestion_faults import altered
from trueup.reference.mutants.mutant import Mutant, fresh, swap
from trueup.reference.networks import POOLS
from trueup.reference.times import DAY_US, HOUR_US, SECOND_US, day_of

__all__ = ["FAULTS"]

_RACE_S: Final = 0.03
_SECOND: Final = " (2)"


def _cell(log: Log, **fields: Any) -> SummaryCell:
    cell = SummaryCell(
        log.customer_id, log.proxy_user_id, log.log_network, log.log_hostname, day_of(log.at_us)
    )
    return cell._replace(**fields)


def _hostname(change: Callable[[str], str]) -> Callable[[Log, int], SummaryCell]:
    return lambda log, _now_us: _cell(log, hostname=change(log.log_hostname))


def _day(choose: Callable[[int, int], int]) -> dict[str, Any]:
    """Summaries and ledgers that put an event of (its instant, now) into a day of their own."""

    def cell(log: Log, now_us: int) -> SummaryCell:
        return _cell(log, day=choose(log.at_us, now_us))

    def pool_day(log: Log, now_us: int) -> PoolDay | None:
        if log.log_network not in POOLS:
            return None
        return PoolDay(log.customer_id, log.log_network, choose(log.at_us, now_us))

    return {"cell": cell, "pool_day": pool_day}


def _races() -> dict[str, Any]:
    """Increments of a cell that was written a moment before are lost, as in read-modify-write."""
    written_s: dict[SummaryCell, float] = {}

    def settle(cells: dict[SummaryCell, Amounts]) -> dict[SummaryCell, Amounts]:
        now_s = monotonic_s()
        kept = {
            cell: amounts
            for cell, amounts in cells.items()
            if now_s - written_s.get(cell, -_RACE_S) >= _RACE_S
        }
        written_s.update(dict.fromkeys(kept, now_s))
        return kept

    return {"settle": settle}


def _one_network() -> dict[str, Any]:
    first: dict[tuple[int, str, str, int], str] = {}

    def cell(log: Log, _now_us: int) -> SummaryCell:
        right = _cell(log)
        key = (right.customer_id, right.proxy_user_id, right.hostname, right.day)
        return right._replace(network=first.setdefault(key, right.network))

    return {"cell": cell}


def _second_row() -> dict[str, Any]:
    """The first event of a summary opens its row; all that follow share a row of their own."""
    opened: dict[SummaryCell, str] = {}

    def cell(log: Log, _now_us: int) -> SummaryCell:
        right = _cell(log)
        if opened.setdefault(right, log.log_id) == log.log_id:
            return right
        return right._replace(hostname=right.hostname + _SECOND)

    def present(_resource: str, _action: str, row: Row) -> Row:
        name = row.get("log_summary_hostname")
        if not isinstance(name, str):
            return row
        return row | {"log_summary_hostname": name.removesuffix(_SECOND)}

    return {"cell": cell, "present": present}


def _quiet_end(logs: list[Log]) -> list[Log]:
    return [log for log in logs if log.at_us % DAY_US < DAY_US - 10 * SECOND_US]


def _folded(logs: list[Log]) -> list[Log]:
    return [altered(log, log_hostname=fold_hostname(log.log_hostname)) for log in logs]


def _future(at_us: int, now_us: int) -> int:
    return day_of(now_us if at_us > now_us + FUTURE_LIMIT_US else at_us)


FAULTS: Final[tuple[Mutant, ...]] = (
    fresh(
        "B1",
        "Of concurrent increments of one summary row all but the first are lost.",
        _races,
    ),
    swap(
        "B2",
        "A second delivery for a summary row replaces its counters instead of adding.",
        summaries_add=False,
    ),
    fresh(
        "B3",
        "The network is missing from the summaries' key: the first one seen takes all.",
        _one_network,
    ),
    swap(
        "B4",
        "The summaries keep a hostname's letter case while the logs fold it.",
        fold_hostname=lambda hostname: hostname,
        stored=_folded,
    ),
    swap(
        "B5",
        "The summaries cut a hostname to its last two labels.",
        cell=_hostname(lambda hostname: ".".join(hostname.split(".")[-2:])),
    ),
    swap(
        "B6",
        "The summaries count no errors, so successes and errors do not add up to requests.",
        amounts=lambda log: Amounts(1, log.log_total_bytes, log.successful, 0),
    ),
    swap(
        "B7",
        "The summaries leave out the bytes of failed requests, though they are charged.",
        amounts=lambda log: Amounts(
            1, log.log_total_bytes * log.successful, log.successful, not log.successful
        ),
    ),
    swap(
        "B8",
        "What happens in the last ten seconds of a day never reaches summary and ledger.",
        counted=_quiet_end,
        charged=_quiet_end,
    ),
    swap(
        "C1",
        "Days are those of a server five hours behind UTC.",
        **_day(lambda at_us, _now_us: day_of(at_us - 5 * HOUR_US)),
    ),
    swap(
        "C2",
        "An event is counted on the day of its arrival.",
        **_day(lambda _at_us, now_us: day_of(now_us)),
    ),
    swap(
        "C3",
        "Midnight belongs to the day before.",
        **_day(lambda at_us, _now_us: day_of(at_us - 1)),
    ),
    swap(
        "C5",
        "An event from the future is accepted and counted today.",
        admit=lambda at_us, now_us: None if at_us > now_us else admit(at_us, now_us),
        **_day(_future),
    ),
    swap(
        "N7",
        "The summaries cut a hostname after 63 characters.",
        cell=_hostname(lambda hostname: hostname[:63]),
    ),
    swap(
        "N8",
        "The summaries show non-ASCII characters of a hostname as question marks.",
        cell=_hostname(lambda hostname: hostname.encode("ascii", "replace").decode()),
    ),
    swap(
        "N9",
        "The first hour of a day counts for the day before in the ledgers alone.",
        pool_day=_day(lambda at_us, _now_us: day_of(at_us - HOUR_US))["pool_day"],
    ),
    fresh(
        "N37",
        "A summary that was opened by one event gets a second row for all events that follow.",
        _second_row,
    ),
)
