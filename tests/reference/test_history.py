"""Totals agree after any sequence of deliveries, repeats, clock moves and maintenance."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.served import event, ndjson
from trueup.reference.amounts import join
from trueup.reference.behaviour import Behaviour
from trueup.reference.store.maintenance import maintain
from trueup.reference.store.record import record
from trueup.reference.store.schema import prepare
from trueup.reference.store.tenants import ensure_tenants
from trueup.reference.times import DAY_US, HOUR_US, day_of, format_instant, parse_instant

START = 20_000 * DAY_US

EVENTS: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    number=st.integers(1, 12),
    customer_id=st.sampled_from([1001, 1002]),
    proxy_user_id=st.sampled_from(["alice", "bob"]),
    log_network=st.sampled_from(["residential", "mobile", "isp"]),
    log_hostname=st.sampled_from(["a.com", "B.com", "b.com."]),
    log_total_bytes=st.sampled_from([0, 1, 2**31 + 5, 2**53 + 1, 2**63 - 1]),
    log_status_code=st.sampled_from([None, 200, 404]),
    age_h=st.integers(-1, 8 * 24),
)
STEPS = st.one_of(
    st.lists(EVENTS, min_size=1, max_size=8),
    st.sampled_from([0, 1, 30 * 60, 86_400, 8 * 86_400, 91 * 86_400]),
)


def _database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    prepare(connection, Path(":memory:"))
    ensure_tenants(connection, 2, START)
    return connection


def _sums(connection: sqlite3.Connection, query: str) -> Counter[tuple[object, ...]]:
    """Bytes by key: the query gives the key, then the two limbs."""
    totals: Counter[tuple[object, ...]] = Counter()
    for *key, high, low in connection.execute(query):
        totals[tuple(key)] += join(high, low)
    return totals


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=12))
def test_totals_agree_after_any_sequence_of_steps(
    steps: list[list[dict[str, object]] | int],
) -> None:
    """Sum of the summaries = sum of the accepted events = minus the ledgers' usage, per day."""
    with closing(_database()) as connection:
        _run_steps(connection, steps)


def _run_steps(connection: sqlite3.Connection, steps: list[Any]) -> None:
    now_us, behaviour = START, Behaviour()
    accepted: dict[str, tuple[tuple[object, ...], int]] = {}
    for step in steps:
        if isinstance(step, int):
            now_us += step * 1_000_000
            maintain(connection, behaviour=behaviour, now_us=now_us)
            again = maintain(connection, behaviour=behaviour, now_us=now_us)
            assert (again.logs_deleted, again.summaries_consolidated) == (0, 0)
            for log_id in [key for key, (cell, _) in accepted.items() if _expired(cell, now_us)]:
                accepted[f"gone-{len(accepted)}-{log_id}"] = accepted.pop(log_id)
            continue
        events = [_event(dict(each), now_us) for each in step]
        result = record(
            connection, ndjson(events), behaviour=behaviour, now_us=now_us, customers={1001, 1002}
        )
        refused = {line for line, _ in result.refused}
        assert result.accepted == len(events) - len(refused)
        for line, each in enumerate(events, 1):
            if line not in refused:
                accepted[str(each["log_id"])] = _cell(each)
    cells: Counter[tuple[object, ...]] = Counter()
    requests: Counter[tuple[object, ...]] = Counter()
    for (customer, user, network, _, day), amount in accepted.values():
        cells[customer, user, network, day] += amount
        requests[customer, user, network, day] += 1
    summaries = _sums(
        connection,
        "SELECT customer_id, proxy_user_id, network, day, bytes_high, bytes_low FROM summary",
    )
    assert +summaries == +cells
    counted = connection.execute(
        "SELECT customer_id, proxy_user_id, network, day, SUM(requests), "
        "SUM(successful + error) FROM summary GROUP BY 1, 2, 3, 4"
    ).fetchall()
    assert {row[:4]: row[4] for row in counted} == dict(requests)
    assert all(row[4] == row[5] for row in counted)
    usage = _sums(
        connection,
        "SELECT customer_id, network, day, bytes_high, bytes_low FROM ledger "
        "WHERE reason = 'usage'",
    )
    pools: Counter[tuple[object, ...]] = Counter()
    for (customer, _, network, day), amount in cells.items():
        if network != "isp":
            pools[customer, network, day] -= amount
    assert {key: value for key, value in usage.items() if value} == {
        key: value for key, value in pools.items() if value
    }


def _event(fields: dict[str, object], now_us: int) -> dict[str, object]:
    number, age_h = fields.pop("number"), fields.pop("age_h")
    assert isinstance(number, int) and isinstance(age_h, int)
    when = now_us - age_h * HOUR_US + number
    return event(number, log_request_datetime=format_instant(when), **fields)


def _cell(each: dict[str, object]) -> tuple[tuple[object, ...], int]:
    at_us = parse_instant(str(each["log_request_datetime"]))[0]
    names = ("customer_id", "proxy_user_id", "log_network")
    amount = each["log_total_bytes"]
    assert isinstance(amount, int)
    return (*(each[name] for name in names), at_us, day_of(at_us)), amount


def _expired(cell: tuple[object, ...], now_us: int) -> bool:
    at_us = cell[3]
    assert isinstance(at_us, int)
    return at_us < now_us - 7 * DAY_US
