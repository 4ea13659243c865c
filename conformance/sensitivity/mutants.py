"""Mutants of the recorded responses of one run, enumerated and selected deterministically.

For every stratum (view, field, operator, stage, customer) one object is chosen by a hash of the
seed, so that equal seeds give equal mutants and different operators are applied to different rows.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Final, TypeVar

from trueup.conformance.sensitivity.changes import (
    Change,
    ListChange,
    RowChange,
    StatusChange,
    ValueChange,
    changed_exchanges,
)
from trueup.conformance.sensitivity.operators import (
    NOT_APPLICABLE,
    VALUE_OPERATORS,
    NoValue,
    ResponseOperator,
    Surroundings,
    mutate_value,
)
from trueup.conformance.sensitivity.recording import (
    ENVELOPE,
    ERROR,
    ObjectKey,
    Place,
    RecordedList,
    Recording,
    Row,
    Shown,
    at_place,
    endpoint_of,
    has_place,
)
from trueup.reports.journal.records import Exchange
from trueup.reports.results import Json

__all__ = ["ResponseMutant", "enumerate_mutants", "select"]

_T = TypeVar("_T")

_TEXT_MOST: Final = 60
_WHOLE_ROW: Final = "(row)"
_ONE_LIST: Final = "(row, in one list)"
_OTHER_STATUS: Final[Mapping[int, int]] = {
    200: 201,
    201: 200,
    400: 500,
    401: 403,
    403: 401,
    404: 400,
    405: 404,
    409: 400,
    422: 400,
}
"""Status → another documented status, the most similar one."""
_ROW_OPERATORS: Final = (ResponseOperator.ROW_LOST, ResponseOperator.ROW_DOUBLED)
_OTHER_CUSTOMER: Final[Mapping[str, str]] = {"a": "b", "b": "a"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ResponseMutant:
    """One consistent change of recorded responses."""

    id: str
    view: str
    field: str
    operator: ResponseOperator
    stage: str
    customer: str
    key: str
    """Identifies the object: an id, the filters and time of a point, or a request."""
    change: Change

    @property
    def group(self) -> tuple[str, str, str]:
        """The group for selection and blind spots: view, field and operator."""
        return (self.view, self.field, self.operator)

    def exchanges(self, recording: Recording) -> Mapping[int, Exchange]:
        """Return the changed exchanges by number; only these are copied."""
        return changed_exchanges(recording, self.change)

    def sentence(self, recording: Recording) -> str:
        """Return what this mutant shows, where, and instead of what."""
        what = f"{self.field} of {self.view} {_short(self.key)}".rstrip()
        if isinstance(self.change, ValueChange):
            what += _in_words(recording, self.change)
        count = len(self.exchanges(recording))
        return (
            f"{self.operator}: {what}, for customer {self.customer}, from stage {self.stage} on, "
            f"in {count} response{'s' if count != 1 else ''}"
        )


def enumerate_mutants(recording: Recording, *, seed: int = 0) -> tuple[ResponseMutant, ...]:
    """Return one mutant for every stratum in which an object can be changed, in a fixed order."""
    return tuple(_Enumeration(recording, seed).mutants())


def select(
    mutants: Sequence[ResponseMutant], limit: int | None, *, seed: int = 0
) -> tuple[ResponseMutant, ...]:
    """Return at most `limit` mutants, spread evenly over (view, field, operator), in order."""
    if limit is None or len(mutants) <= limit:
        return tuple(mutants)
    groups: defaultdict[tuple[str, str, str], list[ResponseMutant]] = defaultdict(list)
    for mutant in mutants:
        groups[mutant.group].append(mutant)
    places: list[tuple[int, bytes, ResponseMutant]] = []
    for group in groups.values():
        for place, mutant in enumerate(sorted(group, key=lambda m: _rank(seed, m.id))):
            places.append((place, _rank(seed, mutant.id), mutant))
    chosen = {mutant.id for _, _, mutant in sorted(places, key=lambda p: p[:2])[:limit]}
    return tuple(mutant for mutant in mutants if mutant.id in chosen)


class _Enumeration:
    def __init__(self, recording: Recording, seed: int) -> None:
        self._recording = recording
        self._seed = seed

    def mutants(self) -> Iterator[ResponseMutant]:
        for stage in self._recording.since:
            for (view, customer), things in self._by_view[stage].items():
                yield from self._values(stage, view, customer, things)
                if view not in (ENVELOPE, ERROR):
                    yield from self._rows(stage, view, customer, things)
            yield from self._lists(stage)
            yield from self._statuses(stage)

    @cached_property
    def _by_view(self) -> Mapping[str, Mapping[tuple[str, str], Mapping[ObjectKey, Shown]]]:
        """Return stage → (view, customer) → objects, with the first place that shows each."""
        found: dict[str, dict[tuple[str, str], dict[ObjectKey, Shown]]] = {
            stage: {} for stage in self._recording.since
        }
        for thing, places in self._recording.shown.items():
            if thing not in self._recording.own:
                continue
            for shown in places:
                views = found[self._recording.exchanges[shown.n].stage]
                for view in self._views(thing, shown):
                    views.setdefault((view, thing.customer), {}).setdefault(thing, shown)
        return found

    def _views(self, thing: ObjectKey, shown: Shown) -> Iterator[str]:
        yield thing.view
        if thing.view in (ENVELOPE, ERROR) or shown.action != "retrieve":
            return
        if any(other.action != "retrieve" for other in self._recording.shown[thing]):
            yield f"{thing.view} (retrieve)"

    # --- values

    def _values(
        self, stage: str, view: str, customer: str, things: Mapping[ObjectKey, Shown]
    ) -> Iterator[ResponseMutant]:
        fields: defaultdict[tuple[str, Place], list[ObjectKey]] = defaultdict(list)
        for thing, shown in things.items():
            row = self._recording.value(shown)
            for field in _fields(row, view):
                name = self._field_name(view, shown, field)
                fields[name, field].append(thing)
        for (name, field), holders in fields.items():
            for operator in _operators(view, field):
                stratum = (view, name, operator, stage, customer)
                for thing in _ranked(self._seed, stratum, holders, key=str):
                    change = self._value_change(stage, view, thing, things[thing], field, operator)
                    if change is not None:
                        yield self._mutant(stratum, thing.key, change)
                        break

    def _field_name(self, view: str, shown: Shown, field: Place) -> str:
        dotted = ".".join(str(step) for step in field)
        if view == ENVELOPE:
            return f"{shown.action} {dotted}"
        if view == ERROR:
            return f"{self._recording.exchanges[shown.n].status} {dotted}"
        return dotted

    def _value_change(
        self,
        stage: str,
        view: str,
        thing: ObjectKey,
        shown: Shown,
        field: Place,
        operator: ResponseOperator,
    ) -> ValueChange | None:
        value = self._recording.value(shown, field)
        name = ".".join(str(step) for step in field)
        match operator:
            case ResponseOperator.STALE:
                around = Surroundings(stale=self._stale(thing, shown, field))
            case ResponseOperator.NEIGHBOUR:
                around = Surroundings(neighbour=self._neighbour(shown, field))
            case ResponseOperator.FOREIGN_ROW if isinstance(value, list):
                around = Surroundings(foreign=self._foreign_element(thing, field))
            case _:
                around = Surroundings(field=name)
        if mutate_value(operator, value, around) is NOT_APPLICABLE:
            return None
        return ValueChange(
            thing=thing,
            since=self._recording.since[stage],
            field=field,
            operator=operator,
            around=around,
            actions=frozenset({"retrieve"}) if view.endswith("(retrieve)") else frozenset(),
        )

    def _stale(self, thing: ObjectKey, shown: Shown, field: Place) -> Json | NoValue:
        """Return the latest different value of an earlier stage."""
        now = self._recording.value(shown, field)
        stage = self._recording.exchanges[shown.n].stage
        found: Json | NoValue = NOT_APPLICABLE
        for place in self._recording.shown[thing]:
            if place.n >= shown.n:
                break
            before = self._recording.value(place, field)
            if self._recording.exchanges[place.n].stage != stage and before != now:
                found = before
        return found

    def _neighbour(self, shown: Shown, field: Place) -> Json | NoValue:
        """Return the different value of the same field in an adjacent row."""
        if not shown.place or not isinstance(shown.place[-1], int):
            return NOT_APPLICABLE
        number = shown.place[-1]
        for beside in (number + 1, number - 1):
            place = (*shown.place[:-1], beside)
            row = at_place(self._recording.exchanges[shown.n].body, place) if beside >= 0 else None
            if isinstance(row, dict) and has_place(row, field):
                return at_place(row, field)
        return NOT_APPLICABLE

    def _foreign_element(self, thing: ObjectKey, field: Place) -> Json | NoValue:
        """Return an element of the same list that only the other customer sees."""
        for _, shown in self._of_others[thing.view, thing.customer]:
            theirs = self._recording.value(shown, field)
            if isinstance(theirs, list) and theirs:
                return theirs[-1]
        return NOT_APPLICABLE

    @cached_property
    def _of_others(self) -> Mapping[tuple[str, str], Sequence[tuple[ObjectKey, Shown]]]:
        """Return (view, customer) → the other customer's own objects, as shown last."""
        found: defaultdict[tuple[str, str], list[tuple[ObjectKey, Shown]]] = defaultdict(list)
        for thing, places in self._recording.shown.items():
            other = _OTHER_CUSTOMER.get(thing.customer)
            if other is not None and thing in self._recording.own:
                found[thing.view, other].append((thing, places[-1]))
        return found

    # --- rows

    def _rows(
        self, stage: str, view: str, customer: str, things: Mapping[ObjectKey, Shown]
    ) -> Iterator[ResponseMutant]:
        since = self._recording.since[stage]
        if view.endswith("(retrieve)"):
            return
        for operator in (*_ROW_OPERATORS, ResponseOperator.FOREIGN_ROW):
            stratum = (view, _WHOLE_ROW, operator, stage, customer)
            for thing in _ranked(self._seed, stratum, things, key=str):
                row = None
                if operator is ResponseOperator.FOREIGN_ROW:
                    row = self._foreign_row(thing)
                    if row is None:
                        break
                change = RowChange(thing=thing, since=since, operator=operator, row=row)
                if changed_exchanges(self._recording, change):
                    yield self._mutant(stratum, thing.key, change)
                    break

    def _foreign_row(self, thing: ObjectKey) -> Mapping[str, Json] | None:
        others = [
            shown
            for _, shown in self._of_others[thing.view, thing.customer]
            if shown.place and isinstance(shown.place[-1], int)
        ]
        for shown in _ranked(self._seed, thing.key, others, key=str):
            row = self._recording.value(shown)
            if isinstance(row, dict):
                return row
        return None

    # --- lists

    def _lists(self, stage: str) -> Iterator[ResponseMutant]:
        listings = [x for x in self._recording.listings if x.stage == stage]
        groups: defaultdict[tuple[str, str], list[RecordedList]] = defaultdict(list)
        for listing in listings:
            groups[listing.view, listing.customer].append(listing)
        for (view, customer), some in groups.items():
            by_order: defaultdict[str, list[RecordedList]] = defaultdict(list)
            for listing in some:
                by_order[_order(listing)].append(listing)
            for operator in (*_ROW_OPERATORS, ResponseOperator.EXTRA_ROW):
                stratum = (view, _ONE_LIST, operator, stage, customer)
                yield from self._list_mutant(stratum, some)
            for order, ordered in by_order.items():
                stratum = (view, f"order: {order}", ResponseOperator.ROWS_SWAPPED, stage, customer)
                yield from self._list_mutant(stratum, ordered)
            stratum = (view, "page 2", ResponseOperator.PAGE_BOUNDARY, stage, customer)
            yield from self._list_mutant(stratum, some)

    def _list_mutant(
        self, stratum: tuple[str, str, ResponseOperator, str, str], listings: Sequence[RecordedList]
    ) -> Iterator[ResponseMutant]:
        """Yield the change of the first listing, by rank, that the operator can change."""
        operator, since = stratum[2], self._recording.since[stratum[3]]
        for listing in _ranked(self._seed, stratum, listings, key=lambda x: f"{x.ask}{x.pages}"):
            for one, other, row in self._arguments(operator, stratum, listing):
                change = ListChange(
                    ask=listing.ask,
                    place=listing.place,
                    since=since,
                    operator=operator,
                    one=one,
                    other=other,
                    row=row,
                )
                if changed_exchanges(self._recording, change):
                    yield self._mutant(stratum, listing.ask, change)
                    return

    def _arguments(
        self, operator: ResponseOperator, stratum: Hashable, listing: RecordedList
    ) -> Iterator[tuple[ObjectKey | None, ObjectKey | None, Row | None]]:
        """Yield what an operator can be applied to in a listing."""
        recording = self._recording
        rows = recording.rows(listing)
        things = [recording.key(listing, row) for row in rows]
        own = [thing for thing in dict.fromkeys(things) if thing in recording.own]
        match operator:
            case ResponseOperator.PAGE_BOUNDARY:
                yield None, None, None
            case ResponseOperator.EXTRA_ROW:
                same_kind, shown_here = self._same_kind(listing), set(things)
                beside = {
                    thing: places[0]
                    for thing, places in recording.shown.items()
                    if places[0].n in same_kind
                    and thing.customer == listing.customer
                    and thing in recording.own
                    and thing not in shown_here
                }
                for thing in list(_ranked(self._seed, stratum, beside, key=str))[:3]:
                    row = recording.value(beside[thing])
                    if isinstance(row, dict):
                        yield None, None, row
            case ResponseOperator.ROWS_SWAPPED:
                pairs = [
                    (one, other)
                    for one, other, first, second in zip(
                        things, things[1:], rows, rows[1:], strict=False
                    )
                    if one in recording.own
                    and other in recording.own
                    and _sorted_apart(listing, first, second)
                ]
                for one, other in list(_ranked(self._seed, stratum, pairs, key=str))[:3]:
                    yield one, other, None
            case _:
                for thing in list(_ranked(self._seed, stratum, own, key=str))[:3]:
                    yield thing, None, None

    def _same_kind(self, listing: RecordedList) -> frozenset[int]:
        """Return exchanges of the same endpoint and stage; none for a graph."""
        if not listing.enveloped:
            return frozenset()
        return frozenset(
            n
            for other in self._recording.listings
            if (other.view, other.stage, other.customer)
            == (listing.view, listing.stage, listing.customer)
            for n in other.pages
        )

    # --- statuses

    def _statuses(self, stage: str) -> Iterator[ResponseMutant]:
        groups: defaultdict[tuple[str, str, int], list[Exchange]] = defaultdict(list)
        for exchange in self._recording.exchanges.values():
            if exchange.stage == stage and exchange.status is not None:
                action = endpoint_of(exchange.path).action
                kind = action if exchange.status < 300 else str(exchange.status)
                groups[kind, exchange.tenant, exchange.status].append(exchange)
        for (kind, customer, status), some in groups.items():
            view = ENVELOPE if status < 300 else ERROR
            for operator in (ResponseOperator.OTHER_STATUS, ResponseOperator.ALLOWED):
                stratum = (view, f"{kind} status", operator, stage, customer)
                for exchange in _ranked(self._seed, stratum, some, key=lambda x: str(x.n)):
                    change = self._status_change(operator, stage, exchange)
                    if change is not None:
                        yield self._mutant(stratum, exchange.ask, change)
                        break

    def _status_change(
        self, operator: ResponseOperator, stage: str, exchange: Exchange
    ) -> StatusChange | None:
        assert exchange.status is not None, "grouped by status"
        since, old = self._recording.since[stage], exchange.status
        if operator is ResponseOperator.OTHER_STATUS:
            new = _OTHER_STATUS.get(old)
            if new is None:
                return None
            return StatusChange(ask=exchange.ask, since=since, old=old, new=new)
        body = self._allowed_body(exchange) if old >= 400 else None
        if body is None:
            return None
        return StatusChange(ask=exchange.ask, since=since, old=old, new=200, body=body)

    def _allowed_body(self, refused: Exchange) -> Mapping[str, Json] | None:
        """Return what the same endpoint returned for a request with valid keys."""
        kind = endpoint_of(refused.path)
        for exchange in self._recording.exchanges.values():
            if exchange.status == 200 and endpoint_of(exchange.path) == kind:
                body = exchange.body
                if isinstance(body, dict) and body.get("data"):
                    return body
        return None

    def _mutant(
        self, stratum: tuple[str, str, ResponseOperator, str, str], key: str, change: Change
    ) -> ResponseMutant:
        view, field, operator, stage, customer = stratum
        field, key = _encodable(field), _encodable(key)
        return ResponseMutant(
            id="/".join((view, field, operator, stage, customer, _digest(key))),
            view=view,
            field=field,
            operator=operator,
            stage=stage,
            customer=customer,
            key=key,
            change=change,
        )


def _in_words(recording: Recording, change: ValueChange) -> str:
    """Return the wrong value and the right one, if the mutant is a value."""
    for shown in recording.shown[change.thing]:
        old = recording.value(shown, change.field)
        new = mutate_value(change.operator, old, change.around)
        if shown.n >= change.since and not isinstance(new, NoValue):
            return f": {_json_text(new)} instead of {_json_text(old)}"
    return ""


def _json_text(value: Json) -> str:
    return _short(json.dumps(value))


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_MOST else text[: _TEXT_MOST - 1] + "…"


def _encodable(text: str) -> str:
    """Return the text with lone surrogates escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _fields(row: Json, view: str) -> Iterator[Place]:
    """Yield the places of the values of an object; for an envelope, what surrounds the data."""
    if not isinstance(row, dict):
        return
    for name, value in row.items():
        if isinstance(value, dict) and value and view != ENVELOPE:
            yield from ((name, *rest) for rest in _fields(value, view))
        else:
            yield (name,)


def _operators(view: str, field: Place) -> Iterable[ResponseOperator]:
    if view == ENVELOPE and field == ("data",):
        return (ResponseOperator.MISSING, ResponseOperator.NULL, ResponseOperator.OTHER_TYPE)
    if view == ENVELOPE and field == ("total_count",):
        left_out = {ResponseOperator.ONE_MORE}
    else:
        left_out = {ResponseOperator.TOTAL_OFF}
    return [operator for operator in VALUE_OPERATORS if operator not in left_out]


def _order(listing: RecordedList) -> str:
    """Return the order of a request: a field with its direction, or an empty string."""
    return dict(listing.query).get("sort_by", "time" if listing.view == "graph" else "not asked")


def _sorted_apart(listing: RecordedList, one: Row, other: Row) -> bool:
    """Return whether the requested order distinguishes two adjacent rows."""
    order = _order(listing)
    if order == "not asked" or listing.view == "graph":
        return one != other
    field = order.removesuffix("_asc").removesuffix("_desc")
    return None not in (one.get(field), other.get(field)) and one.get(field) != other.get(field)


def _ranked(
    seed: int, stratum: object, some: Iterable[_T], *, key: Callable[[_T], str]
) -> Iterator[_T]:
    """Yield in the order of a hash of seed, stratum and name."""
    return iter(sorted(some, key=lambda one: _rank(seed, f"{stratum} {key(one)}")))


def _rank(seed: int, name: str) -> bytes:
    return blake2b(f"{seed} {name}".encode("utf-8", "replace"), digest_size=8).digest()


def _digest(key: str) -> str:
    return blake2b(key.encode("utf-8", "replace"), digest_size=4).hexdigest()
