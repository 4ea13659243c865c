"""Control hooks that are programs: time limits and child processes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from tests.conformance.stub import bare_target, served_by
from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.control import TargetControl
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.target.model import (
    ClockRead,
    CommandHook,
    HttpHook,
    ShownValues,
    Target,
    Tenant,
)
from trueup.reports.journal.records import Hook
from trueup.reports.journal.storage import JournalWriter
from trueup.reports.results import Json


async def called(tmp_path: Path, script: str, *, timeout_s: float = 10.0) -> Hook:
    target = Target(
        name="t",
        base_url="http://127.0.0.1:9",
        tenants={"a": Tenant(public_key="p", private_key="q")},
        restart=CommandHook(argv=("sh", "-c", script), timeout_s=timeout_s),
        path=Path("t.toml"),
    )
    with JournalWriter(tmp_path / "j.ndjson") as writer:
        return await TargetControl(target, Recorder(writer), WallClock()).call(
            "restart", {}, stage="s"
        )


async def requested(
    tmp_path: Path,
    name: str,
    values: Mapping[str, Json],
    *,
    path: str = "/hook",
    read: tuple[str, str] | None = None,
    failing: Sequence[bool] = (),
    **parts: Any,
) -> tuple[list[tuple[str, Json]], Hook, datetime | None]:
    """Call a hook of a served target. Returns what it got, the record, and the time that it tells.

    `read`: place and form of the time in the response of a clock that is read; `failing`: whether
    the connection of the first, second … request is closed; `parts` are those of the hook.
    """
    got: list[tuple[str, Json]] = []
    fails = iter(failing)

    async def respond(request: web.Request) -> web.Response:
        got.append((str(request.rel_url), await request.json() if request.can_read_body else None))
        if next(fails, False):
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"clock": {"ms": 1743512400250, "text": "2025-04-01T15:00+02:00"}})

    async with served_by(respond) as url:
        hooks: dict[str, Any] = {name: HttpHook(url=url + path, **parts)}
        if read is not None:
            at, form = read
            hooks["clock_read"] = ClockRead(form=HttpHook(url=url, method="GET"), at=at, time=form)
        target = bare_target(url, **hooks)
        with JournalWriter(tmp_path / "j.ndjson") as writer:
            control = TargetControl(target, Recorder(writer), WallClock())
            hook = await control.call(name, values, stage="s")
            told = await control.read_clock(stage="s")
    return got, hook, told


async def test_a_hook_gets_the_target_s_values_and_time_form(tmp_path: Path) -> None:
    """In URL and body; the record has ours."""
    values: dict[str, Json] = {"network": "residential", "kind": "refund", "bytes": -5}
    pools: dict[str, Json] = {"residential": "R", "mobile": 2}
    got, hook, _ = await requested(
        tmp_path,
        "money",
        values,
        path="/pay/{network}",
        body={"pool": "{network}", "why": "{kind}", "size": "{bytes}"},
        shown=ShownValues(values={"network": pools}),
    )
    assert got == [("/1.0/pay/R", {"pool": "R", "why": "refund", "size": -5})]
    assert (hook.ok, hook.request) == (True, values)
    (tmp_path / "clock").mkdir()
    moved: dict[str, Json] = {"now": "2025-04-01 13:00:00", "advance_s": 5}
    got, hook, _ = await requested(
        tmp_path / "clock", "clock", moved, body={"to": "{now}"}, shown=ShownValues(time="epoch-ms")
    )
    assert got == [("/1.0/hook", {"to": 1743512400000})]
    assert hook.request == moved


@pytest.mark.parametrize(
    ("at", "form", "microsecond"), [("clock.ms", "epoch-ms", 250_000), ("clock.text", "iso", 0)]
)
async def test_a_clock_that_is_asked_tells_the_time(
    tmp_path: Path, at: str, form: str, microsecond: int
) -> None:
    _, _, told = await requested(tmp_path, "clock", {}, read=(at, form))
    assert told == datetime(2025, 4, 1, 13, 0, 0, microsecond, tzinfo=UTC)


@pytest.mark.parametrize("at", ["clock", "clock.ns", ""])
async def test_a_clock_whose_response_has_no_time_tells_none(tmp_path: Path, at: str) -> None:
    _, _, told = await requested(tmp_path, "clock", {}, read=(at, "epoch-ms"))
    assert told is None


async def test_after_a_restart_by_a_request_the_api_is_waited_for(tmp_path: Path) -> None:
    """Two connections are cut after the request that restarts."""
    got, hook, _ = await requested(tmp_path, "restart", {}, failing=(False, True, True))
    assert hook.ok
    assert [path for path, _ in got] == ["/1.0/hook", "/1.0", "/1.0", "/1.0"]


@pytest.mark.parametrize("restarted", [True, False])
async def test_only_after_a_restart_a_hook_waits_until_something_listens(
    tmp_path: Path, restarted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens at first; each pause until the hook is called again takes no time."""
    pauses = 0

    async def pause(seconds: float) -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 3:
            await server.start_server()

    async def respond(_request: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", respond)
    server = TestServer(app, port=unused_port())
    url = f"http://127.0.0.1:{server.port}"
    clock = WallClock()
    monkeypatch.setattr(clock, "sleep", pause)
    target = bare_target(
        url,
        restart=CommandHook(argv=("true",), timeout_s=30.0),
        maintenance=HttpHook(url=f"{url}/maintenance"),
    )
    with JournalWriter(tmp_path / "j.ndjson") as writer:
        control = TargetControl(target, Recorder(writer), clock)
        if restarted:
            await control.call("restart", {}, stage="s")
        hook = await control.call("maintenance", {}, stage="s")
    await server.close()
    assert (hook.ok, pauses) == ((True, 3) if restarted else (False, 0))


def alive(pid: int) -> bool:
    """Return whether the process runs and is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_a_program_that_does_not_end_in_time_ends_with_all_that_it_started(
    tmp_path: Path,
) -> None:
    """Even if a child process keeps its output open."""
    began = time.monotonic()
    hook = await called(tmp_path, f"sleep 100 & echo $! > {tmp_path}/pid; wait", timeout_s=0.3)
    assert time.monotonic() - began < 5
    assert (hook.ok, hook.error) == (False, "timeout: no response in time")
    pid = int((tmp_path / "pid").read_text())
    async with asyncio.timeout(5):
        while alive(pid):  # noqa: ASYNC110 - killed, but the kernel may take a moment
            await asyncio.sleep(0.01)


async def test_what_a_program_leaves_running_is_not_waited_for_and_not_ended(
    tmp_path: Path,
) -> None:
    """A restart leaves the target running, which keeps the program's output open."""
    began = time.monotonic()
    hook = await called(tmp_path, "sleep 100 & echo $!")
    assert time.monotonic() - began < 5
    assert hook.ok
    assert isinstance(hook.response, int)
    assert alive(hook.response)
    os.kill(hook.response, 9)


@pytest.mark.parametrize(
    "script, response, error",
    [
        ("echo '{\"now\": 1}'", {"now": 1}, ""),
        ("echo fine", "fine\n", ""),
        ("echo oh; echo why >&2; exit 3", "oh\n", "exit status 3: why"),
    ],
)
async def test_the_output_of_a_program_is_its_response(
    tmp_path: Path, script: str, response: Json, error: str | None
) -> None:
    """JSON if it is JSON; standard error if it fails."""
    hook = await called(tmp_path, script)
    assert (hook.response, hook.error, hook.ok) == (response, error, not error)
