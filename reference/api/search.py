"""Search and retrieve, the same for every resource."""

from __future__ import annotations

import re
import sqlite3
from typing import Final

from trueup.reference.api.context import Answer, Call
from trueup.reference.behaviour import Row
from trueup.reference.errors import ApiProblem
from trueup.reference.query import Between, Condition, parse_query
from trueup.reference.resources import RESOURCES, Resource
from trueup.reference.sql import order_by
from trueup.reference.store import reading

__all__ = ["retrieve", "search"]

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_UUID_KEYS: Final = frozenset({"log", "log_summary", "residential_ledger", "mobile_ledger"})


def _retained(call: Call, resource: Resource, action: str) -> tuple[Condition, ...]:
    """The condition that hides rows past their retention, deleted already or not."""
    if resource.name != "log":
        return ()
    field = resource.field("log_request_datetime")
    assert field is not None
    low = call.behaviour.visible_from(call.context.clock.now_us(), action, call.customer_id)
    return (Between(field=field, low=low),)


async def search(call: Call, name: str) -> Answer:
    """Return one page of the rows that match the filters. Raises ApiProblem (400)."""
    resource, behaviour = RESOURCES[name], call.behaviour
    query = parse_query(
        resource,
        list(call.request.query.items()),
        per_page=behaviour.page_size,
        ignore_unknown=behaviour.ignore_unknown,
    )
    conditions = behaviour.conditions(resource, query.conditions)
    what = f"{name}.search"
    customers = call.customers(what, conditions)
    retained = _retained(call, resource, "search")
    order = order_by(resource, behaviour.sort(resource, query.sort), stable=behaviour.stable_ties)

    def job(connection: sqlite3.Connection) -> tuple[list[Row], int]:
        return reading.find(
            connection,
            resource,
            customers=customers,
            conditions=(*conditions, *retained),
            order=order,
            window=lambda total: behaviour.window(query.page, query.per_page, total),
            behaviour=behaviour,
        )

    rows, total = await call.read(job, view=what)
    return 200, {
        "data": [behaviour.present(name, "search", row) for row in rows],
        "item_count": len(rows),
        "message": f"{resource.title} search successful.",
        "page": query.page,
        "per_page": query.per_page,
        "total_count": behaviour.total(total, len(rows)),
    }


async def retrieve(call: Call, name: str) -> Answer:
    """Return the row with the id in the path. Raises ApiProblem (404)."""
    resource, behaviour = RESOURCES[name], call.behaviour
    key = call.request.match_info["id"]
    if name in _UUID_KEYS and not _UUID.fullmatch(key):
        raise _missing(resource, behaviour.malformed_id_status)
    if name in _UUID_KEYS:
        key = key.lower()
    row = await _row(call, resource, key, _retained(call, resource, "retrieve"))
    if row is None and name == "log" and behaviour.gone_status != 404:
        aged_out = await _row(call, resource, key, ())
        raise _missing(resource, behaviour.gone_status if aged_out else behaviour.not_found_status)
    if row is None:
        raise _missing(resource, behaviour.not_found_status)
    return 200, {
        "data": behaviour.present(name, "retrieve", row),
        "message": f"{resource.title} successfully retrieved.",
    }


async def _row(
    call: Call, resource: Resource, key: str, conditions: tuple[Condition, ...]
) -> Row | None:
    what = f"{resource.name}.retrieve"
    customers = call.customers(what)
    return await call.read(
        lambda connection: reading.retrieve(
            connection,
            resource,
            customers=customers,
            key=key,
            conditions=conditions,
            behaviour=call.behaviour,
        ),
        view=what,
    )


def _missing(resource: Resource, status: int) -> ApiProblem:
    return ApiProblem(status, f"The requested {resource.title.lower()} could not be found.")
