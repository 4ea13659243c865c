"""Events drawn, encoded and delivered, each unique: on one core, and with a second one."""

from __future__ import annotations

import statistics
import time
from collections import deque
from pathlib import Path
from typing import Any

from benchmarks.load_parts.shared import fleet_for, load, per_s, plan_of, ratio
from benchmarks.load_parts.timing import measured
from trueup.scenarios.load.job import Locust
from trueup.scenarios.load.nullsink import NullSink, null_sink

ROUNDS = 3


def unique(seconds: float) -> dict[str, Any]:
    """Measure one worker pinned beside nginx; then one and two workers into a cheap sink."""
    found: dict[str, Any] = {}
    with null_sink(cpu=1) as sink:
        for batch in (100, 1_000):
            plan = plan_of(batch, seconds=seconds, connections=16)
            runs = [
                per_s(load(plan, sink.url, fleet=fleet_for(plan))[0], "events")
                for _ in range(ROUNDS)
            ]
            found[f"batch_{batch}_events_per_s"] = runs
            found[f"batch_{batch}_beside_dictionaries"] = _beside_dictionaries(
                sink.url, batch, seconds
            )
    with null_sink(own=True) as sink:
        for batch in (100, 1_000):
            found[f"second_core_batch_{batch}"] = _second_core(batch, seconds, sink)
    found["generate_only_events_per_s"] = _generate_only(2.0)
    return found


def _beside_dictionaries(url: str, batch: int, seconds: float) -> dict[str, Any]:
    """Return rates of the same loop with the fleet's events, with 12 of their fields, and with
    pooled dictionaries encoded by msgspec; in turn, without Locust.
    """
    rates: dict[str, list[float]] = {"journal": [], "few": [], "dictionaries": []}
    for _ in range(ROUNDS):
        for kind, runs in rates.items():
            runs.append(batch * measured(kind, url, batch, seconds)["rps"])
    return {
        "31_fields_events_per_s": rates["journal"],
        "12_fields_events_per_s": rates["few"],
        "dictionaries_12_fields_events_per_s": rates["dictionaries"],
        "31_fields": ratio(rates["journal"], rates["dictionaries"]),
        "12_fields": ratio(rates["few"], rates["dictionaries"]),
    }


def _second_core(batch: int, seconds: float, sink: NullSink) -> dict[str, Any]:
    """Return rates of one worker and two, in turn. The kernel drops the sink's bodies unread; what
    it still takes of the second core is given, as part of the limit.
    """
    plan = plan_of(batch, seconds=seconds, connections=16)
    rates: dict[int, list[float]] = {1: [], 2: []}
    cpu_us: dict[int, list[float]] = {1: [], 2: []}
    sink_share: list[float] = []
    for _ in range(ROUNDS):
        for workers in (1, 2):
            locust = Locust(cpu=0) if workers == 1 else Locust(processes=2)
            before = _cpu_s(sink.pid)
            result = load(plan, sink.url, fleet=fleet_for(plan), locust=locust)[0]
            rates[workers].append(per_s(result, "events"))
            sent = max(result.events.accepted, 1)
            cpu_us[workers].append((result.generator.cpu_s or 0) / sent * 1e6)
            if workers == 2:
                sink_share.append((_cpu_s(sink.pid) - before) / result.plan.duration_s)
    one, two = statistics.median(rates[1]), statistics.median(rates[2])
    return {
        "one_worker_events_per_s": rates[1],
        "two_workers_events_per_s": rates[2],
        "two_to_one": two / one,
        "generator_cpu_us_per_event_with_one": cpu_us[1],
        "generator_cpu_us_per_event_with_two": cpu_us[2],
        "sink_share_of_a_core_beside_two": sink_share,
    }


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _generate_only(seconds: float) -> float:
    """Return the events a second that the fleet alone draws here now, as a load draws: the
    maximum.
    """
    fleet = fleet_for(plan_of(100, seconds=5))
    fleet.batch(0, 8_000).lines()
    began, number = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        deque(fleet.batch(number, 8_000).pieces(2_000), maxlen=0)
        number += 8_000
    return number / (time.perf_counter() - began)
