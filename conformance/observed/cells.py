"""Sums of events, logs and summaries by cell, and the fields in which a log differs from its event.

Shares nothing with the reference or the totals of the fleet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from trueup.conformance.model import Event
from trueup.conformance.rows import Row, as_int, as_str, day_of, parse_time, same_hostname
from trueup.reports.results import Counts, Json

__all__ = [
    "NOTHING",
    "UsageCell",
    "altered",
    "by_day",
    "cells_of_logs",
    "cells_of_summaries",
    "culprits",
]


class UsageCell(NamedTuple):
    """The key of a summary row within one proxy user."""

    network: str
    hostname: str
    day: str

    def __str__(self) -> str:
        return f"{self.network} · {self.hostname or 'no hostname'} · {self.day}"


NOTHING: Final = Counts(0, 0, 0, 0)
_PLAIN_FIELDS: Final = (
    "proxy_user_id",
    "log_network",
    "log_protocol",
    "log_client_ip_address",
    "log_total_bytes",
    "city_alias",
    "asn_id",
)
_OPTIONAL_FIELDS: Final = ("log_status_code", "log_error_code")
"""Fields that a target may leave out; where they stand they must be right."""


def _add(cells: dict[UsageCell, Counts], cell: UsageCell, requests: int, total: int) -> None:
    have = cells.get(cell, NOTHING)
    cells[cell] = have._replace(requests=have.requests + requests, bytes=have.bytes + total)


def cells_of_logs(rows: Iterable[Row]) -> Mapping[UsageCell, Counts]:
    """Return the sums of log rows by network, hostname and UTC day."""
    cells: dict[UsageCell, Counts] = {}
    for row in rows:
        cell = UsageCell(
            as_str(row, "log_network") or "",
            as_str(row, "log_hostname") or "",
            day_of(row.get("log_request_datetime")) or "no day",
        )
        _add(cells, cell, 1, as_int(row, "log_total_bytes") or 0)
    return cells


def cells_of_summaries(rows: Iterable[Row]) -> Mapping[UsageCell, Counts]:
    """Return the sums of summary rows by network, hostname and UTC day."""
    cells: dict[UsageCell, Counts] = {}
    for row in rows:
        cell = UsageCell(
            as_str(row, "log_summary_network") or "",
            as_str(row, "log_summary_hostname") or "",
            day_of(row.get("log_summary_period")) or "no day",
        )
        requests = as_int(row, "log_summary_requests") or 0
        _add(cells, cell, requests, as_int(row, "log_summary_bytes") or 0)
    return cells


def by_day(cells: Mapping[UsageCell, Counts]) -> Mapping[str, Counts]:
    """Return the sums of cells by UTC day."""
    days: dict[str, Counts] = defaultdict(lambda: NOTHING)
    for cell, counts in cells.items():
        have = days[cell.day]
        days[cell.day] = have._replace(
            requests=have.requests + counts.requests, bytes=have.bytes + counts.bytes
        )
    return dict(days)


def altered(event: Event, row: Row) -> Sequence[tuple[str, Json, Json]]:
    """Return the fields in which a log differs from its event: (field, sent, seen)."""
    wrong: list[tuple[str, Json, Json]] = [
        (field, event.get(field), row.get(field))
        for field in _PLAIN_FIELDS
        if field in event and row.get(field) != event[field]
    ]
    wrong += [
        (field, event[field], row[field])
        for field in _OPTIONAL_FIELDS
        if event.get(field) is not None
        and row.get(field) is not None
        and row[field] != event[field]
    ]
    if (as_str(row, "country_id") or "").lower() != str(event.get("country_id")).lower():
        wrong.append(("country_id", event.get("country_id"), row.get("country_id")))
    sent = str(event["log_hostname"])
    if not same_hostname(sent, as_str(row, "log_hostname") or ""):
        wrong.append(("log_hostname", sent, row.get("log_hostname")))
    at = parse_time(row.get("log_request_datetime"))
    if at is None or at.replace(microsecond=0) != parse_time(event["log_request_datetime"]):
        wrong.append(
            (
                "log_request_datetime",
                event["log_request_datetime"],
                row.get("log_request_datetime"),
            )
        )
    return wrong


def culprits(events: Sequence[Event], requests: int, total: int) -> tuple[Event, ...]:
    """Return the events that explain what a cell shows: lost, or counted more than once.

    Amounts are powers of four, each once, so the total in base 4 has a digit for each event:
    0 is lost, 2 is counted twice. Where that does not explain the requests as well, all events
    of the cell are named.
    """
    sizes = {as_int(event, "log_total_bytes") or 0: event for event in events}
    coded = len(sizes) == len(events) and all(_power_of_four(size) for size in sizes)
    if not coded or total < 0:
        return tuple(events)
    found: list[Event] = []
    counted = 0
    for size, event in sizes.items():
        digit = total // size % 4
        counted += digit
        if digit != 1:
            found.append(event)
    return tuple(found) if found and counted == requests else tuple(events)


def _power_of_four(size: int) -> bool:
    return size > 0 and size & (size - 1) == 0 and (size.bit_length() - 1) % 2 == 0
