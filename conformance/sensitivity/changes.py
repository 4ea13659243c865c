"""What a mutant changes: from a frozen description to the changed exchanges.

**Scope.** A mutant is what one consistently wrong implementation would have returned: the fault is
in every response that contains the value, from the first response of its stage to the end of the
run. A wrong value of a log is in full and filtered searches and in its retrieve; a lost row is
missing from every list, counts and following pages change with it, and its retrieve returns 404.
Two narrower kinds are equally consistent: a wrong value in a retrieve while searches are correct
(view `... (retrieve)`), and one request whose response is wrong each time (a filter, an order, a
page, a count).

Which rows a search selects, and in which order, stays as recorded: the fault is in what is
returned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from msgspec.structs import replace

from trueup.conformance.sensitivity.operators import (
    ABSENT,
    ALONE,
    NOT_APPLICABLE,
    NoValue,
    ResponseOperator,
    Surroundings,
    mutate_value,
)
from trueup.conformance.sensitivity.recording import (
    ObjectKey,
    Place,
    RecordedList,
    Recording,
    Row,
    at_place,
    has_place,
)
from trueup.reports.journal.records import Exchange
from trueup.reports.results import Json

__all__ = [
    "Change",
    "ListChange",
    "RowChange",
    "StatusChange",
    "ValueChange",
    "changed_exchanges",
    "with_value",
]

Changed: TypeAlias = dict[int, Exchange]
_RowsOperation: TypeAlias = Callable[[list[Row]], list[Row]]

_MISSING_ROW: Final[dict[str, Json]] = {
    "error": "Not Found",
    "message": "The requested object could not be found.",
    "api_request_id": "00000000-0000-4000-8000-00000000dead",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueChange:
    """A field of one object has a wrong value."""

    thing: ObjectKey
    since: int
    """Number of the first exchange that may change."""
    field: Place
    operator: ResponseOperator
    around: Surroundings = ALONE
    actions: frozenset[str] = frozenset()
    """Actions of endpoints with the wrong value; empty: all."""

    def apply(self, recording: Recording) -> Changed:
        """Return the changed exchanges by number."""
        bodies: dict[int, Json] = {}
        for shown in recording.shown.get(self.thing, ()):
            if shown.n < self.since or (self.actions and shown.action not in self.actions):
                continue
            row = recording.value(shown)
            if not has_place(row, self.field):
                continue
            wrong = mutate_value(self.operator, at_place(row, self.field), self.around)
            if wrong is not NOT_APPLICABLE:
                body = bodies.get(shown.n, recording.exchanges[shown.n].body)
                bodies[shown.n] = with_value(body, (*shown.place, *self.field), wrong)
        return {n: replace(recording.exchanges[n], body=body) for n, body in bodies.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class RowChange:
    """One object is lost, duplicated, or followed by a row of the other customer, in every list."""

    thing: ObjectKey
    since: int
    operator: ResponseOperator
    row: Mapping[str, Json] | None = None
    """The row that is added."""

    def apply(self, recording: Recording) -> Changed:
        """Return the changed exchanges by number."""
        changed: Changed = {}
        for listing in recording.lists_of.get(self.thing, ()):
            if listing.pages[0] >= self.since:
                changed |= repaged(recording, listing, self._operation(recording, listing))
        if self.operator is ResponseOperator.ROW_LOST:
            for shown in recording.shown.get(self.thing, ()):
                if shown.n >= self.since and shown.action not in ("search", "graph", "breakdown"):
                    changed[shown.n] = replace(
                        recording.exchanges[shown.n], status=404, body=dict(_MISSING_ROW)
                    )
        return changed

    def _operation(self, recording: Recording, listing: RecordedList) -> _RowsOperation:
        def operation(rows: list[Row]) -> list[Row]:
            new: list[Row] = []
            for row in rows:
                here = recording.key(listing, row) == self.thing
                if not (here and self.operator is ResponseOperator.ROW_LOST):
                    new.append(row)
                if here and self.operator is ResponseOperator.ROW_DOUBLED:
                    new.append(row)
                if here and self.operator is ResponseOperator.FOREIGN_ROW and self.row is not None:
                    new.append(self.row)
            return new

        return operation


@dataclass(frozen=True, kw_only=True, slots=True)
class ListChange:
    """The response to one request contains a wrong list each time."""

    ask: str
    place: Place
    """The place of its rows; of a breakdown, which of its lists."""
    since: int
    operator: ResponseOperator
    one: ObjectKey | None = None
    """The row that is lost, duplicated, or swapped with `other`."""
    other: ObjectKey | None = None
    row: Mapping[str, Json] | None = None
    """The row that is added at the end."""

    def apply(self, recording: Recording) -> Changed:
        """Return the changed exchanges by number."""
        changed: Changed = {}
        for listing in recording.listings:
            if listing.ask != self.ask or listing.place != self.place:
                continue
            if listing.pages[0] < self.since:
                continue
            if self.operator is ResponseOperator.PAGE_BOUNDARY:
                changed |= _without_boundary_row(recording, listing)
            else:
                changed |= repaged(recording, listing, self._operation(recording, listing))
        return changed

    def _operation(self, recording: Recording, listing: RecordedList) -> _RowsOperation:
        def operation(rows: list[Row]) -> list[Row]:
            things = [recording.key(listing, row) for row in rows]
            if self.operator is ResponseOperator.EXTRA_ROW and self.row is not None:
                return [*rows, self.row]
            if self.one is None or self.one not in things:
                return rows
            at = things.index(self.one)
            match self.operator:
                case ResponseOperator.ROW_LOST:
                    return rows[:at] + rows[at + 1 :]
                case ResponseOperator.ROW_DOUBLED:
                    return [*rows[: at + 1], rows[at], *rows[at + 1 :]]
                case ResponseOperator.ROWS_SWAPPED if self.other in things:
                    new = list(rows)
                    beside = things.index(self.other)
                    new[at], new[beside] = new[beside], new[at]
                    return new
                case _:
                    return rows

        return operation


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusChange:
    """The response to one request has another status each time."""

    ask: str
    since: int
    old: int
    new: int
    body: Mapping[str, Json] | None = None
    """None: the recorded body."""

    def apply(self, recording: Recording) -> Changed:
        """Return the changed exchanges by number."""
        return {
            n: replace(
                exchange,
                status=self.new,
                body=exchange.body if self.body is None else dict(self.body),
            )
            for n, exchange in recording.exchanges.items()
            if exchange.ask == self.ask and n >= self.since and exchange.status == self.old
        }


Change: TypeAlias = ValueChange | RowChange | ListChange | StatusChange


def changed_exchanges(recording: Recording, change: Change) -> Mapping[int, Exchange]:
    """Return the exchanges that differ under a change, by number; no others are copied."""
    return {
        n: exchange
        for n, exchange in change.apply(recording).items()
        if exchange != recording.exchanges[n]
    }


def with_value(body: Json, place: Place, value: Json | NoValue) -> Json:
    """Return the body with one value replaced, or removed for `ABSENT`; the rest is shared."""
    step, rest = place[0], place[1:]
    if isinstance(body, list) and isinstance(step, int):
        new = list(body)
        new[step] = with_value(body[step], rest, value) if rest else _json(value)
        return new
    assert isinstance(body, dict) and isinstance(step, str), "a place that was read before"
    if rest:
        return {**body, step: with_value(body.get(step), rest, value)}
    if value is ABSENT:
        return {key: each for key, each in body.items() if key != step}
    return {**body, step: _json(value)}


def _json(value: Json | NoValue) -> Json:
    assert not isinstance(value, NoValue), "an element of a list cannot be left out"
    return value


def repaged(recording: Recording, listing: RecordedList, operation: _RowsOperation) -> Changed:
    """Return the pages of a listing after an operation on its rows.

    Rows move between the pages, and counts follow. A page that was requested alone is a part of the
    rows of its paged result. Rows that would need a page that was never requested are left out.
    """
    whole = recording.whole(listing)
    before = recording.rows(whole)
    after = operation(before)
    if after == before:
        return {}
    size = _page_size(recording, whole) if listing is whole else _page_size(recording, listing)
    delta = len(after) - len(before)
    changed: Changed = {}
    start = 0 if listing is whole else (listing.first_page - 1) * size
    if listing is not whole and recording.rows(listing) != before[start : start + size]:
        own = recording.rows(listing)
        whole, before, after, start = listing, own, operation(own), 0
        delta = len(after) - len(before)
    for n in listing.pages:
        page = after[start : start + size]
        start += size
        exchange = recording.exchanges[n]
        body = with_value(exchange.body, listing.place, [dict(row) for row in page])
        if listing.enveloped:
            body = _with_counts(body, shown=len(page), delta=delta)
        changed[n] = replace(exchange, body=body)
    return changed


def _page_size(recording: Recording, listing: RecordedList) -> int:
    body = recording.exchanges[listing.pages[0]].body
    told = at_place(body, ("per_page",))
    if listing.enveloped and isinstance(told, int) and not isinstance(told, bool) and told > 0:
        return told
    longest = max(len(recording.page_rows(listing, n)) for n in listing.pages)
    return longest if listing.enveloped else longest + 2


def _with_counts(body: Json, *, shown: int, delta: int) -> Json:
    """Return the body with counts that match other rows, if it contains counts."""
    assert isinstance(body, dict), "a list of rows is a value of an object"
    counts: dict[str, Json] = {}
    if isinstance(body.get("item_count"), int):
        counts["item_count"] = shown
    total = body.get("total_count")
    if isinstance(total, int) and not isinstance(total, bool) and total >= 0:
        counts["total_count"] = total + delta
    return {**body, **counts}


def _without_boundary_row(recording: Recording, listing: RecordedList) -> Changed:
    """Return page 2, or the next page that was requested alone, without its first row."""
    if listing.first_page > 1:
        n = listing.pages[0]
    elif len(listing.pages) > 1:
        n = listing.pages[1]
    else:
        return {}
    rows = recording.page_rows(listing, n)
    if not rows:
        return {}
    exchange = recording.exchanges[n]
    body = with_value(exchange.body, listing.place, [dict(row) for row in rows[1:]])
    return {n: replace(exchange, body=_with_counts(body, shown=len(rows) - 1, delta=0))}
