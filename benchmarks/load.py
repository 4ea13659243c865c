"""Measure the load engine: beside wrk and Locust's own users, with unique events, under faults.

    .venv/bin/python -m benchmarks.load [--json] [--only PART …] [--seconds 5]

Generator on core 0, sink on core 1. Figures of one part are measured in turn (A-B-A) and given as
ratios: only those are meaningful on a shared machine. Needs nginx and wrk for the first part. Every
part is bounded in time; every process that it starts is ended.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from benchmarks.load_parts.cluster import cluster
from benchmarks.load_parts.engines import engines
from benchmarks.load_parts.faults import restarts
from benchmarks.load_parts.fresh import unique
from benchmarks.load_parts.oracle import oracle
from benchmarks.load_parts.timing import journal, timing
from trueup.scenarios.load.noise import lost_share

PARTS: dict[str, Callable[[float], dict[str, Any]]] = {
    "engines": engines,
    "unique": unique,
    "journal": journal,
    "timing": timing,
    "oracle": lambda seconds: oracle(),
    "cluster": cluster,
    "restarts": lambda seconds: restarts(),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--seconds", type=float, default=5.0, help="of one measurement")
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
