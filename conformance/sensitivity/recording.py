"""An index of the recorded responses of one run: which object is shown where, and in which list.

A log is shown by searches of any kind and by its retrieve. The identity of an object is its view,
the customer whose keys were used, and its own key: the id of a row; the filters and the time of a
graph point; the request for an envelope (what surrounds the data) and for errors.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

from trueup.conformance.contract.paths import ACTIONS, RESOURCES, resource_path
from trueup.reports.journal.records import Exchange, JudgePlan, Phase, Record
from trueup.reports.results import Json

__all__ = [
    "ENVELOPE",
    "ERROR",
    "Endpoint",
    "ObjectKey",
    "Place",
    "RecordedList",
    "Recording",
    "Shown",
    "at_place",
    "endpoint_of",
    "has_place",
]

Place: TypeAlias = tuple[str | int, ...]
"""Keys and indices from a body to a value in it."""
Row: TypeAlias = Mapping[str, Json]

ENVELOPE: Final = "envelope"
ERROR: Final = "error"
_IDS: Final[Mapping[str, str]] = {
    "log": "log_id",
    "log_summary": "log_summary_id",
    "residential_ledger": "residential_ledger_id",
    "mobile_ledger": "mobile_ledger_id",
    "proxy_user": "proxy_user_id",
    "service": "service_id",
    "service_adjustment": "service_adjustment_id",
}
_PAGING: Final = frozenset({"page", "per_page"})
_PERIOD: Final = frozenset({"period_start", "period_end"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Resource and action of a path: `log` and `search`."""

    resource: str
    action: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectKey:
    """One object that responses show for one customer's keys."""

    view: str
    customer: str
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One place at which a response shows an object."""

    n: int
    """Number of the exchange."""
    place: Place
    """Place of the object in the body; empty for the body itself."""
    action: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedList:
    """A list of rows of one request: all pages of a paged result, or one page."""

    view: str
    """View of its rows; of a ledger, whose rows are of two views, `residential_ledger`."""
    customer: str
    stage: str
    ask: str
    place: Place
    """Place of the rows of a page in its body."""
    pages: tuple[int, ...]
    """Numbers of the exchanges, in order."""
    first_page: int
    """Number of the first page that is shown."""
    query: tuple[tuple[str, str], ...]
    """Without the paging parameters, sorted."""
    path: str
    enveloped: bool
    """Whether the pages count their rows (`item_count`, `total_count`)."""


class Recording:
    """An index of the records of one run; it never changes."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = tuple(records)
        self.exchanges: dict[int, Exchange] = {
            exchange.n: exchange
            for exchange in _judged(self.records[: _end_of_checks(self.records)])
        }
        """Those that the checks judge: of a question that was asked again, the last attempt."""
        self.plan = next((r for r in self.records if isinstance(r, JudgePlan) and not r.part), None)
        self.since: dict[str, int] = {}
        """Stage to the number of its first exchange, in the order in which stages began."""
        self._shown: defaultdict[ObjectKey, list[Shown]] = defaultdict(list)
        walks: defaultdict[tuple[str, str, int, Place], list[Exchange]] = defaultdict(list)
        for exchange in self.exchanges.values():
            self.since.setdefault(exchange.stage, exchange.n)
            for thing, shown in self._things(exchange):
                self._shown[thing].append(shown)
            for place in self._lists(exchange):
                walks[exchange.stage, exchange.ask, exchange.attempt, place].append(exchange)
        self.listings = tuple(_listing(pages, place) for (_, _, _, place), pages in walks.items())

    @property
    def shown(self) -> Mapping[ObjectKey, Sequence[Shown]]:
        """Every object, with the places that show it in the order of the exchanges."""
        return self._shown

    @cached_property
    def own(self) -> frozenset[ObjectKey]:
        """Rows with a name of this run, and everything that is not a row."""
        prefix = self.plan.prefix if self.plan else ""
        named = {"log", "log_summary", "proxy_user"}
        ours = frozenset(
            thing
            for thing, places in self._shown.items()
            if thing.view not in named or prefix in str(self.value(places[0]))
        )
        seen = {thing.view for thing in ours}
        return ours | {thing for thing in self._shown if thing.view in named - seen}

    def value(self, shown: Shown, field: Place = ()) -> Json:
        """Return what a place shows; None if the field is absent."""
        return at_place(self.exchanges[shown.n].body, (*shown.place, *field))

    def rows(self, listing: RecordedList) -> list[Row]:
        """Return all rows of a listing in order."""
        return [row for n in listing.pages for row in self.page_rows(listing, n)]

    def page_rows(self, listing: RecordedList, n: int) -> list[Row]:
        """Return the rows of one page of a listing; none if it is unusable."""
        found = at_place(self.exchanges[n].body, listing.place)
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def key(self, listing: RecordedList, row: Row) -> ObjectKey:
        """Return the object that a row of a listing shows."""
        exchange = self.exchanges[listing.pages[0]]
        return self._thing(endpoint_of(exchange.path), exchange, row, listing.place)

    def whole(self, listing: RecordedList) -> RecordedList:
        """Return the paged result of which a page is a part, or the page itself."""
        if listing.first_page == 1 and len(listing.pages) > 1:
            return listing
        best = listing
        for other in self._same_query[_query_key(listing)]:
            if other.first_page == 1 and len(self.rows(other)) > len(self.rows(best)):
                best = other
        return best

    @cached_property
    def _same_query(self) -> Mapping[tuple[str, ...], Sequence[RecordedList]]:
        found: defaultdict[tuple[str, ...], list[RecordedList]] = defaultdict(list)
        for listing in self.listings:
            found[_query_key(listing)].append(listing)
        return found

    @cached_property
    def lists_of(self) -> Mapping[ObjectKey, Sequence[RecordedList]]:
        """Object → the lists that show it, and the single pages that do."""
        found: defaultdict[ObjectKey, list[RecordedList]] = defaultdict(list)
        for listing in self.listings:
            whole = self.whole(listing)
            shown = [self.key(whole, row) for row in self.rows(whole)]
            if whole is not listing:
                shown += [self.key(listing, row) for row in self.rows(listing)]
            for thing in dict.fromkeys(shown):
                found[thing].append(listing)
        return found

    def _things(self, exchange: Exchange) -> Iterator[tuple[ObjectKey, Shown]]:
        endpoint = endpoint_of(exchange.path)
        if not isinstance(exchange.body, dict) or exchange.status is None:
            return
        view = ENVELOPE if exchange.status < 300 else ERROR
        itself = ObjectKey(view=view, customer=exchange.tenant, key=exchange.ask)
        yield itself, Shown(n=exchange.n, place=(), action=endpoint.action)
        if exchange.status >= 300:
            return
        for place in self._lists(exchange):
            found = at_place(exchange.body, place)
            for number, row in enumerate(found if isinstance(found, list) else []):
                if isinstance(row, dict):
                    thing = self._thing(endpoint, exchange, row, place)
                    at = (*place, number)
                    yield thing, Shown(n=exchange.n, place=at, action=endpoint.action)
        data = exchange.body.get("data")
        if isinstance(data, dict) and endpoint.resource != "analytics":
            thing = self._thing(endpoint, exchange, data, ("data",))
            yield thing, Shown(n=exchange.n, place=("data",), action=endpoint.action)

    def _lists(self, exchange: Exchange) -> Iterator[Place]:
        """Yield the places of lists of rows in a response."""
        endpoint = endpoint_of(exchange.path)
        body = exchange.body
        if exchange.status != 200 or not isinstance(body, dict):
            return
        if endpoint.action == "search" and isinstance(body.get("data"), list):
            yield ("data",)
        elif endpoint.action == "graph":
            where = self.plan.graph.get("points", "data.points") if self.plan else "data.points"
            if isinstance(at_place(body, tuple(where.split("."))), list):
                yield tuple(where.split("."))
        elif endpoint.action == "breakdown":
            data = body.get("data")
            for name, value in data.items() if isinstance(data, dict) else ():
                if isinstance(value, list):
                    yield ("data", name)

    def _thing(self, endpoint: Endpoint, exchange: Exchange, row: Row, place: Place) -> ObjectKey:
        view, key = endpoint.resource, ""
        filters = sorted(q for q in exchange.query if q[0] not in _PAGING | _PERIOD)
        match endpoint:
            case Endpoint(action="graph"):
                where = self.plan.graph.get("time", "datetime") if self.plan else "datetime"
                view, key = "graph", f"{at_place(dict(row), tuple(where.split('.')))} {filters}"
            case Endpoint(action="breakdown"):
                name = next((v for v in row.values() if isinstance(v, str)), "")
                view, key = "breakdown", f"{place[-1]} {name} {exchange.query}"
            case Endpoint(action="summary"):
                view = f"{endpoint.resource} summary"
            case Endpoint(resource="customer"):
                view = "customer"
            case _:
                key = str(row.get(_IDS.get(view, ""), ""))
        if endpoint.resource.endswith("_ledger"):
            usage = row.get(f"{endpoint.resource}_reason") == "usage"
            view = f"{endpoint.resource} {'usage' if usage else 'money'}"
        return ObjectKey(view=view, customer=exchange.tenant, key=key)


def _judged(records: Sequence[Record]) -> Iterator[Exchange]:
    """Yield the exchanges of the checks, without repeated attempts and 429 responses."""
    exchanges = [
        record
        for record in records
        if isinstance(record, Exchange) and not record.stage.startswith("traffic ")
    ]
    last = {(exchange.stage, exchange.ask): exchange.attempt for exchange in exchanges}
    retried: dict[tuple[str, str, object], int] = {}
    for exchange in exchanges:
        retried[exchange.stage, exchange.ask, exchange.query] = exchange.n
    for exchange in exchanges:
        waited_out = (
            exchange.status == 429
            and retried[exchange.stage, exchange.ask, exchange.query] != exchange.n
        )
        if exchange.attempt == last[exchange.stage, exchange.ask] and not waited_out:
            yield exchange


def _end_of_checks(records: Sequence[Record]) -> int:
    """Return the place after the checks' last stage; what follows belongs to a load."""
    ends = [
        place
        for place, record in enumerate(records, start=1)
        if isinstance(record, Phase) and record.name.startswith("judge ") and record.state == "end"
    ]
    return ends[-1] if ends else len(records)


def _listing(pages: Sequence[Exchange], place: Place) -> RecordedList:
    first = pages[0]
    query = dict(first.query)
    endpoint = endpoint_of(first.path)
    return RecordedList(
        view=endpoint.resource if endpoint.action == "search" else endpoint.action,
        customer=first.tenant,
        stage=first.stage,
        ask=first.ask,
        place=place,
        pages=tuple(exchange.n for exchange in pages),
        first_page=int(query["page"]) if query.get("page", "").isdecimal() else 1,
        query=tuple(sorted(pair for pair in first.query if pair[0] not in _PAGING)),
        path=first.path,
        enveloped=endpoint.action == "search",
    )


def _query_key(listing: RecordedList) -> tuple[str, ...]:
    return (listing.stage, listing.customer, listing.path, str(listing.query))


def endpoint_of(path: str) -> Endpoint:
    """Return resource and action of a path, whatever its prefix."""
    parts = resource_path(path).split("/")
    if len(parts) > 1 and parts[0] in RESOURCES and parts[1] in ACTIONS:
        return Endpoint(resource=parts[0], action=parts[1])
    parts = path.strip("/").split("/")
    return Endpoint(resource=parts[-2] if len(parts) > 1 else "", action=parts[-1])


def at_place(value: Json, place: Place) -> Json:
    """Return the value at a place of a body, or None."""
    for step in place:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def has_place(row: Json, field: Place) -> bool:
    """Return whether an object has a field, whatever its value."""
    holder = at_place(row, field[:-1])
    return isinstance(holder, dict) and field[-1] in holder
