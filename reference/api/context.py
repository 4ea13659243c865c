"""What every request handler receives, and parsing of parameters and bodies."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from trueup.reference.api.bodies import Bodies
from trueup.reference.api.connections import Connections
from trueup.reference.api.counts import ServerCounts
from trueup.reference.api.limits import RateLimiter
from trueup.reference.behaviour import Behaviour
from trueup.reference.clock import ServerClock
from trueup.reference.errors import ApiProblem
from trueup.reference.query import Condition
from trueup.reference.store.maintenance import MaintenanceResult, MaintenanceRound
from trueup.reference.store.store import Store

__all__ = ["BODY_LIMIT", "Answer", "Call", "Context", "json_body", "parameters", "whole_number"]

T = TypeVar("T")
Answer = tuple[int, dict[str, Any]]
"""Status and JSON object."""
BODY_LIMIT: Final = 1 << 20
"""Most bytes of a JSON request body other than a delivery."""


@dataclass(slots=True, kw_only=True)
class Context:
    """The running server. `closing` refuses new deliveries while it shuts down."""

    store: Store
    behaviour: Behaviour
    limiter: RateLimiter
    ingest_key: str | None = None
    control: bool = False
    closing: bool = False
    bodies: Bodies = field(default_factory=Bodies)
    connections: Connections = field(default_factory=Connections)
    counts: ServerCounts = field(default_factory=ServerCounts)

    @property
    def clock(self) -> ServerClock:
        return self.store.clock

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job in the next transaction and return its result, once that is committed.

        A cancelled write that has not begun is not done.
        """
        return await asyncio.wrap_future(self.store.write(job))

    async def maintain(self, now_us: int) -> MaintenanceResult:
        """Run a round of maintenance, each step a transaction of its own."""
        due = MaintenanceRound(behaviour=self.behaviour, now_us=now_us)
        while (result := await self.write(due.step)) is None:
            pass
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One authenticated request. `customer_id` is 0 for ingestion and control hooks."""

    context: Context
    request: web.Request
    customer_id: int

    @property
    def behaviour(self) -> Behaviour:
        """The decisions of this server."""
        return self.context.behaviour

    async def read(self, job: Callable[[sqlite3.Connection], T], *, view: str) -> T:
        """Run a job on a consistent state of the store; cancelling interrupts it."""
        read = self.context.store.read(job, view=view, customer_id=self.customer_id)
        return await asyncio.wrap_future(read)

    def customers(self, what: str, conditions: Sequence[Condition] = ()) -> tuple[int, ...]:
        """Return the customers whose rows this caller sees: itself only."""
        everyone = [tenant.customer_id for tenant in self.context.store.tenants]
        return self.behaviour.visible_to(self.customer_id, everyone, what, conditions)


def parameters(request: web.Request, known: Sequence[str], *, ignore: bool) -> dict[str, str]:
    """Return the query string, each parameter once and known. Raises ApiProblem (400)."""
    given: dict[str, str] = {}
    for name, text in request.query.items():
        if name in given:
            raise ApiProblem(400, f"The parameter {name} was given more than once; give it once.")
        if name not in known and not ignore:
            expected = f"it takes {', '.join(known)}" if known else "it takes none"
            raise ApiProblem(400, f"Unknown parameter {name}; {expected}.")
        given[name] = text
    return given


def whole_number(value: object) -> int | None:
    """Return a JSON number without a fraction as an integer, also `3.0`; None for all else."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


async def json_body(call: Call) -> dict[str, Any]:
    """Return the JSON object of the request; empty if it has no body.

    Raises ApiProblem (400, 408, 413, 503).
    """
    async with call.context.bodies.receive(call.request, BODY_LIMIT) as body:
        raw = body.raw
    try:
        return msgspec.json.decode(raw or b"{}", type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ApiProblem(400, f"The body must be a JSON object: {error}.") from None
