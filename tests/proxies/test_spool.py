"""Usage survives the death of the process; what can be lost is what the spool says."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueup.reports.results import Json
from trueup.simulator.errors import SpoolError
from trueup.simulator.proxies import OpenRequest, Spool

REQUEST = OpenRequest(
    network="mobile", customer_id=7, client="127.0.0.1:9", proxy="127.67.0.1:8080", began_s=1.5
)


def usage(log_id: str, size: int = 0) -> dict[str, Json]:
    return {"log_id": log_id, "log_total_bytes": size, "log_error_code": None}


def opened(folder: Path, segment_bytes: int = 1 << 20) -> Spool:
    spool = Spool(folder=folder, segment_bytes=segment_bytes)
    spool.open()
    return spool


def drain(spool: Spool, most: int = 2) -> list[dict[str, Json]]:
    """Deliver everything, a few at a time."""
    found: list[dict[str, Json]] = []
    while (batch := spool.next_batch(most)) is not None:
        found += batch.events
        spool.delivered(batch)
    return found


def test_events_are_delivered_once_in_order_also_by_the_next_process(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    for number in range(5):
        spool.begin(usage(f"{number}"), REQUEST)
        spool.end(usage(f"{number}", number))
    assert spool.waiting == 5
    batch = spool.next_batch(2)
    assert batch is not None
    spool.delivered(batch)
    spool.close()
    again = opened(tmp_path)
    assert again.waiting == 3
    assert [event["log_id"] for event in drain(again)] == ["2", "3", "4"]
    assert (again.waiting, again.recovered) == (0, {})
    again.close()


def test_a_request_open_at_a_kill_is_completed_from_its_last_checkpoint(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.begin(usage("one"), REQUEST)
    spool.begin(usage("two"), REQUEST)
    spool.progress("one", 700)
    spool.progress("one", 900)
    spool.progress("unknown", 5)
    spool.close()
    again = opened(tmp_path)
    assert again.recovered == {"one": REQUEST, "two": REQUEST}
    assert [(event["log_id"], event["log_total_bytes"], event["log_error_code"])
            for event in drain(again)] == [
        ("one", 900, "connection_terminated"), ("two", 0, "connection_terminated"),
    ]  # fmt: skip
    again.close()
    last = opened(tmp_path)
    assert (last.recovered, drain(last)) == ({}, [])
    last.close()


def test_a_line_that_was_cut_by_a_kill_is_skipped(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.begin(usage("one"), REQUEST)
    spool.end(usage("one", 7))
    spool.close()
    (segment,) = tmp_path.glob("*.ndjson")
    segment.write_bytes(segment.read_bytes() + b'{"event":{"log_id":"tw')
    again = opened(tmp_path)
    assert [event["log_id"] for event in drain(again)] == ["one"]
    again.close()


def test_segments_that_are_delivered_are_removed(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment_bytes=300)
    spool.begin(usage("open"), REQUEST)
    for number in range(50):
        spool.end(usage(f"{number}", number))
    assert len(list(tmp_path.glob("*.ndjson"))) > 5
    assert len(drain(spool)) == 50
    assert len(list(tmp_path.glob("*.ndjson"))) <= 2
    spool.close()
    again = opened(tmp_path)
    assert again.recovered == {"open": REQUEST}
    drain(again)
    again.remove_if_delivered()
    again.close()
    assert not tmp_path.exists()


def test_two_processes_cannot_share_a_folder(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with pytest.raises(SpoolError, match="another process uses this spool"):
        opened(tmp_path)
    spool.close()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="file/spool: cannot be used"):
        opened(tmp_path / "file" / "spool")
    (tmp_path / "position").write_text("{")
    with pytest.raises(SpoolError, match="position: cannot be read"):
        opened(tmp_path)


def test_events_that_do_not_fit_on_the_disk_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path)
    spool.end(usage("one"))
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:9]))
    spool.end(usage("two"))
    monkeypatch.setattr(os, "write", real)
    spool.end(usage("three"))
    assert spool.write_errors == 1
    assert [event["log_id"] for event in drain(spool)] == ["one", "three"]
    spool.close()


ACTIONS = st.lists(
    st.sampled_from(["begin", "progress", "end", "part", "kill", "deliver", "lose"]), max_size=40
)


@settings(max_examples=60)
@given(actions=ACTIONS, segment_bytes=st.sampled_from([1, 200, 1 << 20]))
def test_every_request_leaves_one_event_whatever_is_killed_when(
    actions: list[str], segment_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`lose`: a delivery of which the process did not note the response, so it is repeated."""
    folder = tmp_path_factory.mktemp("spool")
    spool = opened(folder, segment_bytes)
    expected: dict[str, int] = {}
    open_ids: list[str] = []
    stored: dict[str, int] = {}

    def deliver(*, note: bool) -> None:
        while (batch := spool.next_batch(3)) is not None:
            for event in batch.events:
                size = event["log_total_bytes"]
                assert isinstance(size, int)
                assert stored.setdefault(str(event["log_id"]), size) == size
            if not note:
                return
            spool.delivered(batch)

    for number, action in enumerate(actions, 1):
        match action:
            case "begin":
                spool.begin(usage(f"{number}"), REQUEST)
                open_ids.append(f"{number}")
                expected[f"{number}"] = 0
            case "progress" if open_ids:
                spool.progress(open_ids[0], number)
                expected[open_ids[0]] = number
            case "end" if open_ids:
                log_id = open_ids.pop(0)
                spool.end(usage(log_id, number))
                expected[log_id] = number
            case "part" if open_ids:
                log_id = open_ids.pop(0)
                spool.part(usage(log_id, number), usage(f"{number}"), REQUEST)
                expected |= {log_id: number, f"{number}": 0}
                open_ids.append(f"{number}")
            case "kill":
                spool.close()
                spool = opened(folder, segment_bytes)
                assert sorted(spool.recovered) == sorted(open_ids)
                open_ids.clear()
            case "deliver" | "lose":
                deliver(note=action == "deliver")
            case _:
                pass
    spool.close()
    spool = opened(folder, segment_bytes)
    deliver(note=True)
    assert (stored, spool.waiting) == (expected, 0)
    spool.close()


def test_what_is_on_disk_is_a_line_of_json_a_record(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.begin(usage("one"), REQUEST)
    spool.progress("one", 3)
    spool.progress("one", 3)
    spool.end(usage("one", 4))
    spool.close()
    (segment,) = tmp_path.glob("*.ndjson")
    lines = [msgspec.json.decode(line) for line in segment.read_bytes().splitlines()]
    assert [next(iter(line)) for line in lines] == ["open", "progress", "event"]
