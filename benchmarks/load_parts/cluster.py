"""A master with two workers on addresses of their own, in network namespaces if allowed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.load_parts.shared import ROOT, plan_of
from trueup.scenarios.embedded.process import embedded_reference
from trueup.scenarios.load.job import LoadJob, Locust
from trueup.scenarios.load.messages import GeneratorPlan
from trueup.scenarios.load.run import run_load
from trueup.scenarios.load.traffic import load_fleet
from trueup.simulator.delivery import HttpForm, ResponseRule


def counted(serving: Any) -> tuple[int, int]:
    """Return (logs, requests in summaries) that a target reports, of both tenants."""
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


def cluster(seconds: float) -> dict[str, Any]:
    """Run a master with two workers on addresses of their own, in network namespaces if allowed."""
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
        form = HttpForm(url=url, response_rule=ResponseRule(accepted="accepted"))
        child = GeneratorPlan(plan=plan, form=form, fleet=fleet.identity("load"))
        locustfile = str(ROOT / "scenarios" / "locustfiles" / "reactor.py")
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
                LoadJob(
                    plan=plan,
                    ingest=form,
                    fleet=child.fleet,
                    out_dir=folder,
                    canary=False,
                    locust=Locust(master_bind=master, master_port=15557, workers=2),
                ),
            )
        )
        logs, summed = counted(reference.serving)
    result, _ranges = found
    return {
        "hosts": hosts or "loopback only: network namespaces are not allowed here",
        "workers": result.generator.workers,
        "accepted": result.events.accepted,
        "unknown": result.events.unknown,
        "logs": logs,
        "summed": summed,
        "exact": logs == summed == result.events.accepted,
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
    """Create two namespaces behind a bridge; returns [our address, theirs …], or nothing."""

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
