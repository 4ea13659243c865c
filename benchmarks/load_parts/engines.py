"""Ready bodies against one core of nginx: the reactor in Locust, wrk, FastHttpUser, HttpUser."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.load_parts.shared import (
    HUNDRED,
    ONE_EVENT,
    ROOT,
    load,
    per_s,
    pinned,
    plan_of,
    ratio,
)
from trueup.scenarios.load.nullsink import null_sink

ROUNDS = 5


def wrk(url: str, size: int, seconds: float) -> tuple[float, float]:
    """Return requests per second, and wrk's processor time a request in microseconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f'wrk.method="POST"; wrk.body=string.rep("x",{size})\n')
        script.flush()
        command = ["wrk", "-t1", "-c50", f"-d{seconds:.0f}s", "-s", script.name, url]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        said = subprocess.run(pinned(command), capture_output=True, text=True, check=True).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    done = re.search(r"(\d+) requests in", said)
    assert done, said
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found, said
    return float(found[1]), used / int(done[1]) * 1e6


def stock(url: str, size: int, seconds: float, user: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "locust",
            "-f",
            str(ROOT / "benchmarks" / "locust_stock.py"),
        ]
        command += ["--headless", "-u", "50", "-r", "50", "--only-summary"]
        command += ["-t", f"{seconds:.0f}s"]
        out = Path(folder) / "stats"
        command += ["--json-file", str(out)]
        environment = {**os.environ, "BENCH_URL": url, "BENCH_BYTES": str(size), "BENCH_USER": user}
        subprocess.run(pinned(command), env=environment, capture_output=True, timeout=120)
        (row,) = json.loads((out if out.exists() else out.with_suffix(".json")).read_text())
    counts = sorted((int(t), n) for t, n in row["num_reqs_per_sec"].items())[1:-1]
    return statistics.mean(n for _, n in counts) if counts else 0.0


def engines(seconds: float) -> dict[str, Any]:
    """Measure in turn, five times; Locust's own users in every second round."""
    if not shutil.which("wrk"):
        return {"skipped": "wrk is not installed"}
    found: dict[str, Any] = {}
    with null_sink(cpu=1) as sink:
        found["sink"] = sink.limit
        for name, size, batch in (("one_event", ONE_EVENT, 1), ("100_events", HUNDRED, 100)):
            ours, theirs, fast, plain, cpu_ours, cpu_theirs = [], [], [], [], [], []
            for number in range(ROUNDS):
                result = load(plan_of(batch, seconds=seconds), sink.url)[0]
                ours.append(per_s(result))
                sent = max(result.requests.completed, 1)
                cpu_ours.append((result.generator.cpu_s or 0) / sent * 1e6)
                rate, cpu = wrk(sink.url, size, seconds)
                theirs.append(rate)
                cpu_theirs.append(cpu)
                if number % 2 == 0:
                    fast.append(stock(sink.url, size, seconds, "fast"))
                    plain.append(stock(sink.url, size, seconds, "plain"))
            reactor = statistics.median(ours)
            found[name] = {
                "reactor_rps": ours,
                "wrk_rps": theirs,
                "fasthttpuser_rps": fast,
                "httpuser_rps": plain,
                "reactor_cpu_us_per_request": cpu_ours,
                "wrk_cpu_us_per_request": cpu_theirs,
                "reactor_to_wrk": ratio(ours, theirs),
                "wrk_cpu_to_reactor_cpu": ratio(cpu_theirs, cpu_ours),
                "reactor_to_fasthttpuser": _beside(reactor, fast),
                "reactor_to_httpuser": _beside(reactor, plain),
            }
    return found


def _beside(reactor: float, others: list[float]) -> float | None:
    """Return the ratio to the peer's median; None if the peer got no response in the time."""
    other = statistics.median(others)
    return reactor / other if other else None
