"""The window of a graph or breakdown: its buckets, its filters, and what each must contain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from trueup.conformance.contract.findings import JudgedRequest
from trueup.conformance.contract.history import EventRecord
from trueup.conformance.contract.model import ContractModel
from trueup.conformance.contract.sums import CellSum
from trueup.conformance.rows import canonical_hostname, graph_points, parse_time

__all__ = [
    "GRAPH_FILTERS",
    "LIMITS",
    "GraphBucket",
    "GraphWindow",
    "bucket_start",
    "expected_points",
    "is_own_graph",
    "parse_window",
    "read_points",
    "selected_records",
]

LIMITS: Final[Mapping[str, timedelta]] = {
    "minute": timedelta(hours=1),
    "hour": timedelta(hours=24),
    "day": timedelta(days=31),
    "month": timedelta(days=366),
}
"""Windows that every target must support; longer ones may be refused (S7: limits are open)."""
INSTANT: Final = timedelta(seconds=1)
"""What is added to a window that includes its very end."""
GRAPH_FILTERS: Final[tuple[str, ...]] = ("proxy_user_id", "network", "hostname", "service_id")


@dataclass(frozen=True, slots=True)
class GraphWindow:
    """What a graph was asked for. The window is half open: [start, end)."""

    start: datetime
    end: datetime
    interval: str
    filters: Mapping[str, str]
    inclusive: bool
    """Whether the target reads the interval at `end` as part of the window."""
    edges: str = ""
    """What the target shows of intervals that the window cuts (reading `graph-edges`); empty where
    that is neither declared nor probed."""

    @property
    def text(self) -> str:
        """The filters for a person."""
        return "".join(f" · {name}={value[:60]}" for name, value in self.filters.items())

    def topic(self, customer: str, bucket: str = "") -> tuple[str, ...]:
        """Return what a deviation of a bucket is about."""
        user, network = (self.filters.get(name, "") for name in ("proxy_user_id", "network"))
        return ("graph", customer, user, network, bucket)

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

    def next_bucket(self, at: datetime) -> datetime:
        """Return the start of the bucket after that of a moment."""
        start = self.floor(at)
        if self.interval == "month":
            return (start + timedelta(days=32)).replace(day=1)
        steps = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
        return start + steps.get(self.interval, timedelta(days=1))

    def choices(self) -> list[GraphWindow]:
        """Return the windows that may be summed for this one, the narrowest first.

        The first and the last bucket may be cut or whole, and the end included, by the readings.
        """
        starts, ends = [self.start], [self.end]
        if self.floor(self.start) != self.start:
            whole = self.floor(self.start)
            starts = _cut_or_whole(self.edges, "whole-first", [self.start], whole)
        if self.floor(self.end) != self.end:
            cut = [self.end, self.end + INSTANT] if self.inclusive else [self.end]
            ends = _cut_or_whole(self.edges, "whole-last", cut, self.next_bucket(self.end))
        elif self.inclusive:
            ends = [self.end + INSTANT, self.next_bucket(self.end)]
        return [replace(self, start=start, end=end) for start in starts for end in ends]

    @property
    def whole_days(self) -> bool:
        """Whether the window begins and ends at midnight."""
        return all((t.hour, t.minute, t.second) == (0, 0, 0) for t in (self.start, self.end))

    @property
    def fine(self) -> bool:
        """Whether buckets are shorter than a day."""
        return self.interval in ("minute", "hour")


def _cut_or_whole(edges: str, name: str, cut: list[datetime], whole: datetime) -> list[datetime]:
    if not edges:
        return [*cut, whole]
    return [whole] if edges in (name, "whole-buckets") else cut


def parse_window(model: ContractModel, unit: JudgedRequest) -> GraphWindow | None:
    """Return the window of a request; None if it leaves something to the target's defaults."""
    query = dict(unit.first.query)
    if len(query) != len(unit.first.query):
        return None
    start, end = parse_time(query.get("period_start")), parse_time(query.get("period_end"))
    known = {"period_start", "period_end", "interval", "show_log_concurrency", *GRAPH_FILTERS}
    if start is None or end is None or end <= start or not set(query) <= known:
        return None
    interval = query.get("interval", "day")
    if interval not in LIMITS or "interval" not in query:
        return None
    return GraphWindow(
        start=start,
        end=end,
        interval=interval,
        filters={name: query[name] for name in GRAPH_FILTERS if name in query},
        inclusive=model.reading.value("graph-end") == "inclusive",
        edges=model.reading.values.get("graph-edges", ""),
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
    found = graph_points(unit.first.body, model.graph)
    if isinstance(found, str):
        return found
    points: dict[str, GraphBucket] = {}
    for each in found:
        if each.at is None:
            return f"a point without a time at `{model.graph.get('time')}`"
        point = points.setdefault(window.bucket(each.at), GraphBucket())
        if each.at not in (window.floor(each.at), window.start):
            point.label = each.time
        point.requests += each.requests
        point.bytes += each.bytes
        if each.successful is not None and each.error is not None:
            point.successful = (point.successful or 0) + each.successful
            point.error = (point.error or 0) + each.error
    return points


def selected_records(
    model: ContractModel,
    unit: JudgedRequest,
    filters: Mapping[str, str],
    *,
    customer: str | None = None,
) -> Iterable[EventRecord]:
    """Yield the event records that pass the filters of a graph."""
    host = canonical_hostname(filters["hostname"]) if "hostname" in filters else None
    for record in model.records(customer or unit.customer, filters.get("proxy_user_id")):
        event = record.event
        if "network" in filters and event.network != filters["network"]:
            continue
        if host is not None and event.hostname != host:
            continue
        if "service_id" in filters and model.value(event, "service_id") != filters["service_id"]:
            continue
        yield record


def expected_points(
    model: ContractModel,
    unit: JudgedRequest,
    window: GraphWindow,
    filters: Mapping[str, str],
    *,
    customer: str | None = None,
) -> dict[str, CellSum]:
    """Return bucket → sum of the events of the window that pass the filters."""
    buckets: dict[str, CellSum] = defaultdict(CellSum)
    asked = filters.get("hostname")
    for record in selected_records(model, unit, filters, customer=customer):
        for event, certain in model.contributions(record, unit.op):
            if window.has(event.at):
                bucket = buckets[window.bucket(event.at)]
                spelled = asked is None or event.raw.get("log_hostname") == asked
                (bucket.certain if certain and spelled else bucket.possible).append(event)
    return buckets


def is_own_graph(model: ContractModel, filters: Mapping[str, str]) -> bool:
    """Return whether filters leave only events of this run."""
    prefix = model.history.prefix
    return filters.get("proxy_user_id", "").startswith(prefix) or (
        bool(prefix) and not model.shared and prefix in filters.get("hostname", "")
    )


def bucket_start(bucket: str) -> datetime:
    """Return the time at which a bucket begins, from its label."""
    text = {7: f"{bucket}-01", 13: f"{bucket}:00"}.get(len(bucket), bucket)
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
