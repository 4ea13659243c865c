"""The requests that covering arrays give at one age of the data, with their classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trueup.conformance.datasets.event_times import DISTANCE
from trueup.conformance.datasets.filter_requests import FilteredSearch, filter_requests
from trueup.conformance.datasets.graph_requests import breakdown_requests, graph_requests
from trueup.conformance.datasets.list_requests import (
    key_requests,
    page_requests,
    paged_lists,
    searches,
)
from trueup.conformance.datasets.materials import Materials, classes_of
from trueup.conformance.datasets.near_misses import near_classes, near_requests
from trueup.conformance.datasets.operations import ClassName, FollowUp
from trueup.conformance.datasets.request_classes import classes_of_request
from trueup.conformance.datasets.special_events import later_events
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.requests import ApiRequest

__all__ = ["AGES", "ASKED_AGAIN", "ArrayPart", "ArrayRequest", "array_requests", "of_age"]


AGES: Final = ("fresh", "week", "past-7", "past-90")
"""When arrays are asked. Those of `fresh` are divided between that stage and `week`, which comes
after a restart, a maintenance and a move of the clock, and still has logs."""
ASKED_AGAIN: Final = 3
"""Later events of each network whose logs the filters at `past-7` choose from."""
_AGES_ASKED: Final[Mapping[str, Sequence[str]]] = {
    "log/search": ("fresh", "past-7"),
    "log_summary/search": ("fresh", "past-7", "past-90"),
    "residential_ledger/search": ("fresh", "past-7"),
    "mobile_ledger/search": ("fresh", "past-90"),
    "proxy_user/search": ("fresh", "past-90"),
}
"""Search → ages at which its filters are asked for."""
_EVERY_AGE: Final[Mapping[str, Sequence[str]]] = {
    each: ("fresh", "past-7") if each == "log/search" else ("fresh", "past-7", "past-90")
    for each in _AGES_ASKED
}


_OF_EVENTS: Final = ("log/search", "analytics/graph", "analytics/breakdown")
"""Requests that name fields of events."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayRequest:
    """One request of an array, with the classes that its response is evidence for."""

    request: ApiRequest | FollowUp
    classes: frozenset[ClassName]


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayPart:
    """What one stage asks of the arrays."""

    requests: tuple[ApiRequest, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    classes: frozenset[ClassName] = frozenset()


def array_requests(made: Materials, now: datetime, age: str) -> tuple[ArrayRequest, ...]:
    """Return all requests of the arrays at one age, those of different kinds in turn.

    `now`: the target's time; `age`: `fresh`, `past-7` or `past-90`. At the later ages only the
    views that last so long are asked.
    """
    parts = [_filtered(made, now, age), _graphs(made, now, age)]
    if age == "fresh":
        parts += [_pages(made), _paged_lists(made), _keys(made)]
    elif age == "past-7":
        parts.append(_pages(made, without="log/search"))
    parts = [[each for each in part if _is_known(each.request, made.context)] for part in parts]
    mark = ("request", "age", age)
    return tuple(
        ArrayRequest(request=each.request, classes=each.classes | {mark})
        for each in _new_classes_first(_in_turn(parts), _asked_elsewhere(made, parts, age))
    )


def of_age(made: Materials, now: datetime, age: str) -> ArrayPart:
    """Return what is asked of the arrays at one age within the budget. `age`: one of `AGES`."""
    first, most = 0, made.array_most.get(age)
    if age == "week":
        age, first = "fresh", made.array_most.get("fresh") or 0
    if most == 0:
        return ArrayPart()
    found = array_requests(made, now, age)[first : None if most is None else first + most]
    requests = dict.fromkeys(each.request for each in found)
    return ArrayPart(
        requests=tuple(each for each in requests if isinstance(each, ApiRequest)),
        follow_ups=tuple(each for each in requests if isinstance(each, FollowUp)),
        classes=frozenset(one for each in found for one in each.classes),
    )


def _is_known(asked_for: ApiRequest | FollowUp, context: CheckContext) -> bool:
    """Whether the target got the values by which a request filters and sorts events."""
    request = asked_for.request if isinstance(asked_for, FollowUp) else asked_for
    if request.path not in _OF_EVENTS or not context.unsent:
        return True
    asked = [value if name == "sort_by" else name for name, value in request.query]
    return not any(field in one for field in context.unsent for one in asked)


def _in_turn(parts: Sequence[Sequence[ArrayRequest]]) -> list[ArrayRequest]:
    """Requests of several arrays, each spread evenly, so that a cut takes from all alike."""
    placed = [
        ((n + 0.5) / len(part), k, each)
        for k, part in enumerate(parts)
        for n, each in enumerate(part)
    ]
    placed.sort(key=lambda place: place[:2])
    return [each for _, _, each in placed]


def _asked_elsewhere(
    made: Materials, parts: Sequence[Sequence[ArrayRequest]], age: str
) -> frozenset[ClassName]:
    """Parameters and orders that other requests contain.

    At the first age, those of the searches with all filters at once; at later ages, all.
    """
    if age == "fresh":
        return near_classes(near_requests(made.context))
    return frozenset(
        name
        for part in parts
        for each in part
        for name in each.classes
        if name[1] in ("parameter", "order")
    )


def _new_classes_first(
    found: Sequence[ArrayRequest], asked: frozenset[ClassName]
) -> list[ArrayRequest]:
    """The requests that each reach most new classes, then all others in their order."""
    rest = list(found)
    chosen: list[ArrayRequest] = []
    seen = set(asked)
    while rest:
        best = max(rest, key=lambda each: len(each.classes - seen))
        if not best.classes - seen:
            break
        rest.remove(best)
        chosen.append(best)
        seen |= best.classes
    return [*chosen, *rest]


def _filtered(made: Materials, now: datetime, age: str) -> list[ArrayRequest]:
    context, settings = made.context, made.settings
    late = {
        tenant: later_events(context, tenant, age, now - DISTANCE, count=ASKED_AGAIN).events
        for tenant in made.tenants
    }
    found: list[ArrayRequest] = []
    for endpoint in searches(context):
        if age not in (_EVERY_AGE if settings.all_filters else _AGES_ASKED)[endpoint]:
            continue
        events: Mapping[str, Sequence[Event]] = made.rich
        if endpoint == "log/search" and age != "fresh":
            events = late
        own = filter_requests(
            context,
            endpoint,
            events,
            seed=made.seed + AGES.index(age),
            every=settings.all_filters,
        )
        found += [ArrayRequest(request=each.request, classes=_filter_classes(each)) for each in own]
    return found


def _filter_classes(asked: FilteredSearch) -> frozenset[ClassName]:
    request = asked.request.request if isinstance(asked.request, FollowUp) else asked.request
    classes = set(classes_of_request(request))
    for each in asked.filters:
        classes |= {
            ("request", "operator", each.operator),
            ("request", "value", each.value),
            ("request", "parameter", f"{each.field.endpoint} {each.parameter}"),
        }
    if asked.order:
        classes.add(("request", "order", f"{request.path} {asked.order}"))
    return frozenset(classes)


def _of_rows(found: Iterable[tuple[ApiRequest, dict[str, str]]]) -> list[ArrayRequest]:
    return [
        ArrayRequest(request=request, classes=classes_of("request", [row]))
        for request, row in found
    ]


def _graphs(made: Materials, now: datetime, age: str) -> list[ArrayRequest]:
    context, settings, seed = made.context, made.settings, made.seed
    graphs = graph_requests(context, now, age, seed=seed, most=settings.graphs)
    parts = breakdown_requests(context, now, age, seed=seed, most=settings.breakdowns)
    return _of_rows(
        [
            *((request, {**row, "endpoint": "analytics/graph"}) for request, row in graphs),
            *((request, {**row, "endpoint": "analytics/breakdown"}) for request, row in parts),
        ]
    )


def _pages(made: Materials, *, without: str = "") -> list[ArrayRequest]:
    sizes = [len(own) for own in made.events.values()]
    found = page_requests(
        made.context, max(sizes, default=1), seed=made.seed, most=made.settings.pages
    )
    own = [(request, row) for request, row in found if request.path != without]
    return _of_rows([(request, {**row, "filters": "none"}) for request, row in own])


def _paged_lists(made: Materials) -> list[ArrayRequest]:
    found = paged_lists(made.context, most=made.settings.paged_lists)
    return _of_rows([(request, {"page": "paged", "per_page": "7"}) for request in found])


def _keys(made: Materials) -> list[ArrayRequest]:
    found = key_requests(made.context, made.rich, seed=made.seed, most=made.settings.keys)
    return _of_rows([(request, dict(row)) for request, row in found])
