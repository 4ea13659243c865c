"""Kill and restart a target while it is loaded: complete runs of `trueup load`, verdict included.

Ten runs of the embedded reference as it is, then ten with each of two mutants: one loses updates of
a summary, one counts a repeated delivery twice.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from trueup.reports.journal.records import LoadResult
from trueup.reports.journal.storage import read_journal
from trueup.reports.results import Verdict
from trueup.scenarios.run.orchestrator import RunRequest, run_scenario
from trueup.scenarios.scenario import LoadPart, Scenario

RUNS = 10
FAULTS = {"B1": "lost update", "A2": "double count"}
PLAN = """
name = "restarts"
what = "batches of 20, every fifth sent twice, while the target is killed and restarted"
breaks = "durability and idempotence"
[shape]
rate = 60
duration_s = 5
warmup_s = 1
[requests]
batch = 20
duplicate_every = 5
connections = 16
[faults]
restart_at_share = [0.4]
"""


def restarts(runs: int = RUNS) -> dict[str, Any]:
    """Return every run's exit status, events, and the checks that failed."""
    with tempfile.TemporaryDirectory(prefix="trueup-") as folder:
        plan = Path(folder) / "plan.toml"
        plan.write_text(PLAN, encoding="utf-8")
        clean = [_run(plan, seed, Path(folder), ()) for seed in range(runs)]
        faulty = {
            fault: [_run(plan, seed, Path(folder), ("--fault", fault)) for seed in range(runs)]
            for fault in FAULTS
        }
    return {
        "runs": runs,
        "accepted": sum(row["accepted"] for row in clean),
        "correct": sum(row["correct"] or 0 for row in clean),
        "unknown": sum(row["unknown"] for row in clean),
        "attempts_that_failed": sum(row["errors"] for row in clean),
        "conform": sum(row["exit_status"] == 0 for row in clean),
        "not_conforming": [row for row in clean if row["exit_status"]],
        "faulty": {
            fault: {
                "what": FAULTS[fault],
                "runs": len(rows),
                "found": sum(row["exit_status"] == 1 for row in rows),
                "failed_checks": sorted({name for row in rows for name in row["failed"]}),
            }
            for fault, rows in faulty.items()
        },
    }


def _run(plan: Path, seed: int, folder: Path, options: tuple[str, ...]) -> dict[str, Any]:
    order = RunRequest(
        scenario=Scenario(name="benchmark", what="restarts", load=LoadPart(scenario=str(plan))),
        seed=seed,
        runs=folder / "runs",
        reference_options=options,
    )
    done = run_scenario(order)
    load = [r for r in read_journal(done.folder).records if isinstance(r, LoadResult)][-1]
    return {
        "exit_status": done.exit_status,
        "accepted": load.events.accepted,
        "correct": load.events.correct,
        "unknown": load.events.unknown,
        "errors": load.requests.failed,
        "failed": [str(r.check) for r in done.report.results if r.verdict is Verdict.FAIL],
        "stopped_by": load.timeline.stopped_by or str(done.error or ""),
    }
