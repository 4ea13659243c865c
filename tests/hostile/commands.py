"""Run a command of trueup as a user does, and measure it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import trueup

__all__ = ["FASTHTTP", "KEYS", "PLAN", "Ended", "run_command", "write_target"]

FASTHTTP = Path("scenarios/locustfiles/fasthttp.py").resolve()
KEYS = {
    "K_PUBLIC": "pub-0123456789abcdef",
    "K_PRIVATE": "priv-fedcba9876543210",
    "K_INGEST": "ingest-key-1234567890",
}
PLAN = """name = "hostile"
what = "a few seconds of load"
breaks = "nothing"
[shape]
rate = 20
duration_s = 3
warmup_s = 0.5
[requests]
connections = 8
timeout_s = 1
drain_s = 3
"""


_LAUNCH = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
open(os.environ["MOST_MEMORY"], "w").write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Starts a command from a small process: the memory of the one that forks counts as the child's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    status: int
    output: str
    took_s: float
    most_mb: int
    """Largest resident memory of the command or a child of it, MB."""


def write_target(
    folder: Path, *, base: int, ingest: int = 0, clock: int = 0, budget: str = ""
) -> Path:
    """Write a target file for servers on some ports of the loopback; 0: the part is left out.

    `budget`: a further line of `[budget]`.
    """
    lines = [
        'name = "hostile"',
        f'base_url = "http://127.0.0.1:{base}/1.0"',
        "timeout_s = 1",
        "[tenants.a]",
        'public_key = { env = "K_PUBLIC" }',
        'private_key = { env = "K_PRIVATE" }',
        "customer_id = 1001",
    ]
    key = 'headers = { "X-Ingest-Key" = { env = "K_INGEST" } }'
    if ingest:
        lines += ["[ingest]", 'via = "http"', f'url = "http://127.0.0.1:{ingest}/ingest"', key]
        lines += ['accepted = "accepted"']
        lines += ['refused = { list = "refused", line = "line", reason = "reason" }']
    if clock:
        lines += ["[clock]", 'via = "http"', f'url = "http://127.0.0.1:{clock}/clock"', key]
        lines += ['body = { now = "{now}" }']
    lines += ["[readings]", "freshness-s = 1", "[budget]", 'requests_per_s = "unlimited"']
    path = folder / "target.toml"
    path.write_text("\n".join([*lines, "requests = 400", budget, ""]), encoding="utf-8")
    return path


def run_command(
    arguments: Sequence[str],
    folder: Path,
    *,
    limit_s: float,
    meanwhile: Callable[[], None] = lambda: None,
) -> Ended:
    """Run `trueup` with arguments in a folder; kill it after a limit.

    `meanwhile` is called every tenth of a second while it runs.
    """
    began = time.monotonic()
    memory = folder / "most-memory"
    memory.write_text("0", encoding="utf-8")
    source = str(Path(trueup.__file__).parents[1])
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", _LAUNCH, sys.executable, "-m", "trueup", *arguments],
            stdout=out,
            stderr=out,
            cwd=folder,
            env={**os.environ, **KEYS, "PYTHONPATH": source, "MOST_MEMORY": str(memory)},
            start_new_session=True,
        )
        timer = threading.Timer(limit_s, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                meanwhile()

        watcher = threading.Thread(target=watch)
        watcher.start()
        process.wait()
        over.set()
        watcher.join()
        timer.cancel()
        out.seek(0)
        return Ended(
            status=process.returncode,
            output=out.read().decode("utf-8", "backslashreplace"),
            took_s=time.monotonic() - began,
            most_mb=int(memory.read_text("utf-8")) // 1024,
        )
