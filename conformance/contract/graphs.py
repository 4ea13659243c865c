"""The graph and the breakdown: sums over a window, from logs while they last, else summaries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from trueup.conformance.contract.findings import Deviation, JudgedRequest, RequestFinding
from trueup.conformance.contract.history import EventRecord, SentEvent
from trueup.conformance.contract.interpretation import LOG_LIFE
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.sums import ERROR_READINGS, NOTHING, CellSum, show
from trueup.conformance.rows import (
    as_int,
    canonical_hostname,
    get_path,
    parse_time,
)
from trueup.reports.results import Counts, Json

__all__ = ["judge_breakdown", "judge_graph"]

SENT: Final = "graph-equals-sent"
SUMMED: Final = "graph-equals-summaries"
WINDOW: Final = "windows-join"
PARTS: Final = "parts-make-the-whole"
TENANTS: Final = "tenants-are-apart"
LIMITS: Final[Mapping[str, timedelta]] = {
    "minute": timedelta(hours=1),
    "hour": timedelta(hours=24),
    "day": timedelta(days=31),
    "month": timedelta(days=366),
}
"""Windows that every target must support; longer ones may be refused (S7: limits are open)."""
FILTERS: Final[tuple[str, ...]] = ("proxy_user_id", "network", "hostname", "service_id")


@dataclass(frozen=True, slots=True)
class GraphWindow:
    """What a graph was asked for. The window is half open: [start, end)."""

    start: datetime
    end: datetime
    interval: str
    filters: Mapping[str, str]
    inclusive: bool
    """Whether the target reads the interval at `end` as part of the window."""

    def bucket(self, at: datetime) -> str:
        """Return the label of the bucket of a time: the start of its minute, hour, day or month."""
        form = {"minute": "%Y-%m-%d %H:%M", "hour": "%Y-%m-%d %H", "month": "%Y-%m"}
        return at.strftime(form.get(self.interval, "%Y-%m-%d"))

    def has(self, at: datetime) -> bool:
        """Return whether a time is in the window, whose end is exclusive."""
        return self.start <= at < self.end

    def floor(self, at: datetime) -> datetime:
        """Return the start of the bucket of a moment."""
        match self.interval:
            case "minute":
                return at.replace(second=0, microsecond=0)
            case "hour":
                return at.replace(minute=0, second=0, microsecond=0)
            case "month":
                return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            case _:
                return at.replace(hour=0, minute=0, second=0, microsecond=0)

    @property
    def whole_days(self) -> bool:
        """Whether the window begins and ends at midnight."""
        return all((t.hour, t.minute, t.second) == (0, 0, 0) for t in (self.start, self.end))

    @property
    def fine(self) -> bool:
        """Whether buckets are shorter than a day."""
        return self.interval in ("minute", "hour")


def _window(model: ContractModel, unit: JudgedRequest) -> GraphWindow | None:
    """The window of a request; None where it leaves something to the target's defaults."""
    query = dict(unit.first.query)
    if len(query) != len(unit.first.query):
        return None
    start, end = parse_time(query.get("period_start")), parse_time(query.get("period_end"))
    known = {"period_start", "period_end", "interval", "show_log_concurrency", *FILTERS}
    if start is None or end is None or end <= start or not set(query) <= known:
        return None
    interval = query.get("interval", "day")
    if interval not in LIMITS or "interval" not in query:
        return None
    return GraphWindow(
        start=start,
        end=end,
        interval=interval,
        filters={name: query[name] for name in FILTERS if name in query},
        inclusive=model.reading.value("graph-end") == "inclusive",
    )


@dataclass(slots=True)
class GraphBucket:
    """What one bucket shows."""

    requests: int = 0
    bytes: int = 0
    successful: int | None = None
    error: int | None = None
    label: str = ""
    """Its time as shown, if that is not where an interval begins."""


def read_points(
    model: ContractModel, unit: JudgedRequest, window: GraphWindow
) -> dict[str, GraphBucket] | str:
    """Return points by bucket, or the reason why there are none that can be read."""
    shape = model.graph
    found = get_path(unit.first.body, shape.get("points", "data.points"))
    if not isinstance(found, list):
        return f"no list of points at `{shape.get('points')}`"
    points: dict[str, GraphBucket] = {}
    for each in found:
        row: dict[str, Json] = each if isinstance(each, dict) else {}
        at = parse_time(get_path(row, shape.get("time", "datetime")))
        if at is None:
            return f"a point without a time at `{shape.get('time')}`"
        point = points.setdefault(window.bucket(at), GraphBucket())
        if at not in (window.floor(at), window.start):
            point.label = str(get_path(row, shape.get("time", "datetime")))
        point.requests += _number(row, shape.get("requests", "requests"))
        point.bytes += _number(row, shape.get("bytes", "bytes"))
        beside = shape.get("requests", "requests").rpartition(".")[0]
        near = get_path(row, beside) if beside else row
        if isinstance(near, dict):
            good, bad = as_int(near, "successful"), as_int(near, "error")
            if good is not None and bad is not None:
                point.successful = (point.successful or 0) + good
                point.error = (point.error or 0) + bad
    return points


def _number(row: dict[str, Json], path: str) -> int:
    return as_int({"v": get_path(row, path)}, "v") or 0


def _selected(
    model: ContractModel,
    unit: JudgedRequest,
    filters: Mapping[str, str],
    *,
    customer: str | None = None,
) -> Iterable[EventRecord]:
    host = canonical_hostname(filters["hostname"]) if "hostname" in filters else None
    for record in model.records(customer or unit.customer, filters.get("proxy_user_id")):
        event = record.event
        if "network" in filters and event.network != filters["network"]:
            continue
        if host is not None and event.hostname != host:
            continue
        if "service_id" in filters and event.raw.get("service_id") != filters["service_id"]:
            continue
        yield record


def _expected(
    model: ContractModel,
    unit: JudgedRequest,
    window: GraphWindow,
    filters: Mapping[str, str],
    *,
    end: datetime | None = None,
    customer: str | None = None,
) -> dict[str, CellSum]:
    """Bucket → sum of the events of the window that pass the filters."""
    until = end or window.end
    buckets: dict[str, CellSum] = defaultdict(CellSum)
    asked = filters.get("hostname")
    for record in _selected(model, unit, filters, customer=customer):
        for event, certain in model.contributions(record, unit.op):
            if window.start <= event.at < until:
                bucket = buckets[window.bucket(event.at)]
                spelled = asked is None or event.raw.get("log_hostname") == asked
                (bucket.certain if certain and spelled else bucket.possible).append(event)
    return buckets


def _is_own(model: ContractModel, filters: Mapping[str, str]) -> bool:
    prefix = model.history.prefix
    return filters.get("proxy_user_id", "").startswith(prefix) or (
        bool(prefix) and not model.shared and prefix in filters.get("hostname", "")
    )


def judge_graph(model: ContractModel, unit: JudgedRequest, finding: RequestFinding) -> None:
    """Judge `analytics/graph`: every bucket of the window, and no other."""
    window = _window(model, unit)
    if window is None:
        return
    exchange = unit.first
    recent = window.start > unit.now - LOG_LIFE + timedelta(minutes=10)
    answerable = _answerable(model, unit, window, recent=recent)
    if exchange.status != 200:
        _judge_refusal(model, unit, finding, window, answerable=answerable)
        return
    points = read_points(model, unit, window)
    if isinstance(points, str):
        finding.cannot_use(f"analytics/graph: {points}", exchange.n, SENT, SUMMED)
        return
    where = "graph" + "".join(f" · {n}={v[:60]}" for n, v in window.filters.items())
    where += (
        f" · by {window.interval}, {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M}"
    )
    sums = _expected(model, unit, window, window.filters)
    if window.inclusive:
        sums = _with_end(model, unit, window, sums, points)
    own = _is_own(model, window.filters)
    if not answerable:
        _judge_open(finding, window, sums, points, where, own=own)
        return
    old_aligned = recent or window.whole_days
    if not old_aligned:
        _judge_open(finding, window, sums, points, where, own=own)
        return
    if model.read_only:
        _judge_closed_days(model, unit, finding, window, points, where)
        return
    for bucket in sorted({*sums, *points}):
        total, point = sums.get(bucket, CellSum()), points.get(bucket, GraphBucket())
        if not total.certain and not total.possible and not point.requests and not point.bytes:
            continue
        check = _check_of(model, unit, window, bucket, recent=recent)
        finding.observed(check)
        finding.observed(PARTS, 1 if len(window.filters) > 1 else 0)
        seen = Counts(point.requests, point.bytes, 0, 0)
        fits = total.allows(point.requests, point.bytes) or (
            not own and point.requests >= total.requests and point.bytes >= total.bytes
        )
        if not fits:
            named = _named(model, unit, window, bucket, point, check)
            finding.deviate(
                named,
                f"{where} · {bucket}",
                total.text(),
                show(seen),
                events=total.certain,
                counts=(total.counts(), seen),
                topic=(
                    "graph",
                    unit.customer,
                    window.filters.get("proxy_user_id", ""),
                    window.filters.get("network", ""),
                    bucket,
                ),
            )
        elif own and not total.possible:
            _judge_split(finding, unit, total, point, f"{where} · {bucket}")
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
    last = (window.end - timedelta(seconds=1)).strftime("%Y-%m-%d")
    spans = [(f"{window.start:%Y-%m-%d}", last, "in all")]
    if window.interval == "day":
        spans += [(day, day, day) for day in points]
    for first, until, name in spans:
        want = model.inferred.total(unit.customer, window.filters, first, until)
        if want is None or until >= today:
            continue
        chosen = [p for b, p in points.items() if first[: len(b)] <= b <= until[: len(b)]]
        have = Counts(sum(p.requests for p in chosen), sum(p.bytes for p in chosen), 0, 0)
        finding.observed(SUMMED, 1 if want.requests or have.requests else 0)
        if want[:2] != have[:2]:
            check = PARTS if len(window.filters) > 1 else SUMMED
            finding.deviate(check, f"{where} · {name}", show(want), show(have))


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
    exchange = unit.first
    if exchange.status is None or exchange.status >= 500 or exchange.status == 429:
        finding.cannot_use(model.why(exchange), exchange.n, SENT, SUMMED, PARTS, WINDOW)
        return
    claim = f"{window.interval}-graph"
    claimed = window.interval == "day" or claim in model.reading.claims
    if answerable and claimed and window.end - window.start <= LIMITS[window.interval]:
        finding.deviate(
            SENT,
            f"graph by {window.interval}, {window.start} to {window.end}",
            "points",
            f"status {exchange.status}",
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


def _with_end(
    model: ContractModel,
    unit: JudgedRequest,
    window: GraphWindow,
    sums: dict[str, CellSum],
    points: Mapping[str, GraphBucket],
) -> dict[str, CellSum]:
    """Where the end belongs to the window: its interval may be there in full, or its instant."""
    bucket_end = window.end + timedelta(seconds=1)
    if window.floor(window.end) == window.end:
        step = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
        bucket_end = window.end + step.get(window.interval, timedelta(days=1))
        if window.interval == "month":
            bucket_end = (window.end + timedelta(days=32)).replace(day=1)
    wide = _expected(model, unit, window, window.filters, end=bucket_end)
    instant = _expected(model, unit, window, window.filters, end=window.end + timedelta(seconds=1))
    last = window.bucket(window.end)
    point = points.get(last, GraphBucket())
    for choice in (wide, instant):
        if choice.get(last, CellSum()).allows(point.requests, point.bytes):
            return choice
    return sums


def _check_of(
    model: ContractModel, unit: JudgedRequest, window: GraphWindow, bucket: str, *, recent: bool
) -> str:
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
    late = _expected(
        model, unit, window, window.filters, end=window.end + timedelta(days=1, seconds=1)
    )
    instant = _expected(model, unit, window, window.filters, end=window.end + timedelta(seconds=1))
    if window.bucket(window.end) == bucket or not window.has(_bucket_start(bucket)):
        for wider in (instant, late):
            if wider.get(bucket, CellSum()).allows(*seen) and point.requests:
                return WINDOW
    for letter in model.history.customers:
        if letter != unit.customer:
            other = _expected(model, unit, window, window.filters, customer=letter).get(
                bucket, CellSum()
            )
            own = _expected(model, unit, window, window.filters).get(bucket, CellSum())
            if other.requests and seen == (own.requests + other.requests, own.bytes + other.bytes):
                return TENANTS
    for name in window.filters:
        fewer = {n: v for n, v in window.filters.items() if n != name}
        wider = _expected(model, unit, window, fewer)
        one = wider.get(bucket, CellSum())
        if one.allows(*seen) and seen != (0, 0):
            return PARTS
        if not _is_own(model, fewer) and point.requests > one.requests > 0:
            return PARTS
    return check


def _bucket_start(bucket: str) -> datetime:
    text = {7: f"{bucket}-01", 13: f"{bucket}:00"}.get(len(bucket), bucket)
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _judge_split(
    finding: RequestFinding, unit: JudgedRequest, total: CellSum, point: GraphBucket, where: str
) -> None:
    if point.error is None or point.successful is None:
        return
    check = "graph-splits-add-up"
    finding.equal(
        check,
        f"{where} · successful + error",
        point.requests,
        point.successful + point.error,
        definite=True,
    )
    for reading in ERROR_READINGS:
        right = total.errors(reading)
        deviation = None
        if right != point.error:
            deviation = Deviation(
                check=SENT,
                where=f"{where} · errors",
                expected=f"{right} (reading: {reading})",
                seen=str(point.error),
                unit=unit,
                exchanges=unit.numbers,
                events=tuple(total.certain[:8]),
            )
        finding.split.setdefault(reading, []).append(deviation)


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
        step = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
        at = window.floor(at + step.get(window.interval, timedelta(days=1)))
        if window.interval == "month":
            at = (at.replace(day=1) + timedelta(days=32)).replace(day=1)
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
                "readings-are-true",
                f"{where} · {missing[0]}",
                "a point without traffic",
                "no point",
                definite=True,
            )
    elif model.reading.values.get("graph-empty-buckets") == "omitted":
        empty = sorted(b for b, p in points.items() if not p.requests and not p.bytes)
        if empty and "graph-empty-buckets" in model.reading.declared:
            finding.deviate(
                "readings-are-true", f"{where} · {empty[0]}", "no point", "a point", definite=True
            )


# --- breakdown

PART_KEYS: Final[Mapping[str, str]] = {
    "proxy_users": "proxy_user_id",
    "hostnames": "hostname",
    "networks": "network",
}


def judge_breakdown(model: ContractModel, unit: JudgedRequest, finding: RequestFinding) -> None:
    """Judge `analytics/breakdown`: its parts, and that they add up to the whole."""
    query = dict(unit.first.query)
    start, end = parse_time(query.get("period_start")), parse_time(query.get("period_end"))
    exchange = unit.first
    data = model.data(exchange)
    if data is None:
        if exchange.status is None or exchange.status >= 500 or exchange.status == 429:
            finding.cannot_use(model.why(exchange), exchange.n, PARTS)
        return
    if start is None or end is None or "limit" in query:
        return
    filters = {name: query[name] for name in FILTERS if name in query}
    window = GraphWindow(start=start, end=end, interval="day", filters=filters, inclusive=False)
    recent = start > unit.now - LOG_LIFE + timedelta(minutes=10)
    if not recent and not window.whole_days:
        return
    hosts_known = recent or model.reading.hostname_must_show(start, unit.now)
    own = _is_own(model, filters)
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
    for record in _selected(model, unit, window.filters):
        for event, certain in model.contributions(record, unit.op):
            if window.has(event.at):
                part = expected[_part(event, title)]
                (part.certain if certain else part.possible).append(event)
    seen: dict[str, Counts] = {}
    for row in rows:
        if not isinstance(row, dict):
            continue
        name = row.get(key)
        text = canonical_hostname(str(name)) if title == "hostnames" and name else str(name or "")
        have = seen.get(text, NOTHING)
        seen[text] = Counts(
            have.requests + (as_int(row, "requests") or 0),
            have.bytes + (as_int(row, "bytes") or 0),
            0,
            0,
        )
    where = f"breakdown · {title}" + "".join(f" · {n}={v[:60]}" for n, v in window.filters.items())
    whole = CellSum()
    for part in expected.values():
        whole.add(part)
    all_seen = Counts(
        sum(c.requests for c in seen.values()), sum(c.bytes for c in seen.values()), 0, 0
    )
    finding.observed(PARTS)
    if own and not whole.allows(all_seen.requests, all_seen.bytes):
        finding.deviate(
            PARTS,
            f"{where} · in all",
            whole.text(),
            show(all_seen),
            counts=(whole.counts(), all_seen),
            topic=(
                "graph",
                unit.customer,
                window.filters.get("proxy_user_id", ""),
                window.filters.get("network", ""),
                "",
            ),
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
