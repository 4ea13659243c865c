"""Measure how fast the fleet draws, encodes and computes totals, on one core, beside its limits.

    python benchmarks/fleet.py [--seconds 1] [--memory-events 2000000] [--json]

Rates are per second of this process's processor time: what one core does, even if others compete
for it. Ratios are of one run, measured in turn, so that noise affects both sides: to faker's rate
for an event of the same fields, and to the encoder's limits on ready rows: msgspec on ready
objects, and copying ready bytes.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from faker import Faker

from trueup.reports.event_format import BodyForm, EventFormat, FieldFormat
from trueup.simulator.fleet import Fleet
from trueup.simulator.model.draws import draw_billing, draw_details
from trueup.simulator.model.profile import load_profile
from trueup.simulator.totals import totals

BATCH = 8192
FIRST = 4_000_000
RATE = 200.0


HEAVIEST: Final = EventFormat(
    fields={
        "log_id": FieldFormat(name="event.uid"),
        "log_request_datetime": FieldFormat(name="event.time_ms", time="epoch-ms"),
        "customer_id": FieldFormat(name="account.id"),
        "proxy_user_id": FieldFormat(name="account.user"),
        "log_network": FieldFormat(
            name="proxy.pool",
            values={"datacenter": "dc", "isp": "isp", "residential": "home", "mobile": "cell"},
        ),
        "log_hostname": FieldFormat(name="destination.host"),
        "log_is_tls_enabled": FieldFormat(name="destination.tls", values={"true": 1, "false": 0}),
        "country_id": FieldFormat(name="exit.country"),
        "log_egress_ip_address": FieldFormat(name="exit.address"),
        "log_total_bytes": FieldFormat(split={"usage.up": 20, "usage.down": 80}),
    },
    sums={"timing.total": ("log_handshake_elapsed_ms", "log_tunnel_elapsed_ms")},
    constants={"source": "trueup", "schema.version": 3},
    form=BodyForm.JSON_ARRAY,
    key="batch.events",
)
"""A mapping with everything: names, values, a time form, parts, a sum, constants, nested objects
of fields from all tables, and a list under a key.
"""
FORMATS: Final[Mapping[str, EventFormat]] = {
    "draw and encode the heaviest mapping": HEAVIEST,
    **{
        f"draw and encode {form}": EventFormat(form=form)
        for form in (BodyForm.CLOUDEVENTS_BATCH, BodyForm.OTLP_LOGS, BodyForm.ELASTICSEARCH_BULK)
    },
}
OWN: Final = "draw and encode NDJSON"


def a_fleet() -> Fleet:
    return Fleet(
        load_profile("default"),
        seed=7,
        start=datetime(2025, 4, 1, tzinfo=UTC),
        customers=(1955, 1956),
        events_per_s=RATE,
    )


def faker_events(faker: Faker, count: int) -> int:
    """Encode events with the log object's fields, each from faker, as JSON; returns their
    number.
    """
    for _ in range(count):
        event = {
            "log_id": faker.uuid4(),
            "customer_id": faker.random_int(),
            "proxy_user_id": faker.user_name(),
            "service_id": faker.bothify("API-####-####"),
            "log_network": faker.random_element(("datacenter", "isp", "residential", "mobile")),
            "log_protocol": faker.random_element(("http", "socks")),
            "log_hostname": faker.domain_name(),
            "log_client_ip_address": faker.ipv4(),
            "log_egress_ip_address": faker.ipv4(),
            "log_local_ip_address": faker.ipv4(),
            "log_total_bytes": faker.random_int(0, 2**31),
            "log_request_datetime": str(faker.date_time()),
            "log_authentication_type": faker.random_int(1, 3),
            "country_id": faker.country_code(),
            "city_alias": faker.city(),
            "asn_id": faker.random_int(1, 400_000),
            "log_status_code": faker.random_element((200, 403, 407, 502)),
            "log_session_id": faker.hexify("^" * 12),
            "log_total_elapsed_ms": faker.random_int(),
        }
        json.dumps(event)
    return count


class Turns:
    """Runs each contestant for a while, in turn, and keeps every rate."""

    def __init__(self, seconds: float) -> None:
        self.slice_s = seconds / 5
        self.rates: dict[str, list[float]] = {}

    def run(self, contestants: dict[str, Callable[[int], int]]) -> None:
        """Run contestants; each takes the number of its turn and returns how many events it did."""
        for work in contestants.values():
            work(0)
        for _round in range(5):
            for name, work in contestants.items():
                done, turn, begin = 0, 1, time.process_time()
                while (spent := time.process_time() - begin) < self.slice_s:
                    done += work(turn)
                    turn += 1
                self.rates.setdefault(name, []).append(done / spent)

    def median(self, name: str) -> float:
        return statistics.median(self.rates[name])

    def ratio(self, name: str, beside: str) -> float:
        """Return the median of the ratios of the rounds, in which both had the same machine."""
        pairs = zip(self.rates[name], self.rates[beside], strict=True)
        return statistics.median(one / other for one, other in pairs)

    def best(self, name: str) -> float:
        return max(self.rates[name])


def rss_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def memory(events: int, work: Callable[[int, int], object]) -> list[float]:
    """Return the resident MiB after each tenth of the events, above the start."""
    work(FIRST, 1 << 16)
    before = rss_mib()
    seen = []
    tenth = max(1, events // 10)
    for k in range(10):
        for at in range(k * tenth, (k + 1) * tenth, 1 << 16):
            work(FIRST + at, min(1 << 16, (k + 1) * tenth - at))
        seen.append(round(rss_mib() - before, 1))
    return seen


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=1.0, help="for each figure")
    options.add_argument("--memory-events", type=int, default=2_000_000)
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    fleet, faker = a_fleet(), Faker()

    def at(turn: int, size: int) -> int:
        return FIRST + (turn * size) % 40_000_000

    def draw(turn: int) -> int:
        for first, count in fleet.model.arrivals.segments(at(turn, BATCH), BATCH):
            draw_details(fleet.model, draw_billing(fleet.model, first, count))
        return BATCH

    def encoded(form: EventFormat) -> Callable[[int], int]:
        return lambda t: len(fleet.batch(at(t, BATCH), BATCH).lines(form)) and BATCH

    def adding(first: int, count: int) -> object:
        return totals(fleet, [(first, count)])

    lines = np.frombuffer(fleet.batch(FIRST, BATCH).ndjson(), dtype=np.uint8).reshape(BATCH, -1)
    ready = [line.tobytes() for line in lines]
    order = np.random.default_rng(1).permutation(BATCH)
    rows = fleet.batch(FIRST, BATCH).rows()
    encode = msgspec.json.Encoder()
    many = 1 << 22
    turns = Turns(asked.seconds)
    turns.run(
        {
            "draw columns": draw,
            OWN: lambda t: len(fleet.batch(at(t, BATCH), BATCH).lines()) and BATCH,
            **{name: encoded(form) for name, form in FORMATS.items()},
            "draw and encode compact NDJSON": lambda t: (
                len(fleet.batch(at(t, BATCH), BATCH).ndjson(compact=True)) and BATCH
            ),
            "totals": lambda t: totals(fleet, [(at(t, many), many)]).events if t else 0,
            "totals, every cell named": lambda t: (
                len(totals(fleet, [(at(t, many), many)]).cells) and many if t else 0
            ),
            "limit: gather ready rows": lambda _t: (
                len(lines.take(order, axis=0).tobytes()) and BATCH
            ),
            "limit: join ready rows": lambda _t: len(b"".join(ready)) and BATCH,
            "limit: msgspec on ready objects": lambda _t: len(encode.encode_lines(rows)) and BATCH,
            "faker, every field": lambda _t: faker_events(faker, 20),
        }
    )
    whole = turns.median(OWN)
    compact = turns.median("draw and encode compact NDJSON")
    result = {
        "events_per_s_median": {name: round(turns.median(name)) for name in turns.rates},
        "events_per_s_best": {name: round(turns.best(name)) for name in turns.rates},
        "bytes_per_event": {
            "padded": lines.shape[1],
            **{
                name.removeprefix("draw and encode "): len(fleet.batch(FIRST, 1).lines(form))
                for name, form in FORMATS.items()
            },
            "compact": round(len(fleet.batch(FIRST, BATCH).ndjson(compact=True)) / BATCH),
        },
        "ratios": {
            **{f"{name} / own form": round(turns.ratio(name, OWN), 3) for name in FORMATS},
            "encode / faker": round(whole / turns.median("faker, every field"), 1),
            "encode / limit (gather ready rows)": round(
                whole / turns.median("limit: gather ready rows"), 3
            ),
            "encode / limit (msgspec)": round(
                whole / turns.median("limit: msgspec on ready objects"), 3
            ),
            "compact / limit (msgspec)": round(
                compact / turns.median("limit: msgspec on ready objects"), 3
            ),
        },
        "memory_mib_after_each_tenth": {
            "generating": memory(
                asked.memory_events, lambda first, n: len(fleet.batch(first, n).ndjson())
            ),
            "totals": memory(asked.memory_events, lambda first, n: totals(fleet, [(first, n)])),
            "events": asked.memory_events,
        },
        "numpy": np.__version__,
        "python": sys.version.split()[0],
    }
    if asked.json:
        print(json.dumps(result))
        return
    for name in turns.rates:
        print(f"{name:34}{turns.median(name):>14,.0f} events/s   best {turns.best(name):>14,.0f}")
    for part in ("bytes_per_event", "ratios", "memory_mib_after_each_tenth"):
        print(part, result[part])


if __name__ == "__main__":
    main()
