"""Filtered and sorted searches: documented fields with every operator, and in both directions.

Each request is about one proxy user, so that what others do in the account does not matter. Values
are taken from one of its events, or from a response where only the target knows them. Filters that
share a request are each decisive: without any one of them, other rows would be found. A sort order
rides on a filter whose rows differ in the field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from random import Random
from typing import Final

from trueup.conformance.contract.fields import HINTED, LOG_FIELDS
from trueup.conformance.contract.matching import SearchCondition
from trueup.conformance.datasets.filter_fields import FIELDS, USES, FilterField
from trueup.conformance.datasets.filter_values import value_of
from trueup.conformance.datasets.operations import FollowUp
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.requests import ApiRequest, search
from trueup.reports.results import Json

__all__ = ["Filter", "FilteredSearch", "filter_requests", "filters_of", "orders_of"]

_KEEPING: Final = (
    *("present", "boundary", "true"),
    *("substring", "percent", "percent-first", "percent-inside"),
)
_TOGETHER: Final = 3
"""Filters that share a request at most."""
_ANCHORS: Final = 6
"""Events that are tried as the one whose values a request takes."""
_LEAST_VALUES: Final = 3
"""Different values that the rows of a filter must have for a sort order to ride on it."""
_PLACES: Final = (1, -2, 2, -1)
"""Which of a response's values a filter takes, in turn: seldom the first, which may match all."""
_OPEN_VALUES: Final = ("service_adjustment_id",)
"""Fields that most rows show as null, so that a response has no value to take."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """One filter of a request, by its classes."""

    field: FilterField
    operator: str
    value: str

    @property
    def parameter(self) -> str:
        """Name of the query parameter."""
        return self.field.name if self.operator == "exact" else self.operator + self.field.name

    @property
    def keeps(self) -> bool:
        """Whether the rows of the event that gave the value meet it."""
        return self.value == "absent" if self.operator == "not_" else self.value in _KEEPING

    @property
    def stands_alone(self) -> bool:
        """Whether the plan cannot say which rows of a proxy user meet it."""
        return not self.field.sent or self.field.name == "proxy_user_id"

    @property
    def is_from_response(self) -> bool:
        """Whether only the target knows the values of its field."""
        unknown = not self.field.sent and self.field.kind in ("int", "time", "day")
        return unknown and self.field.name not in _OPEN_VALUES


@dataclass(frozen=True, kw_only=True, slots=True)
class FilteredSearch:
    """A search with filters or a sort order; a follow-up where a response provides the value."""

    request: ApiRequest | FollowUp
    filters: tuple[Filter, ...]
    order: str = ""


def filters_of(
    endpoint: str, claims: frozenset[str], *, seed: int, every: bool
) -> tuple[Filter, ...]:
    """Return the filters of a search, for what the target claims.

    `every`: each field with each operator and each class of value; otherwise each field with each
    operator, while the fields of a kind take its values in turn, another way with each seed.
    """
    made: list[Filter] = []
    for n, field in enumerate(_fields(endpoint, claims)):
        for operator, values in USES[field.kind].items():
            turn = (n + seed) % len(values)
            made += [
                Filter(field=field, operator=operator, value=value)
                for value in (values if every else values[turn : turn + 1])
            ]
    return tuple(made)


def orders_of(endpoint: str, claims: frozenset[str]) -> tuple[str, ...]:
    """Return the values of `sort_by` of a search: every field but ids, in both directions."""
    return tuple(
        f"{field.name}_{direction}"
        for field in _fields(endpoint, claims)
        if field.kind != "id"
        for direction in ("asc", "desc")
    )


def _fields(endpoint: str, claims: frozenset[str]) -> list[FilterField]:
    """Fields of a search that are claimed, those of one kind side by side."""
    own = [f for f in FIELDS if f.endpoint == endpoint and (not f.claim or f.claim in claims)]
    return sorted(own, key=lambda field: field.kind)


def filter_requests(
    context: CheckContext,
    endpoint: str,
    events: Mapping[str, Sequence[Event]],
    *,
    seed: int,
    every: bool,
) -> tuple[FilteredSearch, ...]:
    """Return searches for all filters and sort orders of an endpoint; customers take turns.

    `events` holds those that the values are taken from, by customer. Unless `every`, up to three
    filters share a request.
    """
    tenants = [tenant for tenant in context.customers if events.get(tenant)]
    if not tenants:
        return ()
    draw = Random(f"{seed} {endpoint}")  # noqa: S311
    filters = list(filters_of(endpoint, context.claims, seed=seed, every=every))
    orders = list(orders_of(endpoint, context.claims))
    draw.shuffle(filters)
    draw.shuffle(orders)
    rows = [
        _KnownRows(context, events[tenant], events[tenants[(n + 1) % len(tenants)]], every)
        for n, tenant in enumerate(tenants)
    ]
    made: list[FilteredSearch] = []
    while filters:
        n = len(made) % len(tenants)
        chosen = rows[n].take(filters, len(made))
        order = rows[n].order_for(chosen, orders)
        made += _searches(context, endpoint, tenants[n], chosen, order, turn=len(made))
    for k, order in enumerate(orders):
        n = k % len(tenants)
        chosen = _Chosen(anchor=events[tenants[n]][0])
        made += _searches(context, endpoint, tenants[n], chosen, order, turn=k)
    return tuple(made)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Chosen:
    """Filters that share a request, with their values."""

    anchor: Event
    filters: tuple[Filter, ...] = ()
    values: tuple[str, ...] = ()
    matched: int = -1
    """Bit mask of the events that meet all of them; -1 where the plan cannot say."""


class _KnownRows:
    """The events of one proxy user, as the rows that filters choose from."""

    def __init__(
        self, context: CheckContext, events: Sequence[Event], others: Sequence[Event], every: bool
    ) -> None:
        self._context = context
        self._events = events
        self._others = others
        self._every = every
        self._all = (1 << len(events)) - 1
        self._masks: dict[tuple[str, str, str], int] = {}

    def take(self, pending: list[Filter], turn: int) -> _Chosen:
        """Remove the next filter from a list, and those that can share its request."""
        first = pending.pop()
        if first.stands_alone or self._every:
            return self._alone(first, turn)
        chosen = self._telling(first, turn)
        if not chosen.filters[0].keeps:
            return chosen
        for other in reversed(pending[:]):
            if len(chosen.filters) == _TOGETHER:
                break
            if not other.stands_alone and (other.keeps or other.operator == "not_"):
                chosen = self._with(chosen, other, pending)
        return chosen

    def order_for(self, chosen: _Chosen, orders: list[str]) -> str:
        """Remove a sort order in which the matching rows differ from a list; empty if none does."""
        hinted = any(each.field.name in HINTED for each in chosen.filters)
        best, most = "", _LEAST_VALUES - 1
        for order in orders:
            name = order.rpartition("_")[0]
            if name in HINTED and not hinted:
                continue
            found = self._variety(name, chosen)
            if found > most:
                best, most = order, found
        if best:
            orders.remove(best)
        return best

    def _variety(self, name: str, chosen: _Chosen) -> int:
        """How many values of a field the matching rows have, as far as the plan can say."""
        if chosen.matched < 0:
            keeps = all(each.keeps or each.is_from_response for each in chosen.filters)
            return _LEAST_VALUES if keeps else 0
        field = next((f for f in FIELDS if f.name == name and f.sent), None)
        if field is None:
            return 0
        return len(
            {
                str(event.get(field.sent))
                for n, event in enumerate(self._events)
                if chosen.matched >> n & 1
            }
        )

    def _alone(self, one: Filter, turn: int) -> _Chosen:
        anchor = self._anchors(one, turn)[0]
        return _Chosen(anchor=anchor, filters=(one,), values=(self._value(one, anchor),))

    def _telling(self, first: Filter, turn: int) -> _Chosen:
        """The filter with a value that leaves some rows out, of its own class if there is one."""
        classes = USES[first.field.kind][first.operator]
        begin = classes.index(first.value)
        for value in (*classes[begin:], *classes[:begin]):
            one = replace(first, value=value)
            for anchor in self._anchors(one, turn):
                text = self._value(one, anchor)
                mask = self._mask(one, text)
                if mask != self._all:
                    return _Chosen(anchor=anchor, filters=(one,), values=(text,), matched=mask)
        return self._alone(first, turn)

    def _with(self, chosen: _Chosen, other: Filter, pending: list[Filter]) -> _Chosen:
        """The filters with one more where each stays decisive; it is removed from the list then."""
        if other.field in [each.field for each in chosen.filters]:
            return chosen
        text = self._value(other, self._unlike(chosen.anchor, other))
        filters, values = (*chosen.filters, other), (*chosen.values, text)
        masks = [self._mask(*pair) for pair in zip(filters, values, strict=True)]
        together = reduce(int.__and__, masks)
        for n in range(len(masks)):
            without = reduce(int.__and__, masks[:n] + masks[n + 1 :])
            if without == together or not together:
                return chosen
        pending.remove(other)
        return replace(chosen, filters=filters, values=values, matched=together)

    def _unlike(self, anchor: Event, other: Filter) -> Event:
        """The event that gives a filter its value: for `not_`, one of another value if there is."""
        name = other.field.sent
        if other.operator != "not_" or other.value != "present":
            return anchor
        found = (
            each for each in self._events if each.get(name) not in (None, "", anchor.get(name))
        )
        return next(found, anchor)

    def _anchors(self, one: Filter, turn: int) -> list[Event]:
        """Events that have a value in the filtered field, else any; others with each turn."""
        sent = one.field.sent
        fit = [each for each in self._events if sent and each.get(sent) not in (None, "")]
        own = fit or list(self._events)
        return [own[(turn + n) % len(own)] for n in range(min(_ANCHORS, len(own)))]

    def _value(self, one: Filter, anchor: Event) -> str:
        if one.is_from_response:
            return "{}"
        return value_of(
            self._context,
            one.field,
            one.operator,
            one.value,
            anchor,
            self._events,
            self._others,
        )

    def _mask(self, one: Filter, text: str) -> int:
        """Bit mask of the events that certainly meet a filter."""
        key = (one.field.name, one.operator, text)
        if key not in self._masks:
            operator = "" if one.operator == "exact" else one.operator.rstrip("_")
            condition = SearchCondition(
                field=LOG_FIELDS[one.field.sent], operator=operator, value=text
            )
            self._masks[key] = sum(
                1 << n
                for n, event in enumerate(self._events)
                if condition.holds(_shown(one.field, event)) is True
            )
        return self._masks[key]


def _shown(field: FilterField, event: Event) -> Json:
    """The value of an event's field as rows show it: of a day, its beginning."""
    value = event.get(field.sent)
    return f"{str(value)[:10]} 00:00:00" if field.kind == "day" else value


def _searches(
    context: CheckContext, endpoint: str, tenant: str, chosen: _Chosen, order: str, *, turn: int
) -> Iterator[FilteredSearch]:
    """The request of the chosen filters and the sort order, or the follow-up for it."""
    query = {
        each.parameter: value for each, value in zip(chosen.filters, chosen.values, strict=True)
    }
    query = _scoped(context, endpoint, query, str(chosen.anchor["proxy_user_id"]))
    if order:
        query["sort_by"] = order
    request = ApiRequest(path=endpoint, query=tuple(query.items()), tenant=tenant)
    source = next((each for each in chosen.filters if each.is_from_response), None)
    if source is None:
        yield FilteredSearch(request=request, filters=chosen.filters, order=order)
        return
    scope = _scoped(context, endpoint, {}, str(chosen.anchor["proxy_user_id"]))
    del scope["per_page"]
    follow_up = FollowUp(
        source=search(endpoint.removesuffix("/search"), tenant, **scope),
        field=source.field.name,
        request=request,
        places=(_PLACES[turn % len(_PLACES)],),
    )
    yield FilteredSearch(request=follow_up, filters=chosen.filters, order=order)


def _scoped(
    context: CheckContext, endpoint: str, query: Mapping[str, str], user: str
) -> dict[str, str]:
    """A query that is kept to the rows of one proxy user, or of the run's users."""
    scope: dict[str, str] = {}
    by_user = any(name.endswith("proxy_user_id") for name in query)
    if "_ledger" not in endpoint and not by_user and not endpoint.startswith("proxy_user"):
        scope = {"proxy_user_id": user}
    elif "_ledger" not in endpoint and "like_proxy_user_id" not in query:
        scope = {"like_proxy_user_id": f"{context.prefix}-u-%"}
    return {**query, **scope, "per_page": "100"}
