"""The reference as a process: its one line, its exits, restarts, and being killed in the middle."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.reference.served import USER, event, ndjson
from trueup.reference.graph import PRESETS
from trueup.reference.mutants import FAULTS, VARIANTS
from trueup.reference.store.money import KINDS

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "trueup.reference"]


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A server process and what it announced; killed at the end if it still runs."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    try:
        yield process, json.loads(process.stdout.readline() if process.stdout else b"")
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ask(
    url: str, *, data: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    request = urllib.request.Request(url, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def keys(where: dict[str, Any], tenant: int = 0) -> dict[str, str]:
    pair = where["tenants"][tenant]
    return {"X-API-Public-Key": pair["public_key"], "X-API-Private-Key": pair["private_key"]}


def rows(where: dict[str, Any], path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for page in range(1, 1000):
        url = f"{where['url']}/public/user/{path}?page={page}"
        status, body = ask(url, headers=keys(where))
        assert status == 200, body
        found += body["data"]
        if not body["data"]:
            break
    return found


def now_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def fails(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=30, cwd=ROOT, check=False
    )


@pytest.mark.slow
def test_the_server_announces_itself_in_one_line_and_ends_on_a_signal() -> None:
    """The line has the contract's keys; each signal ends with 0 and nothing on stderr."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with running("--control") as (process, where):
            assert where["url"].endswith("/1.0")
            assert set(where["tenants"][0]) == {
                "public_key",
                "private_key",
                "customer_id",
                "name",
            }
            assert where["ingest_key"] is None and where["control_key"]
            assert ask(f"{where['url']}{USER[4:]}log/search", headers=keys(where))[0] == 200
            process.send_signal(number)
            rest, errors = process.communicate(timeout=20)
            assert (process.returncode, rest, errors) == (0, b"", b"")


@pytest.mark.slow
def test_a_port_in_use_is_one_line_and_status_4() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = fails("serve", "--port", str(taken.getsockname()[1]))
    assert ended.returncode == 4
    assert ended.stderr.count("\n") == 1 and "--port" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "hint"),
    [
        (["serve", "--fault", "Z9"], 4, "There is no fault Z9"),
        (["serve", "--port", "x"], 4, "--port"),
        (["serve", "--ingest-key-env", "NOT_SET_ANYWHERE"], 4, "NOT_SET_ANYWHERE"),
        (["serve", "--data", "/dev/null/x"], 3, "--data"),
        (["nosuch"], 4, "nosuch"),
    ],
)
def test_a_failed_start_gives_its_reason_and_exit_status(
    arguments: list[str], status: int, hint: str
) -> None:
    ended = fails(*arguments)
    assert (ended.returncode, "Traceback" in ended.stderr) == (status, False)
    assert hint in ended.stderr


def test_mutants_are_listed_as_json() -> None:
    listed = json.loads(fails("mutants", "--json").stdout)
    assert [each["id"] for each in listed["faults"]] == [each.id for each in FAULTS]
    assert [each["id"] for each in listed["variants"]] == [each.id for each in VARIANTS]
    assert all(each["what"].endswith(".") for group in listed.values() for each in group)


@pytest.mark.slow
def test_a_restart_keeps_tenants_keys_clock_and_data(tmp_path: Path) -> None:
    arguments = ("--data", str(tmp_path), "--control")
    with running(*arguments) as (process, where):
        control = {"X-Control-Key": where["control_key"]}
        sent = ndjson([event(1, log_request_datetime=now_text())])
        assert ask(where["ingest_url"], data=sent)[1]["accepted"] == 1
        moved = ask(where["control_url"] + "/clock", data=b'{"advance_s": 86400}', headers=control)
        process.terminate()
        process.wait(timeout=20)
    with running(*arguments) as (_, again):
        assert again["tenants"] == where["tenants"]
        assert again["control_key"] == where["control_key"]
        assert len(rows(again, "log/search")) == 1
        now = ask(again["control_url"] + "/clock", headers=control)[1]["now"]
        assert now >= moved[1]["now"]


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """Killed with -9 under concurrent deliveries: every acknowledged event is in all views."""
    acknowledged: list[range] = []
    with running("--data", str(tmp_path)) as (process, where):
        enough = threading.Event()

        def deliver(first: int) -> None:
            for start in range(first, first + 100_000, 40):
                numbers = range(start, start + 40)
                body = ndjson(
                    event(number, log_request_datetime=now_text(), log_total_bytes=number % 7)
                    for number in numbers
                )
                try:
                    _, answer = ask(where["ingest_url"], data=body)
                except (OSError, ValueError):
                    return
                assert answer["accepted"] == 40
                acknowledged.append(numbers)
                if len(acknowledged) > 40:
                    enough.set()

        threads = [
            threading.Thread(target=deliver, args=(lane * 1_000_000,)) for lane in range(1, 5)
        ]
        for thread in threads:
            thread.start()
        assert enough.wait(timeout=60)
        process.kill()
        for thread in threads:
            thread.join(timeout=60)
    with running("--data", str(tmp_path)) as (_, again):
        logs = rows(again, "log/search")
        summaries = rows(again, "log_summary/search")
        ledger = rows(again, "residential_ledger/search")
    present = {int(row["log_id"][:8], 16) for row in logs}
    assert len(present) == len(logs)
    assert {number for numbers in acknowledged for number in numbers} <= present
    total = sum(row["log_total_bytes"] for row in logs)
    assert sum(row["log_summary_requests"] for row in summaries) == len(logs)
    assert sum(row["log_summary_bytes"] for row in summaries) == total
    usage = [row for row in ledger if row["residential_ledger_reason"] == "usage"]
    assert sum(row["residential_ledger_bytes"] for row in usage) == -total


@pytest.mark.slow
def test_an_ingest_key_comes_from_the_environment() -> None:
    with running("--ingest-key-env", "SOME_KEY", SOME_KEY="hush") as (_, where):
        assert where["ingest_key"] == "hush"
        assert ask(where["ingest_url"], data=b"")[0] == 401
        assert ask(where["ingest_url"], data=b"", headers={"X-Ingest-Key": "hush"})[0] == 200


@pytest.mark.slow
def test_the_directory_of_a_killed_server_is_removed_by_the_next_start(tmp_path: Path) -> None:
    with running(TMPDIR=str(tmp_path)) as (process, _):
        (left,) = tmp_path.iterdir()
        process.kill()
        process.wait(timeout=20)
    with running(TMPDIR=str(tmp_path)) as (process, _):
        (own,) = tmp_path.iterdir()
        assert own != left
        process.send_signal(signal.SIGHUP)
        process.wait(timeout=20)
        assert not list(tmp_path.iterdir())


def test_the_page_names_every_option_and_preset() -> None:
    """docs/reference.md keeps up with the command line, the presets and the control calls."""
    page = (ROOT / "docs" / "reference.md").read_text()
    shown = fails("serve", "--help").stdout
    options = set(re.findall(r"--[a-z-]+", shown)) - {"--help"}
    assert len(options) >= 10
    assert not [name for name in (*options, *PRESETS, *KINDS) if f"`{name}" not in page]
