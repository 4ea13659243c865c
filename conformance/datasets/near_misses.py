"""Events that differ from one event in one field each, and searches with all filters at once.

The first event has every field that logs can be filtered by. A search for all of its values finds
it alone, as long as no filter is left out, cut short or applied to too few digits: the event that
differs in that field only would be found as well. For `not_` filters there is a second event,
which differs from the first in every field, and events that agree with the first in one. The
summaries of another proxy user differ in one counter, network, hostname or day each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from trueup.conformance import requests
from trueup.conformance.contract.fields import HINTED
from trueup.conformance.datasets.event_times import DISTANCE, day_start, hour_start
from trueup.conformance.datasets.event_values import EventBuilder, exact_time, host_name
from trueup.conformance.datasets.filter_fields import FIELDS
from trueup.conformance.datasets.operations import ClassName, Deliver
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.requests import ApiRequest
from trueup.reports.results import Json

__all__ = ["near_classes", "near_events", "near_requests"]

_NUMBERS: Final = MappingProxyType(
    {
        "asn_id": 4_200_000_001,
        "log_local_port": 40_000,
        "log_status_code": 404,
        "log_total_bytes": 2**53 + 1,
        "log_concurrency": 300,
        "log_total_elapsed_ms": 2**31,
    }
)
"""Values beyond 7, 15, 31 and 53 bits; the near misses are one less and one more."""
_OTHERS: Final[Mapping[str, tuple[Json, Json]]] = MappingProxyType(
    {
        "log_network": ("isp", "datacenter"),
        "log_protocol": ("http", "socks"),
        "country_id": ("us", "fr"),
        "city_alias": ("paris", "paris_tx"),
        "log_session_id": ("a.b*c?d(e)[f]+g^h$|i", "axb*c?d(e)[f]+g^h$|i"),
        "proxy_id": ("proxy-1701", "proxy-170"),
        "log_method": ("GET", "PUT"),
        "log_client_ip_address": ("198.51.100.7", "198.51.100.70"),
        "log_local_ip_address": ("203.0.113.7", "203.0.113.17"),
        "log_egress_ip_address": ("192.0.2.7", "192.0.2.71"),
        "log_smartpath_routed": (True, False),
        "log_transport": ("tcp", "udp"),
    }
)
"""Field → its value in the first event, and that of its near miss."""
_STEP: Final = timedelta(seconds=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_KINDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "": (),
        "min_": ("int", "time", "day"),
        "max_": ("int", "time", "day"),
        "like_": ("text",),
        "not_": ("text", "enum", "int", "bool", "time", "day"),
    }
)
"""Operator → the kinds of fields that it is used for; fields of other kinds are asked exactly."""
_STATUS: Final[Mapping[str, Json]] = MappingProxyType({"G": 200, "F": 502, "N": None})
_SECOND: Final[Mapping[str, str | int]] = MappingProxyType({"network": "datacenter", "day": 1})
_CELLS: Final[Sequence[tuple[str, int, Mapping[str, str | int]]]] = (
    ("GGF", 0, {}),
    ("GGF", 0, {"longer": "x", "host": 0}),
    ("GGF", 0, {"network": "datacenter", "host": 0}),
    ("GGF", 0, {"day": -1, "host": 0}),
    ("GGF", 0, {"day": 1, "host": 0}),
    ("GGF", 1, {}),
    ("GGF", -1, {}),
    ("GGFN", 0, {}),
    ("GFN", 0, {}),
    ("GGN", 0, {}),
    ("GG", 0, {}),
    ("GGG", 0, {}),
    ("GFF", 0, {}),
    ("FFFFG", 7, _SECOND),
    ("FFFFG", 7, {"day": 1}),
    ("FFFFG", 7, {"network": "datacenter"}),
    ("FFG", 7, _SECOND),
    ("GGFFF", 7, _SECOND),
    ("GGGF", 7, _SECOND),
    ("FFFFG", 0, _SECOND),
)
"""Summaries: outcomes of their events, bytes above `_SIZE`, and where they differ from the first.

From `FFFFG` on they are for `not_` filters: the first of them differs from the very first in all.
"""
_SIZE: Final = 2**31
"""Bytes of the first summary, in three events."""


def near_events(context: CheckContext, tenant: str) -> tuple[Deliver, ...]:
    """Return the deliveries of one customer."""
    return (
        Deliver(dataset="near-logs", events=tuple(_logs(context, tenant))),
        Deliver(dataset="near-cells", events=tuple(_cells(context, tenant))),
    )


def near_classes(asked: Iterable[ApiRequest]) -> frozenset[ClassName]:
    """Return the classes of filters that searches with all filters at once are evidence for."""
    return frozenset(
        ("request", "parameter", f"{request.path} {name}")
        for request in asked
        if request.path.endswith("/search")
        for name, _ in request.query
        if name not in ("per_page", "proxy_user_id")
    )


def near_requests(context: CheckContext) -> tuple[ApiRequest, ...]:
    """Return searches with all filters at once, for each operator, and graphs with all filters.

    Each search is made once with the fields that a target must filter by, and once with those as
    well that only the public client names. Customers take turns.
    """
    tenants = list(context.customers)
    made: list[ApiRequest] = []
    for n, operator in enumerate(_KINDS):
        for k, hinted in enumerate((False, True)):
            tenant = tenants[(n + k) % len(tenants)]
            searches = [("log/search", "near", _log_values(context))]
            if operator != "like_":
                searches.append(("log_summary/search", "cells", _of_the_first(context)))
            for path, user, values in searches:
                query = _all_filters(context, path, values, operator, hinted=hinted)
                query = {"proxy_user_id": context.user(user), **query}
                made.append(_search(path, tenant, query))
    return (*made, *_hostname_searches(context, tenants[-1]), *_graphs(context, tenants))


def _all_filters(
    context: CheckContext, path: str, values: Mapping[str, str], operator: str, *, hinted: bool
) -> dict[str, str]:
    """The filters of a search for all values, those that fit the operator with it.

    `hinted`: whether with those too that only the public client names.
    """
    return {
        f"{operator if field.kind in _KINDS[operator] else ''}{field.name}": values[field.name]
        for field in FIELDS
        if field.endpoint == path
        and field.name in values
        and field.name not in context.unsent
        and field.claim in ("", *context.claims)
        and (hinted or field.name not in HINTED)
    }


# --- logs


def _first(context: CheckContext) -> dict[str, Json]:
    """The fields of the first event, without its time."""
    return {
        **_NUMBERS,
        **{name: own for name, (own, _) in _OTHERS.items()},
        "log_hostname": host_name(context, "plain"),
        "service_id": f"{context.prefix}-service-near",
    }


def _other(context: CheckContext, name: str) -> Json:
    """The value of a field of the second event: unlike that of the first one."""
    match name:
        case "log_hostname":
            return host_name(context, "dot-like")
        case "service_id":
            return f"{context.prefix}-service-nearby"
        case _ if name in _NUMBERS:
            return _NUMBERS[name] + 1
        case _:
            return _OTHERS[name][1]


def _logs(context: CheckContext, tenant: str) -> Iterator[Event]:
    builder = EventBuilder(context, "near", tenant)
    at, user = _time(context), context.user("near")
    first = _first(context)
    second = {name: _other(context, name) for name in first}
    yield builder.event(user=user, at=at, **first)
    yield builder.event(user=f"{user}x", at=at, **first)
    for moment in (at - _STEP, at + _STEP):
        yield builder.event(user=user, at=moment, **first)
    for name in first:
        yield builder.event(user=user, at=at, **first | {name: second[name]})
    for name, value in _NUMBERS.items():
        yield builder.event(user=user, at=at, **first | {name: value - 1})
    for host in ("subdomain", "prefixed", "parent"):
        yield builder.event(user=user, at=at, **first | {"log_hostname": host_name(context, host)})
    yield builder.event(user=user, at=at + _STEP, **second)
    yield builder.event(user=user, at=at, **second)
    for name in first:
        yield builder.event(user=user, at=at + _STEP, **second | {name: first[name]})


def _time(context: CheckContext) -> datetime:
    """The time of the first event, in whole seconds."""
    return (context.now - DISTANCE - 2 * _STEP).replace(microsecond=0)


def _log_values(context: CheckContext) -> dict[str, str]:
    """The filters that the first event meets, without its user."""
    values = _first(context) | {"log_request_datetime": exact_time(_time(context))}
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
    }


# --- summaries


def _cells(context: CheckContext, tenant: str) -> Iterator[Event]:
    """The events of all summaries of one customer: G succeeded, F failed, N did neither."""
    builder = EventBuilder(context, "cells", tenant)
    for n, (outcomes, more, where) in enumerate(_CELLS):
        sizes = (_SIZE + more - len(outcomes) + 1, *[1] * (len(outcomes) - 1))
        for outcome, size in zip(outcomes, sizes, strict=True):
            yield builder.event(
                user=f"{context.user('cells')}{where.get('longer', '')}",
                at=_cell_time(context, int(where.get("day", 0))),
                log_network=where.get("network", "isp"),
                log_hostname=_cell_host(context, int(where.get("host", n))),
                log_status_code=_STATUS[outcome],
                log_total_bytes=size,
            )


def _cell_time(context: CheckContext, day: int) -> datetime:
    """The time of a summary's events: a day after or before the first summary's, or of its day."""
    if timedelta(days=context.late_days) < 3 * _DAY:
        return _time(context)
    return _time(context) + (day - 1) * _DAY


def _cell_host(context: CheckContext, number: int) -> str:
    return f"cell{number}.{host_name(context, 'plain')}"


def _of_the_first(context: CheckContext) -> dict[str, str]:
    """The filters that the first summary meets, without its hostname."""
    return {
        "log_summary_network": "isp",
        "log_summary_period": context.period(f"{_cell_time(context, 0):%Y-%m-%d}"),
        "log_summary_requests": "3",
        "log_summary_successful": "2",
        "log_summary_error": "1",
        "log_summary_bytes": str(_SIZE),
    }


def _hostname_searches(context: CheckContext, tenant: str) -> tuple[ApiRequest, ...]:
    """The first summary by its whole key, and by a pattern for its hostname."""
    first = _of_the_first(context)
    key = {name: first[name] for name in ("log_summary_network", "log_summary_period")}
    key = {"proxy_user_id": context.user("cells"), **key}
    host = _cell_host(context, 0)
    return tuple(
        _search("log_summary/search", tenant, {**key, **more})
        for more in ({"log_summary_hostname": host}, {"like_log_summary_hostname": f"{host[:9]}%"})
    )


# --- graphs


def _graphs(context: CheckContext, tenants: Sequence[str]) -> tuple[ApiRequest, ...]:
    """Graphs and a breakdown of the first event's user, with all filters that they must have.

    Only the public client names `service_id` as a filter of graphs.
    """
    at = _time(context)
    hour, day = hour_start(at), day_start(at)
    filters = {
        "proxy_user_id": context.user("near"),
        "network": "isp",
        "hostname": host_name(context, "plain"),
    }
    made = [requests.graph(day, day + _DAY, "day", tenant=tenants[0], filters=filters)]
    if "hour-graph" in context.claims:
        made.append(requests.graph(hour, hour + _HOUR, "hour", tenant=tenants[-1], filters=filters))
    if "breakdown" in context.claims:
        parts = {"return_hostnames": "true", "return_networks": "true"}
        made.append(
            requests.breakdown(day, day + _DAY, tenant=tenants[-1], query={**filters, **parts})
        )
    return tuple(made)


def _search(path: str, tenant: str, query: Mapping[str, str]) -> ApiRequest:
    return ApiRequest(path=path, tenant=tenant, query=(*query.items(), ("per_page", "100")))
