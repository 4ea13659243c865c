"""Filtered searches: documented fields with every operator, and every class of value.

Each request is about one proxy user, so that what others do in the account does not matter. Values
are taken from one of its events, so that two filters of one request keep that event's rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from trueup.conformance.datasets.filter_fields import FIELDS, USES, FilterField
from trueup.conformance.datasets.filter_values import value_of
from trueup.conformance.model import CheckContext, Event
from trueup.conformance.requests import ApiRequest

__all__ = ["Filter", "filter_requests", "filters_of"]

_KEEPING = ("present", "boundary", "substring", "percent", "true")


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
) -> tuple[tuple[ApiRequest, tuple[Filter, ...]], ...]:
    """Return requests for the filters of a search, with the filters of each; customers take turns.

    `events` holds those of one proxy user by customer. Unless `every`, two filters share a request
    where one event's rows meet both.
    """
    filters = list(filters_of(endpoint, context.claims, seed=seed, every=every))
    Random(f"{seed} {endpoint}").shuffle(filters)  # noqa: S311
    pairs: list[tuple[Filter, ...]] = [(each,) for each in filters] if every else _pairs(filters)
    tenants = [tenant for tenant in context.customers if events.get(tenant)]
    made = []
    for n, chosen in enumerate(pairs if tenants else []):
        tenant, other = tenants[n % len(tenants)], tenants[(n + 1) % len(tenants)]
        anchor = _anchor(events[tenant], chosen, n)
        query: dict[str, str] = {}
        for each in chosen:
            query[each.parameter] = value_of(
                context,
                each.field,
                each.operator,
                each.value,
                anchor,
                events[tenant],
                events[other],
            )
        query = _scoped(context, endpoint, query, str(anchor["proxy_user_id"]))
        request = ApiRequest(path=endpoint, query=tuple(query.items()), tenant=tenant)
        made.append((request, chosen))
    return tuple(made)


def _pairs(filters: Sequence[Filter]) -> list[tuple[Filter, ...]]:
    """Pairs of a filter that keeps few rows with one that keeps many; the rest stand alone."""
    kept = [each for each in filters if each.keeps and each.field.kind != "id"]
    narrow = [each for each in kept if each.operator == "exact" and each.field.kind == "text"]
    wide = [each for each in kept if each not in narrow]
    pairs: list[tuple[Filter, ...]] = []
    while narrow or wide:
        one = (narrow or wide).pop()
        two = next((each for each in reversed(wide) if each.field.name != one.field.name), None)
        if two is not None:
            wide.remove(two)
        pairs.append((one,) if two is None else (one, two))
    return [*pairs, *((each,) for each in filters if each not in kept)]


def _anchor(events: Sequence[Event], chosen: Sequence[Filter], n: int) -> Event:
    """An event that has a value in every filtered field, else any."""
    names = [each.field.sent for each in chosen if each.field.sent]
    fit = [event for event in events if all(event.get(name) not in (None, "") for name in names)]
    return fit[n % len(fit)] if fit else events[n % len(events)]


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
