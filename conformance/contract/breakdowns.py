"""Breakdowns: the parts of a window by network, user or hostname are those that were sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import reduce
from typing import Final

from trueup.conformance.contract.check_names import PARTS, SPLITS
from trueup.conformance.contract.findings import JudgedRequest, RequestFinding
from trueup.conformance.contract.graph_windows import (
    GRAPH_FILTERS,
    GraphWindow,
    is_own_graph,
    selected_records,
)
from trueup.conformance.contract.history import SentEvent
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.sums import NOTHING, CellSum, add, show, sum_by_key
from trueup.conformance.rows import as_int, canonical_hostname, parse_time
from trueup.reports.results import Counts, Json

__all__ = ["judge_breakdown"]

PART_KEYS: Final[Mapping[str, str]] = {
    "proxy_users": "proxy_user_id",
    "hostnames": "hostname",
    "networks": "network",
}


def judge_breakdown(model: ContractModel, unit: JudgedRequest, finding: RequestFinding) -> None:
    """Judge `analytics/breakdown`: its parts, and that they add up to the whole."""
    query = dict(unit.first.query)
    start, end = parse_time(query.get("period_start")), parse_time(query.get("period_end"))
    data = model.data(unit.first)
    if data is None or start is None or end is None or "limit" in query:
        return
    filters = {name: query[name] for name in GRAPH_FILTERS if name in query}
    window = GraphWindow(start=start, end=end, interval="day", filters=filters, inclusive=False)
    recent = model.reading.log_must_show(start, unit.now)
    if not recent and not window.whole_days:
        return
    hosts_known = recent or model.reading.hostname_must_show(start, unit.now)
    own = is_own_graph(model, filters)
    for title, key in PART_KEYS.items():
        rows = data.get(title)
        if not isinstance(rows, list):
            continue
        _judge_part(
            model,
            unit,
            finding,
            window,
            title,
            key,
            rows,
            own=own,
            named=hosts_known or title != "hostnames",
        )


def _judge_part(
    model: ContractModel,
    unit: JudgedRequest,
    finding: RequestFinding,
    window: GraphWindow,
    title: str,
    key: str,
    rows: list[Json],
    *,
    own: bool,
    named: bool,
) -> None:
    expected: dict[str, CellSum] = defaultdict(CellSum)
    for record in selected_records(model, unit, window.filters):
        for event, certain in model.contributions(record, unit.op):
            if window.has(event.at):
                part = expected[_part(event, title)]
                (part.certain if certain else part.possible).append(event)
    fold = canonical_hostname if title == "hostnames" else str
    parts = [row for row in rows if isinstance(row, dict)]
    seen = sum_by_key(
        (
            fold(str(row.get(key) or "")),
            Counts(as_int(row, "requests") or 0, as_int(row, "bytes") or 0, 0, 0),
        )
        for row in parts
    )
    where = f"breakdown · {title}{window.text}"
    for row in parts:
        requests, good, bad = (as_int(row, name) for name in ("requests", "successful", "error"))
        finding.compare_split(SPLITS, f"{where} · {row.get(key)}", requests or 0, good, bad)
    whole = CellSum.of(expected.values())
    all_seen = reduce(add, seen.values(), NOTHING)
    finding.observed(PARTS)
    if own and not whole.allows(all_seen.requests, all_seen.bytes):
        finding.deviate(
            PARTS,
            f"{where} · in all",
            whole.text(),
            show(all_seen),
            counts=(whole.counts(), all_seen),
            topic=window.topic(unit.customer),
        )
        return
    if not named:
        return
    for name in sorted({*expected, *seen} if own else set(expected)):
        total, counts = expected.get(name, CellSum()), seen.get(name, NOTHING)
        fits = total.allows(counts.requests, counts.bytes)
        if title == "proxy_users" or own:
            finding.observed(PARTS)
            if not fits:
                finding.deviate(
                    PARTS,
                    f"{where} · {name}",
                    total.text(),
                    show(counts),
                    events=total.certain,
                    counts=(total.counts(), counts),
                    topic=(
                        "graph",
                        unit.customer,
                        window.filters.get("proxy_user_id", ""),
                        "",
                        name,
                    ),
                )


def _part(event: SentEvent, title: str) -> str:
    match title:
        case "proxy_users":
            return event.user
        case "networks":
            return event.network
        case _:
            return event.hostname
