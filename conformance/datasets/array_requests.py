"""The requests that covering arrays give at one age of the data, with their classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trueup.conformance.datasets.filter_requests import Filter, filter_requests
from trueup.conformance.datasets.graph_requests import breakdown_requests, graph_requests
from trueup.conformance.datasets.list_requests import (
    key_requests,
    page_requests,
    paged_lists,
    searches,
)
from trueup.conformance.datasets.materials import Materials, classes_of
from trueup.conformance.datasets.operations import ClassName
from trueup.conformance.requests import ApiRequest

__all__ = ["AGES", "ArrayRequest", "array_requests", "of_age"]


AGES: Final = ("fresh", "past-7", "past-90")
_AGES_ASKED: Final[Mapping[str, Sequence[str]]] = {
    "log/search": ("fresh",),
    "log_summary/search": AGES,
    "residential_ledger/search": ("fresh", "past-7"),
    "mobile_ledger/search": ("fresh", "past-90"),
    "proxy_user/search": ("fresh",),
}
"""Search → ages at which its filters are asked for; logs have but one."""
_EVERY_AGE: Final[Mapping[str, Sequence[str]]] = {
    each: AGES if each != "log/search" else ("fresh",) for each in _AGES_ASKED
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayRequest:
    """One request of an array, with the classes that its response is evidence for."""

    request: ApiRequest
    classes: frozenset[ClassName]


def array_requests(made: Materials, now: datetime, age: str) -> tuple[ArrayRequest, ...]:
    """Return all requests of the arrays at one age, those of different kinds in turn.

    `now`: the target's time; `age`: `fresh`, `past-7` or `past-90`. At the later ages only the
    views that last so long are asked.
    """
    parts = [_filtered(made, age), _graphs(made, now, age)]
    if age == "fresh":
        parts += [_pages(made), _paged_lists(made), _keys(made)]
    elif age == "past-7":
        parts.append([each for each in _pages(made) if "log/" not in each.request.path])
    mark = ("request", "age", age)
    return tuple(
        ArrayRequest(request=each.request, classes=each.classes | {mark})
        for each in _new_classes_first(_in_turn(parts))
    )


def of_age(
    made: Materials, now: datetime, age: str
) -> tuple[tuple[ApiRequest, ...], frozenset[ClassName]]:
    """Return the requests of the arrays at one age within the budget, and their classes."""
    most = made.array_most.get(age)
    found = array_requests(made, now, age)[:most] if most != 0 else ()
    requests = tuple(dict.fromkeys(each.request for each in found))
    return requests, frozenset(one for each in found for one in each.classes)


def _in_turn(parts: Sequence[Sequence[ArrayRequest]]) -> list[ArrayRequest]:
    """Requests of several arrays, each spread evenly, so that a cut takes from all alike."""
    placed = [
        ((n + 0.5) / len(part), k, each)
        for k, part in enumerate(parts)
        for n, each in enumerate(part)
    ]
    placed.sort(key=lambda place: place[:2])
    return [each for _, _, each in placed]


def _new_classes_first(found: Sequence[ArrayRequest]) -> list[ArrayRequest]:
    """The requests that each reach most new classes, then all others in their order."""
    rest = list(found)
    chosen: list[ArrayRequest] = []
    seen: set[ClassName] = set()
    while rest:
        best = max(rest, key=lambda each: len(each.classes - seen))
        if not best.classes - seen:
            break
        rest.remove(best)
        chosen.append(best)
        seen |= best.classes
    return [*chosen, *rest]


def _filtered(made: Materials, age: str) -> list[ArrayRequest]:
    context, settings = made.context, made.settings
    found: list[ArrayRequest] = []
    for endpoint in searches(context):
        if age not in (_EVERY_AGE if settings.all_filters else _AGES_ASKED)[endpoint]:
            continue
        own = filter_requests(
            context,
            endpoint,
            made.rich,
            seed=made.seed + AGES.index(age),
            every=settings.all_filters,
        )
        found += [
            ArrayRequest(request=request, classes=_filter_classes(request, chosen))
            for request, chosen in own
        ]
    return found


def _filter_classes(request: ApiRequest, chosen: Sequence[Filter]) -> frozenset[ClassName]:
    classes = {
        ("request", "endpoint", request.path),
        ("request", "customer", request.tenant),
        ("request", "filters", "two" if len(chosen) > 1 else "one"),
    }
    for each in chosen:
        classes |= {("request", "operator", each.operator), ("request", "value", each.value)}
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


def _pages(made: Materials) -> list[ArrayRequest]:
    sizes = [len(own) for own in made.events.values()]
    found = page_requests(
        made.context, max(sizes, default=1), seed=made.seed, most=made.settings.pages
    )
    return _of_rows([(request, {**row, "filters": "none"}) for request, row in found])


def _paged_lists(made: Materials) -> list[ArrayRequest]:
    found = paged_lists(made.context, most=made.settings.paged_lists)
    return _of_rows([(request, {"page": "paged", "per_page": "7"}) for request in found])


def _keys(made: Materials) -> list[ArrayRequest]:
    found = key_requests(made.context, made.rich, seed=made.seed, most=made.settings.keys)
    return _of_rows([(request, dict(row)) for request, row in found])
