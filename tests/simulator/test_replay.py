"""A recorded log: its events by number, their ids, names, times and totals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pytest

from trueup.reports.journal.records import ReplayDeclared
from trueup.reports.results import CellKey, Counts, HourKey, Json
from trueup.simulator.access_logs import AccessRecord, LogReader
from trueup.simulator.errors import AccessLogError
from trueup.simulator.replay import ReplayRecording, ReplayTraffic, due_us, record_log
from trueup.simulator.totals import add_row

SQUID: Final = Path(__file__).parents[1] / "data" / "access_logs" / "squid-native.log"
BEGIN: Final = 1_741_482_000
"""2025-03-09 01:00:00 UTC."""


def declared(recording: ReplayRecording, **changes: object) -> ReplayDeclared:
    """Return the record of a replay of a whole recording."""
    record = ReplayDeclared(
        fleet="load", log="access.log", format="squid", read=len(recording), refused=0,
        events=len(recording), sha256=recording.sha256, seed=7, namespace="run-1",
        customers=(1955, 1956), shift_s=86_400,
    )  # fmt: skip
    return msgspec.structs.replace(record, **changes)


def traffic_of(folder: Path, records: list[AccessRecord], *, keep: bool = False) -> ReplayTraffic:
    """Record some requests and return their traffic."""
    recording = record_log(records, folder, network="isp", keep_names=keep)
    return ReplayTraffic(recording, declared(recording))


def requests() -> list[AccessRecord]:
    """Requests of two days, two customers, all networks, some failed, not in order of time."""
    dice = np.random.default_rng(5)
    return [
        AccessRecord(
            time_us=(BEGIN + int(dice.integers(0, 100_000))) * 1_000_000 + number,
            size=None if number % 50 == 0 else int(dice.lognormal(9, 3)),
            host=("", "shop.example", "192.0.2.77", "2001:db8::5", "api.example")[number % 5],
            user=("", "jane-doe", "john-roe", "jane-doe")[number % 4],
            client=f"198.51.100.{number % 7}",
            method="GET",
            status=(200, 404, 503, None)[number % 4],
            duration_ms=number,
            network=("", "residential", "mobile")[number % 3],
            protocol="socks" if number % 11 == 0 else "http",
            error="timeout" if number % 13 == 0 else "",
            customer=("acme", "globex")[number % 2],
        )
        for number in range(1000)
    ]


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> ReplayTraffic:
    return traffic_of(tmp_path_factory.mktemp("replay"), requests())


def test_events_are_those_of_the_log_in_order_of_time_moved_by_a_constant(
    traffic: ReplayTraffic,
) -> None:
    """Sizes, statuses and errors as they were; a request without a size has none."""
    rows = traffic.rows(0, 1000)
    wanted = sorted(requests(), key=lambda record: record.time_us)
    for row, record in zip(rows, wanted, strict=True):
        at = datetime.fromtimestamp(record.time_us // 1_000_000 + 86_400, UTC)
        assert row["log_request_datetime"] == f"{at:%Y-%m-%d %H:%M:%S}"
        assert row["log_total_bytes"] == (record.size or 0)
        assert row["log_status_code"] == record.status
        assert row["log_error_code"] == (record.error or None)
        assert row["log_network"] == (record.network or "isp")
        assert row["log_authentication_type"] == (1 if record.user else 2)
    assert traffic.rows(990, 64) == rows[990:]


def test_an_id_leads_back_to_its_event_and_those_of_other_runs_do_not(
    traffic: ReplayTraffic,
) -> None:
    """The same log in another run has other ids and other users."""
    ids = traffic.log_ids(0, 1000)
    assert len(set(ids)) == 1000
    assert [traffic.position(log_id) for log_id in ids[::97]] == list(range(1000))[::97]
    other = ReplayTraffic(traffic.recording, declared(traffic.recording, namespace="run-2"))
    assert other.position(ids[5]) is None
    assert not set(other.users) & set(traffic.users)


def test_totals_are_those_of_the_rows(traffic: ReplayTraffic) -> None:
    """By cell and hour, over any ranges; a user is one of its customer."""
    cells: dict[CellKey, Counts] = {}
    hours: dict[HourKey, Counts] = {}
    for row in traffic.rows(3, 500) + traffic.rows(700, 300):
        add_row(cells, hours, row)
    assert traffic.totals([(3, 500), (700, 300)]) == (cells, hours)
    assert {cell.customer_id for cell in cells} == {1955, 1956}


@pytest.mark.parametrize(
    ("network", "user", "host"),
    [("", "", ""), ("mobile", "", ""), ("", "1", "2"), ("isp", "0", "")],  # fmt: skip,
)
def test_the_events_of_a_slice_are_found(
    network: str, user: str, host: str, traffic: ReplayTraffic
) -> None:
    """By customer, time, network, user and hostname."""
    rows = traffic.rows(0, 1000)
    of_user = str(rows[int(user)]["proxy_user_id"]) if user else ""
    of_host = str(rows[int(host)]["log_hostname"]) if host else ""
    customer = rows[int(user or 0)]["customer_id"]
    assert isinstance(customer, int)
    begin, end = "2025-03-10 02:00:00", "2025-03-10 19:59:59"
    inside: Callable[[dict[str, Json]], bool] = lambda row: (  # noqa: E731
        row["customer_id"] == customer
        and begin <= str(row["log_request_datetime"]) <= end
        and network in ("", row["log_network"])
        and of_user in ("", row["proxy_user_id"])
        and of_host in ("", row["log_hostname"])
    )
    wanted = [row["log_id"] for row in rows[10:900] if inside(row)]
    found = traffic.select(
        10, 900, customer=customer, begin=BEGIN + 86_400 + 3600, end=BEGIN + 86_400 + 19 * 3600 - 1,
        network=network, user=of_user, host=of_host,
    )  # fmt: skip
    assert found == wanted and wanted


def test_names_and_addresses_are_replaced_by_consistent_ones(tmp_path: Path) -> None:
    """In the events and in every file of the recording; kept only where that is asked for."""
    traffic = traffic_of(tmp_path, requests())
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    rows = traffic.rows(0, 1000)
    assert not any(name in files for name in (b"jane", b"roe", b"shop", b"198.51.100", b"acme"))
    wanted = sorted(requests(), key=lambda record: record.time_us)
    for ours, key in (("proxy_user_id", "user"), ("log_hostname", "host"),
                      ("log_client_ip_address", "client")):  # fmt: skip
        pairs = {
            (record.customer, record.user or record.client) if key == "user"
            else getattr(record, key): str(row[ours])
            for record, row in zip(wanted, rows, strict=True)
        }  # fmt: skip
        assert len(set(pairs.values())) == len(pairs)
        for record, row in zip(wanted, rows, strict=True):
            value = getattr(record, key)
            name = (record.customer, record.user or record.client) if key == "user" else value
            assert pairs[name] == row[ours]
    hosts = {record.host: row["log_hostname"] for record, row in zip(wanted, rows, strict=True)}
    assert hosts[""] == "unknown.example"
    assert str(hosts["192.0.2.77"]).startswith("10.") and ":" in str(hosts["2001:db8::5"])
    kept = tmp_path / "kept"
    kept.mkdir()
    names = {row["proxy_user_id"] for row in traffic_of(kept, requests(), keep=True).rows(0, 1000)}
    assert {"jane-doe", "john-roe"} < names


def test_due_times_are_those_of_the_log_or_sooner(tmp_path: Path) -> None:
    """Counted from the first event, divided by the speed."""
    records = [AccessRecord(BEGIN * 1_000_000 + offset) for offset in (700_000, 0, 250_000)]
    recording = record_log(records, tmp_path, network="isp", keep_names=False)
    assert due_us(recording, 1).tolist() == [0, 250_000, 700_000]
    assert due_us(recording, 10).tolist() == [0, 25_000, 70_000]


def test_a_recording_that_was_changed_or_is_missing_is_refused(tmp_path: Path) -> None:
    """What was sent could not be read again."""
    with pytest.raises(AccessLogError, match="beside the journal"):
        ReplayRecording.open(tmp_path)
    recording = record_log(LogReader(SQUID), tmp_path, network="isp", keep_names=False)
    before = declared(recording)
    (tmp_path / "replay.names.json").write_bytes(
        (tmp_path / "replay.names.json").read_bytes().replace(b"user-1", b"user-x")
    )
    with pytest.raises(AccessLogError, match="has changed since the run"):
        ReplayTraffic(ReplayRecording.open(tmp_path), before)
