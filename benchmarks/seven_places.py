"""Send requests through proxies, with cuts, aborts and two kills, and compare seven places.

    python benchmarks/seven_places.py [--requests 100000] [--connections 32] [--runs DIR] [--json]

Clients, proxies, origin and the embedded reference are processes of one machine. Requests are those
of the fleet on four networks: a third uploads, one in twenty is cut by the origin, one in twenty is
aborted by the client, and the proxies are killed twice and started again. Shown are requests and
bytes of each place, what broken connections and kills explain, and what nothing explains.
100,000 requests take about ten minutes on two cores and 500 MB of disk. Exit status: that of
the run; 0 where nothing differs without a reason.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from trueup.reports.journal.records import ProxiedDeclared
from trueup.reports.journal.storage import read_journal
from trueup.scenarios.run.orchestrator import RunRequest, RunResult, run_scenario
from trueup.scenarios.run.proxied import read_places
from trueup.scenarios.scenario import ProxiedPart, Scenario
from trueup.simulator.proxies import ProxiedTieOutRow

PLACES: Final = ("client", "proxy", "origin", "logs", "summaries", "ledgers", "graph", "account")


def send(requests: int, connections: int, folder: Path) -> RunResult:
    """Run the requests against the embedded reference; return how it ended."""
    part = ProxiedPart(
        requests=requests,
        connections=connections,
        upload_share=0.33,
        cut_share=0.05,
        abort_share=0.05,
        bytes_max=50_000,
        restart_at_share=(0.33, 0.67),
    )
    scenario = Scenario(
        name="seven-places", what="requests through proxies, cut, aborted, and killed", proxied=part
    )
    return run_scenario(RunRequest(scenario=scenario, seed=scenario.seed, runs=folder))


def measure(requests: int, connections: int, runs: Path | None) -> tuple[dict[str, Any], int]:
    """Return the figures and the exit status; `runs` keeps the run's folder."""
    with tempfile.TemporaryDirectory(prefix="trueup-seven-places-") as name:
        began = time.monotonic()
        ended = send(requests, connections, runs or Path(name))
        seconds = time.monotonic() - began
        journal = read_journal(ended.folder)
        declared = next((r for r in journal.records if isinstance(r, ProxiedDeclared)), None)
        if declared is None:
            raise SystemExit(f"nothing was compared: {ended.error}")
        rows = read_places(ended.folder, declared).rows()
    total = ProxiedTieOutRow(network="all")
    for row in rows:
        total.add(row)
    seen: dict[str, Counter[str]] = {place: Counter() for place in PLACES}
    for tie_out in ended.report.tie_outs:
        view = "ledgers" if tie_out.row.view.endswith("_ledger") else tie_out.row.view
        seen[view]["requests"] += tie_out.row.seen_requests or 0
        if tie_out.row.seen_bytes is None:
            seen[view]["without_bytes"] += 1
        seen[view]["bytes"] += tie_out.row.seen_bytes or 0
        seen[view]["off"] += not tie_out.row.ok
    found = {
        "seconds": round(seconds, 1),
        "requests": total.client_requests,
        "usage_events": declared.events,
        "kills": len(declared.kills),
        "places": {place: dict(counts) for place, counts in seen.items()},
        "explained": {
            "unread_by_proxy_bytes": total.unread_by_proxy,
            "unread_by_client_bytes": total.unread_by_client,
            "cut_bytes": total.cut_bytes,
            "open_at_a_kill": total.killed,
            "lost_at_a_kill_bytes": total.killed_bytes,
            "not_read_before_a_kill_or_abort": total.unserved,
        },
        "unexplained": total.different + sum(counts["off"] for counts in seen.values()),
        "networks": [asdict(row) for row in rows],
        "checks": {str(result.check): str(result.verdict) for result in ended.report.results},
    }
    return found, ended.exit_status


def show(found: dict[str, Any]) -> None:
    print(f"{found['requests']:,} requests in {found['seconds']:,} s, {found['kills']} kills")
    for place, counts in found["places"].items():
        requests = f"{counts['requests']:>12,} requests" if counts["requests"] else " " * 21
        # Logs that are too many are counted, and not listed with their bytes.
        whole = counts["bytes"] and "without_bytes" not in counts
        print(f"  {place:<10}{requests}" + (f"{counts['bytes']:>20,} bytes" if whole else ""))
    for name, number in found["explained"].items():
        print(f"  {name.replace('_', ' '):<34}{number:>16,}")
    print(f"  {'unexplained':<34}{found['unexplained']:>16,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--runs", type=Path, help="keep the run's folder below this one")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found, status = measure(given.requests, given.connections, given.runs)
    if given.json:
        print(json.dumps(found))
    else:
        show(found)
    sys.exit(status or (1 if found["unexplained"] else 0))


if __name__ == "__main__":
    main()
