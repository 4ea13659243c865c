"""Probing: how a target reads the points that the contract leaves open.

Each probe is a pure function from observations to a value, or None while they say nothing yet. A
declared reading is never probed. What is probed is printed and then held to; what neither is
declared nor shows itself keeps the default of its row in
`trueup.conformance.contract.interpretations`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from trueup.conformance import requests
from trueup.conformance.contract.interpretations import READINGS
from trueup.conformance.datasets.event_times import hour_start
from trueup.conformance.datasets.event_values import EventBuilder
from trueup.conformance.datasets.operations import Deliver
from trueup.conformance.model import POOLS, CheckContext
from trueup.conformance.observed.observations import Observations
from trueup.conformance.requests import UNKNOWN_ID, ApiRequest
from trueup.conformance.rows import Row, as_int, as_row, as_str, rows_of
from trueup.reports.results import Outcome, Reading

__all__ = [
    "PROBES",
    "edge_requests",
    "interpretation_requests",
    "late_deliveries",
    "readings_now",
    "unauthorised_requests",
]

MALFORMED_ID: Final = "no-such-id"
LATE: Final = "late"
EDGE: Final = "edge"
EDGES: Final = 3
GRAPH_HOURS: Final = 3
_LATE_HOURS: Final = (1, 23, 47, 71, 95, 119, 143, 167)
"""Ages of the probe for late events: an hour before each whole day up to 7."""

UNKNOWN_FILTER: Final = ApiRequest(
    path="log_summary/search", query=(("no_such_filter", "1"), ("per_page", "1"))
)
WIDE_PAGE: Final = ApiRequest(path="log_summary/search", query=(("per_page", "101"),))
FULL_PAGE: Final = ApiRequest(path="log_summary/search", query=(("per_page", "100"),))
BAD_VALUE: Final = ApiRequest(
    path="log/search", query=(("log_total_bytes", "many"), ("per_page", "1"))
)
ONE_SUMMARY: Final = ApiRequest(path="log_summary/search", query=(("per_page", "10"),))
ONE_LOG: Final = ApiRequest(path="log/search", query=(("per_page", "10"),))


def late_deliveries(context: CheckContext) -> tuple[Deliver, ...]:
    """Return deliveries of events of every age up to 7 days, each event alone.

    Three more lie around the ends of the windows of `edge_requests`: in the hour before, exactly at
    the hour, and late in it.
    """
    builder = EventBuilder(context, LATE, "a")
    late = [
        builder.event(user=context.user("u-late"), at=context.now - timedelta(hours=hours))
        for hours in _LATE_HOURS
    ]
    edge = _edge(context)
    edges = [
        builder.event(user=context.user("u-edge"), at=at)
        for at in (edge - timedelta(hours=1), edge, edge + timedelta(minutes=45))
    ]
    return (
        *(Deliver(dataset=LATE, events=(event,)) for event in late),
        Deliver(dataset=EDGE, events=tuple(edges)),
    )


def _edge(context: CheckContext) -> datetime:
    return hour_start(context.now) - timedelta(hours=3)


def edge_requests(context: CheckContext) -> tuple[ApiRequest, ApiRequest]:
    """Return two requests for graphs by hour.

    The first ends exactly at the time of an event; the other begins and ends inside of hours that
    have an event before its beginning and after its end.
    """
    edge, half = _edge(context), timedelta(minutes=30)
    filters = {"proxy_user_id": context.user("u-edge")}
    return (
        requests.graph(edge - timedelta(hours=2), edge, "hour", filters=filters),
        requests.graph(edge - half, edge + half, "hour", filters=filters),
    )


def unauthorised_requests(context: CheckContext) -> Sequence[ApiRequest]:
    """Return every endpoint of the guide without keys, and one with each kind of wrong keys."""
    pools = [pool for pool in POOLS if pool in context.claims]
    first = ApiRequest(path="log/search")
    endpoints = [
        first,
        requests.log(UNKNOWN_ID),
        ApiRequest(path="log_summary/search"),
        requests.summary(UNKNOWN_ID),
        _recent_graph(context),
        *(ApiRequest(path=f"{pool}_ledger/search") for pool in pools),
        *(requests.account(pool) for pool in pools),
    ]
    kinds = ["wrong", "no-private", "false-private"]
    if len(context.customers) > 1:
        kinds.append("crossed")
    return (
        *(replace(each, keys="none") for each in endpoints),
        *(replace(first, keys=kind) for kind in kinds),
    )


def interpretation_requests(context: CheckContext) -> Sequence[ApiRequest]:
    """Return requests that only read; also the first ones to every part of the API."""
    return (
        UNKNOWN_FILTER,
        WIDE_PAGE,
        FULL_PAGE,
        BAD_VALUE,
        ONE_SUMMARY,
        ONE_LOG,
        *(ApiRequest(path=f"{pool}_ledger/search") for pool in POOLS if pool in context.claims),
        requests.log(UNKNOWN_ID),
        requests.log(MALFORMED_ID),
        _recent_graph(context),
        _old_graph(context),
    )


def _recent_graph(context: CheckContext) -> ApiRequest:
    """A graph of the last whole hours."""
    end = hour_start(context.now)
    return requests.graph(end - timedelta(hours=GRAPH_HOURS), end, "hour")


def _old_graph(context: CheckContext) -> ApiRequest:
    """A graph of as many hours whose logs are long gone."""
    start = hour_start(context.now) - timedelta(days=60)
    return requests.graph(start, start + timedelta(hours=GRAPH_HOURS), "hour")


def _seen(observations: Observations, view: str) -> Iterable[Row]:
    """Rows of a view in all responses so far, the run's own and, before these, any others."""
    for exchange in reversed(observations.exchanges):
        if exchange.path.endswith(view) and exchange.status == 200:
            yield from rows_of(exchange.body) or ()


def _own(observations: Observations, view: str) -> Iterable[Row]:
    """Rows of the run's own proxy users."""
    prefix = observations.context.prefix
    return (row for row in _seen(observations, view) if prefix in str(row.get("proxy_user_id")))


def _time_form(observations: Observations) -> str | None:
    for row in _seen(observations, "log/search"):
        at = as_str(row, "log_request_datetime")
        if at:
            return "space" if "T" not in at else ("iso-z" if at.endswith("Z") else "iso")
    return None


def _period_form(observations: Observations) -> str | None:
    for row in _seen(observations, "log_summary/search"):
        period = as_str(row, "log_summary_period")
        if period:
            return "date" if len(period) == 10 else "datetime"
    return None


def _usage_sign(observations: Observations) -> str | None:
    for pool in POOLS:
        for row in _seen(observations, f"{pool}_ledger/search"):
            amount = as_int(row, f"{pool}_ledger_bytes")
            if as_str(row, f"{pool}_ledger_reason") == "usage" and amount:
                return "negative" if amount < 0 else "positive"
    return None


def _status(ask: ApiRequest, *allowed: str) -> Callable[[Observations], str | None]:
    def probe(observations: Observations) -> str | None:
        exchange = observations.response("baseline", ask)
        status = "" if exchange is None else str(exchange.status)
        return status if status in allowed else None

    return probe


def _bad_value(observations: Observations) -> str | None:
    exchange = observations.response("baseline", BAD_VALUE)
    known = {200: "ignored", 400: "400", 422: "422"}
    return None if exchange is None or exchange.status is None else known.get(exchange.status)


def _unknown_filter(observations: Observations) -> str | None:
    exchange = observations.response("baseline", UNKNOWN_FILTER)
    if exchange is None or exchange.status not in (200, 400, 422):
        return None
    return "ignored" if exchange.status == 200 else "refused"


def _per_page_above(observations: Observations) -> str | None:
    exchange = observations.response("baseline", WIDE_PAGE)
    if exchange is None or exchange.status is None:
        return None
    if exchange.status in (400, 422):
        return "refused"
    echoed = as_int(as_row(exchange.body), "per_page")
    return None if echoed is None else ("honoured" if echoed == 101 else "clamped")


def _per_page_most(observations: Observations) -> str | None:
    exchange = observations.response("baseline", FULL_PAGE)
    echoed = as_int(as_row(exchange.body), "per_page") if exchange is not None else None
    return None if echoed is None or not 1 <= echoed <= 100 else str(echoed)


def _total_count(observations: Observations) -> str | None:
    totals = [
        as_int(as_row(exchange.body), "total_count")
        for exchange in observations.exchanges
        if exchange.path.endswith("/search")
    ]
    known = [total for total in totals if total is not None]
    return None if not known else ("unknown" if -1 in known else "exact")


def _empty_buckets(observations: Observations) -> str | None:
    request = _recent_graph(observations.context)
    points, exchange, unusable = observations.points("baseline", request)
    if exchange is None or unusable:
        return None
    if any(point.requests == 0 for point in points):
        return "zero"
    return "omitted" if len(points) < GRAPH_HOURS else None


def _graph_end(observations: Observations) -> str | None:
    """Whether a graph that ends at an hour shows the event of exactly that hour."""
    ends_at_event, _ = edge_requests(observations.context)
    points, exchange, unusable = observations.points("inject", ends_at_event)
    if exchange is None or unusable or len(observations.events(EDGE)) < EDGES:
        return None
    seen = sum(point.requests for point in points)
    return {1: "exclusive", 2: "inclusive", 3: "inclusive"}.get(seen)


def _graph_edges(observations: Observations) -> str | None:
    """What a graph that begins and ends inside of hours shows of these hours."""
    _, cuts_hours = edge_requests(observations.context)
    points, exchange, unusable = observations.points("inject", cuts_hours)
    if exchange is None or unusable or len(observations.events(EDGE)) < EDGES:
        return None
    edge = _edge(observations.context)
    first = sum(point.requests for point in points if point.at is not None and point.at < edge)
    last = sum(point.requests for point in points) - first
    return {
        (0, 1): "exact",
        (1, 2): "whole-buckets",
        (1, 1): "whole-first",
        (0, 2): "whole-last",
    }.get((first, last))


def _old_detail(observations: Observations) -> str | None:
    request = _old_graph(observations.context)
    points, exchange, trouble = observations.points("baseline", request)
    if exchange is None or exchange.status is None:
        return None
    if exchange.status in (400, 404, 422):
        return "refused"
    return None if trouble else ("empty" if not any(p.requests for p in points) else "days")


def _hostnames(observations: Observations) -> set[str]:
    """Hostnames of the run's own logs, as they were shown, but for those that are addresses."""
    found = {as_str(row, "log_hostname") or "" for row in _own(observations, "log/search")}
    return {name for name in found if observations.context.prefix in name.lower()}


def _hostname_case(observations: Observations) -> str | None:
    names, sent = _hostnames(observations), _sent_hostnames(observations)
    if not names or not any(_is_upper(name) for name in sent):
        return None
    return "kept" if any(_is_upper(name) for name in names) else "folded"


def _hostname_dot(observations: Observations) -> str | None:
    names, sent = _hostnames(observations), _sent_hostnames(observations)
    if not names or not any(name.endswith(".") for name in sent):
        return None
    return "kept" if any(name.endswith(".") for name in names) else "stripped"


def _sent_hostnames(observations: Observations) -> set[str]:
    return {
        str(each.event.get("log_hostname"))
        for each in observations.injected
        if each.outcome is Outcome.ACCEPTED
    }


def _is_upper(name: str) -> bool:
    return name.upper() == name


def _late_events(observations: Observations) -> str | None:
    injected = [p for p in observations.injected if p.dataset == LATE]
    if not injected:
        return None
    taken = [
        observations.age("baseline", p.event) for p in injected if p.outcome is Outcome.ACCEPTED
    ]
    days = max((age + timedelta(hours=1, minutes=5)).days for age in taken) if taken else 0
    return str(days)


def _consolidated_hostname(observations: Observations) -> str | None:
    if "past-90" not in observations.stages:
        return None
    for row in _own(observations, "log_summary/search"):
        if "log_summary_hostname" not in row:
            return "absent"
        if row["log_summary_hostname"] in (None, ""):
            return "null" if row["log_summary_hostname"] is None else "empty"
    return None


def _expired_status(observations: Observations) -> str | None:
    for exchange in observations.asked_in("past-7"):
        own = "log/retrieve/" in exchange.path and exchange.tenant in observations.context.customers
        if own and exchange.status in (404, 410):
            return str(exchange.status)
    return None


PROBES: Final[dict[str, Callable[[Observations], str | None]]] = {
    "time-form": _time_form,
    "usage-sign": _usage_sign,
    "summary-period-form": _period_form,
    "consolidated-hostname": _consolidated_hostname,
    "expired-log-status": _expired_status,
    "unknown-id-status": _status(requests.log(UNKNOWN_ID), "404", "400", "422"),
    "malformed-id-status": _status(requests.log(MALFORMED_ID), "404", "400", "422"),
    "bad-value-status": _bad_value,
    "unknown-filter": _unknown_filter,
    "per-page-above-100": _per_page_above,
    "per-page-most": _per_page_most,
    "total-count": _total_count,
    "graph-empty-buckets": _empty_buckets,
    "graph-end": _graph_end,
    "graph-edges": _graph_edges,
    "graph-old-detail": _old_detail,
    "hostname-case": _hostname_case,
    "hostname-dot": _hostname_dot,
    "late-events-days": _late_events,
}
"""Reading → how it is found out. Readings without a probe keep their default."""


def readings_now(observations: Observations) -> Sequence[Reading]:
    """Return the readings that have become known and are not recorded yet."""
    found = []
    for name, probe in PROBES.items():
        if name in observations.readings:
            continue
        value = probe(observations)
        if value is not None:
            found.append(Reading(name=name, value=value, how="probed", why=READINGS[name].sentence))
    return found
