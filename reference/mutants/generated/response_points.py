"""Mutation points in what is shown: fields of every view, pages, graph and breakdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from trueup.reference.behaviour import Behaviour, RequestInfo, Row
from trueup.reference.mutants.generated.conditions import Condition, Memory, Subject, conditions
from trueup.reference.mutants.generated.mutation_point import (
    Alteration,
    Install,
    MutationPoint,
    altering,
)
from trueup.reference.mutants.generated.operators import (
    COUNT,
    DROPPED,
    INSTANT_TEXT,
    ROWS,
    Operator,
    named,
    replacing,
    shown_operators,
)
from trueup.reference.networks import POOLS
from trueup.reference.resources import RESOURCES, Resource, ResourceKind
from trueup.reference.times import parse_instant

__all__ = ["POINTS", "READ_VIEWS", "ROW_VIEWS", "SEARCHED"]

SEARCHED: Final = ("log", "log_summary", "residential_ledger", "mobile_ledger", "proxy_user")
"""Resources whose rows come from traffic, payments or calls, and so can be predicted."""
ROW_VIEWS: Final = (
    *(f"{name}.{action}" for name in SEARCHED for action in ("search", "retrieve")),
    "analytics.graph",
    "analytics.breakdown",
)
"""Views that are made of rows."""
READ_VIEWS: Final = (*ROW_VIEWS, "customer.retrieve", *(f"{pool}.summary" for pool in POOLS))
"""Views that a customer reads."""

_PAGING: Final = frozenset({"page", "per_page", "sort_by"})
_LISTED: Final = conditions("customer", "page", "sort", "filter", "after")
_ROW: Final = (*_LISTED[1:], *conditions("row")[1:])
_OF: Final[dict[str, tuple[Condition, ...]]] = {
    "log": conditions(
        "network", "customer", "bytes", "outcome", "protocol", "age=today", "age=past", "after"
    ),
    "log_summary": conditions(
        "network", "customer", "user", "bytes", "age", "date", "after"
    ),
    "residential_ledger": conditions("customer", "bytes", "age", "date", "after"),
    "mobile_ledger": conditions("customer", "bytes", "age", "date", "after"),
    "proxy_user": conditions("customer", "user", "after"),
}  # fmt: skip
"""Resource → when a field of its rows may be wrong."""


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _first(row: Row, *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _at_us(text: Any) -> int | None:
    return parse_instant(text)[0] if isinstance(text, str) else None


def _of_row(info: RequestInfo, row: Row, **more: Any) -> Subject:
    """What is known of a row that is shown."""
    periods = [f"{pool}_ledger_period_date" for pool in POOLS]
    amounts = [f"{pool}_ledger_bytes" for pool in POOLS]
    shown_at = _first(row, "log_request_datetime", "log_summary_period", "datetime", *periods)
    status = _number(row.get("log_status_code"))
    return Subject(
        now_us=info.now_us,
        customer_id=info.customer_id,
        user=row.get("proxy_user_id"),
        network=_first(row, "log_network", "log_summary_network", "network"),
        protocol=row.get("log_protocol"),
        hostname=_first(row, "log_hostname", "log_summary_hostname", "hostname"),
        bytes=_number(_first(row, "log_total_bytes", "log_summary_bytes", "bytes", *amounts)),
        failed=row.get("log_error_code") is not None or (status or 0) >= 400,
        at_us=_at_us(shown_at),
        interval=info.query.get("interval", "day"),
        filtered=bool(set(info.query) - _PAGING),
        **more,
    )


def _of_request(info: RequestInfo) -> Subject:
    """What is known of a request, without its rows."""
    page = info.query.get("page", "1")
    return Subject(
        now_us=info.now_us,
        customer_id=info.customer_id,
        page=int(page) if page.isdigit() else 1,
        descending=info.query.get("sort_by", "").endswith("_desc"),
        filtered=bool(set(info.query) - _PAGING),
        interval=info.query.get("interval", "day"),
    )


def _with(row: Row, name: str, value: Any) -> Row:
    if value is DROPPED:
        return {key: each for key, each in row.items() if key != name}
    return {**row, name: value}


def _field(
    change: Alteration, info: RequestInfo, row: Row, name: str, key: str, **more: Any
) -> Row:  # fmt: skip
    """The row with one field changed, where it has a value."""
    value = row.get(name)
    if value is None:
        return row
    subject = _of_row(info, row, **more)
    place = (info.view, info.customer_id, name)
    return _with(row, name, change.to(value, subject, place=place, thing=row.get(key)))


def _responding(view: str, respond: Callable[[Alteration, RequestInfo, Any], Any]) -> Install:
    """Change `data` in the responses of one view."""

    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def response(info: RequestInfo, body: Row) -> Row:
            right = behaviour.response(info, body)
            if info.view != view:
                return right
            return {**right, "data": respond(change, info, right["data"])}

        return {"response": response}

    return install


def _enveloping(view: str, name: str) -> Install:
    """Change one field of the envelope in the responses of one view."""

    def subject(_memory: Memory, info: RequestInfo, _body: Row) -> Subject | None:
        return _of_request(info) if info.view == view else None

    return altering("response", subject, field=name)


# Fields of rows.


def _shown_in_search(resource: Resource, name: str) -> Install:
    def respond(change: Alteration, info: RequestInfo, rows: Sequence[Row]) -> list[Row]:
        asked = _of_request(info)
        return [
            _field(
                change,
                info,
                row,
                name,
                resource.key,
                page=asked.page,
                descending=asked.descending,
                is_last=number == len(rows),
            )
            for number, row in enumerate(rows, 1)
        ]

    return _responding(f"{resource.name}/search", respond)


def _shown_in_retrieve(resource: Resource, name: str) -> Install:
    def respond(change: Alteration, info: RequestInfo, row: Row) -> Row:
        return _field(change, info, row, name, resource.key)

    return _responding(f"{resource.name}/retrieve", respond)


_NAMES: Final = frozenset({"customer_id", "asn_id", "log_status_code", "log_local_port"})
_GENERAL: Final = frozenset(
    {"log_id", "proxy_user_id", "log_network", "log_protocol", "log_hostname", "country_id"}
    | {"log_client_ip_address", "log_total_bytes", "log_request_datetime", "city_alias", "asn_id"}
)
"""Fields of a log that the guide shows."""


def _kind(name: str, kind: ResourceKind) -> str:
    if name == "log_total_bytes" or name.endswith(("_bytes_used", "_bytes_limit")):
        return "amount"
    return (
        "code"
        if name in _NAMES or (name.endswith("_type") and kind is ResourceKind.INTEGER)
        else kind
    )


def _used(resource: Resource) -> tuple[tuple[str, ResourceKind], ...]:
    """Fields that are computed rather than stored."""
    if resource.name != "proxy_user":
        return ()
    return tuple((f"proxy_user_{pool}_bytes_used", ResourceKind.INTEGER) for pool in POOLS)


def _shown() -> Iterator[MutationPoint]:
    for resource in (RESOURCES[name] for name in SEARCHED):
        fields = (*((each.name, each.kind) for each in resource.fields), *_used(resource))
        for name, kind in fields:
            main = name in _GENERAL or resource.name in ("log_summary",)
            for action, install, when in (
                ("search", _shown_in_search, (*_OF[resource.name], *_ROW)),
                ("retrieve", _shown_in_retrieve, _OF[resource.name]),
            ):
                yield MutationPoint(
                    id=f"shown.{resource.name}.{action}.{name}",
                    what=f"The {name} that {resource.name}/{action} shows",
                    operators=shown_operators(_kind(name, kind)),
                    conditions=tuple(dict.fromkeys(when)),
                    install=install(resource, name),
                    depth=2 if main and action == "search" else 1,
                )


# Pages.


def _list_of(view: str, name: str | None = None) -> Install:
    """Change the rows of a view's list, which is `data` or a list in it."""

    def respond(change: Alteration, info: RequestInfo, data: Any) -> Any:
        if name is None:
            return change.to(data, _of_request(info)) if data else data
        if not data.get(name):
            return data
        return {**data, name: change.to(data[name], _of_request(info))}

    return _responding(view, respond)


def _pages() -> Iterator[MutationPoint]:
    for name in SEARCHED:
        view = f"{name}/search"
        yield MutationPoint(
            id=f"page.{name}.rows",
            what=f"A page of {view}",
            operators=ROWS,
            conditions=_LISTED,
            install=_list_of(view),
            depth=7,
        )
        for field, depth in (
            ("total_count", 2), ("item_count", 1), ("page", 1), ("per_page", 1),
        ):  # fmt: skip
            yield MutationPoint(
                id=f"page.{name}.{field}",
                what=f"The {field} of {view}",
                operators=COUNT,
                conditions=_LISTED,
                install=_enveloping(view, field),
                depth=depth,
            )


# Graph and breakdown.

_GRAPH: Final = conditions(
    "customer", "interval", "filter", "age", "date", "after", "bytes=2^31", "bytes=2^53"
)
_MEASURES: Final = ("requests", "bytes", "successful", "error")


def _point(name: str) -> Install:
    def respond(change: Alteration, info: RequestInfo, data: Row) -> Row:
        points = [_field(change, info, point, name, "datetime") for point in data["points"]]
        return {**data, "points": points}

    return _responding("analytics/graph", respond)


def _measure_operators(name: str) -> tuple[Operator, ...]:
    return shown_operators("amount" if name == "bytes" else "integer")


def _graph() -> Iterator[MutationPoint]:
    for name in (*_MEASURES, "datetime"):
        yield MutationPoint(
            id=f"graph.{name}",
            what=f"The {name} of a point of the graph",
            operators=INSTANT_TEXT if name == "datetime" else _measure_operators(name),
            conditions=_GRAPH,
            install=_point(name),
            depth=4 if name == "datetime" else 5,
        )
    yield MutationPoint(
        id="graph.points",
        what="The list of points of the graph",
        operators=ROWS,
        conditions=conditions("customer", "interval", "filter", "after"),
        install=_list_of("analytics/graph", "points"),
        depth=6,
    )


def _part(title: str, name: str) -> Install:
    def respond(change: Alteration, info: RequestInfo, data: Row) -> Row:
        part = data.get(title)
        if isinstance(part, dict):
            return {**data, title: _field(change, info, part, name, "")}
        if part is None:
            return data
        return {**data, title: [_field(change, info, row, name, title[:-1]) for row in part]}

    return _responding("analytics/breakdown", respond)


def _breakdown() -> Iterator[MutationPoint]:
    for title in ("totals", "proxy_users", "hostnames", "networks"):
        for name in _MEASURES:
            yield MutationPoint(
                id=f"breakdown.{title}.{name}",
                what=f"The {name} in the {title} of the breakdown",
                operators=_measure_operators(name),
                conditions=conditions("customer", "filter", "after")
                + (conditions("network")[1:] if title == "networks" else ()),
                install=_part(title, name),
                depth=1,
            )
        if title != "totals":
            yield MutationPoint(
                id=f"breakdown.{title}",
                what=f"The list of {title} of the breakdown",
                operators=ROWS,
                conditions=conditions("customer", "filter", "after"),
                install=_list_of("analytics/breakdown", title),
                depth=2,
            )


# Accounts.


def _value(view: str, name: str) -> Install:
    def respond(change: Alteration, info: RequestInfo, data: Row) -> Row:
        return _field(change, info, data, name, name)

    return _responding(view, respond)


_ACCOUNT: Final = conditions("customer", "after")


def _accounts() -> Iterator[MutationPoint]:
    for pool in POOLS:
        for name in ("bytes", "bytes_used", "bytes_left", "requests"):
            yield MutationPoint(
                id=f"account.{pool}.{name}",
                what=f"The {pool}_{name} of {pool}/summary",
                operators=shown_operators("integer" if name == "requests" else "amount"),
                conditions=_ACCOUNT,
                install=_value(f"{pool}/summary", f"{pool}_{name}"),
                depth=2,
            )
        yield MutationPoint(
            id=f"account.{pool}.proxy_user_ids",
            what=f"The list of proxy users of {pool}/summary",
            operators=named(ROWS, "drop-last", "empty"),
            conditions=_ACCOUNT,
            install=_list_of(f"{pool}/summary", "proxy_user_ids"),
            depth=2,
        )
        yield MutationPoint(
            id=f"account.customer.{pool}_bytes_left",
            what=f"The {pool}_bytes_left of customer/retrieve",
            operators=shown_operators("amount"),
            conditions=_ACCOUNT,
            install=_value("customer/retrieve", f"{pool}_bytes_left"),
            depth=3,
        )


# How old the shown data are.


def _lag(view: str) -> Install:
    return altering("lag_s", lambda _memory, name: Subject() if name == view else None)


def _lags() -> Iterator[MutationPoint]:
    for view in READ_VIEWS:
        yield MutationPoint(
            id=f"fresh.{view}",
            what=f"The data behind {view.replace('.', '/')}",
            operators=(replacing("late", "are five minutes old", 300.0),),
            conditions=conditions("after=restart"),
            install=_lag(view),
            depth=1,
        )


POINTS: Final = (*_shown(), *_pages(), *_graph(), *_breakdown(), *_accounts(), *_lags())
"""Every point of what is shown."""
