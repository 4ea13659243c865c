"""Fleet traffic as the judge sees it: ids of slices, and what a run has sent besides."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.journal_header import journal_in
from trueup.conformance.ports import Slice
from trueup.reports.journal.records import Delivered, JudgePlan, OutcomeRange
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import Json, Outcome
from trueup.scenarios.run.traffic import DeliveredEvents, delivered, traffic_of
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.profile import load_profile

RANGES = (
    OutcomeRange(first=0, count=500, outcome=Outcome.ACCEPTED),
    OutcomeRange(first=500, count=300, outcome=Outcome.REFUSED),
    OutcomeRange(first=800, count=400, outcome=Outcome.UNKNOWN),
    OutcomeRange(first=1200, count=800, outcome=Outcome.ACCEPTED),
)


def fleet(name: str = "default", seed: int = 3) -> Fleet:
    start = datetime(2026, 3, 1, 20, tzinfo=UTC)
    return Fleet(load_profile(name), seed=seed, start=start, customers=(11, 12), events_per_s=0.05)


def probe_event(log_id: str) -> dict[str, Json]:
    """A probe event of 7 bytes on the first evening of the fleet."""
    return {
        "log_id": log_id,
        "customer_id": 11,
        "proxy_user_id": "marker",
        "log_network": "isp",
        "log_hostname": "h",
        "log_total_bytes": 7,
        "log_request_datetime": "2026-03-01 21:00:00",
    }


def inside(row: dict[str, Json], wanted: Slice) -> bool:
    """The meaning of a slice, spelled out."""
    return (
        row["customer_id"] == wanted.customer_id
        and wanted.first <= str(row["log_request_datetime"]) <= wanted.last
        and (not wanted.network or row["log_network"] == wanted.network)
        and (not wanted.proxy_user_id or row["proxy_user_id"] == wanted.proxy_user_id)
        and (not wanted.hostname or row["log_hostname"] == wanted.hostname)
    )


@pytest.mark.parametrize("number", [3, 700, 1000, 1500])
def test_the_ids_of_a_slice_are_those_of_its_events_that_were_not_refused(number: int) -> None:
    """Around events of every outcome, coverage events too, in slices of every kind."""
    sent = fleet()
    traffic = delivered(sent, RANGES)
    rows = sent.batch(0, 2000).rows()
    near, customer = rows[number], rows[number]["customer_id"]
    assert isinstance(customer, int)
    whole = Slice(customer, "2026-03-01 00:00:00", "2026-03-02 23:59:59")
    at = str(near["log_request_datetime"])
    slices = [
        whole,
        whole._replace(first=at, last=at),
        whole._replace(network=str(near["log_network"])),
        whole._replace(proxy_user_id=str(near["proxy_user_id"])),
        whole._replace(
            proxy_user_id=str(near["proxy_user_id"]), hostname=str(near["log_hostname"])
        ),
    ]
    for wanted, found in zip(slices, traffic.ids_in(slices), strict=True):
        expected = {
            row["log_id"]: became
            for row in rows
            for became in [traffic.outcome(str(row["log_id"]))]
            if became is not Outcome.REFUSED and inside(row, wanted)
        }
        assert found == expected
        assert all(traffic.event(log_id) is not None for log_id in found)


def test_events_that_are_asked_for_one_by_one_are_those_of_the_batch() -> None:
    """Neighbours are drawn together; each is still itself."""
    sent = fleet()
    traffic = delivered(sent, RANGES)
    rows = sent.batch(60, 10).rows()
    assert [traffic.event(str(row["log_id"])) for row in rows] == rows


def test_beside_a_part_stands_what_was_sent_before_it_was_reconciled(tmp_path: Path) -> None:
    """The load knows of the fleet and of its probe; the fleet, judged first, of nothing."""
    one, other = fleet(), fleet(seed=4)
    accepted = (OutcomeRange(first=0, count=1, outcome=Outcome.ACCEPTED),)
    with journal_in(tmp_path) as writer:
        for name, each in (("fleet", one), ("load", other)):
            writer.write(each.identity(name))
            writer.write(Delivered(source=name, fleet=name, outcomes=RANGES, at="-"))
            if name == "load":
                writer.write(
                    Delivered(
                        source="load",
                        stage="freshness",
                        events=(probe_event("m"),),
                        outcomes=accepted,
                        at="-",
                    )
                )
            writer.write(JudgePlan(prefix="", now="2026-03-02 00:00:00", level=0, part=name))
    found = traffic_of(read_journal(tmp_path / "journal.ndjson"))
    assert found["fleet"].beside == ()
    first, planted = found["load"].beside
    assert first.cells() == found["fleet"].cells()
    (key,) = planted.cells()
    assert (key.proxy_user_id, planted.cells()[key].bytes) == ("marker", 7)


def test_a_probe_event_of_unknown_outcome_is_slack() -> None:
    """It may or may not be there, and a refused one is not."""
    events = [probe_event(f"m{n}") for n in range(3)]
    outcomes = [
        OutcomeRange(first=n, count=1, outcome=each)
        for n, each in enumerate((Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.REFUSED))
    ]
    traffic = DeliveredEvents(events, outcomes)
    (sure,), (maybe,) = traffic.cells().values(), traffic.slack().values()
    assert (sure.requests, maybe.requests) == (1, 1)
    day = Slice(11, "2026-03-01 00:00:00", "2026-03-01 23:59:59")
    assert traffic.ids_in([day]) == [{"m0": Outcome.ACCEPTED, "m1": Outcome.UNKNOWN}]
