"""What an account contains that can only be read: logs first, then summaries.

At level 0 nothing was sent, so nothing is known but what the target shows. Of two views of one
thing the finer one is taken as given: the logs of days that they cover completely, and for older
days the summaries. Every other view, and every later read, is compared with them. Days that are not
over are left out, because a live account changes while it is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.contract.fields import LOG_FIELDS
from trueup.conformance.contract.findings import Cell, JudgedRequest
from trueup.conformance.contract.history import EventDelivery, EventRecord, History, read_event
from trueup.conformance.contract.interpretation import LOG_LIFE
from trueup.conformance.contract.listing import whole_listing
from trueup.conformance.contract.matching import parse_search
from trueup.conformance.contract.paths import resource_path
from trueup.conformance.contract.sums import sums_of_summaries
from trueup.conformance.rows import Row, as_str, canonical_hostname, parse_time
from trueup.reports.results import Counts, Outcome

__all__ = ["InferredSums", "infer"]

DAY: Final = timedelta(days=1)
EVER: Final = "0000-00-00"


@dataclass(frozen=True, slots=True)
class _Known:
    """Summaries of one user (or, with an empty name, of all users) over whole days."""

    customer: str
    user: str
    first: str
    last: str
    cells: Mapping[Cell, Counts]


@dataclass(slots=True)
class InferredSums:
    """What was read first, and for which days it is all there is. Empty above level 0."""

    days: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """(customer, user) → first and last day whose logs were read whole."""
    known: list[_Known] = field(default_factory=list)

    def logs_cover(self, customer: str, user: str, day: str) -> bool:
        """Return whether all logs of a user's day were read."""
        first, last = self.days.get((customer, user), ("9", ""))
        return first <= day <= last

    def total(
        self, customer: str, filters: Mapping[str, str], first: str, last: str
    ) -> Counts | None:
        """Return the sum of summaries of whole days; None if they were not read completely.

        `filters`: those of a graph. Days are inclusive.
        """
        if "service_id" in filters:
            return None
        user = filters.get("proxy_user_id", "")
        for known in self.known:
            if known.customer != customer or known.user not in ("", user):
                continue
            if known.first <= first and last <= known.last:
                return _sum(known.cells, user, filters, first, last)
        return None


def _sum(
    cells: Mapping[Cell, Counts], user: str, filters: Mapping[str, str], first: str, last: str
) -> Counts | None:
    host = canonical_hostname(filters["hostname"]) if "hostname" in filters else None
    requests = size = 0
    for cell, counts in cells.items():
        if not first <= cell.day <= last or (user and cell.user != user):
            continue
        if "network" in filters and cell.network != filters["network"]:
            continue
        if host is not None and not cell.hostname:
            return None  # consolidated: the hostname is not known any more
        if host is None or cell.hostname == host:
            requests += counts.requests
            size += counts.bytes
    return Counts(requests, size, 0, 0)


def infer(history: History, units: Sequence[JudgedRequest]) -> InferredSums:
    """Fill a history with the logs that were read first, and return the summaries read first."""
    found = InferredSums()
    for unit in units:
        path = resource_path(unit.first.path)
        if unit.customer not in history.customers:
            continue
        if path == "log/search":
            _infer_logs(history, found, unit)
        elif path == "log_summary/search":
            _infer_summaries(found, unit)
    return found


def _infer_logs(history: History, found: InferredSums, unit: JudgedRequest) -> None:
    search = parse_search(unit.first.query, LOG_FIELDS)
    rows = whole_listing(unit)
    names = [c for c in search.conditions if c.is_user]
    bounds = {
        c.operator: c.value
        for c in search.conditions
        if c.field.name == "log_request_datetime" and c.operator in ("min", "max")
    }
    if rows is None or search.unusual or len(search.conditions) != len(names) + len(bounds):
        return
    first = (unit.now - LOG_LIFE + DAY + timedelta(minutes=30)).strftime("%Y-%m-%d")
    last = (unit.now - DAY).strftime("%Y-%m-%d")
    first, last = _whole_days(first, last, bounds)
    users = {names[0].value} if names else {as_str(row, "proxy_user_id") or "" for row in rows}
    fresh = {user for user in users if (unit.customer, user) not in found.days}
    for user in fresh:
        found.days[unit.customer, user] = (first, last)
    number = history.customers.get(unit.customer)
    for row in rows:
        if (as_str(row, "proxy_user_id") or "") in fresh:
            _add_log(history, row, number, unit.asked_at)


def _whole_days(first: str, last: str, bounds: Mapping[str, str]) -> tuple[str, str]:
    """Return the days, first and last, that lie whole within the bounds of a search by time."""
    begin, end = parse_time(bounds.get("min")), parse_time(bounds.get("max"))
    if begin is not None:
        first = max(first, (begin + DAY - timedelta(seconds=1)).strftime("%Y-%m-%d"))
    if end is not None:
        last = min(last, (end - DAY + timedelta(seconds=1)).strftime("%Y-%m-%d"))
    return first, last


def _add_log(history: History, row: Row, customer: int | None, at: datetime) -> None:
    event = read_event({**row, "customer_id": customer}, history)
    if event is None or (event.customer, event.log_id) in history.records:
        return
    record = EventRecord(event=event)
    record.deliveries.append(
        EventDelivery(op=-1, outcome=Outcome.ACCEPTED, at=at, batch=-1, began=at)
    )
    history.records[event.customer, event.log_id] = record
    history.by_user[event.customer, event.user].append(record)


_PERIOD: Final = ("min_log_summary_period", "max_log_summary_period")


def _infer_summaries(found: InferredSums, unit: JudgedRequest) -> None:
    query = unit.filters
    if not query.keys() <= {"proxy_user_id", *_PERIOD}:
        return
    rows = whole_listing(unit)
    if rows is None:
        return
    yesterday = (unit.now - DAY).strftime("%Y-%m-%d")
    first = query.get(_PERIOD[0], EVER)[:10]
    last = min(query.get(_PERIOD[1], yesterday)[:10], yesterday)
    found.known.append(
        _Known(
            customer=unit.customer,
            user=query.get("proxy_user_id", ""),
            first=first,
            last=last,
            cells=sums_of_summaries(rows),
        )
    )
