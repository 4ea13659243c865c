"""Rows of a search, one row by id, and the sums behind graph and breakdown.

Each function takes a connection inside a read transaction, so that a count and its page, or both
parts of a graph, show the same moment.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from trueup.reference.amounts import join
from trueup.reference.behaviour import Behaviour, Row
from trueup.reference.graph import ChartPoint, Filters, WindowParts
from trueup.reference.query import Between, Condition, Equal, Sort
from trueup.reference.resources import Resource, ResourceKind
from trueup.reference.sql import Clause, columns, order_by, where
from trueup.reference.store.accounts import used_bytes
from trueup.reference.times import DAY_US, format_date, format_instant

__all__ = ["breakdown", "find", "retrieve", "sums"]

_OK: Final = "(log_error_code IS NULL AND (log_status_code IS NULL OR log_status_code < 400))"
_BITS: Final = 4294967295


def _value(kind: ResourceKind, values: Any) -> Any:
    """The next value of a row, as the API shows it."""
    value = next(values)
    if kind is ResourceKind.AMOUNT:
        return join(value, next(values))
    if value is None:
        return None
    match kind:
        case ResourceKind.BOOLEAN:
            return bool(value)
        case ResourceKind.INSTANT:
            return format_instant(value)
        case ResourceKind.MIDNIGHT:
            return format_instant(value * DAY_US)
        case ResourceKind.DATE:
            return format_date(value)
        case ResourceKind.DOCUMENT:
            return msgspec.json.decode(value)
        case _:
            return value


def _row(resource: Resource, found: Sequence[Any]) -> Row:
    values = iter(found)
    return {field.name: _value(field.kind, values) for field in resource.fields}


def _finish(
    connection: sqlite3.Connection, resource: Resource, row: Row, behaviour: Behaviour
) -> Row:
    """Add what the row does not hold: a proxy user's use, from the summaries."""
    if resource.name != "proxy_user":
        return row
    owner = (row["customer_id"], row["proxy_user_id"])
    used = used_bytes(connection, *owner)
    row["proxy_user_residential_bytes_used"] = behaviour.used(*owner, "residential", used)
    row["proxy_user_mobile_bytes_used"] = behaviour.used(*owner, "mobile", used)
    return row


def find(
    connection: sqlite3.Connection,
    resource: Resource,
    *,
    customers: Sequence[int],
    conditions: Sequence[Condition],
    order: str,
    window: Any,
    behaviour: Behaviour,
) -> tuple[list[Row], int]:
    """Return the rows of one page and the exact number of all.

    `window(total)` gives (offset, limit).
    """
    text, values = where(resource, customers, conditions, escape_like=behaviour.escape_like)
    total = connection.execute(
        f"SELECT COUNT(*) FROM {resource.table} WHERE {text}",  # noqa: S608
        values,
    ).fetchone()[0]
    offset, limit = window(total)
    found = connection.execute(
        f"SELECT {columns(resource)} FROM {resource.table} WHERE {text} "  # noqa: S608
        f"ORDER BY {order} LIMIT ? OFFSET ?",
        (*values, limit, offset),
    )
    rows = [_finish(connection, resource, _row(resource, row), behaviour) for row in found]
    return rows, total


def retrieve(
    connection: sqlite3.Connection,
    resource: Resource,
    *,
    customers: Sequence[int],
    key: str,
    conditions: Sequence[Condition],
    behaviour: Behaviour,
) -> Row | None:
    """Return the row with this id, or None."""
    field = resource.field(resource.key)
    assert field is not None
    if field.kind is ResourceKind.TEXT:
        by_key: Condition = Equal(field=field, value=key)
    elif key.isascii() and key.isdigit() and len(key) < 19:
        by_key = Between(field=field, low=int(key), high=int(key) + 1)
    else:
        return None
    rows, _ = find(
        connection,
        resource,
        customers=customers,
        conditions=(by_key, *conditions),
        order=order_by(resource, Sort()),
        window=lambda _total: (0, 1),
        behaviour=behaviour,
    )
    return rows[0] if rows else None


def sums(
    connection: sqlite3.Connection,
    *,
    customers: Sequence[int],
    window_parts: WindowParts,
    width_us: int,
    filters: Filters,
    old_filters: Filters,
) -> list[ChartPoint]:
    """Return sums per bucket of at most a day: days from summaries, the rest from logs."""
    text, values = _summary_part(customers, window_parts, old_filters)
    old = connection.execute(
        "SELECT day, SUM(requests), SUM(bytes_high), SUM(bytes_low), SUM(successful), "  # noqa: S608
        f"SUM(error) FROM summary WHERE {text} GROUP BY day",
        values,
    )
    points = [
        ChartPoint(
            at_us=day * DAY_US,
            requests=requests,
            bytes=join(high, low),
            successful=successful,
            error=error,
        )
        for day, requests, high, low, successful, error in old
    ]
    text, values = _log_part(customers, window_parts, filters)
    new = connection.execute(
        f"SELECT log_request_datetime / ? AS bucket, COUNT(*), "  # noqa: S608
        f"SUM(log_total_bytes >> 32), SUM(log_total_bytes & {_BITS}), SUM({_OK}), "
        f"MAX(log_concurrency) FROM log WHERE {text} GROUP BY bucket",
        (width_us, *values),
    )
    points += [
        ChartPoint(
            at_us=bucket * width_us,
            requests=requests,
            bytes=join(high, low),
            successful=successful,
            error=requests - successful,
            concurrency=concurrency,
        )
        for bucket, requests, high, low, successful, concurrency in new
    ]
    return points


def breakdown(
    connection: sqlite3.Connection,
    *,
    customers: Sequence[int],
    window_parts: WindowParts,
    by: Sequence[str],
    filters: Filters,
    old_filters: Filters,
) -> dict[str, dict[str | None, ChartPoint]]:
    """Return sums by `proxy_user_id`, `network` and `hostname`; a removed hostname is None.

    Each part is read once, grouped by all three, and added up afterwards.
    """
    old_names = [_OLD_NAMES.get(name, name) for name in by]
    old_text, old_values = _summary_part(customers, window_parts, old_filters)
    new_names = [_NEW_NAMES.get(name, name) for name in by]
    new_text, new_values = _log_part(customers, window_parts, filters)
    places = ", ".join(str(number) for number in range(1, len(by) + 1))
    old_query = (
        f"SELECT {', '.join(old_names)}, SUM(requests), SUM(bytes_high), "  # noqa: S608
        f"SUM(bytes_low), SUM(successful) FROM summary WHERE {old_text} GROUP BY {places}"
    )
    new_query = (
        f"SELECT {', '.join(new_names)}, COUNT(*), SUM(log_total_bytes >> 32), "  # noqa: S608
        f"SUM(log_total_bytes & {_BITS}), SUM({_OK}) FROM log WHERE {new_text} GROUP BY {places}"
    )
    parts: dict[str, dict[str | None, ChartPoint]] = {name: {} for name in by}
    for query, values in ((old_query, old_values), (new_query, new_values)):
        for *names, requests, high, low, successful in connection.execute(query, values):
            amount = join(high, low)
            for part, name in zip(parts.values(), names, strict=True):
                seen = part.get(name, _NOTHING)
                part[name] = ChartPoint(
                    at_us=0,
                    requests=seen.requests + requests,
                    bytes=seen.bytes + amount,
                    successful=seen.successful + successful,
                    error=seen.error + requests - successful,
                )
    return parts


_NOTHING: Final = ChartPoint(at_us=0)
_OLD_NAMES: Final = {"hostname": "NULLIF(hostname, '')"}
_NEW_NAMES: Final = {"network": "log_network", "hostname": "log_hostname"}


def _part(customers: Sequence[int], column: str, window: tuple[int, int], equal: Any) -> Clause:
    texts = [
        f"customer_id IN ({', '.join('?' * len(customers))})",
        f"{column} >= ?",
        f"{column} < ?",
    ]
    values: list[object] = [*customers, *window]
    for name, wanted in equal:
        if wanted is not None:
            texts.append(f"{name} = ?")
            values.append(wanted)
    return " AND ".join(texts), tuple(values)


def _summary_part(customers: Sequence[int], window_parts: WindowParts, filters: Filters) -> Clause:
    return _part(
        customers,
        "day",
        window_parts.days,
        (
            ("proxy_user_id", filters.proxy_user_id),
            ("network", filters.network),
            ("hostname", filters.hostname),
        ),
    )


def _log_part(customers: Sequence[int], window_parts: WindowParts, filters: Filters) -> Clause:
    return _part(
        customers,
        "log_request_datetime",
        window_parts.logs,
        (
            ("proxy_user_id", filters.proxy_user_id),
            ("log_network", filters.network),
            ("log_hostname", filters.hostname),
            ("service_id", filters.service_id),
        ),
    )
