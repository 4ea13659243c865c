"""The control hooks clock, maintenance and money: disabled by default, with a key of their own."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from trueup.reference.amounts import LIMIT
from trueup.reference.api.context import Answer, Call, json_body, whole_number
from trueup.reference.errors import ApiProblem
from trueup.reference.networks import POOLS
from trueup.reference.store.money import KINDS, Movement, move_money
from trueup.reference.store.tenants import set_meta
from trueup.reference.times import SECOND_US, format_instant, parse_instant

__all__ = ["get_clock", "money", "move_clock", "run_maintenance"]

_LATEST = "2400-01-01"


async def get_clock(call: Call) -> Answer:
    return 200, {"now": format_instant(call.context.clock.now_us())}


async def move_clock(call: Call) -> Answer:
    """Move the clock forward, then run the maintenance that is due.

    Raises ApiProblem (400, 422).
    """
    body = await json_body(call)
    context = call.context

    def job(connection: sqlite3.Connection) -> None:
        clock = context.clock
        by_us = _distance_us(body, clock.now_us())
        set_meta(connection, "clock_offset_us", str(clock.offset_us + by_us))
        clock.advance(by_us)

    await context.write(job)
    await context.maintain(context.clock.now_us())
    await asyncio.to_thread(context.store.catch_up)
    return await get_clock(call)


def _distance_us(body: dict[str, Any], now_us: int) -> int:
    """How far to move the clock, microseconds."""
    match body:
        case {"now": str(text)} if len(body) == 1:
            try:
                target_us = parse_instant(text)[0]
            except ValueError:
                raise ApiProblem(400, "now must be YYYY-MM-DD HH:MM:SS, in UTC.") from None
        case {"advance_s": bool()}:
            raise ApiProblem(400, "advance_s must be a number of seconds.")
        case {"advance_s": int(seconds) | float(seconds)} if len(body) == 1:
            if not 0 <= seconds < 10**11:
                raise ApiProblem(422, "advance_s must be 0 or more: the clock moves forward only.")
            target_us = now_us + round(seconds * SECOND_US)
        case _:
            raise ApiProblem(
                400, 'Expected {"now": "YYYY-MM-DD HH:MM:SS"} or {"advance_s": seconds}.'
            )
    if target_us < now_us:
        raise ApiProblem(422, f"The clock moves forward only; it is {format_instant(now_us)} now.")
    if target_us > parse_instant(_LATEST)[0]:
        raise ApiProblem(422, f"The clock does not go beyond {_LATEST}.")
    return target_us - now_us


async def run_maintenance(call: Call) -> Answer:
    """Delete and consolidate what is due; return how many rows."""
    await json_body(call)
    context = call.context
    done = await context.maintain(context.clock.now_us())
    await asyncio.to_thread(context.store.catch_up)
    return 200, {
        "logs_deleted": done.logs_deleted,
        "summaries_consolidated": done.summaries_consolidated,
    }


async def money(call: Call) -> Answer:
    """Add bytes to a pool or remove them. Raises ApiProblem (400, 404, 409, 422)."""
    movement = _movement(await json_body(call))
    context = call.context
    ledger_id = await context.write(
        lambda connection: move_money(
            connection, movement, behaviour=context.behaviour, now_us=context.clock.now_us()
        )
    )
    return 200, {"ledger_id": ledger_id}


def _movement(body: dict[str, Any]) -> Movement:
    known = {"customer_id", "network", "kind", "bytes", "idempotency_key", "service_id"}
    if unknown := sorted(body.keys() - known):
        raise ApiProblem(400, f"Unknown key {unknown[0]}; expected {', '.join(sorted(known))}.")
    customer_id = whole_number(body.get("customer_id"))
    amount = whole_number(body.get("bytes"))
    key, service_id = body.get("idempotency_key"), body.get("service_id")
    if customer_id is None or abs(customer_id) >= 2**63:
        raise ApiProblem(400, "customer_id must be an integer.")
    if body.get("network") not in POOLS:
        raise ApiProblem(400, f"network must be one of {', '.join(POOLS)}.")
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ApiProblem(400, f"kind must be one of {', '.join(KINDS)}.")
    if amount is None or not -LIMIT < amount * 2**8 < LIMIT:
        raise ApiProblem(400, "bytes must be an integer of sensible size.")
    if not isinstance(key, str) or not 0 < len(key) <= 255:
        raise ApiProblem(400, "idempotency_key must be a string of 1 to 255 characters.")
    if service_id is not None and not isinstance(service_id, str):
        raise ApiProblem(400, "service_id must be a string or absent.")
    if kind in ("purchase", "top_up") and amount <= 0:
        raise ApiProblem(422, f"A {kind} must add bytes; got {amount}.")
    return Movement(
        customer_id=customer_id,
        network=body["network"],
        kind=kind,
        bytes=amount,
        idempotency_key=key,
        service_id=service_id,
    )
