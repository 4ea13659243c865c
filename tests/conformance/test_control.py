"""Control hooks that are programs: time limits and child processes."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from trueup.conformance.client.clock import WallClock
from trueup.conformance.client.control import TargetControl
from trueup.conformance.client.recorder import Recorder
from trueup.conformance.target.model import CommandHook, Target, Tenant
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
