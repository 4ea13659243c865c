"""Graphs: each point is the sum of the events in its bucket, and splits add up to the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance.contract.check_names import BODIES, PARTS, READINGS_TRUE, SPLITS, TENANTS
from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.graph_windows import (
    LIMITS,
    GraphBucket,
    GraphWindow,
    bucket_start,
    expected_points,
    is_own_graph,
    parse_window,
    read_points,
)
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.sums import CellSum, compare_errors, show
from trueup.conformance.rows import graph_points
from trueup.reports.journal.records import Exchange
from trueup.reports.results import Counts

__all__ = ["judge_graph"]

SENT: Final = "graph-equals-sent"
SUMMED: Final = "graph-equals-summaries"
WINDOW: Final = "windows-join"


def judge_graph(model: ContractModel, unit: JudgedRequest, finding: RequestFinding) -> None:
    """Judge `analytics/graph`: every bucket of the window, and no other."""
    window = parse_window(model, unit)
    if window is None:
        return
    exchange = unit.first
    recent = model.reading.log_must_show(window.start, unit.now)
    answerable = _answerable(model, unit, window, recent=recent)
    if exchange.status != 200:
        _judge_refusal(model, unit, finding, window, answerable=answerable)
        return
    points = read_points(model, unit, window)
    if isinstance(points, str):
        _judge_times(model, finding, exchange)
        finding.cannot_use(f"analytics/graph: {points}", exchange.n, SENT, SUMMED)
        return
    where = f"graph{window.text} · by {window.interval}, "
    where += f"{window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M}"
    _judge_splits(finding, points, where)
    own = is_own_graph(model, window.filters)
    if not answerable or not (recent or window.whole_days):
        widest = expected_points(model, unit, window.choices()[-1], window.filters)
        _judge_open(finding, window, widest, points, where, own=own)
        return
    if model.read_only:
        _judge_closed_days(model, unit, finding, window, points, where)
        return
    summed, sums = _summed_window(model, unit, finding, window, points, own=own)
    for bucket in sorted({*sums, *points}):
        total, point = sums.get(bucket, CellSum()), points.get(bucket, GraphBucket())
        if not total.certain and not total.possible and not point.requests and not point.bytes:
            continue
        check = _check_of(unit, window, bucket, recent=recent)
        finding.observed(check)
        finding.observed(PARTS, 1 if len(window.filters) > 1 else 0)
        seen = Counts(point.requests, point.bytes, 0, 0)
        if not _fits(total, point, own=own):
            named = _named(model, unit, summed, bucket, point, check)
            finding.deviate(
                named,
                f"{where} · {bucket}",
                total.text(),
                show(seen),
                events=total.certain,
                counts=(total.counts(), seen),
                topic=window.topic(unit.customer, bucket),
            )
        elif own and not total.possible and None not in (point.error, point.successful):
            compare_errors(
                finding,
                SENT,
                f"{where} · {bucket} · errors",
                total,
                point.error or 0,
                model.status,
            )
    _judge_buckets(model, finding, window, points, where)


def _judge_closed_days(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    window: GraphWindow,
    points: Mapping[str, GraphBucket],
    where: str,
) -> None:
    """At level 0: each closed day, and the whole, beside the summaries that were read."""
    if window.fine or not window.whole_days:
        return
    today = unit.now.strftime("%Y-%m-%d")
    spans = [(f"{window.start:%Y-%m-%d}", _last_day(window), "in all")]
    if window.interval == "day":
        spans += [(day, day, day) for day in points]
    for first, until, name in spans:
        wanted = [(first, until)]
        if window.interval == "month":
            choices = replace(window, inclusive=False).choices()
            wanted = [(f"{c.start:%Y-%m-%d}", _last_day(c)) for c in choices]
        totals = [
            model.inferred.total(unit.customer, window.filters, begin, end)
            for begin, end in wanted
            if end < today
        ]
        want = totals[0] if len(totals) == len(wanted) else None
        if want is None or None in totals:
            continue
        chosen = [p for b, p in points.items() if first[: len(b)] <= b <= until[: len(b)]]
        have = Counts(sum(p.requests for p in chosen), sum(p.bytes for p in chosen), 0, 0)
        finding.observed(SUMMED, 1 if want.requests or have.requests else 0)
        if all(total is None or total[:2] != have[:2] for total in totals):
            check = PARTS if len(window.filters) > 1 else SUMMED
            finding.deviate(check, f"{where} · {name}", show(want), show(have))


def _last_day(window: GraphWindow) -> str:
    return (window.end - timedelta(seconds=1)).strftime("%Y-%m-%d")


def _answerable(
    model: ContractModel, unit: JudgedRequest, window: GraphWindow, *, recent: bool
) -> bool:
    """Whether the documented objects hold what the graph is asked for (S8)."""
    if recent:
        return True
    if window.fine or "service_id" in window.filters:
        return False
    if "hostname" in window.filters:
        return model.reading.hostname_must_show(
            window.start.replace(hour=0, minute=0, second=0), unit.now
        )
    return "old-graph" in model.reading.claims


def _judge_refusal(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    window: GraphWindow,
    *,
    answerable: bool,
) -> None:
    """A window that the documents allow must be supported."""
    claim = f"{window.interval}-graph"
    claimed = window.interval == "day" or claim in model.reading.claims
    if answerable and claimed and window.end - window.start <= LIMITS[window.interval]:
        finding.deviate(
            SENT,
            f"graph by {window.interval}, {window.start} to {window.end}",
            "points",
            f"status {unit.first.status}",
            definite=True,
        )


def _judge_open(
    finding: RequestFinding,
    window: GraphWindow,
    sums: Mapping[str, CellSum],
    points: Mapping[str, GraphBucket],
    where: str,
    *,
    own: bool,
) -> None:
    """What cannot be computed may be refused, empty, or in whole days, but not invented."""
    if not own:
        return
    shown = sum(point.requests for point in points.values())
    most = sum(len(s.certain) + len(s.possible) for s in sums.values())
    finding.observed(SUMMED)
    if window.whole_days and "hostname" not in window.filters and shown > most:
        finding.deviate(SUMMED, f"{where} · requests in all", f"at most {most}", shown)


def _fits(total: CellSum, point: GraphBucket, *, own: bool) -> bool:
    """Whether a point can be right; beside our events it may show those of others."""
    return total.allows(point.requests, point.bytes) or (
        not own and point.requests >= total.requests and point.bytes >= total.bytes
    )


def _summed_window(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    window: GraphWindow,
    points: Mapping[str, GraphBucket],
    *,
    own: bool,
) -> tuple[GraphWindow, Mapping[str, CellSum]]:
    """Return what the target summed, by the readings of its ends, and the sums of the buckets.

    A declared reading that the first or the last bucket shows to be another one is not true.
    """
    choices = window.choices()
    for choice in choices:
        sums = _sums_of(model, unit, window, choice)
        if _edges_fit(window, sums, points, own=own):
            return choice, sums
    open_ends = [
        ("graph-end", replace(window, inclusive=False), window.inclusive),
        ("graph-edges", replace(window, edges=""), "graph-edges" in model.reading.declared),
    ]
    for reading, other, is_open in open_ends:
        for choice in other.choices() if is_open else ():
            sums = _sums_of(model, unit, window, choice)
            if _edges_fit(window, sums, points, own=own):
                if reading in model.reading.declared:
                    told = model.reading.value(reading)
                    place = f"graph by {window.interval}, {window.start} to {window.end}"
                    finding.deviate(READINGS_TRUE, f"{place} · {reading}", told, "another reading")
                return choice, sums
    return choices[0], _sums_of(model, unit, window, choices[0])


def _edges_fit(
    window: GraphWindow,
    sums: Mapping[str, CellSum],
    points: Mapping[str, GraphBucket],
    *,
    own: bool,
) -> bool:
    """Whether the first and the last bucket of a window can be right."""
    edges = {window.bucket(window.start), window.bucket(window.end)}
    return all(
        _fits(sums.get(edge, CellSum()), points.get(edge, GraphBucket()), own=own) for edge in edges
    )


def _sums_of(
    model: ContractModel, unit: JudgedRequest, asked: GraphWindow, summed: GraphWindow
) -> Mapping[str, CellSum]:
    """Sums of the buckets; what is older than the start that was asked for may be gone."""
    sums = expected_points(model, unit, summed, asked.filters)
    reading = model.reading
    by_hostname = "hostname" in asked.filters
    must_show = reading.hostname_must_show if by_hostname else reading.log_must_show
    if must_show(asked.start, unit.now) and not must_show(summed.start, unit.now):
        first = sums.get(asked.bucket(asked.start), CellSum())
        older = [event for event in first.certain if event.at < asked.start]
        first.certain = [event for event in first.certain if event.at >= asked.start]
        first.possible += older
    return sums


def _check_of(unit: JudgedRequest, window: GraphWindow, bucket: str, *, recent: bool) -> str:
    today = window.bucket(unit.now)
    if window.fine or bucket == today:
        return SENT
    return SENT if recent and window.interval == "minute" else SUMMED


def _named(
    model: ContractModel,
    unit: JudgedRequest,
    window: GraphWindow,
    bucket: str,
    point: GraphBucket,
    check: str,
) -> str:
    """What the wrong amount is: the end included, a filter not applied, another customer's."""
    seen = (point.requests, point.bytes)

    def sum_of(
        filters: Mapping[str, str], *, end: datetime | None = None, customer: str | None = None
    ) -> CellSum:
        wider = replace(window, end=end or window.end)
        found = expected_points(model, unit, wider, filters, customer=customer)
        return found.get(bucket, CellSum())

    if window.bucket(window.end) == bucket or not window.has(bucket_start(bucket)):
        for later in (timedelta(seconds=1), timedelta(days=1, seconds=1)):
            wider = sum_of(window.filters, end=window.end + later)
            if wider.allows(*seen) and point.requests:
                return WINDOW
    own = sum_of(window.filters)
    for letter in model.history.customers:
        if letter != unit.customer:
            other = sum_of(window.filters, customer=letter)
            if other.requests and seen == (own.requests + other.requests, own.bytes + other.bytes):
                return TENANTS
    for name in window.filters:
        fewer = {n: v for n, v in window.filters.items() if n != name}
        one = sum_of(fewer)
        if one.allows(*seen) and seen != (0, 0):
            return PARTS
        if not is_own_graph(model, fewer) and point.requests > one.requests > 0:
            return PARTS
    return check


def _judge_times(model: ContractModel, finding: RequestFinding, exchange: Exchange) -> None:
    """A point without a readable time among others that have one is no matter of its place."""
    points = graph_points(exchange.body, model.graph)
    broken = [] if isinstance(points, str) else [each for each in points if each.at is None]
    if 0 < len(broken) < len(points):
        finding.deviate(
            BODIES, "analytics/graph · time of a point", "a time", broken[0].time, definite=True
        )


def _judge_splits(finding: RequestFinding, points: Mapping[str, GraphBucket], where: str) -> None:
    """Successes and errors of each point add up to its requests, whatever these are."""
    for bucket, point in points.items():
        finding.compare_split(
            SPLITS, f"{where} · {bucket}", point.requests, point.successful, point.error
        )


def _judge_buckets(
    model: ContractModel,
    finding: RequestFinding,
    window: GraphWindow,
    points: Mapping[str, GraphBucket],
    where: str,
) -> None:
    """Which buckets are there: every one, or only those with traffic; none outside the window."""
    wanted: set[str] = set()
    at = window.floor(window.start)
    while at < window.end and len(wanted) < 20_000:
        wanted.add(window.bucket(at))
        at = window.next_bucket(at)
    allowed = set(wanted)
    if window.inclusive or model.reading.values.get("graph-end") is None:
        allowed.add(window.bucket(window.end))
    finding.observed(WINDOW)
    for bucket, point in points.items():
        if point.label:
            finding.deviate(
                WINDOW,
                f"{where} · {bucket}",
                "the start of an interval",
                point.label,
                definite=True,
            )
    outside = sorted(set(points) - allowed)
    if outside:
        finding.deviate(
            WINDOW, f"{where} · buckets", "those of the window", outside[0], definite=True
        )
    if model.reading.values.get("graph-empty-buckets") == "zero":
        missing = sorted(wanted - set(points))
        if missing:
            finding.deviate(
                READINGS_TRUE,
                f"{where} · {missing[0]}",
                "a point without traffic",
                "no point",
                definite=True,
            )
    elif model.reading.values.get("graph-empty-buckets") == "omitted":
        empty = sorted(b for b, p in points.items() if not p.requests and not p.bytes)
        if empty and "graph-empty-buckets" in model.reading.declared:
            finding.deviate(
                READINGS_TRUE, f"{where} · {empty[0]}", "no point", "a point", definite=True
            )
