"""Mutation points between a delivery and the stored rows: logs, summaries and ledgers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from trueup.reference.behaviour import Amounts, Behaviour, PoolDay, SummaryCell
from trueup.reference.events import Log, Refusal
from trueup.reference.ids import new_uuid
from trueup.reference.mutants.generated.conditions import Memory, Subject, conditions
from trueup.reference.mutants.generated.mutation_point import (
    Alteration,
    Install,
    MutationPoint,
    altering,
)
from trueup.reference.mutants.generated.operators import (
    BOOLEAN,
    BYTES,
    CODE,
    COUNT,
    DAY,
    INSTANT,
    OTHER_POOL,
    ROWS,
    TEXT,
    Operator,
    named,
    only_named,
    replacing,
)
from trueup.reference.networks import NETWORKS
from trueup.reference.times import HOUR_US, day_of

__all__ = ["POINTS", "of_event"]

_EVENT: Final = conditions(
    "network", "customer", "user", "bytes", "outcome", "protocol", "hostname", "time", "date",
    "hour", "delivery", "after", "age=today", "age=past",
)  # fmt: skip
_REPEAT: Final = conditions("network", "customer", "bytes", "gap", "delivery", "after", "age=past")


def of_event(log: Log, memory: Memory) -> Subject:
    """Return what is known of an event of the delivery in hand."""
    now_us = memory.now_us
    known = memory.before.get(("event", log.log_id))
    if known is None:
        cell = (
            log.customer_id,
            log.proxy_user_id,
            log.log_network,
            log.log_hostname,
            day_of(log.at_us),
        )
        known = (memory.again(cell, now_us)[0], now_us)
        memory.before["event", log.log_id] = known
    return Subject(
        now_us=now_us,
        customer_id=log.customer_id,
        user=log.proxy_user_id,
        network=log.log_network,
        protocol=log.log_protocol,
        hostname=log.log_hostname,
        bytes=log.log_total_bytes,
        failed=not log.successful,
        at_us=log.at_us,
        seen_before=known[0],
        first_us=known[1],
    )


# Logs as they are stored.


def _stored(name: str) -> Install:
    def install(change: Alteration, _behaviour: Behaviour) -> dict[str, Any]:
        def one(log: Log) -> Log:
            value = getattr(log, name)
            if value is None:
                return log
            place = ("stored", log.customer_id)
            changed = change.to(value, of_event(log, change.memory), place=place)
            return msgspec.structs.replace(log, **{name: changed})

        return {"stored": lambda logs: [one(log) for log in logs]}

    return install


_NEIGHBOUR: Final = named(TEXT, "neighbour")
_STORED: Final[dict[str, tuple[Operator, ...]]] = {
    "proxy_user_id": _NEIGHBOUR,
    "log_network": _NEIGHBOUR,
    "log_protocol": _NEIGHBOUR,
    "log_hostname": named(TEXT, "cut", "neighbour"),
    "log_client_ip_address": _NEIGHBOUR,
    "log_total_bytes": BYTES,
    "log_authentication_type": CODE,
    "country_id": TEXT,
    "city_alias": TEXT,
    "asn_id": CODE,
    "log_status_code": CODE,
    "log_error_code": TEXT,
    "service_id": TEXT,
    "proxy_id": TEXT,
    "log_session_id": TEXT,
    "log_method": TEXT,
    "log_protocol_version": TEXT,
    "log_transport": _NEIGHBOUR,
    "log_local_ip_address": _NEIGHBOUR,
    "log_local_port": CODE,
    "log_egress_ip_address": _NEIGHBOUR,
    "log_total_elapsed_ms": COUNT,
    "log_handshake_elapsed_ms": COUNT,
    "log_tunnel_elapsed_ms": COUNT,
    "log_concurrency": COUNT,
    "log_is_tls_enabled": BOOLEAN,
    "log_smartpath_enabled": BOOLEAN,
    "log_smartpath_routed": BOOLEAN,
    "log_request_datetime": INSTANT,
}
"""Field of a log → operators."""


def _logs() -> Iterator[MutationPoint]:
    for name, operators in _STORED.items():
        yield MutationPoint(
            id=f"stored.{name}",
            what=f"The {name} of a stored log",
            operators=operators,
            conditions=_EVENT,
            install=_stored(name),
            depth=6 if name in ("log_total_bytes", "log_request_datetime") else 2,
        )


# Events that are kept, logged, counted and charged.

_INCLUSION: Final = (
    replacing("omitted", "leaves an event out", ()),
    Operator(name="doubled", phrase="has an event twice", change=lambda log, _: (log, log)),
)


def _selected(change: Alteration, logs: Sequence[Log]) -> list[Log]:
    """The events, each as often as the change has it."""
    kept: list[Log] = []
    for log in logs:
        subject = of_event(log, change.memory)
        kept += change.operator.change(log, None) if change.applies(subject) else (log,)
    return kept


def _each(field: str) -> Install:
    def install(change: Alteration, _behaviour: Behaviour) -> dict[str, Any]:
        return {field: lambda logs, *_now_us: _selected(change, logs)}

    return install


def _events() -> Iterator[MutationPoint]:
    omitted = named(_INCLUSION, "omitted")
    for name, field, what, operators in (
        ("kept", "take", "What is kept of an accepted delivery", omitted),
        ("logged", "stored", "What is logged of a delivery", omitted),
        ("counted", "counted", "What the summaries count of a delivery", _INCLUSION),
        ("charged", "charged", "What the ledgers charge of a delivery", _INCLUSION),
    ):
        yield MutationPoint(
            id=f"event.{name}",
            what=what,
            operators=operators,
            conditions=_EVENT,
            install=_each(field),
            depth=12,
        )


def _of_delivery(_memory: Memory, logs: list[Log], now_us: int) -> Subject | None:
    return Subject(now_us=now_us) if logs else None


def _repeat(field: str) -> Install:
    def install(change: Alteration, _behaviour: Behaviour) -> dict[str, Any]:
        def again(logs: Sequence[Log]) -> list[Log]:
            return [log for log in logs if change.applies(of_event(log, change.memory))]

        return {field: again}

    return install


_AGAIN: Final = (only_named("counted-again", "is added once more"),)


# A delivery with a refused line: as a whole or not at all.


def _whole(change: Alteration, _behaviour: Behaviour) -> dict[str, Any]:
    """Such a delivery is refused as a whole, and its ids are taken for known from then on."""
    known: set[str] = set()

    def refuse_whole(logs: Sequence[Log], refused: int) -> str | None:
        if not refused or not logs or not change.applies(of_event(logs[0], change.memory)):
            return None
        known.update(log.log_id for log in logs)
        return "the delivery has a line that was refused"

    def take(logs: list[Log], _now_us: int) -> list[Log]:
        return [log for log in logs if log.log_id not in known]

    return {"refuse_whole": refuse_whole, "take": take}


# What is added up.


def _of_log(memory: Memory, log: Log, *_now_us: int) -> Subject:
    return of_event(log, memory)


def _in_cell(log: Log, _now_us: int) -> tuple[str, int]:
    """A place for each customer: a neighbour of another one would be a leak, not a wrong sum."""
    return ("cell", log.customer_id)


def _zone(hours: int) -> Install:
    """Days of another zone, which is the mistake; the operator only names it."""

    def install(change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def shifted(log: Log) -> int:
            return day_of(log.at_us + hours * HOUR_US)

        def cell(log: Log, now_us: int) -> SummaryCell:
            right = behaviour.cell(log, now_us)
            wrong = change.applies(of_event(log, change.memory))
            return right._replace(day=shifted(log)) if wrong else right

        def pool_day(log: Log, now_us: int) -> PoolDay | None:
            right = behaviour.pool_day(log, now_us)
            wrong = right is not None and change.applies(of_event(log, change.memory))
            return right._replace(day=shifted(log)) if right and wrong else right

        return {"cell": cell, "pool_day": pool_day}

    return install


_OTHER_NETWORK: Final = (
    *_NEIGHBOUR,
    Operator(
        name="other",
        phrase="is the next network of the list",
        change=lambda name, _: NETWORKS[(NETWORKS.index(name) + 1) % len(NETWORKS)],
    ),
)


def _sums() -> Iterator[MutationPoint]:
    for name in Amounts._fields:
        yield MutationPoint(
            id=f"amounts.{name}",
            what=f"What an event adds to the {name} of its summary",
            operators=BYTES if name == "bytes" else COUNT,
            conditions=_EVENT,
            install=altering("amounts", _of_log, field=name),
            depth=10 if name == "bytes" else 5,
        )
    for name, operators in (
        ("proxy_user_id", _NEIGHBOUR),
        ("network", _OTHER_NETWORK),
        ("hostname", named(TEXT, "cut", "neighbour")),
        ("day", DAY),
    ):
        yield MutationPoint(
            id=f"cell.{name}",
            what=f"The {name} of the summary that an event is added to",
            operators=operators,
            conditions=_EVENT,
            install=altering("cell", _of_log, field=name, place_of=_in_cell),
            depth=5,
        )
    for name, operators in (("network", OTHER_POOL), ("day", DAY)):
        yield MutationPoint(
            id=f"charge.{name}",
            what=f"The {name} of the ledger row that an event is added to",
            operators=operators,
            conditions=_EVENT,
            install=altering("pool_day", _of_log, field=name),
            depth=5,
        )
    yield MutationPoint(
        id="charge.bytes",
        what="What an event adds to the bytes of its ledger row",
        operators=BYTES,
        conditions=_EVENT,
        install=altering("charged_bytes", _of_log),
        depth=8,
    )
    for name, hours in (("utc-8", -8), ("utc-1", -1), ("utc+1", 1), ("utc+9", 9)):
        yield MutationPoint(
            id="day",
            what="The days of summaries and ledgers",
            operators=(only_named(name, f"begin at the midnight of {name}"),),
            conditions=conditions("network", "customer", "date", "after", "age=past"),
            install=_zone(hours),
            depth=3,
        )


# What is refused.

_VALID: Final[dict[str, Any]] = {
    "log_total_bytes": 0,
    "log_network": "isp",
    "log_protocol": "http",
    "log_client_ip_address": "0.0.0.0",  # noqa: S104 - an address in a log, not one to listen on
    "log_hostname": "unknown",
    "proxy_user_id": "unknown",
    "log_id": None,
    "log_status_code": None,
}
"""Field → the substitute of an impossible value; None draws one or leaves it out."""

_ACCEPTED: Final = (only_named("accepted", "is replaced and accepted"),)


def _lenient(name: str) -> Install:
    def install(_change: Alteration, behaviour: Behaviour) -> dict[str, Any]:
        def read_line(line: bytes, fold: Callable[[str], str]) -> Log:
            try:
                return behaviour.read_line(line, fold)
            except Refusal as refusal:
                if f"$.{name}`" not in str(refusal) and f"`{name}`" not in str(refusal):
                    raise
            event = msgspec.json.decode(line, type=dict[str, Any])
            instead = new_uuid() if name == "log_id" else _VALID[name]
            return behaviour.read_line(msgspec.json.encode({**event, name: instead}), fold)

        return {"read_line": read_line}

    return install


POINTS: Final = (
    *_logs(),
    *_events(),
    MutationPoint(
        id="delivery",
        what="The list of new events of a delivery",
        operators=named(ROWS, "drop-last", "drop-first", "empty"),
        conditions=conditions("delivery=batch", "delivery=refusing", "after"),
        install=altering("take", _of_delivery),
        depth=6,
    ),
    MutationPoint(
        id="repeat.counted",
        what="In the summaries, an event that is delivered again",
        operators=_AGAIN,
        conditions=_REPEAT,
        install=_repeat("counted_again"),
        depth=12,
    ),
    MutationPoint(
        id="repeat.charged",
        what="In the ledgers, an event that is delivered again",
        operators=_AGAIN,
        conditions=_REPEAT,
        install=_repeat("charged_again"),
        depth=12,
    ),
    MutationPoint(
        id="refusal",
        what="An event that was refused along with an impossible one",
        operators=(only_named("known", "is taken for known when it comes again"),),
        conditions=conditions("network", "customer", "outcome", "age=past", "after"),
        install=_whole,
        depth=5,
    ),
    *_sums(),
    *(
        MutationPoint(
            id=f"refused.{name}",
            what=f"An impossible {name} of an event",
            operators=_ACCEPTED,
            conditions=conditions(),
            install=_lenient(name),
        )
        for name in _VALID
    ),
)
"""Every point of ingestion."""
