"""Compute totals of many events, in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

from benchmarks.load_parts.shared import pinned
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.profile import load_profile
from trueup.simulator.totals import totals


def oracle(events: int = 10_000_000) -> dict[str, Any]:
    """Return time and memory of the totals of ten million events, in a process of its own."""
    code = (
        "import sys,json,time,resource;"
        "from benchmarks.load_parts.oracle import oracle_here;"
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
