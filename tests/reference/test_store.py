"""The store by itself: query plans, maintenance in steps, and folders that it refuses."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager
from pathlib import Path
from stat import S_IMODE

import pytest

from tests.reference.served import event, ndjson
from trueup.reference.behaviour import Behaviour
from trueup.reference.errors import StartProblem, StoreProblem
from trueup.reference.graph import Filters, window_parts
from trueup.reference.query import parse_query
from trueup.reference.resources import RESOURCES, ResourceKind
from trueup.reference.sql import order_by
from trueup.reference.store import maintenance, reading, writer
from trueup.reference.store.deliveries import ReadDelivery
from trueup.reference.store.record import IngestResult, record_together
from trueup.reference.store.schema import DATABASE
from trueup.reference.store.store import Store
from trueup.reference.times import DAY_US, HOUR_US, format_instant

EXAMPLES = {
    ResourceKind.INTEGER: "1",
    ResourceKind.AMOUNT: "1",
    ResourceKind.BOOLEAN: "true",
    ResourceKind.INSTANT: "2025-04-01 10:00:00",
    ResourceKind.MIDNIGHT: "2025-04-01",
    ResourceKind.DATE: "2025-04-01",
}
RESTRICTED = {
    "log": {"proxy_user_id": "alice"},
    "log_summary": {"proxy_user_id": "alice"},
    "residential_ledger": {},
    "mobile_ledger": {},
}
"""Resource → the filter that every other one is given together with."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path, tenants=2, behaviour=Behaviour())
    yield opened
    opened.close()


@contextmanager
def traced(folder: Path) -> Iterator[tuple[sqlite3.Connection, list[str]]]:
    """A connection to the store of this folder, and the statements that it executes."""
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as connection:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        yield connection, statements


def plans(connection: sqlite3.Connection, statements: list[str]) -> list[str]:
    """Each step of the plans of these statements."""
    connection.set_trace_callback(None)
    return [
        row[3]
        for statement in statements
        if statement.startswith("SELECT")
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]


def deliver(store: Store, numbers: range, ago_us: int = 0) -> None:
    when = format_instant(store.clock.now_us() - ago_us)
    events = [
        event(n, log_request_datetime=when, proxy_user_id=f"user-{n % 7}", log_total_bytes=n)
        for n in numbers
    ]
    assert store.deliver(ndjson(events)).result(timeout=60).accepted == len(numbers)


def every_filter() -> Iterator[tuple[str, str, str]]:
    """Each (resource, filter, value) that a search of a large resource takes."""
    for name in RESTRICTED:
        for field in RESOURCES[name].fields:
            value = field.values[0] if field.values else EXAMPLES.get(field.kind, "x")
            text = field.kind is ResourceKind.TEXT
            for prefix in ("", "not_", *(("like_",) if text else ("min_", "max_"))):
                yield name, prefix + field.name, value


def test_every_search_with_a_user_reads_an_index(store: Store, tmp_path: Path) -> None:
    """Also with each filter and each order; neither the count nor the page scans a table."""
    asked = list(every_filter())
    assert len(asked) > 200
    with traced(tmp_path) as (connection, statements):
        for name, parameter, value in asked:
            given = RESTRICTED[name] | {parameter: value}
            query = parse_query(RESOURCES[name], list(given.items()))
            reading.find(
                connection,
                RESOURCES[name],
                customers=(1001,),
                conditions=query.conditions,
                order=order_by(RESOURCES[name], query.sort),
                window=lambda _total: (0, 100),
                behaviour=Behaviour(),
            )
        steps = plans(connection, statements)
    assert len(steps) >= 2 * len(asked)
    assert not [step for step in steps if step.startswith("SCAN") and "json_each" not in step]


@pytest.mark.parametrize(
    ("name", "given", "index"),
    [
        ("log", {"log_id": "x"}, "log_by_id"),
        ("log", {"log_hostname": "a.com"}, "log_by_hostname"),
        ("log", {"proxy_user_id": "alice"}, "log_by_user"),
        ("log", {}, "log_by_time"),
        ("log_summary", {"log_summary_id": "x"}, "summary_by_id"),
    ],
)
def test_a_search_uses_the_index_of_its_filter(
    store: Store, tmp_path: Path, name: str, given: dict[str, str], index: str
) -> None:
    """And reads rows in the default order from it, without sorting them."""
    query = parse_query(RESOURCES[name], list(given.items()))
    retained = parse_query(RESOURCES["log"], [("min_log_request_datetime", "2025-04-01")])
    conditions = (*query.conditions, *(retained.conditions if name == "log" else ()))
    with traced(tmp_path) as (connection, statements):
        reading.find(
            connection,
            RESOURCES[name],
            customers=(1001,),
            conditions=conditions,
            order=order_by(RESOURCES[name], query.sort),
            window=lambda _total: (0, 100),
            behaviour=Behaviour(),
        )
        steps = plans(connection, statements)
    assert [index in step for step in steps if step.startswith("SEARCH")] == [True, True]
    assert "by_id" in index or len(steps) == 2


@pytest.mark.parametrize("what", ["graph", "breakdown"])
def test_graph_and_breakdown_read_an_index_alone(store: Store, tmp_path: Path, what: str) -> None:
    """All that they add up is in the index of times: no row is looked up."""
    now_us = store.clock.now_us()
    parts = window_parts(now_us - DAY_US, now_us, now_us - 7 * DAY_US, "hour")
    with traced(tmp_path) as (connection, statements):
        if what == "graph":
            reading.sums(
                connection,
                customers=(1001,),
                window_parts=parts,
                width_us=HOUR_US,
                filters=Filters(),
                old_filters=Filters(),
            )
        else:
            reading.breakdown(
                connection,
                customers=(1001,),
                window_parts=parts,
                by=["hostname", "network", "proxy_user_id"],
                filters=Filters(),
                old_filters=Filters(),
            )
        steps = plans(connection, statements)
    assert [step for step in steps if "COVERING INDEX log_by_time" in step]


# --- deliveries that are written together


def waiting_together(store: Store, bodies: list[bytes]) -> list[Future[IngestResult]]:
    """Deliver bodies while the writer is held up, so that it takes them as one group."""
    release = threading.Event()
    held = store.write(lambda connection: release.wait(timeout=60))
    futures = [store.deliver(body) for body in bodies]
    release.set()
    wait([held], timeout=60)
    wait(futures, timeout=60)
    return futures


def body_of(store: Store, numbers: range) -> bytes:
    when = format_instant(store.clock.now_us())
    return ndjson(event(n, log_request_datetime=when, log_total_bytes=n) for n in numbers)


def totals(folder: Path) -> tuple[tuple[int, int], ...]:
    """Number and bytes of the logs, and those that summaries and ledger have."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        queries = (
            "SELECT COUNT(*), SUM(log_total_bytes) FROM log",
            "SELECT SUM(requests), SUM(bytes_low) FROM summary",
            "SELECT SUM(requests), -SUM((bytes_high << 32) + bytes_low) FROM ledger "
            "WHERE reason = 'usage'",
        )
        return tuple(connection.execute(query).fetchone() for query in queries)


def test_deliveries_that_wait_are_committed_together(store: Store, tmp_path: Path) -> None:
    bodies = [body_of(store, range(first, first + 5)) for first in (1, 11, 21)]
    statements: list[str] = []
    store.write(lambda connection: connection.set_trace_callback(statements.append)).result(60)
    results = [future.result(timeout=60) for future in waiting_together(store, bodies)]
    assert [result.accepted for result in results] == [5, 5, 5]
    assert sum(each.startswith("INSERT INTO summary") for each in statements) == 1
    assert totals(tmp_path) == ((15, 195),) * 3


def test_a_delivery_that_fails_fails_alone(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were written together with it are written without it."""
    right = record_together

    def failing(
        connection: sqlite3.Connection, deliveries: Sequence[ReadDelivery], behaviour: Behaviour
    ) -> list[IngestResult]:
        results = right(connection, deliveries, behaviour)
        if any(log.log_total_bytes == 12 for each in deliveries for log in each.events.values()):
            raise ValueError("for this test")
        return results

    monkeypatch.setattr(writer, "record_together", failing)
    bodies = [body_of(store, range(first, first + 5)) for first in (1, 11, 21)]
    first, second, third = waiting_together(store, bodies)
    with pytest.raises(ValueError, match="for this test"):
        second.result(timeout=60)
    assert (first.result(timeout=60).accepted, third.result(timeout=60).accepted) == (5, 5)
    assert totals(tmp_path) == ((10, 130),) * 3


def test_a_full_disk_loses_nothing_that_was_acknowledged(store: Store, tmp_path: Path) -> None:
    """What does not fit is refused, with all that waits beside it; later it is taken."""

    def limit(pages: int) -> None:
        store.write(
            lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}")
        ).result(timeout=60)

    used = store.write(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    limit(used.result(timeout=60) + 60)
    bodies = [body_of(store, range(first, first + 50)) for first in range(1, 2_001, 50)]
    accepted, refused = 0, []
    for start in range(0, len(bodies), 4):
        part = bodies[start : start + 4]
        for body, future in zip(part, waiting_together(store, part), strict=True):
            try:
                accepted += future.result(timeout=60).accepted
            except StoreProblem:
                refused.append(body)
    assert accepted and refused
    assert [row[0] for row in totals(tmp_path)] == [accepted] * 3
    limit(1_000_000)
    assert sum(store.deliver(body).result(timeout=60).accepted for body in refused) > 0
    assert totals(tmp_path) == ((2_000, 2_000 * 2_001 // 2),) * 3


# --- maintenance


def test_a_purge_lets_other_writers_in_between_its_steps(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step deletes more than a chunk, and the result counts the logs of all steps."""
    monkeypatch.setattr(maintenance, "STEP_S", 0.0)
    monkeypatch.setattr(maintenance, "LOG_CHUNK", 10)
    deliver(store, range(1, 36))
    deliver(store, range(36, 40), ago_us=-60_000_000)
    store.clock.advance(7 * DAY_US + 30_000_000)
    due = maintenance.MaintenanceRound(behaviour=Behaviour(), now_us=store.clock.now_us())
    left = []
    while (result := store.write(due.step).result(timeout=60)) is None:
        count = store.write(lambda connection: connection.execute("SELECT COUNT(*) FROM log"))
        left.append(count.result(timeout=60).fetchone()[0])
    assert left == [29, 19, 9, 4]
    assert result.logs_deleted == 35


def test_a_consolidation_keeps_all_sums_after_each_of_its_steps(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "STEP_S", 0.0)
    monkeypatch.setattr(maintenance, "SUMMARY_CHUNK", 3)
    for first in (1, 21):
        deliver(store, range(first, first + 20))
    store.clock.advance(92 * DAY_US)
    due = maintenance.MaintenanceRound(behaviour=Behaviour(), now_us=store.clock.now_us())
    seen = []
    while store.write(due.step).result(timeout=60) is None:
        sums = store.write(
            lambda connection: connection.execute(
                "SELECT SUM(requests), SUM(bytes_low), SUM(hostname = '') FROM summary"
            ).fetchone()
        )
        seen.append(sums.result(timeout=60))
    assert len(seen) >= 7 and {row[:2] for row in seen} == {(40, sum(range(1, 41)))}
    assert seen[-1][2] == 7


def test_an_event_that_comes_again_counts_once_as_long_as_its_time_is_accepted(
    store: Store,
) -> None:
    """Also when maintenance ran a moment before; a moment later its time is refused."""
    sent_us = store.clock.now_us() // 1_000_000 * 1_000_000
    body = ndjson([event(1, log_request_datetime=format_instant(sent_us))])
    assert store.deliver(body).result(timeout=60).accepted == 1

    def maintained(connection: sqlite3.Connection) -> None:
        maintenance.maintain(connection, behaviour=Behaviour(), now_us=store.clock.now_us())

    store.clock.advance(sent_us + 7 * DAY_US - 20_000_000 - store.clock.now_us())
    store.write(maintained).result(timeout=60)
    again = store.deliver(body).result(timeout=60)
    assert (again.accepted, again.duplicates) == (1, 1)
    store.clock.advance(sent_us + 7 * DAY_US + 20_000_000 - store.clock.now_us())
    store.write(maintained).result(timeout=60)
    late = store.deliver(body).result(timeout=60)
    assert (late.accepted, len(late.refused)) == (0, 1)


# --- folders


def test_what_the_store_creates_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "below" / "data"
    before = os.umask(0)
    try:
        store = Store(folder, tenants=1, behaviour=Behaviour())
        deliver(store, range(1, 3))
        modes = {file.name: S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert S_IMODE(folder.stat().st_mode) == 0o700
    assert len(modes) >= 3 and set(modes.values()) == {0o600}


def refusal(folder: Path) -> str:
    with pytest.raises(StartProblem) as refused:
        Store(folder, tenants=1, behaviour=Behaviour()).close()
    assert refused.value.status == 3
    return str(refused.value)


def test_a_database_that_was_cut_or_damaged_is_refused(tmp_path: Path) -> None:
    """Cut to nothing, cut short, and with an overwritten tail; the message names the file."""
    store = Store(tmp_path, tenants=1, behaviour=Behaviour())
    deliver(store, range(1, 500))
    store.close()
    file = tmp_path / DATABASE
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 8192 * 4096])
    assert "damaged" in refusal(tmp_path) and str(file) in refusal(tmp_path)
    file.write_bytes(whole[:-30_000] + b"\xa5" * 30_000)
    assert "damaged" in refusal(tmp_path)
    file.write_bytes(b"")
    assert "empty" in refusal(tmp_path) and file.read_bytes() == b""
    file.write_bytes(whole)
    again = Store(tmp_path, tenants=1, behaviour=Behaviour())
    deliver(again, range(500, 510))
    again.close()


def test_a_second_server_on_one_folder_is_refused(store: Store, tmp_path: Path) -> None:
    assert "another reference is using this directory" in refusal(tmp_path)
    deliver(store, range(1, 3))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only folder")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "Give --data a directory that can be written" in refusal(tmp_path)


def test_a_store_of_version_1_gets_the_present_indexes(tmp_path: Path) -> None:
    store = Store(tmp_path, tenants=1, behaviour=Behaviour())
    deliver(store, range(1, 6))
    store.close()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        connection.executescript(
            "DROP INDEX log_by_time; DROP INDEX log_by_hostname; PRAGMA user_version = 1;"
            "CREATE INDEX log_by_time ON log (customer_id, log_request_datetime);"
        )
    Store(tmp_path, tenants=1, behaviour=Behaviour()).close()
    query = "SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'log' AND type = 'index'"
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        indexes = dict(connection.execute(query).fetchall())
    assert "log_concurrency" in indexes["log_by_time"] and "log_by_hostname" in indexes
