"""Rows of log summaries: hostname, sums, counters, times, and the check that each concerns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from trueup.conformance.contract.check_names import (
    DAY,
    EQUAL,
    ERROR_COUNTS,
    HOSTS_KEPT,
    OF_HOSTNAMES,
    READINGS_TRUE,
    REMOVED,
    SPELLING,
    SUMMARY_TIMES,
)
from trueup.conformance.contract.findings import (
    Cell,
    JudgedRequest,
    RequestFinding,
)
from trueup.conformance.contract.history import EventDelivery, SentEvent
from trueup.conformance.contract.model import ContractModel, day_start
from trueup.conformance.contract.summary_candidates import SummaryCandidate
from trueup.conformance.contract.sums import CellSum, compare_errors, show
from trueup.conformance.contract.target_time import CLOCK_SLACK
from trueup.conformance.model import POOLS
from trueup.conformance.rows import Row, as_int, as_str, parse_time
from trueup.reports.results import Counts

__all__ = ["PURGE_FROM", "judge_group", "sum_check"]

KEY: Final = "one-summary-per-key"
TOTALS: Final = "consolidation-keeps-totals"
SINGLE: Final = "consolidated-rows-are-single"
PURGE: Final = "summaries-survive-the-purge"
SPLIT: Final = "successes-and-errors-add-up"
CHARGED: Final = "charged-is-metered"
PURGE_FROM: Final = timedelta(days=9)
"""Age of a day from which its summaries say that they outlive the logs."""


def judge_group(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    candidate: SummaryCandidate,
    rows: Sequence[Row],
    where: str,
    *,
    whole: bool,
) -> None:
    """The rows of one cell: usually one; several only where several spellings were sent."""
    cell, total = candidate.cell, candidate.total
    topic = cell.topic(unit.customer)
    names = [as_str(row, "log_summary_hostname") or "" for row in rows]
    single = SINGLE if not cell.hostname else KEY
    finding.observed(single)
    if len(rows) > len(set(names)) or (len(rows) > 1 and len(total.spellings) < len(rows)):
        finding.deviate(single, where, "1 row", f"{len(rows)} rows", topic=topic)
    check = sum_check(model, unit, cell, total)
    requests = [as_int(row, "log_summary_requests") for row in rows]
    sizes = [as_int(row, "log_summary_bytes") for row in rows]
    known = [n for n in requests if n is not None], [n for n in sizes if n is not None]
    finding.observed(check)
    finding.observed(DAY)
    finding.observed(HOSTS_KEPT if cell.hostname else REMOVED)
    if whole and not total.allows(sum(known[0]), sum(known[1])):
        seen = Counts(sum(known[0]), sum(known[1]), 0, 0)
        finding.deviate(
            check,
            where,
            total.text(),
            show(seen),
            events=total.certain,
            topic=topic,
            counts=(total.counts(), seen),
        )
    for row in rows:
        judge_summary_row(model, unit, finding, row, cell, where)
    if whole and not total.possible:
        _judge_split(model, finding, rows, total, where)


def _judge_split(
    model: ContractModel,
    finding: RequestFinding,
    rows: Sequence[Row],
    total: CellSum,
    where: str,
) -> None:
    """Successes and errors of a cell, under every reading of what counts as an error."""
    errors = [as_int(row, "log_summary_error") for row in rows]
    known = [error for error in errors if error is not None]
    if len(known) < len(rows):
        return
    place = f"{where} · log_summary_error"
    compare_errors(finding, ERROR_COUNTS, place, total, sum(known), model.status)


def judge_summary_row(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    row: Row,
    cell: Cell,
    where: str,
) -> None:
    """What one row says beside its sums: whose it is, its counters, its times."""
    finding.compare_owner(where, row, model.customer_number(unit.customer))
    requests = as_int(row, "log_summary_requests")
    good, bad = as_int(row, "log_summary_successful"), as_int(row, "log_summary_error")
    if good is not None and bad is not None and requests is not None:
        check = SPLIT if cell.hostname else TOTALS
        finding.compare_split(check, where, requests, good, bad)
        finding.equal(check, f"{where} · negative counts", 0, min(good, bad, 0), definite=True)
    elif "success-counts" in model.reading.claims and requests:
        counts = "log_summary_successful and log_summary_error, as it claims `success-counts`"
        seen = "neither" if good is None and bad is None else "not both"
        finding.deviate(SPLIT, where, counts, seen, definite=True)
    metered = cell.network in POOLS
    for counter in ("requests", "bytes"):
        name = f"log_summary_charged_{counter}"
        charged = as_int(row, name)
        right = (as_int(row, f"log_summary_{counter}") or 0) if metered else 0
        if charged is not None:
            finding.equal(CHARGED, f"{where} · charged_{counter}", right, charged, definite=True)
        if charged is not None or requests:
            finding.note_optional(f"log_summary.{name}", where, charged, right)
    period = row.get("log_summary_period")
    form = model.reading.declared_value("summary-period-form")
    if form and isinstance(period, str):
        finding.equal(
            READINGS_TRUE,
            f"{where} · form of log_summary_period",
            form,
            "date" if len(period) == 10 else "datetime",
            definite=True,
        )
    at = parse_time(period)
    if at is not None and (at.hour, at.minute, at.second, at.microsecond) != (0, 0, 0, 0):
        finding.deviate(
            DAY,
            f"{where} · log_summary_period",
            "a midnight",
            period,
            definite=True,
        )
    _times(model, unit, finding, row, cell, where)
    _hostname(model, finding, row, cell, where, unit)


def _times(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    row: Row,
    cell: Cell,
    where: str,
) -> None:
    """Creation and last change of a row: in order, not ahead, and after its events came in."""
    made = parse_time(row.get("log_summary_creation_datetime"))
    changed = parse_time(row.get("log_summary_last_update_datetime"))
    if made is None or changed is None:
        return
    finding.compare_times(SUMMARY_TIMES, where, made, changed)
    arrivals = _arrivals(model, unit, cell)
    if arrivals is None:
        return
    begun, first, last_begun, last = arrivals
    if cell.hostname and not begun - CLOCK_SLACK <= made <= unit.ended:
        finding.deviate(SUMMARY_TIMES, f"{where} · creation", f"{begun} or soon after", made)
    if changed < last_begun - CLOCK_SLACK:
        finding.deviate(SUMMARY_TIMES, f"{where} · last_update", f"{last_begun} or later", changed)
    elif cell.hostname and changed > last + _lag(model) and unit.now > last + 2 * _lag(model):
        finding.deviate(SUMMARY_TIMES, f"{where} · last_update", f"soon after {last}", changed)
    if cell.hostname and made > first + _lag(model):
        finding.deviate(SUMMARY_TIMES, f"{where} · creation", f"soon after {first}", made)


def _lag(model: ContractModel) -> timedelta:
    return timedelta(seconds=model.reading.number("freshness-s")) + 4 * CLOCK_SLACK


def _arrivals(
    model: ContractModel, unit: JudgedRequest, cell: Cell
) -> tuple[datetime, datetime, datetime, datetime] | None:
    """The target's time at the first and at the last event of a cell that was taken in.

    Each as (begin, end) of its delivery: a delivery that waits for the target takes long. None if
    a deletion may have removed some of them, so that the row may be a new one.
    """
    records = list(model.records_of(unit.customer, cell))
    taken = [each for record in records if (each := record.accepted(unit.op)) is not None]
    if not taken or any(model.is_removed(record, unit.op) for record in records):
        return None
    at = model.history.clock.at
    began, ended = [at(each.began) for each in taken], [at(each.at) for each in taken]
    return min(began), min(ended), max(began), max(ended)


def _hostname(
    model: ContractModel,
    finding: RequestFinding,
    row: Row,
    cell: Cell,
    where: str,
    unit: JudgedRequest,
) -> None:
    """Compare what replaces a removed hostname, and how a kept one is spelled."""
    shown = row.get("log_summary_hostname")
    if not cell.hostname:
        told = model.reading.declared_value("consolidated-hostname")
        if told:
            seen = (
                "absent"
                if "log_summary_hostname" not in row
                else ("null" if shown is None else "empty")
            )
            finding.equal(READINGS_TRUE, f"{where} · removed hostname", told, seen, definite=True)
        return
    if not isinstance(shown, str):
        return
    sums = model.cells(unit.customer, cell.user, unit.op).get(cell)
    if sums is None:
        return
    wanted = {model.spelled(name) for name in sums.spellings}
    finding.observed(SPELLING, 0 if None in wanted else 1)
    if None in wanted or (shown in sums.spellings and len(sums.spellings) == 1 and shown in wanted):
        return
    if shown not in wanted:
        meant = next(iter(sorted(name for name in wanted if name)), "")
        finding.deviate(SPELLING, f"{where} · log_summary_hostname", meant, shown, definite=True)


def sum_check(model: ContractModel, unit: JudgedRequest, cell: Cell, total: CellSum) -> str:
    """Return the check that a cell's sums are evidence for, by age and by what was sent into it."""
    age = unit.now - day_start(cell.day)
    if not cell.hostname:
        return TOTALS
    if age > PURGE_FROM:
        return PURGE
    events = total.certain
    records = [model.history.records[event.customer, event.log_id] for event in events]
    if any(record.times(unit.op) > 1 for record in records):
        return "redelivered-events-are-summed-once"
    if _concurrent([d for r in records for d in r.deliveries if d.op < unit.op]):
        return "concurrent-events-are-all-summed"
    if total.bytes >= 2**31 - 1:
        return "large-amounts-are-summed-exactly"
    if len(total.spellings) > 1 or any(_odd(event) for event in events):
        return OF_HOSTNAMES
    if any(event.bytes == 0 or event.coded or (event.status or 0) >= 400 for event in events):
        return "summaries-of-statuses"
    return "summaries-of-statuses" if model.leaves_out(unit.customer, cell, unit.op) else EQUAL


def _concurrent(deliveries: Sequence[EventDelivery]) -> bool:
    """Whether events of one cell were delivered at the same time."""
    in_order = sorted(deliveries, key=lambda delivery: delivery.began)
    return any(one.overlaps(two) for one, two in pairwise(in_order))


def _odd(event: SentEvent) -> bool:
    name = str(event.raw.get("log_hostname"))
    return name != event.hostname or not name.replace("-", "").replace(".", "").isalnum()
