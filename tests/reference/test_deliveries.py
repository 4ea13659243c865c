"""A delivery gives the same whether it is read at once or line by line, alone or with others."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.served import event, ndjson
from trueup.reference.behaviour import Behaviour
from trueup.reference.events import read_line, read_lines
from trueup.reference.store.deliveries import ReadDelivery, read_delivery
from trueup.reference.store.record import record_together
from trueup.reference.store.schema import prepare
from trueup.reference.store.tenants import ensure_tenants
from trueup.reference.times import DAY_US, HOUR_US, format_instant

NOW = 20_000 * DAY_US + 12 * HOUR_US
CUSTOMERS = frozenset({1001, 1002})
CORRECT = Behaviour()
BY_LINE = replace(CORRECT, read_line=lambda line, fold: read_line(line, fold))
"""The same decisions; but a body is not read at once where `read_line` has been replaced."""
ONE_BY_ONE = replace(
    BY_LINE,
    on_delivery=lambda delivery: None,
    cell=lambda log, now_us: CORRECT.cell(log, now_us),
    amounts=lambda log: CORRECT.amounts(log),
    pool_day=lambda log, now_us: CORRECT.pool_day(log, now_us),
    charged_bytes=lambda log: CORRECT.charged_bytes(log),
)
"""The same decisions; but each delivery is written by itself, and each event asked about."""

EVENTS: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda number, age_h, **fields: event(
        number, log_request_datetime=format_instant(NOW - age_h * HOUR_US), **fields
    ),
    number=st.integers(1, 9),
    age_h=st.sampled_from([0, 1, 30, 8 * 24]),
    customer_id=st.sampled_from([1001, 1002, 1003]),
    proxy_user_id=st.sampled_from(["alice", "bob"]),
    log_network=st.sampled_from(["residential", "mobile", "isp"]),
    log_hostname=st.sampled_from(["a.com", "B.com", "b.com."]),
    log_client_ip_address=st.sampled_from(["1.2.3.4", "::1", "1.2.3", "x"]),
    log_total_bytes=st.sampled_from([0, 2**63 - 1, -1]),
    log_status_code=st.sampled_from([None, 200, 404]),
)
FRAGMENTS = st.sampled_from(
    [
        b"",
        b" ",
        b"{}",
        b"{",
        b"}",
        b'{"x":[1',
        b"2]}",
        b"{}{}",
        b"nonsense",
        b'{"log_id":"}',
        b"\xff",
    ]
)
LINES = st.one_of(EVENTS.map(lambda each: json.dumps(each).encode()), FRAGMENTS)


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    """Lines joined by what may and what may not stand between events."""
    body = b""
    for line in draw(st.lists(LINES, max_size=6)):
        body += line + draw(st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b" ", b"", b"\n\n"]))
    return body


def _read(body: bytes, behaviour: Behaviour) -> ReadDelivery:
    return read_delivery(body, behaviour=behaviour, now_us=NOW, customers=CUSTOMERS)


@settings(max_examples=300)
@given(_bodies())
def test_a_body_read_at_once_gives_what_its_lines_give(body: bytes) -> None:
    at_once, by_line = _read(body, CORRECT), _read(body, BY_LINE)
    assert at_once.events == by_line.events
    assert at_once.refused == by_line.refused
    assert [at_once.lines_of(key) for key in at_once.events] == [
        by_line.lines_of(key) for key in by_line.events
    ]
    assert at_once.count_lines() == by_line.count_lines()


def test_a_body_of_acceptable_lines_is_read_at_once() -> None:
    """With and without a last line break; and not where one line is refused."""
    good = [event(n, log_request_datetime=format_instant(NOW)) for n in (1, 2)]
    body = ndjson(good)
    expected = [read_line(line) for line in body.split(b"\n")]
    assert read_lines(body) == read_lines(body + b"\n") == expected
    assert read_lines(ndjson([*good, {**good[0], "log_total_bytes": -1}])) is None
    assert read_lines(ndjson([*good, {**good[0], "log_egress_ip_address": "1.2.3"}])) is None


def test_objects_that_make_up_for_a_broken_line_are_not_taken_for_lines() -> None:
    """Three lines, three objects, but not one on each line."""
    line = json.dumps(event(1, log_request_datetime=format_instant(NOW))).encode()
    broken = line[:-1] + b',"x":[1'
    body = b"\n".join([broken, b"2]}", line + line])
    assert read_lines(body) is None
    assert len(_read(body, CORRECT).refused) == 3
    other = json.dumps(event(2, log_request_datetime=format_instant(NOW))).encode()
    assert read_lines(line + other) is None and read_lines(line + b" " + other) is None


_DUMPED = {
    "log": "SELECT * FROM log ORDER BY seq",
    "summary": "SELECT customer_id, proxy_user_id, network, hostname, day, requests, successful, "
    "error, bytes_high, bytes_low, created_us, updated_us FROM summary ORDER BY 1, 2, 3, 4, 5",
    "ledger": "SELECT customer_id, network, day, reason, requests, bytes_high, bytes_low "
    "FROM ledger ORDER BY 1, 2, 3, 4",
    "proxy_user": "SELECT customer_id, proxy_user_id FROM proxy_user ORDER BY 1, 2",
}


def _written(bodies: list[bytes], behaviour: Behaviour) -> tuple[Any, Any]:
    """The results of deliveries that are written together, and the rows they leave."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        prepare(connection, Path(":memory:"))
        ensure_tenants(connection, 2, NOW)
        deliveries = [_read(body, behaviour) for body in bodies]
        results = record_together(connection, deliveries, behaviour)
        shown = [(each.accepted, each.duplicates, each.refused) for each in results]
        rows = {name: connection.execute(query).fetchall() for name, query in _DUMPED.items()}
        return shown, rows


@settings(max_examples=100)
@given(st.lists(st.lists(EVENTS, max_size=4).map(ndjson), max_size=4))
def test_deliveries_written_together_give_what_they_give_one_by_one(bodies: list[bytes]) -> None:
    assert _written(bodies, CORRECT) == _written(bodies, ONE_BY_ONE)


@pytest.mark.parametrize("behaviour", [CORRECT, ONE_BY_ONE], ids=["together", "one by one"])
def test_an_id_in_two_deliveries_that_are_written_together_counts_once(
    behaviour: Behaviour,
) -> None:
    """The second delivery repeats one event, and has another with altered content."""
    first, second, third = (
        event(n, log_request_datetime=format_instant(NOW), log_total_bytes=5) for n in (1, 2, 3)
    )
    altered = {**second, "log_total_bytes": 6}
    results, rows = _written([ndjson([first, second]), ndjson([first, altered, third])], behaviour)
    assert results[0] == (2, 0, [])
    assert results[1][:2] == (2, 1) and [line for line, _ in results[1][2]] == [2]
    assert len(rows["log"]) == 3
    assert rows["summary"][0][5] == 3
    assert [row[6] for row in rows["ledger"] if row[3] == "usage"] == [2**32 - 15]


@pytest.mark.parametrize(
    "ids",
    [
        ["00000001-0000-4000-8000-00000000000g"],
        ["00000001-0000-4000-8000-00000000000A"],
        ["00000001-0000-4000-8000-0000000000000", "0000001-0000-4000-8000-000000000000"],
        ["00000001-0000-4000-8000-000000000000\n00000002-0000-4000-8000-000000000000", ""],
        ["٠0000001-0000-4000-8000-000000000000"],
    ],
    ids=["letter", "upper case", "shifted", "two in one", "other digits"],
)
def test_ids_that_are_no_uuids_are_refused_in_every_way_of_reading(ids: list[str]) -> None:
    when = format_instant(NOW)
    body = ndjson({**event(1, log_request_datetime=when), "log_id": log_id} for log_id in ids)
    assert read_lines(body) is None
    assert [reason for _, reason in _read(body, CORRECT).refused] == [
        "Expected a UUID in lower case - at `$.log_id`"
    ] * len(ids)
