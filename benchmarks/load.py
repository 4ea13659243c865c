"""The load engine, measured: beside wrk and Locust's own users, with unique events, under faults.

    .venv/bin/python -m benchmarks.load [--json] [--only PART …] [--seconds 5]

Generator on core 0, sink on core 1. Figures of one part are taken in turn (A-B-A) and given as
ratios: on a shared machine only those mean something. Needs nginx and wrk for the first part.
Every part is bounded in time; every process that it starts is ended.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from reports.facts import Outcome
from reports.records import LoadResult, OutcomeRange
from scenarios.embedded import embedded_reference
from scenarios.load.child import ChildPlan
from scenarios.load.machine import lost_share
from scenarios.load.nullsink import null_sink
from scenarios.load.plan import LoadPlan, load_plan, with_changes
from scenarios.load.run import Locust, run_load
from scenarios.load.thresholds import percentile_ms
from scenarios.load.traffic import load_fleet
from simulator.delivery import AnswerRule, HttpForm
from simulator.fleet import Fleet
from simulator.profile import load_profile
from simulator.reactor import AS_FAST_AS_POSSIBLE
from simulator.totals import totals

HERE = Path(__file__).parent
ONE_EVENT, HUNDRED = 280, 28_000
"""Bytes of a ready body: one event, and a hundred."""
PIN = shutil.which("taskset") is not None


def plan_of(batch: int, *, rate: float = 0, seconds: float, connections: int = 50) -> LoadPlan:
    shape: dict[str, Any] = {"warmup_s": 1.0}
    if not rate:
        shape["kind"] = AS_FAST_AS_POSSIBLE
    plan = with_changes(
        load_plan("steady"),
        rate=rate or None,
        duration_s=seconds,
        shape=shape,
        requests={"batch": batch, "connections": connections},
    )
    return msgspec.structs.replace(plan, thresholds={})


def load(
    plan: LoadPlan,
    url: str,
    *,
    fleet: Fleet | None = None,
    locust: Locust | None = None,
    levers: dict[str, Callable[[], None]] | None = None,
    rule: AnswerRule | None = None,
) -> tuple[LoadResult, tuple[OutcomeRange, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(
            run_load(
                plan,
                ingest=HttpForm(url=url, answer=rule or AnswerRule(refused="")),
                fleet=fleet.identity("load") if fleet else None,
                out_dir=Path(folder),
                locust=locust or Locust(cpu=0),
                levers=levers,
                canary=False,
            )
        )


def per_s(result: LoadResult, name: str = "requests") -> float:
    rows = [s[name] for s in result.seconds if s["t"] >= 1 and s["t"] + 1 <= result.duration_s]
    return statistics.mean(rows) if rows else 0.0


def wrk(url: str, size: int, seconds: float) -> tuple[float, float]:
    """Requests per second, and processor time of wrk a request, microseconds."""
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


def pinned(command: list[str]) -> list[str]:
    return ["taskset", "-c", "0", *command] if PIN else command


def stock(url: str, size: int, seconds: float, user: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "locust", "-f", str(HERE / "locust_stock.py")]
        command += ["--headless", "-u", "50", "-r", "50", "-t", f"{seconds:.0f}s", "--only-summary"]
        out = Path(folder) / "stats"
        command += ["--json-file", str(out)]
        environment = {**os.environ, "BENCH_URL": url, "BENCH_BYTES": str(size), "BENCH_USER": user}
        subprocess.run(pinned(command), env=environment, capture_output=True, timeout=120)
        (row,) = json.loads((out if out.exists() else out.with_suffix(".json")).read_text())
    counts = sorted((int(t), n) for t, n in row["num_reqs_per_sec"].items())[1:-1]
    return statistics.mean(n for _, n in counts) if counts else 0.0


def engines(seconds: float) -> dict[str, Any]:
    """Ready bodies against nginx: the reactor inside Locust, wrk, FastHttpUser, HttpUser."""
    if not shutil.which("wrk"):
        return {"skipped": "wrk is not installed"}
    found: dict[str, Any] = {}
    with null_sink(cpu=1) as sink:
        found["sink"] = sink.limit
        for name, size, batch in (("one_event", ONE_EVENT, 1), ("100_events", HUNDRED, 100)):
            ours, theirs, cpu_ours, cpu_theirs = [], [], [], []
            for _ in range(3):
                result = load(plan_of(batch, seconds=seconds), sink.url)[0]
                ours.append(per_s(result))
                cpu_ours.append((result.generator_cpu_s or 0) / max(result.requests, 1) * 1e6)
                rate, cpu = wrk(sink.url, size, seconds)
                theirs.append(rate)
                cpu_theirs.append(cpu)
            fast = stock(sink.url, size, seconds, "fast")
            plain = stock(sink.url, size, seconds, "plain")
            reactor, c_tool = statistics.median(ours), statistics.median(theirs)
            found[name] = {
                "reactor_rps": ours,
                "wrk_rps": theirs,
                "reactor_cpu_us_per_request": cpu_ours,
                "wrk_cpu_us_per_request": cpu_theirs,
                "fasthttpuser_rps": fast,
                "httpuser_rps": plain,
                "reactor_to_wrk": reactor / c_tool,
                "wrk_cpu_to_reactor_cpu": statistics.median(cpu_theirs)
                / statistics.median(cpu_ours),
                "reactor_to_fasthttpuser": reactor / fast if fast else None,
                "reactor_to_httpuser": reactor / plain if plain else None,
            }
    return found


def fleet_for(plan: LoadPlan) -> Fleet:
    return load_fleet(plan, customers=(1001, 1002), now=datetime.now(UTC))


def unique(seconds: float) -> dict[str, Any]:
    """Events drawn, encoded and delivered, each unique, on one core; then with two workers."""
    found: dict[str, Any] = {}
    with null_sink(cpu=1) as sink:
        for batch in (100, 1_000):
            plan = plan_of(batch, seconds=seconds, connections=16)
            runs = [
                per_s(load(plan, sink.url, fleet=fleet_for(plan))[0], "events") for _ in range(3)
            ]
            found[f"batch_{batch}_events_per_s"] = runs
        plan = plan_of(100, seconds=seconds, connections=16)
        two = load(plan, sink.url, fleet=fleet_for(plan), locust=Locust(processes=2))[0]
        found["two_workers_events_per_s"] = per_s(two, "events")
        found["two_workers_note"] = (
            f"{os.cpu_count()} cores in all; with two, the sink shares a core with a worker"
        )
    found["generate_only_events_per_s"] = _generate_only(2.0)
    return found


def _generate_only(seconds: float) -> float:
    """What the fleet alone reaches on this machine now, in blocks of 4,000: the ceiling."""
    fleet = fleet_for(plan_of(100, seconds=5))
    fleet.batch(0, 4_000).ndjson()
    began, number = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        fleet.batch(number, 4_000).ndjson()
        number += 4_000
    return number / (time.perf_counter() - began)


def timing(seconds: float) -> dict[str, Any]:
    """The cost of the open loop, and the generator's lateness at half of its highest rate."""
    with null_sink(cpu=1) as sink:
        highest = [per_s(load(plan_of(1, seconds=seconds), sink.url)[0]) for _ in range(2)]
        most = statistics.median(highest)
        half = load(plan_of(1, seconds=seconds, rate=most / 2, connections=100), sink.url)[0]
        nearly = load(plan_of(1, seconds=seconds, rate=most * 0.9, connections=100), sink.url)[0]
    return {
        "highest_rps": highest,
        "half_rps": per_s(half),
        "half_lateness_p50_ms": percentile_ms(half.lateness_ns, 0.5),
        "half_lateness_p99_ms": percentile_ms(half.lateness_ns, 0.99),
        "open_loop_at_0.9_reached_share": per_s(nearly) / (most * 0.9),
    }


def oracle(events: int = 10_000_000) -> dict[str, Any]:
    """The oracle's part of reconciling ten million events, in a process of its own."""
    code = (
        "import sys,json,time,resource;"
        "from benchmarks.load import oracle_here;"
        "print(json.dumps(oracle_here(int(sys.argv[1]))))"
    )
    command = pinned([sys.executable, "-c", code, str(events)])
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return dict(json.loads(said.stdout))


def oracle_here(events: int) -> dict[str, Any]:
    fleet = Fleet(
        load_profile("default"),
        seed=7,
        start=datetime(2026, 5, 4, tzinfo=UTC),
        customers=(1001, 1002),
        events_per_s=50_000,
    )
    began = time.perf_counter()
    found = totals(fleet, [(0, events)])
    return {
        "events": events,
        "seconds": time.perf_counter() - began,
        "cells": len(found.cells),
        "counted": sum(counts.requests for counts in found.cells.values()),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def counted(serving: Any) -> tuple[int, int]:
    """(logs, requests in summaries) that a target reports, both tenants."""
    import urllib.request

    logs = requests = 0
    for tenant in serving.tenants:
        keys = {"X-API-Public-Key": tenant.public_key, "X-API-Private-Key": tenant.private_key}

        def ask(path: str, keys: dict[str, str] = keys) -> Any:
            request = urllib.request.Request(f"{serving.url}/public/user/{path}", headers=keys)
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)

        logs += ask("log/search?per_page=1")["total_count"]
        page = 1
        while rows := ask(f"log_summary/search?per_page=100&page={page}")["data"]:
            requests += sum(row["log_summary_requests"] for row in rows)
            page += 1
    return logs, requests


def restarts(runs: int = 10) -> dict[str, Any]:
    """The target killed and started again while it is loaded; then with faults of the zoo."""
    rows = [_restart_run(seed, ()) for seed in range(runs)]
    rows_bad = {
        fault: [_restart_run(seed, ("--fault", fault)) for seed in range(2)]
        for fault in ("B1", "A2")
    }
    return {
        "runs": runs,
        "accepted": sum(row["accepted"] for row in rows),
        "unknown": sum(row["unknown"] for row in rows),
        "lost": sum(row["lost"] for row in rows),
        "doubled": sum(row["doubled"] for row in rows),
        "attempts_that_failed": sum(row["errors"] for row in rows),
        "faulty": {
            fault: {
                "runs": len(bad),
                "found": sum(bool(row["lost"] or row["doubled"]) for row in bad),
            }
            for fault, bad in rows_bad.items()
        },
    }


def _restart_run(seed: int, options: tuple[str, ...]) -> dict[str, int]:
    plan = with_changes(
        load_plan("steady"),
        rate=60,
        duration_s=5,
        seed=seed,
        requests={"batch": 20, "twin_every": 5, "connections": 16},
        faults={"restart_at_share": [0.4]},
    )
    with (
        tempfile.TemporaryDirectory() as data,
        embedded_reference(data=Path(data), options=("--control", *options)) as reference,
    ):
        serving = reference.serving
        fleet = load_fleet(
            plan, customers=tuple(t.customer_id for t in serving.tenants), now=datetime.now(UTC)
        )
        result, ranges = load(
            plan,
            serving.ingest_url,
            fleet=fleet,
            levers={"restart": reference.restart},
            rule=AnswerRule(accepted="accepted"),
        )
        logs, summed = counted(serving)
    sure = sum(part.count for part in ranges if part.outcome is Outcome.ACCEPTED)
    maybe = sum(part.count for part in ranges if part.outcome is Outcome.UNKNOWN)
    return {
        "accepted": sure,
        "unknown": maybe,
        "errors": sum(result.errors.values()),
        "lost": max(sure - min(logs, summed), 0),
        "doubled": max(max(logs, summed) - sure - maybe, 0),
    }


def cluster(seconds: float) -> dict[str, Any]:
    """A master with two workers on addresses of their own, in network namespaces if allowed."""
    with contextlib.ExitStack() as stack:
        hosts = _namespaces(stack)
        master = hosts[0] if hosts else "127.0.0.1"
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        reference = stack.enter_context(embedded_reference(options=("--control",)))
        plan = plan_of(100, rate=40, seconds=seconds, connections=8)
        fleet = load_fleet(plan, customers=(1001, 1002), now=datetime.now(UTC))
        url = reference.serving.ingest_url
        if hosts:
            # The reference listens on the loopback: workers reach it through a small relay.
            relay = ["-m", "benchmarks.relay", master, "18081", url.split("/")[2]]
            stack.callback(_end, subprocess.Popen([sys.executable, *relay]))
            url = f"http://{master}:18081/ingest/events"
        form = HttpForm(url=url, answer=AnswerRule(accepted="accepted"))
        child = ChildPlan(plan=plan, form=form, fleet=fleet.identity("load"))
        locustfile = str(HERE.parent / "scenarios" / "locustfiles" / "reactor.py")
        for number in range(2):
            worker = [sys.executable, "-m", "locust", "-f", locustfile, "--worker"]
            worker += ["--master-host", master, "--master-port", "15557"]
            inside = ["ip", "netns", "exec", f"trueup{number}"] if hosts else []
            process = subprocess.Popen(
                [*inside, *worker], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(_end, process)
        found = asyncio.run(
            run_load(
                plan,
                ingest=form,
                fleet=child.fleet,
                out_dir=folder,
                canary=False,
                locust=Locust(master_bind=master, master_port=15557, workers=2),
            )
        )
        logs, summed = counted(reference.serving)
    result, _ranges = found
    return {
        "hosts": hosts or "loopback only: network namespaces are not allowed here",
        "workers": result.workers,
        "accepted": result.events_accepted,
        "unknown": result.events_unknown,
        "logs": logs,
        "summed": summed,
        "exact": logs == summed == result.events_accepted,
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
    if process.poll() is None:
        process.kill()
    process.wait()


def _namespaces(stack: contextlib.ExitStack) -> list[str]:
    """Two namespaces behind a bridge; [address of ours, of theirs …], or nothing."""

    def run(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        run("link", "add", "trueupbr", "type", "bridge")
        stack.callback(subprocess.run, ["ip", "link", "del", "trueupbr"], capture_output=True)
        run("addr", "add", "10.199.0.1/24", "dev", "trueupbr")
        run("link", "set", "trueupbr", "up")
        for n in range(2):
            run("netns", "add", f"trueup{n}")
            stack.callback(
                subprocess.run, ["ip", "netns", "del", f"trueup{n}"], capture_output=True
            )
            run(
                "link",
                "add",
                f"tu{n}",
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                f"trueup{n}",
            )
            run("link", "set", f"tu{n}", "master", "trueupbr", "up")
            run("-n", f"trueup{n}", "addr", "add", f"10.199.0.{n + 2}/24", "dev", "eth0")
            run("-n", f"trueup{n}", "link", "set", "eth0", "up")
            run("-n", f"trueup{n}", "link", "set", "lo", "up")
    except (OSError, subprocess.CalledProcessError):
        return []
    return ["10.199.0.1", "10.199.0.2", "10.199.0.3"]


PARTS: dict[str, Callable[[float], dict[str, Any]]] = {
    "engines": engines,
    "unique": unique,
    "timing": timing,
    "oracle": lambda seconds: oracle(),
    "cluster": cluster,
    "restarts": lambda seconds: restarts(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    found: dict[str, Any] = {"lost_share_before": lost_share()}
    for name in options.only:
        began = time.perf_counter()
        found[name] = PARTS[name](options.seconds)
        found[name]["wall_s"] = round(time.perf_counter() - began, 1)
        if not options.json:
            print(name, json.dumps(found[name], indent=2), flush=True)
    found["lost_share_after"] = lost_share()
    if options.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
