"""The named decisions of the reference, each with its correct form as the default.

Every decision that another implementation could plausibly make otherwise is a field here: a
function over plain values, or a value. A normal start uses `Behaviour()`. Mutants
(`reference/mutants`) replace fields by name; nothing else does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from trueup.reference import events, graph, query, retention
from trueup.reference.events import Log
from trueup.reference.ids import new_uuid
from trueup.reference.networks import POOLS
from trueup.reference.resources import Resource
from trueup.reference.times import day_of

__all__ = [
    "Amounts",
    "Behaviour",
    "Delivery",
    "Group",
    "PaymentRow",
    "PoolDay",
    "RequestInfo",
    "Row",
    "Start",
    "SummaryCell",
]

Row: TypeAlias = dict[str, Any]
"""A JSON object on its way out."""


class SummaryCell(NamedTuple):
    """The key of a summary row."""

    customer_id: int
    proxy_user_id: str
    network: str
    hostname: str
    day: int


class Amounts(NamedTuple):
    """The numbers that are added up in a cell: exact integers."""

    requests: int
    bytes: int
    successful: int
    error: int


class PoolDay(NamedTuple):
    """The key of a ledger's usage row."""

    customer_id: int
    network: str
    day: int


class Start(NamedTuple):
    """A process opens the store."""

    restarted: bool
    """Whether another process used this store before."""
    customers: tuple[int, ...]
    """The customers' ids, in the order of their creation."""


class Delivery(NamedTuple):
    """One delivery, after its lines were parsed and before anything is written."""

    now_us: int
    events: int
    """Distinct events that are admissible, repeated ones included."""
    refused: int
    """Lines that were refused."""


class RequestInfo(NamedTuple):
    """A request that succeeded. `view` is its path below the API's base, without an id."""

    view: str
    customer_id: int
    """0 for ingestion and control."""
    query: Mapping[str, str]
    now_us: int


class PaymentRow(NamedTuple):
    """A payment whose ledger row is about to be written."""

    customer_id: int
    network: str
    kind: str
    reason: str
    bytes: int
    day: int
    service_id: str


class Group(NamedTuple):
    """What the summary rows that are consolidated into one have in common."""

    customer_id: int
    proxy_user_id: str
    network: str
    day: int


def _same(value: Any) -> Any:
    return value


def _nothing_at_start(_connection: sqlite3.Connection, _start: Start) -> None:
    return None


def _note_nothing(_delivery: Delivery) -> None:
    return None


def _each_line_by_itself(_events: Sequence[Log], _refused: int) -> str | None:
    return None


def _as_merged(_group: Group, rows: Sequence[retention.DayRow]) -> Sequence[retention.DayRow]:
    return rows


def _own_key(customer_id: int, key: str) -> tuple[int, str]:
    return customer_id, key


def _as_set(_action: str, _customer_id: int, values: Mapping[str, Any]) -> Mapping[str, Any]:
    return values


def _both_keys(_view: str, public_is_right: bool, private_is_right: bool) -> bool:
    return public_is_right and private_is_right


def _right_key(_hook: str, is_right: bool) -> bool:
    return is_right


def _as_prepared(_request: RequestInfo, body: Row) -> Row:
    return body


def _cell(log: Log, _now_us: int) -> SummaryCell:
    """The day is that of the request, in UTC, whenever the event arrived."""
    day = day_of(log.at_us)
    return SummaryCell(log.customer_id, log.proxy_user_id, log.log_network, log.log_hostname, day)


def _amounts(log: Log) -> Amounts:
    successful = log.successful
    return Amounts(1, log.log_total_bytes, successful, not successful)


def _pool_day(log: Log, _now_us: int) -> PoolDay | None:
    """Residential and mobile traffic is counted in its own pool, other traffic in none."""
    if log.log_network not in POOLS:
        return None
    return PoolDay(log.customer_id, log.log_network, day_of(log.at_us))


def _charged_bytes(log: Log) -> int:
    return log.log_total_bytes


def _none_again(_repeated: Sequence[Log]) -> Sequence[Log]:
    return ()


def _window(page: int, per_page: int, _total: int) -> tuple[int, int]:
    return (page - 1) * per_page, per_page


def _total(total: int, _items: int) -> int:
    return total


def _present(_resource: str, _action: str, row: Row) -> Row:
    return row


def _own(
    customer_id: int,
    _everyone: Sequence[int],
    _what: str,
    _conditions: Sequence[query.Condition],
) -> tuple[int, ...]:
    return (customer_id,)


def _keep_conditions(
    _resource: Resource, conditions: tuple[query.Condition, ...]
) -> tuple[query.Condition, ...]:
    return conditions


def _keep_sort(_resource: Resource, sort: query.Sort) -> query.Sort:
    return sort


def _nothing_more(_connection: sqlite3.Connection, _now_us: int) -> None:
    return None


def _leave_history(_connection: sqlite3.Connection, _customer_id: int, _user: str) -> None:
    return None


def _error(status: int, title: str, message: str) -> tuple[int, Row | str]:
    return status, {"error": title, "message": message, "api_request_id": new_uuid()}


def _figures(_view: str, _customer_id: int, figures: Mapping[str, int]) -> Mapping[str, int]:
    return figures


def _used(_customer_id: int, _user: str, pool: str, used: Mapping[str, int]) -> int:
    return used.get(pool, 0)


def _take(logs: list[Log], _now_us: int) -> list[Log]:
    return logs


def _no_lag(_view: str) -> float:
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The correct decisions. Times are in microseconds, days are numbers since the epoch."""

    # Starting.
    on_start: Callable[[sqlite3.Connection, Start], None] = _nothing_at_start
    """Called once, inside the transaction that opens the store."""
    # Taking events in.
    on_delivery: Callable[[Delivery], None] = _note_nothing
    """Called for each delivery before anything is decided about its events."""
    fold_hostname: Callable[[str], str] = events.fold_hostname
    admit: Callable[[int, int], str | None] = events.admit
    refuse_whole: Callable[[Sequence[Log], int], str | None] = _each_line_by_itself
    """(admissible events of a delivery, lines refused) → reason to refuse those events as well."""
    take: Callable[[list[Log], int], list[Log]] = _take
    """(new events of one delivery, now) → those that are kept at all."""
    stored: Callable[[list[Log]], list[Log]] = _same
    """Kept events → the logs written for them."""
    counted: Callable[[list[Log]], Sequence[Log]] = _same
    """Kept events → those that the summaries count."""
    charged: Callable[[list[Log]], Sequence[Log]] = _same
    """Kept events → those that the ledgers count."""
    counted_again: Callable[[Sequence[Log]], Sequence[Log]] = _none_again
    """Repeated deliveries → those that the summaries count once more."""
    charged_again: Callable[[Sequence[Log]], Sequence[Log]] = _none_again
    """Repeated deliveries → those that the ledgers count once more."""
    unique_log_ids: bool = True
    read_line: Callable[[bytes, Callable[[str], str]], Log] = events.read_line
    # Adding them up.
    cell: Callable[[Log, int], SummaryCell] = _cell
    amounts: Callable[[Log], Amounts] = _amounts
    pool_day: Callable[[Log, int], PoolDay | None] = _pool_day
    charged_bytes: Callable[[Log], int] = _charged_bytes
    settle: Callable[[dict[SummaryCell, Amounts]], dict[SummaryCell, Amounts]] = _same
    """Increments of one delivery, just before they are added."""
    summaries_add: bool = True
    """Add to an existing row, rather than replace it."""
    ledgers_add: bool = True
    usage_sign: int = -1
    hold_commit_s: float = 0.0
    """How long an acknowledged delivery may stay uncommitted."""
    # Growing old.
    visible_from: Callable[[int, str, int], int] = retention.visible_from
    """(now, view, customer) → oldest request instant that the view still shows."""
    purge_before: Callable[[int], int] = retention.purge_before
    consolidate_before: Callable[[int], int] = retention.consolidate_before
    maintained: Callable[[Sequence[int]], Sequence[int]] = _same
    """All customers → those whose rows one round of maintenance covers."""
    merge: Callable[[Sequence[retention.DayRow]], Sequence[retention.DayRow]] = retention.merge
    merged: Callable[[Group, Sequence[retention.DayRow]], Sequence[retention.DayRow]] = _as_merged
    """Result of `merge` → rows that are written for the group."""
    after_maintenance: Callable[[sqlite3.Connection, int], None] = _nothing_more
    sweep_lag_s: float = 0.0
    # Searching.
    conditions: Callable[[Resource, tuple[query.Condition, ...]], tuple[query.Condition, ...]] = (
        _keep_conditions
    )
    sort: Callable[[Resource, query.Sort], query.Sort] = _keep_sort
    page_size: Callable[[int], int] = query.page_size
    window: Callable[[int, int, int], tuple[int, int]] = _window
    """(page, per_page, total) → (offset, limit)."""
    total: Callable[[int, int], int] = _total
    """(exact total, rows on this page) → what is said."""
    present: Callable[[str, str, Row], Row] = _present
    """(resource, action, row) → the row as shown."""
    visible_to: Callable[[int, Sequence[int], str, Sequence[query.Condition]], tuple[int, ...]] = (
        _own
    )
    """(caller, all tenants, what is read, conditions) → tenants whose rows are shown."""
    ignore_unknown: bool = False
    escape_like: bool = True
    stable_ties: bool = True
    lag_s: Callable[[str], float] = _no_lag
    """How old the data behind a view may be, in seconds."""
    # Graph and breakdown.
    window_parts: Callable[[int, int, int, str], graph.WindowParts] = graph.window_parts
    new_filters: Callable[[graph.Filters], graph.Filters] = _same
    """Filters as the half that reads logs applies them."""
    old_filters: Callable[[graph.Filters], graph.Filters] = _same
    """Filters as the half that reads summaries applies them."""
    points: Callable[[list[graph.ChartPoint], int], list[graph.ChartPoint]] = graph.keep_points
    shape_graph: Callable[[Row], Row] = _same
    shape_breakdown: Callable[[Row], Row] = _same
    # Accounts and money.
    figures: Callable[[str, int, Mapping[str, int]], Mapping[str, int]] = _figures
    """(view, customer, figures of a pool) → as shown there."""
    used: Callable[[int, str, str, Mapping[str, int]], int] = _used
    """(customer, proxy user, pool, bytes by network) → used bytes as shown."""
    idempotent_money: bool = True
    payment_key: Callable[[int, str], tuple[int, str]] = _own_key
    """(customer, idempotency key) → what a movement is remembered by."""
    payment: Callable[[PaymentRow], PaymentRow | None] = _same
    """Ledger row of a movement → as written; None for no row at all."""
    settings: Callable[[str, int, Mapping[str, Any]], Mapping[str, Any]] = _as_set
    """(create or edit, customer, columns of a proxy user) → as stored."""
    on_create: Callable[[sqlite3.Connection, int, str], None] = _leave_history
    on_edit: Callable[[sqlite3.Connection, int, str], None] = _leave_history
    on_delete: Callable[[sqlite3.Connection, int, str], None] = _leave_history
    # Protocol.
    error: Callable[[int, str, str], tuple[int, Row | str]] = _error
    """(status, title, message) → status and body; a str is sent as HTML."""
    response: Callable[[RequestInfo, Row], Row] = _as_prepared
    """Body of a success → as sent."""
    not_found_status: int = 404
    malformed_id_status: int = 404
    gone_status: int = 404
    """For a log that has aged out."""
    let_in: Callable[[str, bool, bool], bool] = _both_keys
    """(view, public key is right, private key is right) → whether the caller is that customer."""
    let_control: Callable[[str, bool], bool] = _right_key
    """(control hook, key is right) → whether the caller may use it."""
    rate_limit: int | None = None
    """Requests per second and customer where the start names no limit."""
    rate_key: Callable[[int, str], object] = lambda customer_id, _peer: customer_id
    rate_penalty_s: float = 0.0
    """How long a caller stays refused after going over the limit."""
