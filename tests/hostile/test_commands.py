"""Commands of trueup against hostile servers: time, memory, status, and what they leave behind."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.hostile.commands import FASTHTTP, KEYS, PLAN, Ended, run_command, write_target
from tests.hostile.servers import (
    SeenRequest,
    empty_api,
    hostile,
    listening,
    moved_to,
    redirect_to,
    response,
)
from trueup.reports.journal.storage import read_journal

pytestmark = pytest.mark.slow

MOST_MB = 320
"""Memory of a command, with the interpreter and numpy."""
LONGEST_S = 130.0
AT_ONCE = 4
"""Commands that run side by side."""
LOADS = {"reactor": (), "FastHttpUser": ("--locustfile", str(FASTHTTP))}


def load(folder: Path, target: Path, user: str, **options: Any) -> Ended:
    plan = folder / "plan.toml"
    plan.write_text(PLAN, encoding="utf-8")
    arguments = ["load", str(plan), "--quiet", "--target", str(target), *LOADS[user]]
    return run_command(arguments, folder, limit_s=LONGEST_S, **options)


def assert_status_2_in_bounds(ended: Ended) -> None:
    """Assert that a command ended with status 2, without a traceback, in time and memory."""
    assert ended.status == 2, ended.output
    assert ended.took_s < LONGEST_S
    assert ended.most_mb < MOST_MB
    assert "Traceback" not in ended.output


@pytest.mark.parametrize("name", ["a million rows", "drips a body", "gzip bomb", "sends 500 MB"])
def test_a_check_of_a_hostile_api_ends_with_status_2(name: str, tmp_path: Path) -> None:
    with hostile(name) as server:
        target = write_target(tmp_path, base=server.port)
        arguments = ["check", "--level", "0", "--quiet", "--target", str(target)]
        assert_status_2_in_bounds(run_command(arguments, tmp_path, limit_s=LONGEST_S))


@pytest.mark.parametrize(
    ("name", "budget", "said"),
    [
        ("impossible dates", "minutes = 0.1", "after the 0.1 minutes that it may take"),
        ("endless pages", "journal_mb = 1", "raise `budget.journal_mb`"),
    ],
)
def test_a_run_ends_with_its_budget(name: str, budget: str, said: str, tmp_path: Path) -> None:
    with hostile(name) as server:
        target = write_target(tmp_path, base=server.port, budget=budget)
        arguments = ["check", "--level", "0", "--quiet", "--target", str(target)]
        ended = run_command(arguments, tmp_path, limit_s=LONGEST_S)
    assert_status_2_in_bounds(ended)
    assert said in ended.output
    assert ended.took_s < 30
    journal = read_journal(tmp_path / "runs/latest")
    assert journal.footer is not None
    assert said in journal.footer.stopped_by


def side_by_side(run: Callable[..., None], folder: Path, cases: Sequence[Sequence[str]]) -> None:
    """Run a case in each of some threads: most of the time a command waits for its server."""
    folders = [folder / f"case-{n}" for n in range(len(cases))]
    for each in folders:
        each.mkdir()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda each, case: run(each, *case), folders, cases))


def test_a_fleet_ends_with_status_2(tmp_path: Path) -> None:
    def run(folder: Path, name: str) -> None:
        with listening(empty_api) as api, hostile(name) as server:
            target = write_target(folder, base=api.port, ingest=server.port)
            arguments = ["fleet", "--events", "3000", "--target", str(target)]
            ended = run_command(arguments, folder, limit_s=LONGEST_S)
            assert_status_2_in_bounds(ended)
            assert "it did not respond for" in ended.output

    side_by_side(
        run, tmp_path, [("drips a head",), ("endless interim responses",), ("never ends",)]
    )


@pytest.mark.parametrize("command", [("check", "--level", "0"), ("target", "check"), ("fleet",)])
def test_no_command_of_a_target_reaches_the_terminal(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    with hostile("terminal commands") as server:
        target = str(write_target(tmp_path, base=server.port, ingest=server.port))
        named = [target] if command[0] == "target" else ["--target", target]
        ended = run_command([*command, *named], tmp_path, limit_s=LONGEST_S)
    assert_status_2_in_bounds(ended)
    assert not any(sign in ended.output for sign in ("\x1b", "\x9b", "\x07", "\u202e"))


@pytest.mark.parametrize("user", LOADS)
def test_a_load_ends_with_status_2(user: str, tmp_path: Path) -> None:
    def run(folder: Path, name: str) -> None:
        with listening(empty_api) as api, hostile(name) as server:
            target = write_target(folder, base=api.port, ingest=server.port)
            assert_status_2_in_bounds(load(folder, target, user))

    names = ("drips a head", "endless interim responses", "never ends", "head of 100 MB")
    side_by_side(run, tmp_path, [(name,) for name in names])


@pytest.mark.parametrize("user", LOADS)
def test_a_load_goes_to_no_other_host_and_follows_its_own(user: str, tmp_path: Path) -> None:
    with listening(empty_api) as api, listening(empty_api, "127.0.0.2") as elsewhere:
        away = f"127.0.0.2:{elsewhere.port}"
        with listening(redirect_to(f"http://{away}/ingest")) as server:
            target = write_target(tmp_path, base=api.port, ingest=server.port)
            ended = load(tmp_path, target, user)
        assert ended.status == 2, ended.output
        assert away in ended.output
        assert elsewhere.requests == []
        with listening(moved_to("/moved")) as server:
            target = write_target(tmp_path, base=api.port, ingest=server.port)
            load(tmp_path, target, user)
    paths = [request.path for request in server.requests]
    assert paths.count("/moved") == paths.count("/ingest") > 20


def echo(sock: socket.socket, request: SeenRequest) -> None:
    """Refuse, and say the keys again in every way; reads are served."""
    if request.method != "POST":
        empty_api(sock, request)
        return
    key = request.headers["x-ingest-key"]
    pair = base64.b64encode(f"user:{key}".encode()).decode()
    full = "".join(f"%{ord(character):02x}" for character in key)
    said = f"\x1b[31m{key} {quote(key)} {full} {pair} {key.encode().hex()}"
    sock.sendall(response(json.dumps({"message": said}).encode(), status="400 No"))


@pytest.mark.parametrize("user", LOADS)
def test_an_echoed_key_is_in_no_file_while_a_load_runs(user: str, tmp_path: Path) -> None:
    key = KEYS["K_INGEST"]
    forms = (key, key.encode().hex(), "".join(f"%{ord(character):02x}" for character in key))
    found: list[str] = []
    looked: set[str] = set()

    def look() -> None:
        for path in tmp_path.rglob("*"):
            if path.is_file():
                text = path.read_bytes().decode("utf-8", "replace")
                looked.update([path.name] if text else [])
                found.extend(f"{path.name}: {form}" for form in forms if form in text)

    with listening(echo) as server:
        target = write_target(tmp_path, base=server.port, ingest=server.port)
        ended = load(tmp_path, target, user, meanwhile=look)
    look()
    assert "load.ndjson" in looked
    assert found == []
    assert "[key]" in (tmp_path / "runs/latest/load.ndjson").read_text("utf-8")
    assert not any(form in ended.output for form in forms)
    assert "\x1b" not in ended.output
    assert read_journal(tmp_path / "runs/latest").footer is not None
