"""From generators' reports to one result: ranges joined, histograms merged, seconds added up.

Pure. Where a generator fell silent, or one of its reports got lost, the announced events that are
not accounted for are unknown: it may have sent them.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from trueup.reports.journal.records import (
    EventCounts,
    GeneratorUsage,
    LatencyHistograms,
    LoadResult,
    LoadTimeline,
    MachineNoise,
    OutcomeRange,
    PlannedLoad,
    RequestCounts,
)
from trueup.reports.metrics.histogram import Histogram
from trueup.reports.results import Outcome
from trueup.scenarios.load.generator import INGEST, READS
from trueup.scenarios.load.messages import GeneratorPlan, GeneratorSummary, Line, Report, Reserved
from trueup.scenarios.load.plan import LoadPlan, plan_values
from trueup.scenarios.load.thresholds import percentile_ms
from trueup.simulator.delivery import merge_ranges
from trueup.simulator.delivery.responses import has_response
from trueup.simulator.reactor import SHAPES, Second

__all__ = [
    "Collected",
    "collect",
    "comparable_digest",
    "comparable_settings",
    "errors_by_second",
    "load_result",
    "planned_rates",
    "read_lines",
    "with_reads",
]

_SILENT: Final = "the generator ended before it could say"
_GAP: Final = "a report of the generator was lost"
_BY_SECOND: Final = (("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("p999_ms", 0.999))
"""Percentiles of the response times of each second."""
_MOST_REASONS: Final = 8
"""Reasons of failures that have their own row by second; the rarer ones share the last."""
_RARER: Final = "rarer reasons"


@dataclass(slots=True, kw_only=True)
class Collected:
    """Reports, added up by request stream and second."""

    ranges: tuple[OutcomeRange, ...] = ()
    seconds: dict[str, dict[int, list[Second]]] = field(default_factory=dict)
    finals: dict[int, GeneratorSummary] = field(default_factory=dict)
    gaps: frozenset[int] = frozenset()
    """Workers that said more than arrived here."""

    def second_rows(self, lane: str) -> list[tuple[int, list[Second]]]:
        return sorted(self.seconds.get(lane, {}).items())


def read_lines(path: Path) -> list[Line]:
    """Return all whole lines of a generator's file, without a last one that is cut short.

    So is a line that a full disk cut and the next one was glued to: what it said is missed, and
    found missing, when the events are counted.
    """
    decoder = msgspec.json.Decoder(Line)
    found: list[Line] = []
    for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else []:
        with contextlib.suppress(msgspec.DecodeError):
            found.append(decoder.decode(line))
    return found


def collect(lines: Iterable[Line]) -> Collected:
    """Join reports and return them; settle what silent workers left open."""
    seconds: dict[str, dict[int, list[Second]]] = defaultdict(lambda: defaultdict(list))
    ranges: dict[int, list[OutcomeRange]] = defaultdict(list)
    announced: dict[int, list[tuple[int, int]]] = defaultdict(list)
    finals: dict[int, GeneratorSummary] = {}
    for line in lines:
        match line:
            case Reserved():
                announced[line.worker] += line.ranges
            case Report():
                for second in line.seconds:
                    seconds[line.lane][second.t].append(second)
                ranges[line.worker] += line.ranges
                if line.final is not None:
                    finals[line.worker] = line.final
    said = {worker: sum(part.count for part in parts) for worker, parts in ranges.items()}
    gaps = {worker for worker, word in finals.items() if word.events != said.get(worker, 0)}
    for worker, parts in announced.items():
        if worker not in finals or worker in gaps:
            why = _GAP if worker in gaps else _SILENT
            ranges[worker] += _unsaid(parts, ranges[worker], why)
    return Collected(
        gaps=frozenset(gaps),
        ranges=merge_ranges([part for parts in ranges.values() for part in parts]),
        seconds={lane: dict(found) for lane, found in seconds.items()},
        finals=finals,
    )


def _unsaid(
    announced: list[tuple[int, int]], said: list[OutcomeRange], why: str
) -> list[OutcomeRange]:
    """Announced events that no outcome speaks of, as unknown."""
    open_parts: list[OutcomeRange] = []

    def unknown(first: int, stop: int) -> None:
        if stop > first:
            open_parts.append(
                OutcomeRange(first=first, count=stop - first, outcome=Outcome.UNKNOWN, reason=why)
            )

    known = sorted((part.first, part.first + part.count) for part in said)
    at = 0
    for first, count in sorted(announced):
        cursor, stop = first, first + count
        while at < len(known) and known[at][1] <= first:
            at += 1
        probe = at
        while probe < len(known) and known[probe][0] < stop:
            unknown(cursor, known[probe][0])
            cursor = max(cursor, known[probe][1])
            probe += 1
        unknown(cursor, stop)
    return open_parts


def _merged(rows: list[tuple[int, list[Second]]], name: str, since: float) -> dict[str, int]:
    histogram = Histogram()
    for t, seconds in rows:
        if t >= since:
            for second in seconds:
                histogram.merge(Histogram.from_sparse(getattr(second, name)))
    return histogram.sparse()


def _second(t: int, seconds: list[Second]) -> dict[str, float]:
    response = Histogram()
    for second in seconds:
        response.merge(Histogram.from_sparse(second.response_ns))
    row = {
        "t": float(t),
        "requests": float(sum(second.requests for second in seconds)),
        "events": float(sum(second.events for second in seconds)),
        "errors": float(sum(sum(second.errors.values()) for second in seconds)),
    }
    sparse = response.sparse()
    for name, share in _BY_SECOND:
        value = percentile_ms(sparse, share)
        if value is not None:
            row[name] = value
    return row


def _all_seconds(
    rows: Sequence[tuple[int, list[Second]]], reads: Sequence[tuple[int, list[Second]]] | None
) -> tuple[dict[str, float], ...]:
    seconds = tuple(_second(t, found) for t, found in rows)
    return seconds if reads is None else with_reads(seconds, reads)


def errors_by_second(
    rows: Iterable[tuple[int, Sequence[Second]]],
) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return reason → (second, failed attempts), the most frequent reasons first."""
    totals: Counter[str] = Counter()
    counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
    kept = [(t, second.errors) for t, seconds in rows for second in seconds if second.errors]
    for _, errors in kept:
        totals.update(errors)
    own = [reason for reason, _ in totals.most_common(_MOST_REASONS)]
    if len(totals) > len(own):
        own = [*own[:-1], _RARER]
    for t, errors in kept:
        for reason, count in errors.items():
            counts[reason if reason in own else _RARER][t] += count
    return {reason: tuple(sorted(counts[reason].items())) for reason in own}


def planned_rates(plan: LoadPlan) -> tuple[tuple[float, float], ...]:
    """Return (second, requests with events due per second from then on), where that changes.

    The rate of a second is that of its middle. Empty where requests are not planned by a rate:
    as fast as possible, a replay, or the fleet's own arrivals.
    """
    if plan.shape.kind not in SHAPES or plan.shape.arrivals == "fleet":
        return ()
    seconds = np.arange(math.ceil(plan.shape.duration_s), dtype=np.float64)
    rates = plan.curve().rates(seconds + 0.5) * (1 - plan.reads.share)
    changes = np.flatnonzero(np.diff(rates, prepend=math.nan) != 0)
    return tuple((float(seconds[at]), round(float(rates[at]), 3)) for at in changes)


def with_reads(
    seconds: Sequence[dict[str, float]], reads: Sequence[tuple[int, Sequence[Second]]]
) -> tuple[dict[str, float], ...]:
    """Return rows of seconds with the completed reads of each, and the failed attempts of reads.

    A second in which only reads completed gets its row.
    """
    rows = {row["t"]: row | {"reads": 0.0, "read_errors": 0.0} for row in seconds}
    for t, found in reads:
        silent = {"t": float(t), "requests": 0.0, "events": 0.0, "errors": 0.0}
        rows[float(t)] = rows.get(float(t), silent) | {
            "reads": float(sum(second.requests for second in found)),
            "read_errors": float(sum(sum(second.errors.values()) for second in found)),
        }
    return tuple(rows[t] for t in sorted(rows))


def _comparable(generator_plan: GeneratorPlan) -> tuple[dict[str, Any], object, str]:
    """What must be equal in two comparable runs: plan, form of requests, traffic; no address."""
    plan = plan_values(generator_plan.plan)
    plan.pop("seed")
    if (transport := generator_plan.transport) is not None:
        form: object = (transport.name, transport.format, transport.max_events)
    elif (proxied := generator_plan.proxied) is not None:
        form = (proxied.name, proxied.shape)
    else:
        sent = generator_plan.over_http
        form = (sent.method, sent.compression, sent.format, dict(sent.event_headers))
    traffic = generator_plan.fleet.profile_sha256 if generator_plan.fleet else ""
    if generator_plan.replay is not None:
        traffic = generator_plan.replay.sha256
    return plan, form, traffic


def comparable_digest(generator_plan: GeneratorPlan) -> str:
    """Return a digest of what must be equal in two comparable runs: plan, form; not address."""
    parts = _comparable(generator_plan)
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:16]


def comparable_settings(generator_plan: GeneratorPlan) -> dict[str, str]:
    """Return the same key by key, so that a difference can be named: dotted key → JSON text."""
    plan, form, traffic = _comparable(generator_plan)
    values = {**plan, "form": msgspec.to_builtins(form), "traffic": traffic}
    return {key: msgspec.json.encode(value).decode() for key, value in _flat(values)}


def _flat(values: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", value


def _stopped(found: Collected, expected: int, trouble: str) -> str:
    """Why the run is not whole, in words; empty when it is."""
    words = {word.stopped_by for word in found.finals.values() if word.stopped_by}
    silent = expected - len(found.finals)
    if silent > 0:
        words.add(f"{silent} of {expected} generators ended before they could say what they sent")
    if found.gaps:
        words.add(f"reports of {len(found.gaps)} of {expected} generators were lost")
    return "; ".join([*sorted(words), *([trouble] if trouble else [])])


def _ended_s(found: Collected, expected: int) -> float | None:
    """When the first generator stopped to send; None where no one can say."""
    if len(found.finals) < expected:
        return None
    return min((word.ended_s for word in found.finals.values()), default=None)


def load_result(
    generator_plan: GeneratorPlan,
    found: Collected,
    *,
    engine: str,
    expected: int = 1,
    trouble: str = "",
) -> LoadResult:
    """Return the measured part of a result; verdict and reconciliation are added by others.

    `expected`: how many generators there were to be. `trouble`: what else went wrong, in words.
    """
    plan = generator_plan.plan
    rows, reads = found.second_rows(INGEST), found.second_rows(READS)
    every = [second for _, seconds in rows for second in seconds]
    errors: Counter[str] = Counter()
    for second in (*every, *(one for _, seconds in reads for one in seconds)):
        errors.update(second.errors)
    counts = _by_outcome(found.ranges)
    finals = found.finals.values()
    stopped = _stopped(found, expected, trouble)
    warmup = plan.shape.warmup_s
    return LoadResult(
        plan=PlannedLoad(
            scenario=plan.name,
            shape=plan.shape.kind,
            duration_s=plan.shape.duration_s,
            warmup_s=warmup,
            rate_rps=plan.shape.rate if plan.open_loop else None,
            batch=generator_plan.batch,
            replay=generator_plan.replay.text() if generator_plan.replay else "",
            malformed_every=plan.requests.malformed_every,
            duplicate_every=plan.requests.duplicate_every,
            digest=comparable_digest(generator_plan),
            settings=comparable_settings(generator_plan),
        ),
        requests=RequestCounts(
            completed=sum(second.requests for second in every),
            reads=sum(second.requests for _, seconds in reads for second in seconds),
            errors=dict(errors),
            unanswered=sum(count for reason, count in errors.items() if not has_response(reason)),
            unsent=sum(word.unsent for word in finals),
            bytes_sent=sum(second.bytes for second in every),
        ),
        events=EventCounts(
            sent=sum(counts.values()),
            accepted=counts[Outcome.ACCEPTED],
            refused=counts[Outcome.REFUSED],
            unknown=counts[Outcome.UNKNOWN],
        ),
        latency=LatencyHistograms(
            response_ns=_merged(rows, "response_ns", warmup),
            service_ns=_merged(rows, "service_ns", warmup),
            lateness_ns=_merged(rows, "lateness_ns", warmup),
            reads_ns=_merged(reads, "response_ns", warmup),
        ),
        timeline=LoadTimeline(
            seconds=_all_seconds(rows, reads if plan.reads.share else None),
            planned=planned_rates(plan),
            errors=errors_by_second((*rows, *reads)),
            ended_s=_ended_s(found, expected) if stopped else None,
            stopped_by=stopped,
            no_access=any(word.no_access for word in finals),
        ),
        generator=GeneratorUsage(
            engine=engine,
            workers=max(len(found.finals), 1),
            cpu_share=max((word.busy_share for word in finals), default=None),
            cpu_s=sum(word.cpu_s for word in finals) if finals else None,
        ),
        machine=MachineNoise(lost_share=max((word.starved_share for word in finals), default=None)),
    )


def _by_outcome(ranges: Iterable[OutcomeRange]) -> Mapping[Outcome, int]:
    counts: Counter[Outcome] = Counter()
    for part in ranges:
        counts[part.outcome] += part.count
    return counts
