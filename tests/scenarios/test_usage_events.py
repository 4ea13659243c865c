"""Usage events that proxies reported, kept in the run's folder and read again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.journal_header import journal_in
from trueup.conformance.ports import Slice
from trueup.reports.journal.records import Delivered, OutcomeRange, ProxiedDeclared
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import CellKey, Counts, Json, Outcome
from trueup.scenarios.errors import UsageProblem
from trueup.scenarios.run.traffic import traffic_of
from trueup.scenarios.run.usage_events import USAGE_FILE, write_usage
from trueup.simulator.proxies import UsageRecord

AT = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)
CELL = CellKey(7, "anna", "mobile", "shop.example", "2026-03-01")


def usage(number: int, outcome: Outcome = Outcome.ACCEPTED, **changes: Json) -> UsageRecord:
    event: dict[str, Json] = {
        "log_id": f"id-{number}",
        "customer_id": 7,
        "proxy_user_id": "anna",
        "log_network": "mobile",
        "log_hostname": "shop.example",
        "log_total_bytes": 10**number,
        "log_request_datetime": f"{AT:%Y-%m-%d %H:%M:%S}",
        "log_status_code": 200,
        "log_error_code": None,
    }
    return UsageRecord(event=event | changes, outcome=outcome)


def test_an_event_that_was_delivered_again_is_written_once_with_its_strongest_outcome(
    tmp_path: Path,
) -> None:
    records = [usage(0), usage(1, Outcome.UNKNOWN), usage(2, Outcome.REFUSED), usage(1), usage(0)]
    events, _, outcomes = write_usage(records, tmp_path)
    assert [row["log_id"] for row in events] == ["id-0", "id-1", "id-2"]
    assert (len(events), events.customers, events.log_id(1)) == (3, (7,), "id-1")
    assert (events.position("id-2"), events.position("id-9")) == (2, None)
    assert outcomes == (
        OutcomeRange(first=0, count=2, outcome=Outcome.ACCEPTED),
        OutcomeRange(first=2, count=1, outcome=Outcome.REFUSED),
    )


def declared(folder: Path, sha256: str) -> None:
    """Write a journal that declares three events, of which the last was refused."""
    with journal_in(folder) as writer:
        writer.write(
            ProxiedDeclared(
                fleet="proxied", events=3, sha256=sha256, customers=(7,), counting="both",
            )
        )  # fmt: skip
        ranges = (
            OutcomeRange(first=0, count=2, outcome=Outcome.ACCEPTED),
            OutcomeRange(first=2, count=1, outcome=Outcome.REFUSED),
        )
        writer.write(Delivered(source="proxied", fleet="proxied", outcomes=ranges, at="t"))


def test_a_journal_and_the_file_beside_it_give_the_traffic_again(tmp_path: Path) -> None:
    _, sha256, _ = write_usage([usage(0), usage(1, log_status_code=502), usage(2)], tmp_path)
    declared(tmp_path, sha256)
    (traffic,) = traffic_of(read_journal(tmp_path / "journal.ndjson")).values()
    assert traffic.cells() == {CELL: Counts(requests=2, bytes=11, successful=1, error=1)}
    here = Slice(7, "2026-03-01 00:00:00", "2026-03-01 23:59:59", "mobile")
    assert traffic.ids_in([here, here._replace(network="isp")]) == [
        {"id-0": Outcome.ACCEPTED, "id-1": Outcome.ACCEPTED}, {},
    ]  # fmt: skip
    assert (traffic.outcome("id-2"), traffic.outcome("id-9")) == (Outcome.REFUSED, None)
    event = traffic.event("id-1")
    assert event is not None and event["log_total_bytes"] == 10


def test_a_file_that_is_gone_or_changed_is_named(tmp_path: Path) -> None:
    _, sha256, _ = write_usage([usage(0)], tmp_path)
    declared(tmp_path, sha256)
    journal = read_journal(tmp_path / "journal.ndjson")
    path = tmp_path / USAGE_FILE
    path.write_bytes(path.read_bytes().replace(b"anna", b"otto"))
    with pytest.raises(UsageProblem, match=r"usage\.ndjson: has changed since the run"):
        traffic_of(journal)
    path.unlink()
    with pytest.raises(UsageProblem, match=r"usage\.ndjson: .* beside the journal"):
        traffic_of(journal)
