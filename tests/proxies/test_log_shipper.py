"""Access logs that are shipped while they are written: lines, records, usage events, delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from trueup.reports.results import EventOutcome, Outcome
from trueup.scenarios.cli import trueup
from trueup.scenarios.embedded.process import embedded_reference
from trueup.scenarios.embedded.target import key_environment, target_file
from trueup.scenarios.run.log_shipper import LogShipper, ShippedAs, usage_event
from trueup.simulator.access_logs import (
    AccessRecord,
    FollowedLog,
    LogReader,
    ReadOptions,
    line_parser,
)
from trueup.simulator.delivery import BatchOutcome
from trueup.simulator.errors import AccessLogError

_SQUID = "1796060932.783     69 127.0.0.1 TCP_TUNNEL/200 {size} CONNECT {host}:443 kim HIER/- -\n"
_DANTE = (
    "Nov 30 17:49:50 (1796060990.806107) danted[25067]: info: Dante/server[1/1] v1.4.2 running\n"
    "Nov 30 17:49:52 (1796060992.369710) danted[25087]: info: pass(1): tcp/connect [: "
    "127.0.0.1.38092 127.0.0.1.11080 -> 127.0.0.1.39073 127.80.0.5.39161\n"
    "Nov 30 17:49:52 (1796060992.373711) danted[25087]: info: pass(1): tcp/connect ]: 1234 -> "
    "127.0.0.1.38092 127.0.0.1.11080 -> 100, 100 -> 127.0.0.1.39073 127.80.0.5.39161 -> 1234: "
    "remote peer closed.  Session duration: 3s\n"
    "Nov 30 17:49:52 (1796060992.402119) danted[25087]: info: pass(1): tcp/connect ]: 0 -> "
    "username%kim@127.0.0.9.38108 127.0.0.1.11080 -> 0, 0 -> 127.0.0.1.45459 origin.test.9 -> 0: "
    "remote peer error (Connection refused).  Session duration: 0s\n"
)
_SHOWN = ShippedAs(customer_id=7, network="isp", users={"127.0.0.1": "sam"})


def test_sessions_of_dante_are_read_with_the_bytes_of_both_directions(tmp_path: Path) -> None:
    log = tmp_path / "dante.log"
    log.write_text(_DANTE)
    reader = LogReader(log)
    first, second = reader
    assert (reader.report.format, reader.report.refused) == ("dante", 0)
    assert first == AccessRecord(
        time_us=1_796_060_992_373_711,
        size=1334,
        host="127.80.0.5",
        client="127.0.0.1",
        duration_ms=3000,
        protocol="socks",
    )
    assert (second.user, second.client, second.host) == ("kim", "127.0.0.9", "origin.test")
    assert (second.size, second.error) == (0, "connection_refused")


def test_a_line_of_another_program_is_refused_as_dantes() -> None:
    with pytest.raises(AccessLogError, match="there are squid, haproxy, dante"):
        line_parser(ReadOptions(format="har"))


class _KeepingDriver:
    """A driver that keeps what it is given; its first responses may be lost."""

    def __init__(self, lost: int = 0) -> None:
        self.lost = lost
        self.events: list[Any] = []

    async def send(self, events: Sequence[Any]) -> Sequence[EventOutcome]:
        self.events += events
        self.lost -= 1
        outcome = Outcome.UNKNOWN if self.lost >= 0 else Outcome.ACCEPTED
        return [EventOutcome(outcome)] * len(events)

    async def send_ndjson(self, body: bytes, count: int) -> BatchOutcome:
        raise NotImplementedError

    async def check(self) -> None:
        """Nothing to check."""

    async def close(self) -> None:
        """Nothing to close."""


def _shipper(log: Path, target: _KeepingDriver) -> LogShipper:
    followed = FollowedLog(path=log, parse=line_parser(ReadOptions(format="squid")))
    return LogShipper(log=followed, driver=target, shown=_SHOWN)


async def test_lines_are_shipped_once_they_are_complete_also_of_a_new_file(tmp_path: Path) -> None:
    log, target, stop = tmp_path / "access.log", _KeepingDriver(), asyncio.Event()
    shipper = _shipper(log, target)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(shipper.run(stop))
        whole = _SQUID.format(size=10, host="a.test")
        with log.open("w") as file:
            file.write(whole + whole[:20])
            file.flush()
            await _until(lambda: len(target.events) == 1)
            file.write(whole[20:])
        await _until(lambda: len(target.events) == 2)
        log.unlink()
        log.write_text(_SQUID.format(size=20, host="b.test") + "garbage\n")
        await _until(lambda: len(target.events) == 3)
        stop.set()
    assert [event["log_hostname"] for event in target.events] == ["a.test", "a.test", "b.test"]
    assert len({event["log_id"] for event in target.events}) == 3
    assert (shipper.log.read, shipper.log.refused) == (3, 1)


async def _until(seen: Any) -> None:
    while not seen():  # noqa: ASYNC110  # of another task
        await asyncio.sleep(0.01)


async def test_a_batch_without_a_response_is_delivered_again_with_the_same_ids(
    tmp_path: Path,
) -> None:
    log, target, stop = tmp_path / "access.log", _KeepingDriver(lost=1), asyncio.Event()
    log.write_text(_SQUID.format(size=10, host="a.test"))
    stop.set()
    shipper = _shipper(log, target)
    await shipper.run(stop)
    first, second = target.events
    assert first == second
    assert shipper.outcomes == {Outcome.ACCEPTED: 1}


@pytest.mark.parametrize(
    ("record", "user"),
    [
        (AccessRecord(time_us=1_000_000, host="a.test", user="kim", client="127.0.0.1"), "kim"),
        (AccessRecord(time_us=1_000_000, host="a.test", client="127.0.0.1"), "sam"),
        (AccessRecord(time_us=1_000_000, host="a.test", client="127.0.0.2"), None),
        (AccessRecord(time_us=1_000_000, user="kim", client="127.0.0.1"), None),
    ],
)
def test_a_request_is_of_the_user_that_the_log_or_the_address_names(
    record: AccessRecord, user: str | None
) -> None:
    event = usage_event("1", record, _SHOWN)
    assert (event and event["proxy_user_id"]) == user


def test_the_command_ships_a_log_to_a_target_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from time import time

    log, file = tmp_path / "access.log", tmp_path / "target.toml"
    now = f"{time():.3f}"
    log.write_text(_SQUID.format(size=10, host="a.test").replace("1796060932.783", now) * 2)
    with embedded_reference() as reference:
        file.write_text(target_file(reference.serving, requests=10))
        for name, value in key_environment(reference.serving).items():
            monkeypatch.setenv(name, value)
        options = ["--target", str(file), "--format", "squid", "--network", "isp", "--once"]
        result = CliRunner().invoke(trueup, ["ship", str(log), *options], standalone_mode=False)
        wrong = CliRunner().invoke(trueup, ["ship", str(log), *options, "--user", "x"])
    assert (result.return_value, result.exception) == (0, None)
    assert result.output == (
        "2 requests read, 0 lines refused, 0 without a user; 2 events accepted, 0 refused or not "
        "delivered\n"
    )
    assert "write ADDRESS=USER" in wrong.output
