"""Measure what journalling and planned times cost a generator, and its lateness at half of its
rate.

The costs are measured in processes of their own without Locust, pinned to core 0, the two kinds in
turn: the same engine and events, with and without the one thing.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import numpy as np

from benchmarks.load_parts.shared import fleet_for, load, per_s, pinned, plan_of, ratio
from trueup.reports.event_format import EVENT_KEYS, EventFormat, FieldFormat
from trueup.scenarios.load.generator import body_source
from trueup.scenarios.load.messages import GeneratorPlan, Report, Reserved, encode
from trueup.scenarios.load.nullsink import null_sink
from trueup.scenarios.load.thresholds import percentile_ms
from trueup.simulator.delivery import HttpForm, ResponseRule, RetryPolicy
from trueup.simulator.reactor import (
    BodySource,
    Engine,
    FixedBodies,
    Limits,
    PreparedRequest,
    RequestStream,
    Schedule,
    Shape,
    address_of,
    request_head,
)

ROUNDS = 5


_FEW: Final = """
    log_id customer_id proxy_user_id log_network log_protocol log_hostname log_client_ip_address
    log_egress_ip_address log_total_bytes log_request_datetime log_session_id log_status_code
"""
FEW_FIELDS: Final = frozenset(_FEW.split())
"""12 of the 31 fields that the fleet draws: as many as events have for which other tools quote
rates.
"""


class PooledDictionaries:
    """A load script at its best: values drawn once, a dictionary an event with an id of its own,
    encoded by msgspec. The peer of the fleet, with `FEW_FIELDS`.
    """

    def __init__(self, head: bytes, batch: int) -> None:
        self._head, self._batch, self._next = head, batch, 0
        draw = random.Random(7)
        now = datetime.now(UTC)
        self._pool = [
            {
                "customer_id": draw.choice((1001, 1002)),
                "proxy_user_id": f"user-{draw.randrange(500)}",
                "log_network": draw.choice(("datacenter", "isp", "residential", "mobile")),
                "log_protocol": draw.choice(("http", "socks")),
                "log_hostname": f"host{draw.randrange(5_000)}.example",
                "log_client_ip_address": f"198.51.100.{draw.randrange(256)}",
                "log_egress_ip_address": f"203.0.113.{draw.randrange(256)}",
                "log_total_bytes": int(draw.lognormvariate(9, 2)),
                "log_request_datetime": str(now - timedelta(seconds=draw.randrange(86_400)))[:19],
                "log_session_id": f"{draw.getrandbits(48):012x}",
                "log_status_code": draw.choice((200, 200, 200, 403, 502)),
            }
            for _ in range(20_000)
        ]
        self._encode = msgspec.json.Encoder().encode_lines

    def take(self) -> PreparedRequest:
        first, pool, size = self._next, self._pool, len(self._pool)
        self._next = first + self._batch
        body = self._encode(
            [
                {"log_id": f"00000000-0000-4000-8000-{n:012x}", **pool[n % size]}
                for n in range(first, self._next)
            ]
        )
        head = self._head + b"%d\r\n\r\n" % len(body)
        return PreparedRequest(head, body, first, self._batch, len(head) + len(body))

    def prepare(self) -> bool:
        return False


class Uncounted:
    """Batches of a source without event numbers, so that no outcomes are recorded."""

    def __init__(self, source: BodySource) -> None:
        self._source = source
        self.prepare = source.prepare

    def take(self) -> PreparedRequest | None:
        batch = self._source.take()
        if batch is not None:
            batch.count = 0
        return batch


def one_run(kind: str, url: str, batch: int, seconds: float, rate: float) -> dict[str, float]:
    """Return one measurement in this process: of `journal` or `few` (the fleet's events, all fields
    or `FEW_FIELDS`), `bare`, `dictionaries`, `open` or `closed`.
    """
    left_out = set(EVENT_KEYS) - FEW_FIELDS if kind == "few" else set()
    events = EventFormat(fields={key: FieldFormat(name="") for key in left_out})
    form = HttpForm(url=url, response_rule=ResponseRule(refused=""), format=events)
    plan = plan_of(batch, seconds=seconds, connections=50)
    with tempfile.TemporaryFile() as file:

        def write(line: Reserved | Report) -> None:
            os.write(file.fileno(), encode(line) + b"\n")

        source: BodySource
        if kind in ("journal", "few", "bare"):
            child = GeneratorPlan(plan=plan, form=form, fleet=fleet_for(plan).identity("load"))
            source = body_source(
                child, lambda ranges: write(Reserved(worker=0, ranges=tuple(ranges)))
            )
            source = Uncounted(source) if kind == "bare" else source
        else:
            _, head = request_head("POST", url, form.head_fields())
            source = (
                PooledDictionaries(head, batch)
                if kind == "dictionaries"
                else FixedBodies(head, b"x" * 280 * batch, count=batch)
            )
        lane = RequestStream(
            "ingest",
            address=address_of(url),
            source=source,
            schedule=Schedule(Shape(kind="constant", rate=rate, duration_s=seconds))
            if kind == "open"
            else None,
            rule=form.response_rule,
            retry=RetryPolicy(),
        )

        def pass_on(second: int) -> None:
            seconds_, ranges = lane.recorder.take()
            if kind != "bare":
                write(Report(worker=0, lane="i", seconds=tuple(seconds_), ranges=tuple(ranges)))
            counted.extend(one.requests for one in seconds_)

        counted: list[int] = []
        limits = Limits(duration_s=seconds, drain_s=1, max_backlog=10**9)
        engine = Engine([lane], limits=limits, on_second=pass_on)
        for _ in range(50):
            engine.connect(lane)
        began = time.process_time()
        engine.run()
        cpu_s = time.process_time() - began
    requests = sum(counted)
    return {"rps": requests / (engine.elapsed_ns / 1e9), "cpu_us": cpu_s / requests * 1e6}


def measured(kind: str, url: str, batch: int, seconds: float, rate: float = 0) -> dict[str, float]:
    """Return `one_run` of a process of its own on core 0: requests/s, and processor time of each in
    µs.
    """
    code = (
        "import sys, json; from benchmarks.load_parts.timing import one_run;"
        "k, u, b, s, r = sys.argv[1:];"
        "print(json.dumps(one_run(k, u, int(b), float(s), float(r))))"
    )
    command = [sys.executable, "-c", code, kind, url, str(batch), str(seconds), str(rate)]
    said = subprocess.run(pinned(command), capture_output=True, text=True, check=True, timeout=120)
    return dict(json.loads(said.stdout))


def _cost(kinds: tuple[str, str], url: str, batch: int, seconds: float) -> dict[str, Any]:
    """Return the share of the second kind's rate that the first keeps, and of processor time."""
    rows: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    rate = 0.0
    for _ in range(ROUNDS):
        for kind in reversed(kinds):
            rows[kind].append(measured(kind, url, batch, seconds, rate))
            # Planned a little faster than possible: every request has a planned time, and waits.
            rate = 1.15 * statistics.median(row["rps"] for row in rows[kinds[1]])
    with_it, without = rows[kinds[0]], rows[kinds[1]]
    return {
        f"{kinds[0]}_rps": [row["rps"] for row in with_it],
        f"{kinds[1]}_rps": [row["rps"] for row in without],
        "rate_kept": ratio([r["rps"] for r in with_it], [r["rps"] for r in without]),
        "cpu_without_to_with": ratio(
            [r["cpu_us"] for r in without], [r["cpu_us"] for r in with_it]
        ),
    }


def journal(seconds: float) -> dict[str, Any]:
    """Compare runs with outcomes recorded as ranges, merged, encoded and written, to runs
    without.
    """
    with null_sink(cpu=1) as sink:
        return {
            f"batch_{batch}": _cost(("journal", "bare"), sink.url, batch, seconds)
            for batch in (1, 100)
        }


def bare_lateness_ms(rate: float, seconds: float) -> float:
    """Return the p99 lateness of a loop that only reads the clock until each planned time: the
    machine's own, which no such generator can improve on.
    """
    clock = time.perf_counter_ns
    late = array("q")
    began, number = clock(), 0
    while number < rate * seconds:
        due = began + int(number / rate * 1e9)
        now = clock()
        while now < due:
            now = clock()
        late.append(now - due)
        number += 1
    return float(np.percentile(np.array(late), 99)) / 1e6


def timing(seconds: float) -> dict[str, Any]:
    """Measure the cost of planned times, and lateness at shares of the highest rate, within
    Locust.
    """
    with null_sink(cpu=1) as sink:
        cost = _cost(("open", "closed"), sink.url, 1, seconds)
        highest = [per_s(load(plan_of(1, seconds=seconds), sink.url)[0]) for _ in range(3)]
        most = statistics.median(highest)
        found: dict[str, Any] = {"open_beside_closed": cost, "highest_rps": highest}
        for share in (0.25, 0.5, 0.9):
            rows = []
            for _ in range(ROUNDS if share == 0.5 else 1):
                plan = plan_of(1, seconds=seconds, rate=most * share, connections=100)
                result = load(plan, sink.url)[0]
                rows.append(
                    {
                        "reached": per_s(result) / (most * share),
                        "lateness_p50_ms": percentile_ms(result.latency.lateness_ns, 0.5),
                        "lateness_p99_ms": percentile_ms(result.latency.lateness_ns, 0.99),
                        "starved_share": result.machine.lost_share,
                        "bare_loop_lateness_p99_ms": _bare(most * share),
                    }
                )
            found[f"at_{share}"] = rows
    return found


def _bare(rate: float) -> float:
    code = (
        "import sys; from benchmarks.load_parts.timing import bare_lateness_ms;"
        "print(bare_lateness_ms(float(sys.argv[1]), 2.0))"
    )
    said = subprocess.run(
        pinned([sys.executable, "-c", code, str(rate)]),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return float(said.stdout)
